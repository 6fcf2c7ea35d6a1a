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
    seats: Mutex<Seats>,
    freed: Condvar,
}

struct Seats {
    /// Those that nobody sits in.
    idle: Vec<Option<Connection>>,
    /// How many wait for one: where nobody does, nobody is told, which is a call of the system.
    waiting: usize,
}

impl Readers {
    pub(super) fn new(path: PathBuf, options: Options) -> Self {
        let idle = std::iter::repeat_with(|| None).take(options.readers.get()).collect();
        Readers { path, options, seats: Mutex::new(Seats { idle, waiting: 0 }), freed: Condvar::new() }
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
        let mut seats = self.lock();
        loop {
            if let Some(connection) = seats.idle.pop() {
                return Seat { readers: self, connection };
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

/// A seat in use; dropping it frees it, also when a read panics.
struct Seat<'a> {
    readers: &'a Readers,
    connection: Option<Connection>,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut seats = self.readers.lock();
        seats.idle.push(self.connection.take());
        let is_awaited = seats.waiting > 0;
        drop(seats);
        if is_awaited {
            self.readers.freed.notify_one();
        }
    }
}
