//! Selvedge beside Restate, DBOS and others: the same work on one machine, by one command.
//!
//! `benches/peers/run` installs and builds everything and calls this program, which is also every part of the
//! comparison that is ours: the services, the workers, the embedded engines. Each of them runs in a process of
//! its own, and the load generator is another one.
#![forbid(unsafe_code)]

mod fault;

mod cli;
mod compare;
mod measure;
mod plot;
mod ratio;
mod report;
mod workload;

mod contender;
mod postgres;
mod process;
mod restate;
mod selvedge;

mod calls;
mod loops;

mod documents;
mod engine;
mod engine_dbos;
mod engine_selvedge;
mod hello;
mod restate_service;
mod selvedge_worker;
mod storage;
mod workflow_graph;

/// For all that runs in this program, the peers' engines and services included.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
