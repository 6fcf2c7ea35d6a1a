//! The database on a libsql server (sqld, Turso) that any number of processes share.
//!
//! It speaks Hrana over HTTP. A call of `read` is one request; calls of `write` that wait at the same time
//! share one. Each request is a whole transaction: it begins it and ends it, so that the server holds no lock
//! for a client that has gone. A few streams stay open between requests, because opening one is dear
//! (`streams.rs`); one that the server has forgotten is opened anew.
//!
//! Nothing is repeated that may have changed something. A write whose answer was lost says so
//! (`indeterminate`), and may even be applied a little later, while the server still works on it.

mod address;
mod ask;
mod failure;
mod group;
mod guard;
mod hrana;
mod statement;
mod stats;
mod streams;
mod wire;
mod writer;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_channel::oneshot;
use selvedge::store::database::{Batch, Counts, Database, DatabaseError, Outcome, Row, Statement};
use tokio::sync::{Semaphore, mpsc};

pub use address::{Address, AddressError, Token, TokenError};
pub use stats::Stats;

use ask::Again;
use failure::{Lost, Quoted};
use hrana::{Answer, Condition, Fate, Fault, Program};
use statement::{Kind, kind};
use stats::add;
use streams::Streams;
use wire::Wire;
use writer::{Call, Writer, check_params};

/// How many reads are under way at once. sqld works on 128 requests at a time, of all its clients.
const READS_MAX: usize = 32;

/// A libsql server's database. Clones share it.
///
/// What is in line when the last clone is dropped is still sent, as long as the runtime lives.
#[derive(Clone)]
pub struct Remote {
    wire: Arc<Wire>,
    calls: mpsc::UnboundedSender<Call>,
    newest: Arc<Newest>,
    reads: Arc<Reads>,
}

/// What reads share.
struct Reads {
    seats: Semaphore,
    streams: Streams,
}

/// How a server's database is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How many streams stay open on the server for up to ten seconds after a read, beside the one of writes. A
    /// request without one costs the server a millisecond more. With 0 none stays, of writes neither: for
    /// programs that run many times beside each other or are frozen between requests, since a server has room
    /// for a limited number (sqld: 128).
    pub streams_kept: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { streams_kept: 8 }
    }
}

/// Why a server's database was not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OpenError(String);

/// How far the database had come when it last answered; a replica that lags behind waits until it has.
#[derive(Debug, Default)]
struct Newest(AtomicU64);

impl Remote {
    /// Asks the server whether it is there, whether it is a libsql server, and whether it takes the token.
    /// It is asked once: an unreachable server is an error at once.
    ///
    /// To be called within a tokio runtime, in which the task that writes then lives.
    pub async fn open(address: Address, token: Option<Token>) -> Result<Remote, OpenError> {
        Self::open_with(address, token, Options::default()).await
    }

    /// The same with options.
    pub async fn open_with(
        address: Address,
        token: Option<Token>,
        options: Options,
    ) -> Result<Remote, OpenError> {
        let wire = Wire::new(address.clone(), token).map_err(|lost| OpenError(lost.describe(&address)))?;
        let wire = Arc::new(wire);
        let (calls, line) = mpsc::unbounded_channel();
        let newest = Arc::new(Newest::default());
        let reads =
            Arc::new(Reads { seats: Semaphore::new(READS_MAX), streams: Streams::new(options.streams_kept) });
        let remote = Remote { wire: wire.clone(), calls, newest: newest.clone(), reads: reads.clone() };
        let streams = Streams::new(options.streams_kept.min(1));
        remote.probe().await.map_err(|lost| OpenError(lost.describe(&address)))?;
        tokio::spawn(Writer { wire, newest, streams, reads, line }.run());
        Ok(remote)
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        self.wire.address()
    }

    /// What was done so far.
    pub fn stats(&self) -> Stats {
        self.wire.counters.stats()
    }

