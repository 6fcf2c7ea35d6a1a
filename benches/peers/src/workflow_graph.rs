//! workflow-graph-server: an in-memory server that workers poll. Nothing of it is durable.
//!
//! It tells no outputs of jobs over HTTP, so that a workflow's sum cannot be checked here: a workflow is over
//! when its last job is a success. It has no long poll either; everybody who waits asks every [`PAUSE`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use rustix::process::Signal;
use selvedge_load::{Connection, Failure, Protocol, Target, Workload};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::fault::{Fault, fault};
use crate::process::{Process, free_port};

/// How long who finds nothing waits before asking again.
const PAUSE: Duration = Duration::from_millis(1);
/// How many loops of the worker claim jobs; a claim gives one.
const CLAIMERS: usize = 8;
/// A workflow that takes longer is lost: its scheduler drops events when it lags behind.
const WORKFLOW_MAX: Duration = Duration::from_secs(10);

/// The server and the worker.
pub struct WorkflowGraph {
    pub server: Process,
    pub worker: Process,
    /// Where its API is.
    pub url: String,
}

/// How it is started.
pub struct Options {
    /// The server's program.
    pub server: PathBuf,
    /// Our own program, which is also the worker.
    pub own: PathBuf,
}

impl WorkflowGraph {
    /// Starts both. The server serves files of its directory, which is therefore an empty one.
    pub async fn start(options: &Options, directory: &Path) -> Result<WorkflowGraph, Fault> {
        let port = free_port()?;
        let empty = directory.join("empty");
        std::fs::create_dir(&empty)?;
        let mut command = Command::new(&options.server);
        command.current_dir(&empty).env("PORT", port.to_string());
        let mut server = Process::start("workflow-graph-server", command, &directory.join("graph.log"))?;
        let url = format!("http://127.0.0.1:{port}");
        let target = Target::find(&url).await?;
        server.ready(async || Connection::open(&target, Protocol::Http1).await.ok()).await?;
        let mut command = Command::new(&options.own);
        command.args(["workflow-graph-worker", &url, "--claimers", &CLAIMERS.to_string()]);
        let log = directory.join("graph-worker.log");
        let (worker, _, _) = Process::announced("the workflow-graph worker", command, &log).await?;
        Ok(WorkflowGraph { server, worker, url })
    }

    /// Ends both.
    pub async fn stop(self) -> Result<(), Fault> {
        self.worker.stop(Signal::KILL).await?;
        self.server.stop(Signal::KILL).await.map(drop)
    }
}

/// One workflow from its creation to the success of its last job.
pub struct Calls {
    target: Target,
    jobs: Value,
}

#[derive(Deserialize)]
struct Workflow {
    id: String,
    jobs: Vec<Job>,
}

#[derive(Deserialize)]
struct Job {
    status: String,
}

impl Calls {
    /// To the server at `url`, for workflows of so many steps.
    pub async fn to(url: &str, steps: u32) -> Result<Calls, Fault> {
        let job = |step: u32| {
            let before = if step == 1 { json!([]) } else { json!([format!("s{}", step - 1)]) };
            let id = format!("s{step}");
            json!({ "id": id, "name": id, "status": "queued", "command": "add", "depends_on": before })
        };
        Ok(Calls { target: Target::find(url).await?, jobs: (1..=steps).map(job).collect() })
    }
}

impl Workload for Calls {
    type Connection = Connection;

    async fn connect(&self, _: usize) -> Result<Connection, Failure> {
        Ok(Connection::open(&self.target, Protocol::Http1).await?)
    }

    async fn operate(&self, connection: &mut Connection, n: u64) -> Result<(), Failure> {
        let begin = Instant::now();
        let workflow = json!({ "name": n.to_string(), "trigger": "bench", "jobs": self.jobs }).to_string();
        let answer = connection.post("/api/workflows", workflow).await?.of_status(201, "a workflow")?;
        let Workflow { id, .. } = serde_json::from_slice(&answer.body)?;
        let path = format!("/api/workflows/{id}/run");
        connection.post(&path, Bytes::new()).await?.of_status(202, "a start")?;
        let path = format!("/api/workflows/{id}/status");
        loop {
            let answer = connection.get(&path).await?.of_status(200, "a status")?;
            let Workflow { jobs, .. } = serde_json::from_slice(&answer.body)?;
            match jobs.last().map(|job| job.status.as_str()) {
                Some("success") => return Ok(()),
                Some("queued" | "running") if begin.elapsed() < WORKFLOW_MAX => sleep(PAUSE).await,
                other => return Err(format!("expected a last job that succeeds, found {other:?}").into()),
            }
        }
    }
}

#[derive(Deserialize)]
struct Claimed {
    lease: Lease,
}

#[derive(Deserialize)]
struct Lease {
    lease_id: String,
}

/// Works until it is ended. The first line of standard output says that it has begun.
pub async fn work(server: &str, claimers: usize) -> Result<(), Fault> {
    let server = Target::find(server).await?;
    let mut loops = JoinSet::new();
    for number in 0..claimers {
        loops.spawn(claim(Connection::open(&server, Protocol::Http1).await?, number));
    }
    println!("working");
    match loops.join_next().await {
        Some(ended) => ended?,
        None => Err(fault!("expected claimers, found none")),
    }
}

async fn claim(mut server: Connection, number: usize) -> Result<(), Fault> {
    let body = Bytes::from(format!(r#"{{"worker_id":"worker-{number}","labels":[]}}"#));
    loop {
        let answer = server.post("/api/jobs/claim", body.clone()).await?.of_status(200, "a claim")?;
        match serde_json::from_slice::<Option<Claimed>>(&answer.body)? {
            Some(Claimed { lease }) => {
                let path = format!("/api/jobs/{}/complete", lease.lease_id);
                server.post(&path, r#"{"outputs":{"n":"1"}}"#).await?.of_status(200, "a completion")?;
            }
            None => sleep(PAUSE).await,
        }
    }
}
