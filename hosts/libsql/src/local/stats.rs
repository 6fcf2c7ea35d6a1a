//! Counts for metrics, and for tests of how commits are shared.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a database has done since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Transactions committed, each with one fsync.
    pub commits: u64,
    /// Batches that those transactions kept. Those refused are not in it.
    pub batches: u64,
    /// Statements of writes that were run, whatever became of them.
    pub statements: u64,
    /// Calls of `read`.
    pub reads: u64,
    /// Statements of those calls.
    pub queries: u64,
}

/// The counts behind [`Stats`]. Each stands for itself, so no order between them is kept.
#[derive(Debug, Default)]
pub(super) struct Counters {
    commits: AtomicU64,
    batches: AtomicU64,
    statements: AtomicU64,
    reads: AtomicU64,
    queries: AtomicU64,
}

impl Counters {
    pub(super) fn add_commit(&self, batches: u64) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.batches.fetch_add(batches, Ordering::Relaxed);
    }

    pub(super) fn add_statement(&self) {
        self.statements.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_read(&self, queries: usize) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.queries.fetch_add(queries as u64, Ordering::Relaxed);
    }

    pub(super) fn stats(&self) -> Stats {
        Stats {
            commits: self.commits.load(Ordering::Relaxed),
            batches: self.batches.load(Ordering::Relaxed),
            statements: self.statements.load(Ordering::Relaxed),
            reads: self.reads.load(Ordering::Relaxed),
            queries: self.queries.load(Ordering::Relaxed),
        }
    }
}