    async fn probe(&self) -> Result<(), Lost> {
        let mut program = Program::default();
        program.read("SELECT 1", &[], None);
        let declined = |fault: &Fault| Err(Lost::Declined(format!("{} ({})", fault.message, fault.code)));
        match self.wire.run(&self.reads.streams, &program, Again::Once).await? {
            Answer::Ran(results) => results.first_fault().map_or(Ok(()), declined),
            Answer::Refused(fault) => declined(&fault),
        }
    }
}

impl Database for Remote {
    async fn read(&self, reads: Vec<Statement>) -> Result<Vec<Vec<Row>>, DatabaseError> {
        if reads.is_empty() {
            return Ok(Vec::new());
        }
        reads.iter().try_for_each(check)?;
        let mut program = Program::default();
        // A statement alone is a view by itself.
        let mut before = (reads.len() > 1).then(|| program.begin("BEGIN DEFERRED"));
        let mut steps = Vec::with_capacity(reads.len());
        for read in &reads {
            let step = program.read(&read.sql, &read.params, before.map(|before| before.ok()));
            before = (reads.len() > 1).then_some(step);
            steps.push(step);
        }
        if before.is_some() {
            program.control("COMMIT", Condition::in_transaction());
        }
        program.not_before(self.newest.get());

        let _seat = self.reads.seats.acquire().await.expect("it is never closed");
        add(&self.wire.counters.reads, 1);
        add(&self.wire.counters.queries, reads.len());
        add(&self.wire.counters.statements, reads.len());
        let address = self.wire.address();
        let answer = self.wire.run(&self.reads.streams, &program, Again::Once).await;
        match answer.map_err(|lost| lost.of_read(address))? {
            Answer::Refused(fault) => {
                let sql = if let [read] = &reads[..] { Some(&*read.sql) } else { None };
                Err(fault.into_error(sql))
            }
            Answer::Ran(mut results) => {
                self.newest.note(results.replication_index());
                for (step, read) in steps.iter().zip(&reads) {
                    match results.of(*step) {
                        Fate::Ok => {}
                        Fate::Failed(fault) => return Err(fault.clone().into_error(Some(&read.sql))),
                        Fate::Skipped => {
                            let fault = results.first_fault().cloned();
                            return Err(fault.map_or_else(
                                || Lost::Doubtful("a statement was not run".into()).of_read(address),
                                |fault| fault.into_error(None),
                            ));
                        }
                    }
                }
                Ok(steps.into_iter().map(|step| results.take_rows(step)).collect())
            }
        }
    }

    fn write(&self, batches: Vec<Batch>) -> impl Future<Output = Result<Vec<Outcome>, DatabaseError>> {
        let (reply, answer) = oneshot::channel();
        let in_line = self.calls.send(Call { batches, reply }).is_ok();
        // The wait holds nothing of the database, so that dropping it disturbs nobody.
        async move {
            answer.await.unwrap_or_else(|_| {
                let message = "the task that writes has stopped".into();
                Err(DatabaseError::Unavailable { message, indeterminate: in_line })
            })
        }
    }

    fn counts(&self) -> Counts {
        let stats = self.stats();
        Counts {
            commits: None,
            batches: Some(stats.batches),
            // A read's statements are counted before it is sent, with those of writes.
            statements: Some(stats.statements.saturating_sub(stats.queries)),
            reads: Some(stats.reads),
            queries: Some(stats.queries),
            round_trips: Some(stats.requests),
        }
    }
}

impl Newest {
    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn note(&self, replication_index: Option<u64>) {
        self.0.fetch_max(replication_index.unwrap_or_default(), Ordering::Relaxed);
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("address", self.address())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// Refuses what changes something: outside of a transaction it would even be committed.
fn check(read: &Statement) -> Result<(), DatabaseError> {
    match kind(&read.sql) {
        Kind::Reads | Kind::Unknown => check_params(read),
        Kind::Nothing => Err(DatabaseError::Broken("expected a statement, found none".into())),
        Kind::Writes | Kind::Defines | Kind::Controls => {
            Err(DatabaseError::Broken(format!("the statement reads nothing: {}", Quoted(&read.sql))))
        }
    }
}
