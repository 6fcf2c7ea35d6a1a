//! The `selvedge` binary: the server, the worker and the command line in one file to copy.
//!
//! What the commands share is here by noun; what each does is in `cmd`. It is a library so that tests can put
//! the same listener before a server of their own.
#![forbid(unsafe_code)]

mod cli;
mod cmd;

mod config;
pub mod listener;
mod module;
mod serve;
mod telemetry;

mod inprocess;
mod worker;

mod client;
mod document;
mod follow;
mod progress;
pub mod stop;
mod terminal;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

/// How long the process waits at its end for its own tasks to be dropped.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// Does what the arguments of the process say.
pub fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    selvedge_tokio::install_tls();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(fault) => {
            terminal::err(&format!("error: cannot start: {fault}"));
            return ExitCode::FAILURE;
        }
    };
    let exit = runtime.block_on(cmd::run(cli.command));
    // Dropping what still runs kills the commands of a worker; nothing else may hold the process back.
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    exit.into()
}
