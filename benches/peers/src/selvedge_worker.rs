//! Selvedge's side of the work: an external worker as `docs/workers.md` describes it. Claims wait at the server
//! and take what there is; what is done at the same moment is reported in one request.

use std::sync::Arc;

use bytes::Bytes;
use selvedge_load::{Connection, Protocol, Target};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use crate::documents::QUEUE;
use crate::fault::{Fault, fault};

/// One claim takes at most this many tasks.
const CLAIM_TASKS: usize = 64;
/// One request reports at most this many: the server's limit is 1,000.
const REPORTS_MAX: usize = 256;

#[derive(Deserialize)]
struct Claimed {
    tasks: Vec<Task>,
}

#[derive(Deserialize)]
struct Task {
    lease_id: String,
    input: Number,
}

/// What a step gets and what it answers.
#[derive(Serialize, Deserialize)]
struct Number {
    n: u64,
}

#[derive(Serialize)]
struct Completion<'a> {
    output: &'a Number,
}

#[derive(Serialize)]
struct Batch<'a> {
    items: &'a [Report],
    r#return: &'static str,
}

#[derive(Serialize)]
struct Report {
    action: &'static str,
    lease_id: String,
    output: Number,
}

#[derive(Deserialize)]
struct Outcomes {
    items: Vec<Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    status: u16,
}

/// What is done and not reported yet. The lock is held by the one reporter that waits for more.
type Reports = Arc<Mutex<mpsc::UnboundedReceiver<Report>>>;

/// Works until it is ended. The first line of standard output says that it has begun.
pub async fn work(server: &str, claimers: usize, reporters: usize) -> Result<(), Fault> {
    let server = Target::find(server).await?;
    let (done, reports) = mpsc::unbounded_channel();
    let reports = Arc::new(Mutex::new(reports));
    let mut loops = JoinSet::new();
    for _ in 0..claimers {
        loops.spawn(claim(Connection::open(&server, Protocol::Http1).await?, done.clone()));
    }
    for _ in 0..reporters {
        loops.spawn(report(Connection::open(&server, Protocol::Http1).await?, reports.clone()));
    }
    println!("working");
    match loops.join_next().await {
        Some(ended) => ended?,
        None => Err(fault!("expected claimers and reporters, found none")),
    }
}

/// Claims, and does each task at once: the work itself is one addition.
async fn claim(mut server: Connection, done: mpsc::UnboundedSender<Report>) -> Result<(), Fault> {
    let body = Bytes::from(format!(
        r#"{{"worker_id":"worker","queues":["{QUEUE}"],"max_tasks":{CLAIM_TASKS},"wait":"60s"}}"#
    ));
    loop {
        let answer = server.post("/api/v1/tasks/claim", body.clone()).await?.of_status(200, "a claim")?;
        let Claimed { tasks } = serde_json::from_slice(&answer.body)?;
        for Task { lease_id, input } in tasks {
            let report = Report { action: "complete", lease_id, output: Number { n: input.n + 1 } };
            done.send(report).map_err(|_| fault!("nobody reports any more"))?;
        }
    }
}

/// Reports what is done, all that there is in one request.
async fn report(mut server: Connection, reports: Reports) -> Result<(), Fault> {
    let mut batch = Vec::with_capacity(REPORTS_MAX);
    loop {
        batch.clear();
        reports.lock().await.recv_many(&mut batch, REPORTS_MAX).await;
        match &batch[..] {
            [] => return Err(fault!("nobody claims any more")),
            [one] => {
                let path = format!("/api/v1/leases/{}/complete", one.lease_id);
                let body = serde_json::to_vec(&Completion { output: &one.output })?;
                server.post(&path, body).await?.of_status(200, "a completion")?;
            }
            many => {
                let body = serde_json::to_vec(&Batch { items: many, r#return: "minimal" })?;
                let answer = server.post("/api/v1/leases/batch", body).await?;
                let answer = answer.of_status(200, "a batch of completions")?;
                let Outcomes { items } = serde_json::from_slice(&answer.body)?;
                if let Some(refused) = items.iter().find(|outcome| outcome.status != 200) {
                    return Err(fault!("expected that a completion is taken, found {}", refused.status));
                }
            }
        }
    }
}
