//! The database of one process: a file or memory.
//!
//! Calls are put in line when they are made, and a thread commits all that waits as one transaction with one
//! fsync, so the cost of durability is shared by whoever is waiting. Where nobody else waits, and where it is quick,
//! the task that called does it instead: [`line`] says when. Reads of a file run beside it, on connections of their
//! own and on the caller's task: a prepared read takes microseconds, less than handing it to another thread.

mod connection;
mod line;
mod lock;
mod open;
mod readers;
mod stats;
mod writer;

use std::fmt;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::task::{Context, Poll, ready};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use futures_channel::oneshot;
use selvedge::store::database::{Batch, Counts, Database, DatabaseError, Outcome, Row, Statement};

pub use open::{OpenError, Options};
pub use stats::Stats;

use line::{Job, Line, Server};
use lock::Lock;
use open::Source;
use readers::Readers;
use selvedge_sqlite::Connection;
use stats::Counters;
use writer::{Served, Writer};

/// A libsql database in a file that this process owns, or in memory. Clones share it.
///
/// Dropping the last clone waits until everything in line is committed, folds the write-ahead log into
/// the file and gives the file free for another process.
#[derive(Clone)]
pub struct Local {
    shared: Arc<Shared>,
}

struct Shared {
    writing: Arc<Writing>,
    /// `None` in memory, where the writer's connection is the only one that sees the data.
    readers: Option<Arc<Readers>>,
    /// `None` only while dropping.
    thread: Option<JoinHandle<()>>,
    counters: Arc<Counters>,
}

/// What the thread and the tasks write with.
struct Writing {
    line: Line,
    /// `None` when the database is closed.
    writer: Mutex<Option<Writer>>,
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
        let counters = Arc::new(Counters::default());
        let readers = readers.map(Arc::new);
        let writer = Writer::new(source, connection, readers.clone(), counters.clone());
        let writing = Arc::new(Writing { line: Line::default(), writer: Mutex::new(Some(writer)) });
        let thread = thread::Builder::new().name("selvedge-libsql".into());
        let thread = thread.spawn({
            let writing = writing.clone();
            move || writing.run()
        });
        let thread = Some(thread.map_err(OpenError::Thread)?);
        Ok(Local { shared: Arc::new(Shared { writing, readers, thread, counters }) })
    }
}

impl Database for Local {
    async fn read(&self, reads: Vec<Statement>) -> Result<Vec<Vec<Row>>, DatabaseError> {
        match &self.shared.readers {
            Some(readers) => {
                self.shared.counters.add_read(reads.len());
                readers.read(&reads)
            }
            None => self.shared.writing.line_up(|reply| Job::Read { reads, reply }).await,
        }
    }

    fn write(&self, batches: Vec<Batch>) -> impl Future<Output = Result<Vec<Outcome>, DatabaseError>> {
        self.shared.writing.line_up(|reply| Job::write(batches, reply))
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

/// Where the answer of one call is sent.
type Reply<T> = oneshot::Sender<Told<T>>;

/// What a caller is told. It gets its batches back, to drop them where they were made: the writer has no time for it.
struct Told<T> {
    answer: Result<T, DatabaseError>,
    _spent: Vec<Batch>,
}

/// The wait for the answer of one call. Dropping it disturbs nobody.
struct Wait<T> {
    told: oneshot::Receiver<Told<T>>,
    /// Where the task is to serve the line itself.
    own: Option<Arc<Writing>>,
    /// Whether the call was put in line at all: then nobody knows what became of it without an answer.
    in_line: bool,
}

impl Writing {
    /// Puts a job in line at once and returns the wait for its answer.
    fn line_up<T>(self: &Arc<Self>, job: impl FnOnce(Reply<T>) -> Job) -> Wait<T> {
        let (reply, told) = oneshot::channel();
        let server = self.line.push(job(reply));
        let own = (server == Some(Server::Task)).then(|| self.clone());
        Wait { told, own, in_line: server.is_some() }
    }

    /// Serves until the line is closed and empty, then closes the database. The thread's work.
    fn run(&self) {
        /// Where the thread panics, nobody waits for it.
        struct Leaving<'a>(&'a Line);
        impl Drop for Leaving<'_> {
            fn drop(&mut self) {
                self.0.abandon();
            }
        }
        let _leaving = Leaving(&self.line);
        while self.line.wait() {
            let start = Instant::now();
            let served = self
                .sit()
                .as_mut()
                .map_or(Served::Nothing, |writer| writer.serve(&self.line, Server::Thread));
            self.tell(served, Server::Thread, start);
        }
        let writer = self.sit().take();
        if let Some(writer) = writer {
            writer.close();
        }
    }

