//! External workers that do nothing but answer: each has one connection, claims with a long poll and reports
//! all that it got in one request.

use selvedge_load::{Connection, Failure, Protocol, Target};
use serde::Deserialize;
use tokio::task::JoinSet;

use super::BenchError;
use super::server::Server;
use crate::cli::BenchArgs;

/// The queue of every workload's tasks.
pub(super) const QUEUE: &str = "selvedge-bench";

/// Workers at work, until dropped.
pub(super) struct Workers(JoinSet<Failure>);

/// What an answer to a claim is read for.
#[derive(Debug, Deserialize)]
pub(super) struct Claimed<'a> {
    /// The leases.
    #[serde(borrow)]
    pub(super) tasks: Vec<Leased<'a>>,
}

/// One of them.
#[derive(Debug, Deserialize)]
pub(super) struct Leased<'a> {
    /// Its id, which needs no escapes.
    pub(super) lease_id: &'a str,
}

impl Workers {
    /// As many as the command line says.
    pub(super) fn start(args: &BenchArgs, server: &Server) -> Workers {
        let mut workers = JoinSet::new();
        for number in 0..args.workers {
            let target = server.target.clone();
            let claim = format!(
                r#"{{"worker_id":"bench-{number}","queues":["{QUEUE}"],"max_tasks":{},"wait":"60s"}}"#,
                args.tasks_per_claim
            );
            workers.spawn(async move {
                match work(&target, claim).await {
                    Ok(never) => match never {},
                    Err(failure) => failure,
                }
            });
        }
        Workers(workers)
    }

    /// What the load comes to, unless a worker fails before.
    pub(super) async fn during<T, E: Into<BenchError>>(
        &mut self,
        load: impl Future<Output = Result<T, E>>,
    ) -> Result<T, BenchError> {
        tokio::select! {
            outcome = load => outcome.map_err(Into::into),
            Some(ended) = self.0.join_next() => Err(BenchError::Unexpected(match ended {
                Ok(failure) => format!("a worker failed: {failure}"),
                Err(defect) => format!("a worker failed: {defect}"),
            })),
        }
    }
}

async fn work(target: &Target, claim: String) -> Result<std::convert::Infallible, Failure> {
    let mut connection = Connection::open(target, Protocol::Http1).await?;
    let claim = bytes::Bytes::from(claim);
    loop {
        let answer =
            connection.post("/api/v1/tasks/claim", claim.clone()).await?.of_status(200, "a claim")?;
        let Claimed { tasks } = serde_json::from_slice(&answer.body)?;
        complete(&mut connection, &tasks).await?;
    }
}

async fn complete(connection: &mut Connection, tasks: &[Leased<'_>]) -> Result<(), Failure> {
    match tasks {
        [] => {}
        [Leased { lease_id }] => {
            let path = format!("/api/v1/leases/{lease_id}/complete");
            connection.post(&path, r#"{"output":{"ok":true}}"#).await?.of_status(200, "a completion")?;
        }
        many => {
            let report = |task: &Leased<'_>| {
                format!(r#"{{"action":"complete","lease_id":"{}","output":{{"ok":true}}}}"#, task.lease_id)
            };
            let reports: Vec<String> = many.iter().map(report).collect();
            let body = format!(r#"{{"items":[{}]}}"#, reports.join(","));
            let answer = connection.post("/api/v1/leases/batch", body).await?;
            let answer = answer.of_status(200, "a batch of completions")?;
            let Outcomes { items } = serde_json::from_slice(&answer.body)?;
            if let Some(refused) = items.iter().find(|outcome| outcome.status != 200) {
                return Err(format!("a completion was refused with {}", refused.status).into());
            }
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Outcomes {
    items: Vec<ReportOutcome>,
}

#[derive(Deserialize)]
struct ReportOutcome {
    status: u16,
}
