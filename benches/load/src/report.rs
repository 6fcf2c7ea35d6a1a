//! Measurements beside each other, for people and for machines.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::host::STEAL_MAX;
use crate::plan::Plan;
use crate::run::Outcome;
use crate::table;

/// What was measured in one go, on one machine.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Where and when.
    pub conditions: Conditions,
    /// What came out.
    pub measurements: Vec<Measurement>,
}

/// What a number cannot be compared without.
#[derive(Debug, Clone, Serialize)]
pub struct Conditions {
    /// The processors' model, as the system names it.
    pub processor: String,
    /// How many of them there are.
    pub processors: usize,
    /// Memory, in bytes.
    pub memory: u64,
    /// The system's version.
    pub kernel: String,
    /// When, in seconds since 1970.
    pub at: u64,
    /// Versions and settings, by name.
    pub settings: Vec<(String, String)>,
}

/// One load and what it cost.
#[derive(Debug, Clone, Serialize)]
pub struct Measurement {
    /// The workload.
    pub workload: String,
    /// Who did it: a program and its version.
    pub subject: String,
    /// How many connections asked.
    pub connections: usize,
    /// How operations followed each other.
    pub pace: String,
    /// How many operations succeeded.
    pub operations: u64,
    /// How many failed.
    pub failures: u64,
    /// What the first of those said.
    pub first_failure: Option<String>,
    /// The part of the processors' time that the machine's host took.
    pub steal: f64,
    /// Whether so much was taken that the numbers say nothing.
    pub disturbed: bool,
    /// What else is known, in the order in which it is to be read.
    pub figures: Vec<Figure>,
}

/// A number with a name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// Its name, which says what it is per what.
    pub name: String,
    /// Its value, in the unit.
    pub value: f64,
    /// Its unit.
    pub unit: Unit,
}

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Things, or things per thing.
    Count,
    /// Things per second.
    PerSecond,
    /// Milliseconds.
    Milliseconds,
    /// Bytes.
    Bytes,
    /// A ratio of two figures.
    Ratio,
}

impl Conditions {
    /// Of this machine, now.
    pub fn here(settings: Vec<(String, String)>) -> Conditions {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find(|line| line.starts_with("model name"));
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let memory = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        let kibibytes = memory.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Conditions {
            processor: model.and_then(|line| line.split(": ").nth(1)).unwrap_or("unknown").to_owned(),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            memory: kibibytes.unwrap_or_default() * 1024,
            kernel: kernel.trim().to_owned(),
            at: at.as_secs(),
            settings,
        }
    }
}

impl Measurement {
    /// A load's outcome: its rate and latencies. What it cost is added with [`Measurement::with`].
    pub fn new(workload: &str, subject: &str, plan: &Plan, outcome: &Outcome, steal: f64) -> Measurement {
        let rate = outcome.latencies.count() as f64 / outcome.elapsed.as_secs_f64();
        let measurement = Measurement {
            workload: workload.to_owned(),
            subject: subject.to_owned(),
            connections: plan.connections,
            pace: plan.pace.to_string(),
            operations: outcome.latencies.count(),
            failures: outcome.failures,
            first_failure: outcome.first_failure.clone(),
            steal,
            disturbed: steal > STEAL_MAX,
            figures: Vec::new(),
        };
        let latency = |part| outcome.latencies.quantile(part);
        measurement
            .with("operations/s", rate, Unit::PerSecond)
            .with_time("p50", latency(0.5))
            .with_time("p99", latency(0.99))
            .with_time("p99.9", latency(0.999))
            .with_time("max", outcome.latencies.max())
    }

    /// With one figure more.
    pub fn with(mut self, name: &str, value: f64, unit: Unit) -> Measurement {
        self.figures.push(Figure { name: name.to_owned(), value, unit });
        self
    }

    /// With one time more.
    pub fn with_time(self, name: &str, time: Duration) -> Measurement {
        self.with(name, time.as_secs_f64() * 1e3, Unit::Milliseconds)
    }

    /// With what all operations together cost, divided by their number.
    pub fn with_each(self, name: &str, all: f64, unit: Unit) -> Measurement {
        let each = all / self.operations.max(1) as f64;
        self.with(name, each, unit)
    }

    /// A figure's value.
    pub fn figure(&self, name: &str) -> Option<f64> {
        self.figures.iter().find(|figure| figure.name == name).map(|figure| figure.value)
    }
}

impl Report {
    /// For people: the conditions, and a table with a column for each measurement.
    pub fn text(&self) -> String {
        table::text(self)
    }

    /// For machines.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers and texts can be written")
    }
}
