//! Claims on a full database: many stored runs that have ended, and many ready tasks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use selvedge_load::{Connection, Extent, Failure, Protocol, Target, Unit, Workload, run};

use super::place::Place;
use super::seed::{Shift, Store};
use super::server::Server;
use super::stretch::Stretch;
use super::workers::{Claimed, QUEUE, Workers};
use super::{BenchError, Measured, plan, runs};
use crate::cli::BenchArgs;

/// Tasks of each claim.
const TASKS_PER_CLAIM: usize = 10;
/// One ready task for so many stored runs.
const STORED_PER_READY: u64 = 10;
/// Claims before the measured ones.
const WARM_UP_CLAIMS: u64 = 10;

/// Claims that take all they are given. Of several at once some are given less than they ask for.
struct Claims {
    target: Target,
    taken: AtomicU64,
}

pub(super) async fn measure(args: &BenchArgs) -> Measured {
    let ready = (args.stored / STORED_PER_READY).max(1);
    let mut measurements = Vec::new();
    for connections in &args.connections {
        let place = Place::new(args)?;
        fill(args, &place, (args.stored, ready)).await?;
        let server = place.serve().await?;
        let claims = Arc::new(Claims { target: server.target.clone(), taken: AtomicU64::new(0) });
        let mut plan = plan(args, usize::from(*connections));
        let warm_up =
            selvedge_load::Plan { extent: Extent::Operations(WARM_UP_CLAIMS), first: 0, ..plan.clone() };
        // All of them, unless fewer are asked for: a claim that finds nothing would measure something else.
        let there = (ready / TASKS_PER_CLAIM as u64).saturating_sub(WARM_UP_CLAIMS);
        plan.extent = Extent::Operations(args.runs.unwrap_or(there).min(there));
        run(claims.clone(), &warm_up).await?;
        let stretch = Stretch::begin(&server).await?;
        claims.taken.store(0, Ordering::Relaxed);
        let outcome = run(claims.clone(), &plan).await?;
        let taken = claims.taken.load(Ordering::Relaxed) as f64;
        let measurement = stretch.end(&server).await?.measurement("claim-full", &plan, &outcome);
        let measurement = measurement.with_each("tasks/op", taken, Unit::Count);
        measurements.push(measurement.with(
            "tasks/s",
            taken / outcome.elapsed.as_secs_f64(),
            Unit::PerSecond,
        ));
        server.stop().await?;
    }
    Ok(measurements)
}

/// Stores runs that have completed and runs with a ready task.
pub(super) async fn fill(
    args: &BenchArgs,
    place: &Place,
    (ended, ready): (u64, u64),
) -> Result<(), BenchError> {
    let server = place.serve().await?;
    server.save(runs::ONE_TASK.name, runs::ONE_TASK.document()).await?;
    let ended_one = sample_ended(args, &server).await?;
    let ready_one = runs::start(&server, r#"{"workflow":"one-task","input":{"n":1}}"#).await?;
    server.stop().await?;
    let store = Store::open(&place.database())?;
    store.copy(&store.template(&ended_one).await?, (ended, 0), Shift::Spread).await?;
    store.copy(&store.template(&ready_one).await?, (ready, ended), Shift::Spread).await
}

/// A run of one task that has completed.
async fn sample_ended(args: &BenchArgs, server: &Server) -> Result<String, BenchError> {
    let mut workers = Workers::start(args, server);
    let run = async {
        let run = runs::start(server, r#"{"workflow":"one-task","input":{"n":0}}"#).await?;
        let result = runs::result(&mut server.connect().await?, &run).await;
        result.map_err(|failure| BenchError::Unexpected(failure.to_string()))?;
        Ok::<_, BenchError>(run)
    };
    workers.during(run).await
}

impl Workload for Claims {
    type Connection = Connection;

    async fn connect(&self, _: usize) -> Result<Connection, Failure> {
        Ok(Connection::open(&self.target, Protocol::Http1).await?)
    }

    async fn operate(&self, connection: &mut Connection, number: u64) -> Result<(), Failure> {
        let worker = number % 8;
        let body = format!(
            r#"{{"worker_id":"bench-{worker}","queues":["{QUEUE}"],"max_tasks":{TASKS_PER_CLAIM},"lease_ttl":"1h"}}"#
        );
        let answer = connection.post("/api/v1/tasks/claim", body).await?.of_status(200, "a claim")?;
        let Claimed { tasks } = serde_json::from_slice(&answer.body)?;
        if tasks.is_empty() {
            return Err("a claim was given nothing although tasks are ready".into());
        }
        self.taken.fetch_add(tasks.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}
