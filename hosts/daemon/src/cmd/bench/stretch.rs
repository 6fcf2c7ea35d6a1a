//! A stretch of time in which something is measured: what server, bench and machine did meanwhile.

use std::time::Duration;

use selvedge_load::{Measurement, Meter, Outcome, Plan, Unit, Usage, Watch};

use super::BenchError;
use super::counts::Counts;
use super::server::Server;
use super::subject;

/// A stretch that has begun.
pub(super) struct Stretch {
    used: Option<Usage>,
    own: Usage,
    counts: Counts,
    watch: Watch,
}

/// What a stretch, or several of them, cost.
#[derive(Debug, Clone, Default)]
pub(super) struct Cost {
    /// Of the server's process, where it is metered.
    used: Option<Usage>,
    /// Of this process: load and workers.
    own: Duration,
    counts: Counts,
    steal: f64,
}

impl Stretch {
    /// Begins.
    pub(super) async fn begin(server: &Server) -> Result<Stretch, BenchError> {
        let counts = server.counts().await?;
        Ok(Stretch { used: server.used()?, own: own()?, counts, watch: Watch::start() })
    }

    /// Ends.
    pub(super) async fn end(self, server: &Server) -> Result<Cost, BenchError> {
        let steal = self.watch.stolen();
        let used = match (server.used()?, self.used) {
            (Some(now), Some(then)) => Some(now.since(&then)),
            _ => None,
        };
        let own = own()?.since(&self.own).cpu();
        Ok(Cost { used, own, counts: server.counts().await?.since(&self.counts), steal })
    }
}

impl Cost {
    /// Time of processors that the server used, where it is metered.
    pub(super) fn server_cpu(&self) -> Option<Duration> {
        self.used.map(|used| used.cpu())
    }

    /// The part of the processors' time that the machine's host took.
    pub(super) fn steal(&self) -> f64 {
        self.steal
    }

    /// Memory that the server had at the end, in bytes, where it is metered.
    pub(super) fn resident(&self) -> Option<u64> {
        self.used.map(|used| used.resident)
    }

    /// With another stretch on the same server.
    pub(super) fn and(self, later: Cost) -> Cost {
        let sum = |a: Option<u64>, b: Option<u64>| Some(a? + b?);
        let used = match (self.used, later.used) {
            (Some(a), Some(b)) => Some(Usage {
                user: a.user + b.user,
                system: a.system + b.system,
                written: a.written + b.written,
                writes: a.writes + b.writes,
                waits: a.waits + b.waits,
                ..b
            }),
            (a, b) => b.or(a),
        };
        let (a, b) = (self.counts, later.counts);
        Cost {
            used,
            own: self.own + later.own,
            counts: Counts {
                commits: sum(a.commits, b.commits),
                batches: sum(a.batches, b.batches),
                statements: sum(a.statements, b.statements),
                queries: sum(a.queries, b.queries),
            },
            steal: self.steal.max(later.steal),
        }
    }

    /// A measurement of what was done in the stretch, with its cost for each operation.
    pub(super) fn measurement(&self, workload: &str, plan: &Plan, outcome: &Outcome) -> Measurement {
        let measurement = Measurement::new(workload, &subject(), plan, outcome, self.steal);
        let operations = measurement.operations;
        self.onto(measurement, "op", operations)
    }

    /// The cost for each of `count` things, called so.
    pub(super) fn onto(&self, measurement: Measurement, thing: &str, count: u64) -> Measurement {
        let count = count.max(1) as f64;
        let mut measurement = measurement;
        let mut each = |name: &str, all: Option<f64>, unit| {
            if let Some(all) = all {
                measurement.figures.push(selvedge_load::Figure {
                    name: format!("{name}/{thing}"),
                    value: all / count,
                    unit,
                });
            }
        };
        let number = |count: Option<u64>| count.map(|count| count as f64);
        each("fsyncs", number(self.counts.commits), Unit::Count);
        each("statements", number(self.counts.statements), Unit::Count);
        each("queries", number(self.counts.queries), Unit::Count);
        each("written", self.used.map(|used| used.written as f64), Unit::Bytes);
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        each("server CPU", self.used.map(|used| millis(used.cpu())), Unit::Milliseconds);
        each("bench CPU", Some(millis(self.own)), Unit::Milliseconds);
        if let (Some(batches), Some(commits)) = (self.counts.batches, self.counts.commits) {
            let shared = batches as f64 / commits.max(1) as f64;
            measurement = measurement.with("batches/fsync", shared, Unit::Count);
        }
        match self.used {
            Some(used) => measurement.with("server memory, peak", used.resident_max as f64, Unit::Bytes),
            None => measurement,
        }
    }
}

fn own() -> Result<Usage, BenchError> {
    let what = || "this process cannot be metered".to_owned();
    Meter::own().look().map_err(|cause| BenchError::Machine { what: what(), cause })
}
