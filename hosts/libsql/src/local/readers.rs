//! The connections that read a file while the writer writes.
//!
//! A reader never sees a commit before it is durable. In WAL mode a commit becomes visible when its frames
//! enter the index that all connections share, and `walFrames` in SQLite's `wal.c` calls `sqlite3OsSync`
//! on the log before `walIndexAppend` and `walIndexWriteHdr`; with `synchronous = FULL` it does so for
//! each commit.

use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use selvedge::store::database::{DatabaseError, Row, Statement};
use selvedge_sqlite::Connection;

use super::connection;
use super::open::Options;

/// A fixed number of seats, each with a connection that is opened when first needed.
pub(super) struct Readers {
    path: PathBuf,
    options: Options,
    /// Seats that nobody sits in.
    idle: Mutex<Vec<Option<Connection>>>,
    freed: Condvar,
}

impl Readers {
    pub(super) fn new(path: PathBuf, options: Options) -> Self {
        let idle = std::iter::repeat_with(|| None).take(options.readers.get()).collect();
        Readers { path, options, idle: Mutex::new(idle), freed: Condvar::new() }
    }

    /// Runs the reads of one call in one view, here and now.
    pub(super) fn read(&self, reads: &[Statement]) -> Result<Vec<Vec<Row>>, DatabaseError> {
        let mut seat = self.sit();
        let opened = match seat.connection.take() {
            Some(connection) => Ok(connection),
            None => connection::reader(&self.path, &self.options),
        };
        let connection = opened.map_err(|failure| failure.into_error())?;
        let rows = connection.view(reads).map_err(|failure| failure.into_error());
        // After anything but a wrong statement the next read starts with a new connection.
        let sound = !connection.in_transaction() && matches!(rows, Ok(_) | Err(DatabaseError::Broken(_)));
        seat.connection = sound.then_some(connection);
        rows
    }

    /// Waits for a seat. This blocks the thread, but never for long: whoever sits runs on another thread
    /// and does not await.
    fn sit(&self) -> Seat<'_> {
        let mut idle = self.lock();
        loop {
            match idle.pop() {
                Some(connection) => return Seat { readers: self, connection },
                None => idle = self.freed.wait(idle).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Option<Connection>>> {
        // Taking and giving back leave the list whole at every point.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A seat in use; dropping it frees it, also when a read panics.
struct Seat<'a> {
    readers: &'a Readers,
    connection: Option<Connection>,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.readers.lock().push(self.connection.take());
        self.readers.freed.notify_one();
    }
}
