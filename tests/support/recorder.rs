//! A database that remembers every statement that it was asked to run.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use selvedge::store::database::{Batch, Database, DatabaseError, Outcome, Row, Statement};

/// A database with a memory for texts of statements. Clones share it.
#[derive(Debug, Clone)]
pub struct Recorder<D> {
    inner: D,
    seen: Arc<Mutex<BTreeSet<String>>>,
}

impl<D> Recorder<D> {
    /// Remembers what this database is asked.
    pub fn new(inner: D) -> Self {
        Self { inner, seen: Arc::default() }
    }

    /// Each text, in order.
    pub fn seen(&self) -> BTreeSet<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, statement: &Statement) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.contains(&*statement.sql) {
            seen.insert(statement.sql.to_string());
        }
    }
}

impl<D: Database> Database for Recorder<D> {
    async fn read(&self, reads: Vec<Statement>) -> Result<Vec<Vec<Row>>, DatabaseError> {
        reads.iter().for_each(|statement| self.note(statement));
        self.inner.read(reads).await
    }

    fn write(&self, batches: Vec<Batch>) -> impl Future<Output = Result<Vec<Outcome>, DatabaseError>> {
        for (statement, _) in batches.iter().flat_map(|batch| &batch.writes) {
            self.note(statement);
        }
        self.inner.write(batches)
    }
}
