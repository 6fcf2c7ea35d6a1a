//! The waist: everything that Selvedge asks of a database.
//!
//! Drivers are dumb pipes. They run the statements they are given, in SQLite's dialect, and know nothing
//! of runs and tasks. Two methods suffice because every command of the engine is one batch of reads
//! followed by one batch of writes.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;

/// One SQL value, of SQLite's five storage classes.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// NULL.
    Null,
    /// INTEGER.
    Integer(i64),
    /// REAL.
    Real(f64),
    /// TEXT.
    Text(Arc<str>),
    /// BLOB.
    Blob(Arc<[u8]>),
}

/// One SQL statement with its positional parameters (`?1`, `?2` …).
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// The text. Drivers cache prepared statements by it.
    pub sql: Cow<'static, str>,
    /// The parameters, in order.
    pub params: Vec<Cell>,
}

/// A row of an answer, its cells in the order of the SELECT.
pub type Row = Vec<Cell>;

/// What a write must have changed for its batch to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Any number of rows.
    Any,
    /// Exactly this many rows; any other number refuses the whole batch.
    Rows(u64),
}

/// Writes that commit together or not at all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// The statements, run in order, each with what it must change.
    pub writes: Vec<(Statement, Expect)>,
}

/// What became of one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Durable: a crash right after this keeps every write of the batch.
    Committed,
    /// Nothing of the batch was kept: the statement with this index missed its expectation or violated a
    /// constraint (unique, check, not null). Other batches of the same call are not touched by it.
    Refused(usize),
}

/// Why a database did not do what it was asked. Nothing is known to be wrong with the request itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// The database cannot take it now and may later: busy, disk full, connection lost, I/O error.
    /// A write that failed so was not committed, except where `indeterminate` says that nobody knows.
    #[error("the database is unavailable: {message}")]
    Unavailable {
        /// The driver's words, for logs only.
        message: String,
        /// True when a write may have been committed although its reply was lost.
        indeterminate: bool,
    },
    /// The place where the database lies cannot hold it: it is full, or was cleared by its owner. A write
    /// that failed so was not committed. The words are for clients too: they say what a person can do.
    #[error("{0}")]
    Storage(Cow<'static, str>),
    /// The statement itself is wrong, or the file is not what it should be: a defect, not a passing state.
    #[error("the database refused a statement: {0}")]
    Broken(String),
}

/// What a database has done since it was opened, as far as its driver counts it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Transactions that were committed.
    pub commits: Option<u64>,
    /// Batches that those transactions kept.
    pub batches: Option<u64>,
    /// Statements of writes.
    pub statements: Option<u64>,
    /// Calls of [`Database::read`].
    pub reads: Option<u64>,
    /// Statements of those calls.
    pub queries: Option<u64>,
    /// Requests to a database server.
    pub round_trips: Option<u64>,
}

/// An SQLite database, wherever it lies.
///
/// Dropping a returned future never tears a batch: it is committed whole or not at all, but then nobody
/// learns which.
pub trait Database {
    /// Runs the statements in one consistent view and returns the rows of each, in order.
    ///
    /// The view contains every batch whose `write` has answered `Committed`, and no write that is not yet
    /// durable.
    fn read(&self, reads: Vec<Statement>) -> impl Future<Output = Result<Vec<Vec<Row>>, DatabaseError>>;

    /// Commits each batch by itself and answers for each, in order, once all that were committed are durable.
    ///
    /// The batches are put in line *when this is called*, before the future is first polled: a batch of a
    /// later call on the same driver is applied after the batches of an earlier one, so that a caller may
    /// decide on top of a write that it has not yet seen committed. After an error nothing is known of any
    /// batch of the call, and the caller reads again.
    fn write(&self, batches: Vec<Batch>) -> impl Future<Output = Result<Vec<Outcome>, DatabaseError>>;

    /// What was done so far, for metrics. A driver that counts nothing leaves it as it is.
    fn counts(&self) -> Counts {
        Counts::default()
    }
}

impl DatabaseError {
    /// Whether a write that failed so may have been committed all the same.
    pub fn is_indeterminate(&self) -> bool {
        matches!(self, DatabaseError::Unavailable { indeterminate: true, .. })
    }
}

impl Statement {
    /// A statement with its parameters.
    pub fn new(sql: impl Into<Cow<'static, str>>, params: Vec<Cell>) -> Self {
        Self { sql: sql.into(), params }
    }
}

impl Batch {
    /// Adds a write that may change any number of rows.
    pub fn push(&mut self, statement: Statement) {
        self.writes.push((statement, Expect::Any));
    }

    /// Adds a write that must change exactly `rows` rows.
    pub fn expect(&mut self, rows: u64, statement: Statement) {
        self.writes.push((statement, Expect::Rows(rows)));
    }
}

impl Cell {
    /// The integer, if this is one.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Cell::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// The text, if this is one.
    pub fn as_text(&self) -> Option<&Arc<str>> {
        match self {
            Cell::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Cell::Integer(number)
    }
}

impl From<u32> for Cell {
    fn from(number: u32) -> Self {
        Cell::Integer(i64::from(number))
    }
}

impl From<bool> for Cell {
    fn from(truth: bool) -> Self {
        Cell::Integer(i64::from(truth))
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Cell::Text(text.into())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Cell::Text(text.into())
    }
}

impl From<Arc<str>> for Cell {
    fn from(text: Arc<str>) -> Self {
        Cell::Text(text)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Cell::Null, Into::into)
    }
}
