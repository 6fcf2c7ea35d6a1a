//! A database that counts how often it is asked: each call is a round trip where the database is far.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use selvedge::store::database::{Batch, Database, DatabaseError, Outcome, Row, Statement};

/// A database with counters. Clones share them.
#[derive(Debug, Clone)]
pub struct Meter<D> {
    inner: D,
    calls: Arc<Calls>,
}

#[derive(Debug, Default)]
struct Calls {
    reads: AtomicU64,
    writes: AtomicU64,
}

/// How often a database was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Batches of reads.
    pub reads: u64,
    /// Calls that write.
    pub writes: u64,
}

impl<D> Meter<D> {
    /// Counts what this database is asked.
    pub fn new(inner: D) -> Self {
        Self { inner, calls: Arc::default() }
    }

    /// The counts since the last time.
    pub fn take(&self) -> Count {
        let take = |counter: &AtomicU64| counter.swap(0, Ordering::SeqCst);
        Count { reads: take(&self.calls.reads), writes: take(&self.calls.writes) }
    }
}

impl Count {
    /// Reads and writes together.
    pub fn round_trips(self) -> u64 {
        self.reads + self.writes
    }
}

impl<D: Database> Database for Meter<D> {
    fn read(&self, reads: Vec<Statement>) -> impl Future<Output = Result<Vec<Vec<Row>>, DatabaseError>> {
        self.calls.reads.fetch_add(1, Ordering::SeqCst);
        self.inner.read(reads)
    }

    fn write(&self, batches: Vec<Batch>) -> impl Future<Output = Result<Vec<Outcome>, DatabaseError>> {
        self.calls.writes.fetch_add(1, Ordering::SeqCst);
        self.inner.write(batches)
    }
}
