//! Counts for metrics, and for tests of how many round trips a command takes.

use std::sync::atomic::{AtomicU64, Ordering};

/// What was asked of a server since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// HTTP requests that were sent, also those that brought no answer: the round trips.
    pub requests: u64,
    /// Those of them that carried writes.
    pub groups: u64,
    /// Batches that were committed. Those refused are not in it.
    pub batches: u64,
    /// Calls of `read` that asked the server.
    pub reads: u64,
    /// Statements of those calls.
    pub queries: u64,
    /// Statements of callers, whatever became of them; those of the driver itself are not in it.
    pub statements: u64,
    /// Bytes of request bodies.
    pub bytes_sent: u64,
    /// Bytes of answers' bodies.
    pub bytes_received: u64,
}

/// The counts behind [`Stats`]. Each stands for itself, so no order between them is kept.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) requests: AtomicU64,
    pub(super) groups: AtomicU64,
    pub(super) batches: AtomicU64,
    pub(super) reads: AtomicU64,
    pub(super) queries: AtomicU64,
    pub(super) statements: AtomicU64,
    pub(super) bytes_sent: AtomicU64,
    pub(super) bytes_received: AtomicU64,
}

impl Counters {
    pub(super) fn stats(&self) -> Stats {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Stats {
            requests: of(&self.requests),
            groups: of(&self.groups),
            batches: of(&self.batches),
            reads: of(&self.reads),
            queries: of(&self.queries),
            statements: of(&self.statements),
            bytes_sent: of(&self.bytes_sent),
            bytes_received: of(&self.bytes_received),
        }
    }
}

/// Adds to a count.
pub(super) fn add(count: &AtomicU64, more: usize) {
    count.fetch_add(more as u64, Ordering::Relaxed);
}
