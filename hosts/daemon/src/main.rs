//! The `selvedge` binary: the server, the worker and the command line in one file to copy.
//!
//! What the commands share is here by noun; what each does is in `cmd`.
#![forbid(unsafe_code)]

mod cli;
mod cmd;

mod config;
mod listener;
mod platform;
mod serve;
mod telemetry;

mod inprocess;
mod worker;

mod client;
mod document;
mod follow;
mod progress;
mod stop;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    platform::install_tls();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(fault) => {
            terminal::err(&format!("error: cannot start: {fault}"));
            return ExitCode::FAILURE;
        }
    };
    let exit = runtime.block_on(cmd::run(cli.command));
    // Whatever still runs on the blocking pool (a read of standard input) must not hold the process back.
    runtime.shutdown_background();
    exit.into()
}
