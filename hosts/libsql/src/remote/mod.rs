//! The database on a libsql server (sqld, Turso) that any number of processes share.
//!
//! It speaks Hrana over HTTP. A call of `read` is one request; calls of `write` that wait at the same time
//! share one. Each request is a whole stream: it opens a transaction, ends it and closes, so that the server
//! holds no lock for a client that has gone, and nothing of it expires. The `base_url` by which a server
//! keeps a stream on one machine is therefore never followed: no stream has a second request.
//!
//! Nothing is repeated that may have changed something. A write whose answer was lost says so
//! (`indeterminate`), and may even be applied a little later, while the server still works on it.

mod address;
mod failure;
mod group;
mod guard;
mod hrana;
mod statement;
mod stats;
mod wire;
mod writer;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_channel::oneshot;
use selvedge::store::database::{Batch, Database, DatabaseError, Outcome, Row, Statement};
use tokio::sync::{Semaphore, mpsc};

pub use address::{Address, AddressError, Token, TokenError};
pub use stats::Stats;

use failure::{Lost, Quoted};
use hrana::{Answer, Condition, Fate, Program};
use statement::{Kind, kind};
use stats::add;
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
    reads: Arc<Semaphore>,
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
        let wire = Wire::new(address.clone(), token).map_err(|lost| OpenError(lost.describe(&address)))?;
        let wire = Arc::new(wire);
        let (calls, line) = mpsc::unbounded_channel();
        let newest = Arc::new(Newest::default());
        let remote = Remote {
            wire: wire.clone(),
            calls,
            newest: newest.clone(),
            reads: Arc::new(Semaphore::new(READS_MAX)),
        };
        remote.probe().await.map_err(|lost| OpenError(lost.describe(&address)))?;
        tokio::spawn(Writer { wire, newest, line }.run());
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
        let body = self.wire.send(Bytes::from(program.body())).await?;
        match Answer::read(&body) {
            Ok(Answer::Ran(results)) => match results.first_fault() {
                None => Ok(()),
                Some(fault) => Err(Lost::Declined(format!("{} ({})", fault.message, fault.code))),
            },
            Ok(Answer::Refused(fault)) => Err(Lost::Declined(format!("{} ({})", fault.message, fault.code))),
            Err(cause) => Err(Lost::Foreign(format!("no result of Hrana: {cause}"))),
        }
    }

    /// Sends a read, and once more if the connection broke: it changes nothing, and a connection that was
    /// kept alive may have been closed by the server just then.
    async fn ask(&self, body: Bytes) -> Result<Bytes, DatabaseError> {
        let address = self.wire.address();
        match self.wire.send(body.clone()).await {
            Err(Lost::Broken(_)) => self.wire.send(body).await,
            answer => answer,
        }
        .map_err(|lost| lost.of_read(address))
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
        let body = Bytes::from(program.body());

        let _seat = self.reads.acquire().await.expect("it is never closed");
        add(&self.wire.counters.reads, 1);
        add(&self.wire.counters.statements, reads.len());
        let body = self.ask(body).await?;
        let address = self.wire.address();
        let garbled = |cause| Lost::Doubtful(format!("no result of Hrana: {cause}")).of_read(address);
        match Answer::read(&body).map_err(garbled)? {
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
        Kind::Writes | Kind::Controls => {
            Err(DatabaseError::Broken(format!("the statement reads nothing: {}", Quoted(&read.sql))))
        }
    }
}
