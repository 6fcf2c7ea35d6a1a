//! The database of one process: a file or memory.
//!
//! One thread owns the connection that writes. Calls are put in line when they are made, and the thread
//! commits all that waits as one transaction with one fsync, so the cost of durability is shared by
//! whoever is waiting. Reads of a file run beside it, on connections of their own and on the caller's
//! task: a prepared read takes microseconds, less than handing it to another thread.

mod connection;
mod lock;
mod open;
mod readers;
mod stats;
mod writer;

use std::fmt;
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use futures_channel::oneshot;
use selvedge::store::database::{Batch, Counts, Database, DatabaseError, Outcome, Row, Statement};

pub use open::{OpenError, Options};
pub use stats::Stats;

use lock::Lock;
use open::Source;
use readers::Readers;
use selvedge_sqlite::Connection;
use stats::Counters;
use writer::{Job, Writer};

/// A libsql database in a file that this process owns, or in memory. Clones share it.
///
/// Dropping the last clone waits until everything in line is committed, folds the write-ahead log into
/// the file and gives the file free for another process.
#[derive(Clone)]
pub struct Local {
    shared: Arc<Shared>,
}

struct Shared {
    /// `None` only while dropping.
    jobs: Option<mpsc::Sender<Job>>,
    /// `None` in memory, where the writer's connection is the only one that sees the data.
    readers: Option<Readers>,
    /// `None` only while dropping.
    thread: Option<JoinHandle<()>>,
    counters: Arc<Counters>,
}

impl Local {
    /// Opens the file, or makes it, and takes it for this process alone.
    ///
    /// Two more files lie beside it while it is open, its name followed by `-wal` and `-shm`: the newest
    /// commits are in them, so a copy of the file alone is not a backup. A third, followed by `.lock`,
    /// marks the owner and stays.
    pub fn open(path: &Path, options: Options) -> Result<Local, OpenError> {
        let path = open::locate(path)?;
        let lock = Lock::take(&path)?;
        open::inspect(&path)?;
        let connection =
            connection::writer(&path, &options).map_err(|error| OpenError::refused(&path, error))?;
        let readers = Readers::new(path.clone(), options.clone());
        Local::start(Source::File { path, options, _lock: lock }, connection, Some(readers))
    }

    /// A database that lives as long as its last clone.
    pub fn memory() -> Result<Local, OpenError> {
        let connection =
            connection::memory().map_err(|error| OpenError::refused(Path::new(":memory:"), error))?;
        Local::start(Source::Memory, connection, None)
    }

    /// What was done so far.
    pub fn stats(&self) -> Stats {
        self.shared.counters.stats()
    }

    fn start(source: Source, connection: Connection, readers: Option<Readers>) -> Result<Local, OpenError> {
        let (jobs, line) = mpsc::channel();
        let counters = Arc::new(Counters::default());
        let writer = Writer::new(source, connection, line, counters.clone());
        let thread = thread::Builder::new()
            .name("selvedge-libsql".into())
            .spawn(move || writer.run())
            .map_err(OpenError::Thread)?;
        let shared = Shared { jobs: Some(jobs), readers, thread: Some(thread), counters };
        Ok(Local { shared: Arc::new(shared) })
    }
}

impl Database for Local {
    async fn read(&self, reads: Vec<Statement>) -> Result<Vec<Vec<Row>>, DatabaseError> {
        match &self.shared.readers {
            Some(readers) => {
                self.shared.counters.add_read(reads.len());
                readers.read(&reads)
            }
            None => self.shared.line_up(|reply| Job::Read { reads, reply }).await,
        }
    }

    fn write(&self, batches: Vec<Batch>) -> impl Future<Output = Result<Vec<Outcome>, DatabaseError>> {
        self.shared.line_up(|reply| Job::write(batches, reply))
    }

    fn counts(&self) -> Counts {
        let stats = self.stats();
        Counts {
            commits: Some(stats.commits),
            batches: Some(stats.batches),
            statements: Some(stats.statements),
            reads: Some(stats.reads),
            queries: Some(stats.queries),
            round_trips: None,
        }
    }
}

/// Where the writer's thread sends the answer of one call.
type Reply<T> = oneshot::Sender<Result<T, DatabaseError>>;

impl Shared {
    /// Puts a job in line at once and returns the wait for its answer. The wait holds nothing of the
    /// database, so that dropping it disturbs nobody.
    fn line_up<T, F>(&self, job: F) -> impl Future<Output = Result<T, DatabaseError>> + use<T, F>
    where
        F: FnOnce(Reply<T>) -> Job,
    {
        let (reply, answer) = oneshot::channel();
        let jobs = self.jobs.as_ref().expect("only drop takes it");
        let in_line = jobs.send(job(reply)).is_ok();
        async move {
            answer.await.unwrap_or_else(|_| {
                let message = "the thread that writes has stopped".into();
                Err(DatabaseError::Unavailable { message, indeterminate: in_line })
            })
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The writer's connection closes last, because the last one folds the log into the file.
        self.readers = None;
        self.jobs = None;
        let Some(thread) = self.thread.take() else { return };
        // A waker may run a task, and with it this drop, on the writer's own thread.
        if thread.thread().id() != thread::current().id() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Mutex;
    use std::task::{Context, Poll, Wake};

    use super::*;

    /// Drops a database when woken, on the thread that wakes, and then says so.
    struct Last(Mutex<Option<Local>>, mpsc::Sender<()>);

    impl Wake for Last {
        fn wake(self: Arc<Self>) {
            let database = self.0.lock().expect("nobody panicked").take();
            drop(database);
            let _ = self.1.send(());
        }
    }

    #[test]
    fn the_last_clone_may_be_dropped_by_the_writer_itself() {
        let database = Local::memory().expect("memory");
        let (dropped, done) = mpsc::channel();
        let last = Arc::new(Last(Mutex::new(Some(database.clone())), dropped));
        let waker = last.clone().into();
        // A write large enough that its answer is not there at the first poll.
        let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)
            INSERT INTO t SELECT i FROM n";
        let mut batch = Batch::default();
        batch.push(Statement::new("CREATE TABLE t (id INTEGER)", vec![]));
        batch.push(Statement::new(fill, vec![]));
        let mut wait = pin!(database.shared.line_up(|reply| Job::write(vec![batch], reply)));
        let first = wait.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(first.is_pending());
        drop(database);
        done.recv().expect("the drop comes to its end");
        let second = wait.as_mut().poll(&mut Context::from_waker(&waker));
        assert_eq!(second, Poll::Ready(Ok(vec![Outcome::Committed])));
    }

    #[test]
    fn a_database_is_shared_between_threads() {
        fn shared<T: Clone + Send + Sync + 'static>() {}
        shared::<Local>();
    }
}
