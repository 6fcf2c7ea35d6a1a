//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

use crate::compare::Plan;
use crate::contender::{Contender, Setup};
use crate::engine;
use crate::engine_dbos::Dbos;
use crate::engine_selvedge::Embedded;
use crate::fault::Fault;
use crate::loops::Limit;
use crate::report::Report;
use crate::{hello, postgres, restate, restate_service, selvedge, selvedge_worker, storage, workflow_graph};

/// Selvedge beside its peers, on this machine.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Compares, and writes a table, a plot and all measurements.
    Compare(Box<Compare>),
    /// The service that Restate calls.
    #[command(hide = true)]
    RestateService,
    /// The worker of Selvedge's daemon.
    #[command(hide = true)]
    SelvedgeWorker {
        server: String,
        #[arg(long)]
        claimers: usize,
        #[arg(long)]
        reporters: usize,
    },
    /// The worker of workflow-graph-server.
    #[command(hide = true)]
    WorkflowGraphWorker {
        server: String,
        #[arg(long)]
        claimers: usize,
    },
    /// The least of an HTTP server.
    #[command(hide = true)]
    Hello,
    /// What runs its loops by itself.
    #[command(hide = true, subcommand)]
    Engine(EngineCommand),
}

#[derive(Subcommand)]
enum EngineCommand {
    /// Selvedge on a database file.
    Embed {
        #[arg(long)]
        file: PathBuf,
    },
    /// DBOS on PostgreSQL.
    Dbos {
        #[arg(long)]
        database: String,
        #[arg(long)]
        connections: u32,
    },
    /// SQLite alone.
    Sqlite {
        #[arg(long)]
        file: PathBuf,
    },
    /// `fdatasync` alone.
    Fsync {
        #[arg(long)]
        file: PathBuf,
    },
}

#[derive(Parser)]
struct Compare {
    /// Only these contenders
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Contender>,
    /// Only these workloads: a, c, b (1, 3, 10 steps over HTTP), e1, e3, e10 (the same embedded), http, commit, fsync
    #[arg(long = "workload", value_name = "NAME", value_delimiter = ',')]
    workloads: Vec<String>,
    /// This many callers at once, instead of each workload's own numbers
    #[arg(long, value_name = "COUNT", value_delimiter = ',')]
    connections: Vec<usize>,
    /// How often the contenders take turns
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long each measurement takes
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// This many operations in each measurement, instead of a time
    #[arg(long, value_name = "COUNT")]
    runs: Option<u64>,
    /// How long the same load runs before each measurement
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    warm_up: f64,
    /// Where databases are put: on the disk that is to be measured
    #[arg(long, value_name = "DIR", default_value = "/var/tmp")]
    directory: PathBuf,
    /// Where peers.md, peers.svg and peers.json are written; nowhere if not given
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Selvedge's program
    #[arg(long, value_name = "FILE")]
    selvedge: PathBuf,
    /// Restate's server
    #[arg(long, value_name = "FILE")]
    restate: PathBuf,
    /// workflow-graph-server's program
    #[arg(long, value_name = "FILE")]
    workflow_graph: PathBuf,
    /// The directory of PostgreSQL's programs
    #[arg(long, value_name = "DIR", default_value = postgres::PROGRAMS)]
    postgres: PathBuf,
    /// Connections of DBOS's pool
    #[arg(long, value_name = "COUNT", default_value_t = 64)]
    dbos_pool: u32,
    /// Claims that Selvedge's worker has under way
    #[arg(long, value_name = "COUNT", default_value_t = 8)]
    claimers: usize,
    /// Reports that Selvedge's worker has under way
    #[arg(long, value_name = "COUNT", default_value_t = 4)]
    reporters: usize,
}

/// Does what the arguments say.
pub fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("selvedge-peers: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Fault> {
    match command {
        Command::Compare(arguments) => slim()?.block_on(compare(*arguments)),
        Command::RestateService => wide()?.block_on(restate_service::serve()),
        Command::SelvedgeWorker { server, claimers, reporters } => {
            slim()?.block_on(selvedge_worker::work(&server, claimers, reporters))
        }
        Command::WorkflowGraphWorker { server, claimers } => {
            slim()?.block_on(workflow_graph::work(&server, claimers))
        }
        Command::Hello => wide()?.block_on(hello::serve()),
        Command::Engine(EngineCommand::Embed { file }) => {
            wide()?.block_on(async { engine::obey(Embedded::open(&file).await?).await })
        }
        Command::Engine(EngineCommand::Dbos { database, connections }) => {
            wide()?.block_on(async { engine::obey(Dbos::open(&database, connections).await?).await })
        }
        Command::Engine(EngineCommand::Sqlite { file }) => {
            slim()?.block_on(engine::obey_with(async |order| storage::group_commits(&file, &order)))
        }
        Command::Engine(EngineCommand::Fsync { file }) => {
            slim()?.block_on(engine::obey_with(async |order| storage::fsyncs(&file, &order)))
        }
    }
}

/// A thread for each processor, as servers have.
fn wide() -> Result<Runtime, Fault> {
    Ok(Builder::new_multi_thread().enable_all().build()?)
}

/// One thread, for what only passes things on.
fn slim() -> Result<Runtime, Fault> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

async fn compare(arguments: Compare) -> Result<(), Fault> {
    let own = std::env::current_exe()?;
    let setup = Setup {
        restate: restate::Options { server: arguments.restate, own: own.clone() },
        selvedge: selvedge::Options {
            daemon: arguments.selvedge,
            own: own.clone(),
            claimers: arguments.claimers,
            reporters: arguments.reporters,
        },
        workflow_graph: workflow_graph::Options { server: arguments.workflow_graph, own: own.clone() },
        postgres: arguments.postgres,
        dbos_pool: arguments.dbos_pool,
        own,
    };
    let plan = Plan {
        contenders: arguments.only,
        workloads: arguments.workloads,
        connections: arguments.connections,
        rounds: arguments.rounds,
        limit: arguments.runs.map_or(Limit::Seconds(arguments.seconds), Limit::Operations),
        warm_up: Limit::Seconds(arguments.warm_up),
        directory: arguments.directory,
    };
    let results = plan.carry_out(&setup).await?;
    let report = Report::new(&setup, &plan, results).await?;
    print!("{}", report.markdown());
    match arguments.out {
        Some(directory) => report.write(&directory),
        None => Ok(()),
    }
}
