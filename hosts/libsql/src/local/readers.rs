//! The connections that read a file while the writer writes.
//!
//! A reader never sees a commit before it is durable. In WAL mode a commit becomes visible when its frames
//! enter the index that all connections share, and `walFrames` in SQLite's `wal.c` calls `sqlite3OsSync`
//! on the log before `walIndexAppend` and `walIndexWriteHdr`; with `synchronous = FULL` it does so for
//! each commit.
//!
//! To begin and to end a view are a lock of the file each, which takes longer than to read a row. So a connection that
//! is asked twice with no commit between keeps its view for the next time. [`Readers::outdate`] ends its use, and
//! [`Readers::let_go`] the views themselves, which would keep the log from being folded into the file.
//!
//! | since the last read of this connection | its view | the read                                          |
//! |----------------------------------------|----------|---------------------------------------------------|
//! | something was committed                | none     | has a view of its own                             |
//! | something was committed                | kept     | ends that one, and has one of its own             |
//! | nothing                                | none     | begins one, which is kept                         |
//! | nothing                                | kept     | takes that one                                    |

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use selvedge::store::database::{DatabaseError, Row, Statement};
use selvedge_sqlite::{Connection, Failure};

use super::connection;
use super::open::Options;

/// A fixed number of seats, each with a connection that is opened when first needed.
pub(super) struct Readers {
    path: PathBuf,
    options: Options,
    seats: Mutex<Seats>,
    freed: Condvar,
    /// How many transactions have ended.
    transactions: AtomicU64,
}

struct Seats {
    /// Those that nobody sits in.
    idle: Vec<Option<Reader>>,
    /// How many wait for one: where nobody does, nobody is told, which is a call of the system.
    waiting: usize,
}

/// A connection between two reads.
struct Reader {
    connection: Connection,
    /// How many transactions had ended before its last read.
    after: u64,
    /// Whether it has kept a view.
    has_view: bool,
}

impl Readers {
    pub(super) fn new(path: PathBuf, options: Options) -> Self {
        let idle = std::iter::repeat_with(|| None).take(options.readers.get()).collect();
        let seats = Mutex::new(Seats { idle, waiting: 0 });
        Readers { path, options, seats, freed: Condvar::new(), transactions: AtomicU64::new(0) }
    }

    /// Runs the reads of one call in one view, here and now.
    pub(super) fn read(&self, reads: &[Statement]) -> Result<Vec<Vec<Row>>, DatabaseError> {
        let mut seat = self.sit();
        // Before the view begins, so that it may be newer but not older than this says.
        let now = self.transactions.load(Ordering::Acquire);
        let opened = match seat.reader.take() {
            Some(reader) => Ok(reader),
            None => Reader::open(&self.path, &self.options),
        };
        let mut reader = opened.map_err(Failure::into_error)?;
        let rows = reader.read(now, reads).map_err(Failure::into_error);
        // After anything but a wrong statement the next read starts with a new connection.
        let sound = reader.is_whole() && matches!(rows, Ok(_) | Err(DatabaseError::Broken(_)));
        seat.reader = sound.then_some(reader);
        rows
    }

    /// What was read before is no longer all that there is: a transaction has ended, whatever its end was.
    pub(super) fn outdate(&self) {
        self.transactions.fetch_add(1, Ordering::Release);
    }

    /// Ends the views that are kept.
    pub(super) fn let_go(&self) {
        for seat in &mut self.lock().idle {
            if seat.as_mut().is_some_and(|reader| reader.let_go().is_err()) {
                *seat = None;
            }
        }
    }

    /// Closes the connections. Nobody reads any more.
    pub(super) fn close(&self) {
        self.lock().idle.iter_mut().for_each(|seat| *seat = None);
    }

