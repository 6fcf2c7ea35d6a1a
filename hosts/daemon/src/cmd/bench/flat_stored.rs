//! Whether starts, claims and completions cost more when many runs are stored: two servers, one empty and one
//! full, measured in turns, so that whatever disturbs the machine disturbs both.

use std::sync::Arc;

use selvedge_load::{Extent, Outcome, Plan, Unit, run};

use super::claims::fill;
use super::place::Place;
use super::runs::{ONE_TASK, Runs};
use super::server::Server;
use super::stretch::{Cost, Stretch};
use super::workers::Workers;
use super::{BenchError, Measured, plan, warm_up};
use crate::cli::BenchArgs;

/// How often each has its turn.
const TURNS: u64 = 5;
/// Runs of a turn.
const RUNS: u64 = 2000;

/// One of the two.
struct Side {
    name: &'static str,
    place: Place,
    server: Server,
    workers: Workers,
    runs: Arc<Runs>,
    sum: Option<(Outcome, Cost)>,
}

pub(super) async fn measure(args: &BenchArgs) -> Measured {
    let mut measurements = Vec::new();
    for connections in &args.connections {
        let connections = usize::from(*connections);
        let mut sides =
            [Side::new(args, "stored: none", 0).await?, Side::new(args, "stored: many", args.stored).await?];
        let plan = plan(args, connections);
        let plan = Plan { extent: Extent::Operations(args.runs.unwrap_or(RUNS)), ..plan };
        for side in &mut sides {
            side.workers.during(run(side.runs.clone(), &warm_up(connections))).await?;
        }
        for _ in 0..TURNS {
            for side in &mut sides {
                side.turn(&plan).await?;
            }
        }
        let mut first = None;
        for side in sides {
            let (outcome, cost) = side.sum.expect("each had its turns");
            let p50 = outcome.latencies.quantile(0.5).as_secs_f64();
            let cpu = cost.server_cpu().unwrap_or_default().as_secs_f64();
            let (p50_first, cpu_first) = *first.get_or_insert((p50, cpu));
            let measurement = cost.measurement(side.name, &plan, &outcome);
            let measurement = measurement.with("p50, ratio", p50 / p50_first, Unit::Ratio);
            measurements.push(measurement.with("server CPU, ratio", cpu / cpu_first, Unit::Ratio));
            side.server.stop().await?;
            drop(side.place);
        }
    }
    Ok(measurements)
}

impl Side {
    async fn new(args: &BenchArgs, name: &'static str, stored: u64) -> Result<Side, BenchError> {
        let place = Place::new(args)?;
        if stored > 0 {
            // All of them ended but one, which the workers do first.
            fill(args, &place, (stored, 0)).await?;
        }
        let server = place.serve().await?;
        server.save(ONE_TASK.name, ONE_TASK.document()).await?;
        let workers = Workers::start(args, &server);
        let runs = Arc::new(Runs::of(&server, &ONE_TASK));
        Ok(Side { name, place, server, workers, runs, sum: None })
    }

    async fn turn(&mut self, plan: &Plan) -> Result<(), BenchError> {
        let stretch = Stretch::begin(&self.server).await?;
        let outcome = self.workers.during(run(self.runs.clone(), plan)).await?;
        let cost = stretch.end(&self.server).await?;
        self.sum = Some(match self.sum.take() {
            None => (outcome, cost),
            Some((mut sum, before)) => {
                sum.latencies.add(&outcome.latencies);
                sum.elapsed += outcome.elapsed;
                sum.failures += outcome.failures;
                sum.first_failure = sum.first_failure.or(outcome.first_failure);
                (sum, before.and(cost))
            }
        });
        Ok(())
    }
}
