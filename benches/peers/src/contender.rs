//! Who is compared, and how each is started: always fresh, on an empty directory, in processes of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::process::Signal;
use selvedge_load::{Connection, Protocol, Target};
use serde::Deserialize;
use serde_json::json;
use tokio::process::Command;

use crate::calls::{Calls, What};
use crate::documents;
use crate::fault::{Fault, fault};
use crate::loops::{Loops, Order};
use crate::postgres::Postgres;
use crate::process::{Process, Talk};
use crate::restate::{self, Restate};
use crate::selvedge::{self, Selvedge};
use crate::workflow_graph::{self, WorkflowGraph};

/// Fewer partitions of its log cost Restate less on two processors; its default is 24.
const PARTITIONS_TUNED: u32 = 1;

/// Who is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Contender {
    /// Selvedge's daemon with an external worker.
    Selvedge,
    /// Restate's server with a service, with its defaults.
    Restate,
    /// The same, set for a small machine.
    RestateTuned,
    /// workflow-graph-server with a worker; in memory.
    WorkflowGraph,
    /// Selvedge in the program, with a closure as worker.
    Embed,
    /// DBOS's Rust crate in the program, on PostgreSQL.
    Dbos,
    /// Hyper, with a constant answer.
    Hyper,
    /// `GET /health` of Selvedge's daemon.
    Health,
    /// `GET` of a completed run of Selvedge's daemon.
    GetRun,
    /// SQLite's group commit.
    Sqlite,
    /// `fdatasync` alone.
    Fsync,
}

/// Where programs are, and what can be set.
pub struct Setup {
    pub restate: restate::Options,
    pub selvedge: selvedge::Options,
    pub workflow_graph: workflow_graph::Options,
    /// The directory of PostgreSQL's programs.
    pub postgres: PathBuf,
    /// The connections of DBOS's pool.
    pub dbos_pool: u32,
    /// Our own program.
    pub own: PathBuf,
}

/// A contender that is up.
pub struct Running {
    servers: Servers,
    /// The processes that are metered, by what they are.
    pub metered: Vec<(&'static str, u32)>,
    /// What it says about itself.
    pub settings: Vec<(String, String)>,
}

enum Servers {
    Selvedge(Selvedge),
    Restate(Restate),
    WorkflowGraph(WorkflowGraph),
    /// A server that always answers the same path.
    Path {
        process: Process,
        worker: Option<Process>,
        url: String,
        path: String,
    },
    /// An engine that runs its loops by itself.
    Engine {
        process: Process,
        talk: Talk,
        postgres: Option<Postgres>,
    },
}

impl Contender {
    /// As in results.
    pub fn label(self) -> &'static str {
        match self {
            Contender::Selvedge => "Selvedge",
            Contender::Restate => "Restate",
            Contender::RestateTuned => "Restate, one partition",
            Contender::WorkflowGraph => "workflow-graph-server",
            Contender::Embed => "Selvedge, embedded",
            Contender::Dbos => "DBOS on PostgreSQL",
            Contender::Hyper => "hyper",
            Contender::Health => "GET /health",
            Contender::GetRun => "GET /api/v1/runs/{id}",
            Contender::Sqlite => "SQLite",
            Contender::Fsync => "fdatasync",
        }
    }

    /// Starts it with its data below `directory`.
    pub async fn start(self, setup: &Setup, directory: &Path) -> Result<Running, Fault> {
        match self {
            Contender::Selvedge => {
                let up = Selvedge::start(&setup.selvedge, directory).await?;
                let metered = vec![("server", up.daemon.id()), ("worker", up.worker.id())];
                Ok(Running { servers: Servers::Selvedge(up), metered, settings: Vec::new() })
            }
            Contender::Restate | Contender::RestateTuned => {
                let partitions = (self == Contender::RestateTuned).then_some(PARTITIONS_TUNED);
                let up = Restate::start(&setup.restate, partitions, directory).await?;
                let metered = vec![("server", up.server.id()), ("worker", up.service.id())];
                Ok(Running { servers: Servers::Restate(up), metered, settings: Vec::new() })
            }
            Contender::WorkflowGraph => {
                let up = WorkflowGraph::start(&setup.workflow_graph, directory).await?;
                let metered = vec![("server", up.server.id()), ("worker", up.worker.id())];
                Ok(Running { servers: Servers::WorkflowGraph(up), metered, settings: Vec::new() })
            }
            Contender::Hyper => {
                let mut command = Command::new(&setup.own);
                command.arg("hello");
                let log = directory.join("hello.log");
                let (process, _, url) = Process::announced("hyper", command, &log).await?;
                let metered = vec![("server", process.id())];
                let servers = Servers::Path { process, worker: None, url, path: "/".to_owned() };
                Ok(Running { servers, metered, settings: Vec::new() })
            }
            Contender::Health | Contender::GetRun => {
                let Selvedge { daemon, worker, url } = Selvedge::start(&setup.selvedge, directory).await?;
                let path = match self {
                    Contender::Health => "/health".to_owned(),
                    _ => format!("/api/v1/runs/{}", completed_run(&url).await?),
                };
                let metered = vec![("server", daemon.id())];
                let servers = Servers::Path { process: daemon, worker: Some(worker), url, path };
                Ok(Running { servers, metered, settings: Vec::new() })
            }
            Contender::Embed => engine(setup, directory, "embed", &["--file", "selvedge.db"], None).await,
            Contender::Sqlite => engine(setup, directory, "sqlite", &["--file", "rows.db"], None).await,
            Contender::Fsync => engine(setup, directory, "fsync", &["--file", "pages"], None).await,
            Contender::Dbos => {
                let postgres = Postgres::start(&setup.postgres, directory).await?;
                let (url, pool) = (postgres.url.clone(), setup.dbos_pool.to_string());
                let arguments = ["--database", &url, "--connections", &pool];
                engine(setup, directory, "dbos", &arguments, Some(postgres)).await
            }
        }
    }
}

