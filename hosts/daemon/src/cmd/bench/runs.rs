//! Runs from start to result: one request starts a run and waits for its end, external workers do its tasks.

use std::fmt::Write;
use std::sync::Arc;

use selvedge_load::{
    Answer, Connection, Extent, Failure, Outcome, Plan, Protocol, Target, Unit, Workload, run,
};
use serde::Deserialize;

use super::server::Server;
use super::stretch::Stretch;
use super::workers::{QUEUE, Workers};
use super::{BenchError, Measured, plan, warm_up};
use crate::cli::BenchArgs;

/// Runs of a fan-out unless the command line says otherwise.
const FAN_OUTS: u64 = 10;

/// A shape of workflow.
pub(super) struct Shape {
    /// The workload, and the workflow.
    pub(super) name: &'static str,
    /// How many tasks a run has.
    pub(super) tasks: usize,
    /// Which of them may run at the same time.
    pub(super) order: Order,
}

/// Which tasks of a run may run at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// One after the other.
    Chain,
    /// All.
    Parallel,
}

/// Start, one task of a worker, result.
pub(super) const ONE_TASK: Shape = Shape { name: "one-task", tasks: 1, order: Order::Chain };
/// Ten of them, each with the one before it as its need.
pub(super) const TEN_TASKS: Shape = Shape { name: "ten-tasks", tasks: 10, order: Order::Chain };
/// A thousand at once.
pub(super) const FAN_OUT: Shape = Shape { name: "fan-out", tasks: 1000, order: Order::Parallel };

/// Runs of a saved workflow.
pub(super) struct Runs {
    target: Target,
    workflow: &'static str,
}

pub(super) async fn measure(
    args: &BenchArgs,
    server: &Server,
    shape: &Shape,
    connections: usize,
) -> Measured {
    let (warm_up, plan) = match shape.order {
        Order::Chain => (warm_up(connections), plan(args, connections)),
        Order::Parallel => few(args),
    };
    server.save(shape.name, shape.document()).await?;
    let runs = Arc::new(Runs::of(server, shape));
    let mut workers = Workers::start(args, server);
    workers.during(run(runs.clone(), &warm_up)).await?;
    let stretch = Stretch::begin(server).await?;
    let outcome = workers.during(run(runs, &plan)).await?;
    let measurement = stretch.end(server).await?.measurement(shape.name, &plan, &outcome);
    let measurement = match shape.order {
        Order::Chain => measurement,
        Order::Parallel => measurement.with("tasks/s", tasks_per_second(shape, &outcome), Unit::PerSecond),
    };
    Ok(vec![measurement])
}

/// A fan-out keeps all workers busy by itself: one after the other.
fn few(args: &BenchArgs) -> (Plan, Plan) {
    let plan = plan(args, 1);
    let extent = match (args.runs, args.duration) {
        (None, None) => Extent::Operations(FAN_OUTS),
        _ => plan.extent.clone(),
    };
    let one = Plan { extent: Extent::Operations(1), first: 0, ..plan.clone() };
    (one, Plan { extent, ..plan })
}

/// Tasks of all runs by the time that they took.
pub(super) fn tasks_per_second(shape: &Shape, outcome: &Outcome) -> f64 {
    outcome.latencies.count() as f64 * shape.tasks as f64 / outcome.elapsed.as_secs_f64()
}

impl Shape {
    /// The workflow document, as JSON.
    pub(super) fn document(&self) -> String {
        let mut tasks = String::new();
        for number in 0..self.tasks {
            let comma = if number == 0 { "" } else { "," };
            let needs = match self.order {
                Order::Chain if number > 0 => format!(r#""needs":["t{}"],"#, number - 1),
                Order::Chain | Order::Parallel => String::new(),
            };
            let task = format!(r#""worker":"{QUEUE}","with":{{"n":"${{{{ input.n }}}}"}}"#);
            write!(tasks, r#"{comma}"t{number}":{{{needs}{task}}}"#).expect("a string takes what is written");
        }
        let last = self.tasks - 1;
        let output = format!("${{{{ tasks.t{last}.output }}}}");
        format!(r#"{{"selvedge":1,"name":"{}","tasks":{{{tasks}}},"output":"{output}"}}"#, self.name)
    }
}

impl Runs {
    /// Of this shape, which has been saved.
    pub(super) fn of(server: &Server, shape: &Shape) -> Runs {
        Runs { target: server.target.clone(), workflow: shape.name }
    }
}

impl Workload for Runs {
    type Connection = Connection;

    async fn connect(&self, _: usize) -> Result<Connection, Failure> {
        Ok(Connection::open(&self.target, Protocol::Http1).await?)
    }

    async fn operate(&self, connection: &mut Connection, number: u64) -> Result<(), Failure> {
        let body = format!(r#"{{"workflow":"{}","input":{{"n":{number}}}}}"#, self.workflow);
        let answer = connection.post("/api/v1/runs?wait=60s", body).await?.of_status(201, "a start")?;
        if is_completed(&answer) {
            return Ok(());
        }
        let Run { id, status } = serde_json::from_slice(&answer.body)?;
        if status != "running" {
            return Err(format!("the run {id} ended as {status}").into());
        }
        result(connection, id).await
    }
}

/// Waits for a run's output, however long that takes.
pub(super) async fn result(connection: &mut Connection, run: &str) -> Result<(), Failure> {
    let path = format!("/api/v1/runs/{run}/result?timeout=60s");
    loop {
        let answer = connection.get(&path).await?;
        if answer.status.as_u16() != 408 {
            answer.of_status(200, "a result")?;
            return Ok(());
        }
    }
}

/// Starts one run, as a sample of what is stored, and answers with its id.
pub(super) async fn start(server: &Server, body: &str) -> Result<String, BenchError> {
    let answer = server.connect().await?.post("/api/v1/runs", body.to_owned()).await?;
    let answer = answer.of_status(201, "a start")?;
    let run: Run<'_> = serde_json::from_slice(&answer.body)
        .map_err(|fault| BenchError::Unexpected(format!("the answer to a start: {fault}")))?;
    Ok(run.id.to_owned())
}

/// Looking for the text costs less than reading the whole run, and the load shares processors with the server.
fn is_completed(answer: &Answer) -> bool {
    const COMPLETED: &[u8] = br#""status":"completed""#;
    answer.body.windows(COMPLETED.len()).any(|window| window == COMPLETED)
}

#[derive(Deserialize)]
struct Run<'a> {
    id: &'a str,
    status: &'a str,
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn shapes_are_workflows() {
        for (shape, last) in [(ONE_TASK, "t0"), (TEN_TASKS, "t9"), (FAN_OUT, "t999")] {
            let document: Value = serde_json::from_str(&shape.document()).expect("it is JSON");
            let tasks = document["tasks"].as_object().expect("tasks");
            assert_eq!(tasks.len(), shape.tasks);
            assert_eq!(document["output"], format!("${{{{ tasks.{last}.output }}}}"));
            let value = selvedge::value::Value::from_json(shape.document().as_bytes()).expect("it is JSON");
            assert!(selvedge::workflow::parse::parse(&value).is_ok(), "{}", shape.name);
        }
    }
}