    /// Waits for the writer.
    fn sit(&self) -> MutexGuard<'_, Option<Writer>> {
        self.writer.lock().unwrap_or_else(|poisoned| {
            // A task has panicked in the middle of its transaction.
            self.writer.clear_poison();
            let mut writer = poisoned.into_inner();
            writer.as_mut().into_iter().for_each(Writer::give_up);
            writer
        })
    }

    /// Serves the first in line here and now, unless another is at it, who looks at the line again then.
    fn serve_here(&self) {
        let start = Instant::now();
        let served = match self.writer.try_lock() {
            Ok(mut writer) => {
                writer.as_mut().map_or(Served::Nothing, |writer| writer.serve(&self.line, Server::Task))
            }
            Err(TryLockError::WouldBlock) => return,
            Err(TryLockError::Poisoned(_)) => return self.line.call_thread(),
        };
        self.tell(served, Server::Task, start);
    }

    /// Tells those who were served. The writer is free again, since they may run on this very thread.
    fn tell(&self, served: Served, by: Server, start: Instant) {
        self.line.served(by, served.calls(), start.elapsed());
        served.tell();
    }
}

impl<T> Future for Wait<T> {
    type Output = Result<T, DatabaseError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(writing) = self.own.take() {
            writing.serve_here();
        }
        let told = ready!(Pin::new(&mut self.told).poll(context));
        Poll::Ready(told.map_or_else(
            |_| {
                let message = "the writer has stopped".into();
                Err(DatabaseError::Unavailable { message, indeterminate: self.in_line })
            },
            |told| told.answer,
        ))
    }
}

impl<T> Drop for Wait<T> {
    fn drop(&mut self) {
        // Nobody has awaited it, but it is in line.
        if let Some(writing) = &self.own {
            writing.line.call_thread();
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The writer's connection closes last, because the last one folds the log into the file.
        self.readers.iter().for_each(|readers| readers.close());
        self.writing.line.close();
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
    use std::sync::mpsc;
    use std::task::{Wake, Waker};

    use super::*;

    fn block_on<F: Future>(future: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(future)
    }

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
        let mut wait = pin!(database.shared.writing.line_up(|reply| Job::write(vec![batch], reply)));
        let first = wait.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(first.is_pending());
        drop(database);
        done.recv().expect("the drop comes to its end");
        let second = wait.as_mut().poll(&mut Context::from_waker(&waker));
        assert_eq!(second, Poll::Ready(Ok(vec![Outcome::Committed])));
    }

    #[test]
    fn a_line_of_one_at_a_time_is_served_by_whoever_waits() {
        let database = quiet();
        let mut wait = pin!(insert(&database));
        let first = wait.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(first, Poll::Ready(Ok(vec![Outcome::Committed])));
    }

    #[test]
    fn a_wait_that_is_dropped_before_its_turn_is_served_by_the_thread() {
        let database = quiet();
        let before = rows(&database);
        drop(insert(&database));
        assert_eq!(rows(&database), before + 1);
    }

    #[test]
    fn a_task_that_panics_in_the_writers_place_leaves_it_to_others() {
        let database = quiet();
        let before = rows(&database);
        let writing = database.shared.writing.clone();
        let panicked = thread::spawn(move || {
            let seat = writing.sit();
            let connection = seat.as_ref().expect("it is open").connection.as_ref().expect("it is open");
            connection.raw().execute_batch("BEGIN; INSERT INTO t VALUES (0)").expect("it begins");
            panic!("in the middle of a transaction");
        });
        assert!(panicked.join().is_err());
        assert_eq!(block_on(insert(&database)), Ok(vec![Outcome::Committed]));
        assert_eq!(rows(&database), before + 1);
    }

    /// A database in memory whose next write is its task's to serve.
    fn quiet() -> Local {
        let database = Local::memory().expect("memory");
        let mut table = Batch::default();
        table.push(Statement::new("CREATE TABLE t (id INTEGER)", vec![]));
        assert_eq!(block_on(database.write(vec![table])), Ok(vec![Outcome::Committed]));
        database.shared.writing.line.quiet();
        database
    }

    fn insert(database: &Local) -> impl Future<Output = Result<Vec<Outcome>, DatabaseError>> + use<> {
        let mut batch = Batch::default();
        batch.push(Statement::new("INSERT INTO t VALUES (1)", vec![]));
        database.shared.writing.line_up(|reply| Job::write(vec![batch], reply))
    }

    fn rows(database: &Local) -> i64 {
        let count = Statement::new("SELECT count(*) FROM t", vec![]);
        let rows = block_on(database.read(vec![count])).expect("the read is right");
        rows[0][0][0].as_i64().expect("a number")
    }

    #[test]
    fn a_database_is_shared_between_threads() {
        fn shared<T: Clone + Send + Sync + 'static>() {}
        shared::<Local>();
    }
}
