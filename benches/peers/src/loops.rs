//! What loops of load came to, in a form that passes from process to process.

use std::sync::Arc;
use std::time::Duration;

use selvedge_load::{Extent, Outcome, Pace, Plan, Workload, run};
use serde::{Deserialize, Serialize};

use crate::fault::{Fault, fault};

/// How much is done: closed loops, one operation at a time in each.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Order {
    /// The steps of each workflow.
    pub steps: u32,
    /// How many loops there are.
    pub connections: usize,
    /// When they end.
    pub limit: Limit,
    /// The number of the first operation.
    pub first: u64,
}

/// When loops end. What is under way then is waited for and counts.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// After so many operations of all together.
    Operations(u64),
    /// After so many seconds.
    Seconds(f64),
}

/// What came out.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Loops {
    /// How many operations there were.
    pub operations: u64,
    /// From the first one's begin to the last one's end.
    pub seconds: f64,
    /// Latencies.
    pub p50_ms: f64,
    /// Of 99 in 100.
    pub p99_ms: f64,
    /// Of 999 in 1,000.
    pub p999_ms: f64,
}

impl Order {
    /// Runs the loops in this process. One failed operation is a fault: nobody may be quick by refusing.
    pub async fn carry_out(&self, workload: Arc<impl Workload>) -> Result<Loops, Fault> {
        let extent = match self.limit {
            Limit::Operations(count) => Extent::Operations(count),
            Limit::Seconds(seconds) => Extent::Time(Duration::from_secs_f64(seconds)),
        };
        let plan = Plan { connections: self.connections, pace: Pace::Closed, extent, first: self.first };
        let outcome = run(workload, &plan).await?;
        match outcome.first_failure {
            Some(failure) => Err(fault!("{} operations failed, the first: {failure}", outcome.failures)),
            None => Ok(Loops::of(&outcome)),
        }
    }
}

impl Loops {
    /// The quantiles of an outcome.
    fn of(outcome: &Outcome) -> Loops {
        let ms = |part| outcome.latencies.quantile(part).as_secs_f64() * 1e3;
        Loops {
            operations: outcome.latencies.count(),
            seconds: outcome.elapsed.as_secs_f64(),
            p50_ms: ms(0.5),
            p99_ms: ms(0.99),
            p999_ms: ms(0.999),
        }
    }
}
