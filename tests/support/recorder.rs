//! A database that remembers every statement that it was asked to run.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use selvedge::store::database::{Batch, Cell, Database, DatabaseError, Outcome, Row, Statement};

/// A database with a memory for texts of statements. Clones share it.
#[derive(Debug, Clone)]
pub struct Recorder<D> {
    inner: D,
    seen: Arc<Mutex<BTreeMap<String, Vec<Cell>>>>,
}

impl<D> Recorder<D> {
    /// Remembers what this database is asked.
    pub fn new(inner: D) -> Self {
        Self { inner, seen: Arc::default() }
    }

    /// Each text, in order, with the parameters that it was first run with.
    pub fn seen(&self) -> BTreeMap<String, Vec<Cell>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, statement: &Statement) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.entry(statement.sql.to_string()).or_insert_with(|| statement.params.clone());
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
