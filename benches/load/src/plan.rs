//! How much is done, by how many, and how fast.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What a load consists of.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How many connections there are, each with one operation at a time.
    pub connections: usize,
    /// When operations begin.
    pub pace: Pace,
    /// When the load is over.
    pub extent: Extent,
    /// The number of the first operation: a warm-up and the load after it can have different numbers.
    pub first: u64,
}

/// When operations begin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// Each connection begins its next operation when its last one has ended. A slow server is asked less
    /// often, so that its latencies look better than users would find them.
    Closed,
    /// Operations are due at a fixed rate, whatever became of the ones before. One that finds no connection
    /// free waits, and its latency counts from when it was due: nothing is omitted.
    Open {
        /// Of all connections together.
        per_second: f64,
    },
}

/// When a load is over. Operations under way are finished.
#[derive(Debug, Clone)]
pub enum Extent {
    /// After so many operations, of all connections together.
    Operations(u64),
    /// After this time.
    Time(Duration),
    /// When somebody says so.
    Until(Stop),
}

/// Ends a load from outside. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Says that no further operation is to begin.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether somebody said so.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pace::Closed => f.write_str("closed"),
            Pace::Open { per_second } => write!(f, "open, {per_second}/s"),
        }
    }
}
