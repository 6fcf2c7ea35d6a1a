//! Whether a task of a large run costs more than a task of a small one.

use std::sync::Arc;

use selvedge_load::{Extent, Measurement, Pace, Plan, Unit, run};

use super::place::Place;
use super::runs::{Order, Runs, Shape, tasks_per_second};
use super::stretch::Stretch;
use super::workers::Workers;
use super::{BenchError, Measured};
use crate::cli::BenchArgs;

/// Tasks that are done in each shape, so that all do the same work.
const TASKS: u64 = 10_000;
/// Tasks of a claim: a run of ten gives no more.
const TASKS_PER_CLAIM: u16 = 10;

/// Small and large, of each order.
const SHAPES: [[Shape; 2]; 2] = [
    [
        Shape { name: "parallel-10", tasks: 10, order: Order::Parallel },
        Shape { name: "parallel-10000", tasks: 10_000, order: Order::Parallel },
    ],
    [
        Shape { name: "chain-10", tasks: 10, order: Order::Chain },
        Shape { name: "chain-10000", tasks: 10_000, order: Order::Chain },
    ],
];

pub(super) async fn measure(args: &BenchArgs) -> Measured {
    let mut measurements = Vec::new();
    for [small, large] in &SHAPES {
        let (small, small_cpu) = one(args, small).await?;
        let (large, large_cpu) = one(args, large).await?;
        let rate = |measurement: &Measurement| measurement.figure("tasks/s").unwrap_or(f64::NAN);
        let time = rate(&small) / rate(&large);
        measurements.push(small.with("time, ratio", 1.0, Unit::Ratio).with(
            "server CPU, ratio",
            1.0,
            Unit::Ratio,
        ));
        let large = large.with("time, ratio", time, Unit::Ratio);
        measurements.push(large.with("server CPU, ratio", large_cpu / small_cpu, Unit::Ratio));
    }
    Ok(measurements)
}

/// The measurement of a shape, and the server's time of processors for each task.
async fn one(args: &BenchArgs, shape: &Shape) -> Result<(Measurement, f64), BenchError> {
    let args = BenchArgs { tasks_per_claim: TASKS_PER_CLAIM, ..args.clone() };
    let place = Place::new(&args)?;
    let server = place.serve().await?;
    server.save(shape.name, shape.document()).await?;
    let runs = Arc::new(Runs::of(&server, shape));
    let mut workers = Workers::start(&args, &server);
    let plan = |tasks: u64, first| Plan {
        connections: 1,
        pace: Pace::Closed,
        extent: Extent::Operations((tasks / shape.tasks as u64).max(1)),
        first,
    };
    // A run of each, so that the document is compiled.
    workers.during(run(runs.clone(), &plan(1, 0))).await?;
    let stretch = Stretch::begin(&server).await?;
    let plan = plan(TASKS, 1);
    let outcome = workers.during(run(runs, &plan)).await?;
    let cost = stretch.end(&server).await?;
    let tasks = outcome.latencies.count() * shape.tasks as u64;
    let measurement = Measurement::new(shape.name, &super::subject(), &plan, &outcome, cost.steal());
    let measurement = cost.onto(measurement, "task", tasks);
    let cpu = cost.server_cpu().unwrap_or_default().as_secs_f64() / tasks as f64;
    server.stop().await?;
    Ok((measurement.with("tasks/s", tasks_per_second(shape, &outcome), Unit::PerSecond), cpu))
}