impl Running {
    /// Does what the order says; the loops are in this process, or in the engine's.
    pub async fn carry_out(&mut self, order: &Order) -> Result<Loops, Fault> {
        match &mut self.servers {
            Servers::Selvedge(up) => {
                let calls = Calls::to(&up.url, What::Selvedge(order.steps)).await?;
                order.carry_out(Arc::new(calls)).await
            }
            Servers::Restate(up) => {
                let calls = Calls::to(&up.url, What::Restate(order.steps)).await?;
                order.carry_out(Arc::new(calls)).await
            }
            Servers::WorkflowGraph(up) => {
                order.carry_out(Arc::new(workflow_graph::Calls::to(&up.url, order.steps).await?)).await
            }
            Servers::Path { url, path, .. } => {
                let calls = Calls::to(url, What::Get(path.clone())).await?;
                order.carry_out(Arc::new(calls)).await
            }
            Servers::Engine { talk, .. } => {
                Ok(serde_json::from_str(&talk.ask(&serde_json::to_string(order)?).await?)?)
            }
        }
    }

    /// Ends all its processes.
    pub async fn stop(self) -> Result<(), Fault> {
        match self.servers {
            Servers::Selvedge(up) => up.stop().await,
            Servers::Restate(up) => up.stop().await,
            Servers::WorkflowGraph(up) => up.stop().await,
            Servers::Path { process, worker, .. } => {
                if let Some(worker) = worker {
                    worker.stop(Signal::KILL).await?;
                }
                process.stop(Signal::TERM).await.map(drop)
            }
            Servers::Engine { process, talk, postgres } => {
                // It ends when nobody can order any more; its clean-up is of no interest.
                drop(talk);
                process.stop(Signal::KILL).await?;
                match postgres {
                    Some(postgres) => postgres.stop().await,
                    None => Ok(()),
                }
            }
        }
    }
}

async fn engine(
    setup: &Setup,
    directory: &Path,
    name: &'static str,
    arguments: &[&str],
    postgres: Option<Postgres>,
) -> Result<Running, Fault> {
    let mut command = Command::new(&setup.own);
    command.args(["engine", name]).args(arguments).current_dir(directory);
    let log = directory.join(format!("{name}.log"));
    let (process, talk, _) = Process::announced(name, command, &log).await?;
    let mut metered = vec![("program", process.id())];
    metered.extend(postgres.iter().map(|postgres| ("PostgreSQL", postgres.process.id())));
    let settings = postgres.as_ref().map(|postgres| postgres.settings.clone()).unwrap_or_default();
    Ok(Running { servers: Servers::Engine { process, talk, postgres }, metered, settings })
}

#[derive(Deserialize)]
struct Run {
    id: String,
    status: String,
}

/// Runs one workflow of one step, and answers with the run's id.
async fn completed_run(url: &str) -> Result<String, Fault> {
    let mut connection = Connection::open(&Target::find(url).await?, Protocol::Http1).await?;
    let body = json!({ "workflow": documents::name(1), "input": { "n": 1 } }).to_string();
    let answer = connection.post("/api/v1/runs?wait=30s", body).await?.of_status(201, "a run")?;
    let run: Run = serde_json::from_slice(&answer.body)?;
    match run.status.as_str() {
        "completed" => Ok(run.id),
        status => Err(fault!("expected a completed run, found one that is {status}")),
    }
}
