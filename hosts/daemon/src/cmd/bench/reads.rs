//! Reads while runs are written: clients that look at runs and lists at a fixed rate, whatever the writers do.

use std::sync::Arc;

use selvedge_load::{
    Connection, Extent, Failure, Measurement, Pace, Plan, Protocol, Stop, Target, Workload, run,
};

use super::server::Server;
use super::stretch::Stretch;
use super::workers::Workers;
use super::{BenchError, Measured, plan, runs, warm_up};
use crate::cli::BenchArgs;

/// `GET`s of runs each second, and of pages.
const GETS_PER_SECOND: f64 = 500.0;
const PAGES_PER_SECOND: f64 = 50.0;
/// Connections of each.
const READERS: usize = 8;
/// Runs that are there to be read.
const RUNS_READ: u64 = 1000;

/// `GET`s, each of the path that its number stands for.
pub(super) struct Gets<F> {
    pub(super) target: Target,
    pub(super) path: F,
}

pub(super) async fn measure(args: &BenchArgs, server: &Server, connections: usize) -> Measured {
    server.save(runs::ONE_TASK.name, runs::ONE_TASK.document()).await?;
    let writes = Arc::new(runs::Runs::of(server, &runs::ONE_TASK));
    let mut workers = Workers::start(args, server);
    let written = Plan { extent: Extent::Operations(RUNS_READ), ..warm_up(connections) };
    workers.during(run(writes.clone(), &written)).await?;

    let ids = newest(server, RUNS_READ).await?;
    let runs_read = move |number: u64| format!("/api/v1/runs/{}", ids[number as usize % ids.len()]);
    let gets = Arc::new(Gets { target: server.target.clone(), path: runs_read });
    let pages = |number: u64| if number.is_multiple_of(2) { PAGE } else { PAGE_OF_STATUS }.to_owned();
    let pages = Arc::new(Gets { target: server.target.clone(), path: pages });

    let stop = Stop::default();
    let reading = |per_second| Plan {
        connections: READERS,
        pace: Pace::Open { per_second },
        extent: Extent::Until(stop.clone()),
        first: 0,
    };
    let (gets_plan, pages_plan, plan) =
        (reading(GETS_PER_SECOND), reading(PAGES_PER_SECOND), plan(args, connections));
    let stretch = Stretch::begin(server).await?;
    let writing = async {
        let outcome = run(writes, &plan).await;
        stop.raise();
        outcome
    };
    let all = async { tokio::try_join!(writing, run(gets, &gets_plan), run(pages, &pages_plan)) };
    let (written, got, paged) = workers.during(all).await?;
    let cost = stretch.end(server).await?;
    // The server's cost is that of all three together; it stands with the writes.
    Ok(vec![
        cost.measurement("reads: writes", &plan, &written),
        plain("reads: a run", &gets_plan, &got, &cost),
        plain("reads: a page", &pages_plan, &paged, &cost),
    ])
}

/// A page of the newest runs.
pub(super) const PAGE: &str = "/api/v1/runs?limit=50";
const PAGE_OF_STATUS: &str = "/api/v1/runs?limit=50&status=completed";

fn plain(
    name: &str,
    plan: &Plan,
    outcome: &selvedge_load::Outcome,
    cost: &super::stretch::Cost,
) -> Measurement {
    Measurement::new(name, &super::subject(), plan, outcome, cost.steal())
}

/// The ids of the newest runs.
async fn newest(server: &Server, count: u64) -> Result<Vec<String>, BenchError> {
    let path = format!("/api/v1/runs?limit={count}");
    let answer = server.connect().await?.get(&path).await?.of_status(200, &path)?;
    let page: serde_json::Value = serde_json::from_slice(&answer.body)
        .map_err(|fault| BenchError::Unexpected(format!("a page of runs: {fault}")))?;
    let items = page["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let ids: Vec<String> = items.iter().filter_map(|run| run["id"].as_str().map(str::to_owned)).collect();
    if ids.is_empty() {
        return Err(BenchError::Unexpected("a page of runs is empty".to_owned()));
    }
    Ok(ids)
}

impl<F: Fn(u64) -> String + Send + Sync + 'static> Workload for Gets<F> {
    type Connection = Connection;

    async fn connect(&self, _: usize) -> Result<Connection, Failure> {
        Ok(Connection::open(&self.target, Protocol::Http1).await?)
    }

    async fn operate(&self, connection: &mut Connection, number: u64) -> Result<(), Failure> {
        let path = (self.path)(number);
        connection.get(&path).await?.of_status(200, &path)?;
        Ok(())
    }
}
