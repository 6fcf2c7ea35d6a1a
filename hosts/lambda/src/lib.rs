//! Selvedge as an AWS Lambda function, behind API Gateway, a function URL or a load balancer.
//!
//! This crate converts: [`event`] makes a request of an invocation's event, [`answer`] makes what AWS expects
//! of a response, and core does the rest. [`Function`] holds one server per execution environment and lets it
//! drive timers and inline tasks while there is time: beside the request, after its answer, or when a schedule
//! says so. `docs/lambda.md` tells how to deploy it.
#![forbid(unsafe_code)]

pub mod event;
mod place;

pub mod answer;

pub mod function;
pub mod runtime;

pub mod config;
mod environment;

pub use function::{Drive, Failure, Function, Server};

use std::process::ExitCode;

use config::Config;

/// Runs the function with the settings of the process's environment until Lambda ends the process.
pub fn main() -> ExitCode {
    let config = match Config::read(|name| std::env::var(name).ok()) {
        Ok(config) => config,
        Err(faults) => {
            environment::start_log(config::LogFormat::Text, tracing::Level::INFO);
            faults.iter().for_each(|fault| tracing::error!("{fault}"));
            return ExitCode::FAILURE;
        }
    };
    environment::start_log(config.log, config.log_level);
    selvedge_tokio::install_tls();
    // One invocation runs at a time in an environment: more threads would only start more slowly.
    let ran = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(runtime::run(environment::function(config))),
        Err(fault) => Err(fault.into()),
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            tracing::error!("the function ended: {fault}");
            ExitCode::FAILURE
        }
    }
}