    /// Waits for a seat. This blocks the thread, but never for long: whoever sits runs on another thread
    /// and does not await.
    fn sit(&self) -> Seat<'_> {
        let mut seats = self.lock();
        loop {
            if let Some(reader) = seats.idle.pop() {
                return Seat { readers: self, reader };
            }
            seats.waiting += 1;
            seats = self.freed.wait(seats).unwrap_or_else(PoisonError::into_inner);
            seats.waiting -= 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seats> {
        // Taking and giving back leave the list whole at every point.
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader {
    fn open(path: &Path, options: &Options) -> Result<Self, Failure> {
        Ok(Self { connection: connection::reader(path, options)?, after: u64::MAX, has_view: false })
    }

    /// Reads, when so many transactions have ended. After a failure it has no view.
    fn read(&mut self, now: u64, reads: &[Statement]) -> Result<Vec<Vec<Row>>, Failure> {
        let is_again = std::mem::replace(&mut self.after, now) == now;
        if !is_again {
            self.let_go()?;
            return self.connection.view(reads);
        }
        if !self.has_view {
            self.connection.control("BEGIN DEFERRED")?;
            self.has_view = true;
        }
        let rows = self.connection.read_all(reads);
        if rows.is_err() {
            self.let_go()?;
        }
        rows
    }

    /// Whether a transaction is open just when a view is kept: even ROLLBACK may fail.
    fn is_whole(&self) -> bool {
        self.has_view == self.connection.in_transaction()
    }

    fn let_go(&mut self) -> Result<(), Failure> {
        if std::mem::take(&mut self.has_view) && self.connection.in_transaction() {
            self.connection.control("COMMIT")?;
        }
        Ok(())
    }
}

/// A seat in use; dropping it frees it, also when a read panics.
struct Seat<'a> {
    readers: &'a Readers,
    reader: Option<Reader>,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut seats = self.readers.lock();
        seats.idle.push(self.reader.take());
        let is_awaited = seats.waiting > 0;
        drop(seats);
        if is_awaited {
            self.readers.freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use selvedge::store::database::Cell;

    use super::*;

    /// A file with a table of one row, the number of commits, and a connection that writes.
    fn file() -> (tempfile::TempDir, Connection, Readers) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("t.db");
        std::fs::write(&path, "").expect("a file");
        let options = Options { readers: std::num::NonZeroUsize::MIN, ..Options::default() };
        let writer = connection::writer(&path, &options).expect("it opens");
        writer.raw().execute_batch("CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (0);").expect("a table");
        (directory, writer, Readers::new(path, options))
    }

    fn number(readers: &Readers) -> Option<i64> {
        let read = Statement::new("SELECT n FROM t", vec![]);
        let rows = readers.read(&[read]).expect("the read is right");
        rows[0][0].first().and_then(Cell::as_i64)
    }

    fn has_view(readers: &Readers) -> bool {
        let seats = readers.lock();
        let reader = seats.idle[0].as_ref().expect("it was used");
        assert!(reader.is_whole());
        reader.has_view
    }

    #[test]
    fn a_view_is_kept_until_something_is_committed() {
        let (_directory, writer, readers) = file();
        // Each row: what happens, whether a view is kept then, and what the next read finds.
        let rows = [
            ("first", false, 0),
            ("again", true, 0),
            ("again", true, 0),
            ("committed", false, 1),
            ("again", true, 1),
            ("let go", true, 1),
            ("committed", false, 2),
            ("committed", false, 3),
            ("again", true, 3),
        ];
        for (index, (what, kept, found)) in rows.into_iter().enumerate() {
            match what {
                "committed" => {
                    writer.raw().execute_batch("UPDATE t SET n = n + 1").expect("it commits");
                    readers.outdate();
                }
                "let go" => {
                    readers.let_go();
                    assert!(!has_view(&readers));
                }
                _ => {}
            }
            assert_eq!((number(&readers), has_view(&readers)), (Some(found), kept), "row {index}, {what}");
        }
        readers.let_go();
        let busy: i64 = writer
            .raw()
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .expect("it is asked");
        assert_eq!(busy, 0, "nobody holds the log");
    }

    #[test]
    fn a_wrong_statement_ends_the_view() {
        let (_directory, _writer, readers) = file();
        assert_eq!((number(&readers), number(&readers), has_view(&readers)), (Some(0), Some(0), true));
        let wrong = readers.read(&[Statement::new("SELECT n FROM nowhere", vec![])]);
        assert!(matches!(wrong, Err(DatabaseError::Broken(_))), "{wrong:?}");
        assert!(!has_view(&readers));
        assert_eq!(number(&readers), Some(0));
    }
}
