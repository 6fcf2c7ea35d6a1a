//! One connection of SQLite: how it is set up, and how a statement runs on it.

use std::cell::RefCell;
use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Batch, CachedStatement, OpenFlags, params_from_iter};
use selvedge::store::database::{Cell, Row, Statement};

use super::failure::Failure;
use super::open::Options;

/// Prepared statements that a connection keeps. The engine's SQL is a fixed set of a few hundred texts.
const PREPARED_MAX: usize = 512;

/// How long a statement waits for a foreign process, such as a backup or a curious `sqlite3`.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Pages of 4 KiB in the log before they are folded into the file: 16 MiB, which spreads the two fsyncs
/// of a checkpoint over many commits and keeps recovery after a crash short.
const CHECKPOINT_PAGES: u32 = 4_000;

/// What the log's file is cut back to after a burst has grown it.
const LOG_BYTES_KEPT: u32 = 64 * 1024 * 1024;

/// A connection and what is known of the statements it has seen.
pub(super) struct Connection {
    raw: rusqlite::Connection,
    /// Texts known to hold one statement each.
    single: RefCell<HashSet<String>>,
}

impl Connection {
    /// The connection that writes to a file, which is there and may be empty. It makes none, so that a file
    /// that was taken away while the database was open does not come back empty.
    pub(super) fn writer(path: &Path, options: &Options) -> Result<Self, Failure> {
        let connection = Connection::open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, options)?;
        let mode: String =
            connection.raw.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
        if mode != "wal" {
            let message =
                format!("the file system allows no write-ahead log: journal mode {mode:?}, expected \"wal\"");
            return Err(Failure::Passing(message));
        }
        // fullfsync: on macOS a plain fsync leaves the commit in the drive's cache.
        connection.raw.execute_batch(&format!(
            "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;
             PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}; PRAGMA journal_size_limit = {LOG_BYTES_KEPT};"
        ))?;
        if let Some(pages) = options.pages_max {
            connection.raw.execute_batch(&format!("PRAGMA max_page_count = {pages}"))?;
        }
        Ok(connection)
    }

    /// A connection that only reads a file, which is there.
    pub(super) fn reader(path: &Path, options: &Options) -> Result<Self, Failure> {
        Connection::open(path, OpenFlags::SQLITE_OPEN_READ_ONLY, options)
    }

    /// A database in memory, gone with the connection.
    pub(super) fn memory() -> Result<Self, Failure> {
        let raw = rusqlite::Connection::open_in_memory()?;
        Connection::set_up(raw)
    }

    fn open(path: &Path, flags: OpenFlags, options: &Options) -> Result<Self, Failure> {
        // Every connection is used by one thread at a time, so SQLite need not lock it as well.
        let raw = rusqlite::Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        let connection = Connection::set_up(raw)?;
        let kib = options.cache_bytes / 1024;
        connection.raw.execute_batch(&format!("PRAGMA mmap_size = 0; PRAGMA cache_size = -{kib};"))?;
        Ok(connection)
    }

    fn set_up(raw: rusqlite::Connection) -> Result<Self, Failure> {
        raw.busy_timeout(BUSY_TIMEOUT)?;
        raw.set_prepared_statement_cache_capacity(PREPARED_MAX);
        // This build of SQLite has foreign keys on by default, as no other has.
        raw.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA temp_store = MEMORY;")?;
        Ok(Connection { raw, single: RefCell::default() })
    }

    /// Runs one write and returns how many rows it changed, as SQLite counts them: rows inserted, updated
    /// or deleted by the statement itself, not by triggers. Of a statement that changes the schema the
    /// number means nothing.
    pub(super) fn write(&self, statement: &Statement) -> Result<u64, Failure> {
        let mut prepared = self.prepare(&statement.sql)?;
        // BEGIN, COMMIT, SAVEPOINT and their kin count as read-only too; they would break the frame that
        // the writer puts around a batch.
        if prepared.readonly() {
            return Err(Failure::Statement(format!("the statement writes nothing: {}", statement.sql)));
        }
        let rows = prepared.execute(params_from_iter(statement.params.iter().map(Parameter)))?;
        Ok(rows as u64)
    }

    /// Runs the reads in one consistent view. It leaves no transaction open, unless even ROLLBACK fails.
    pub(super) fn view(&self, reads: &[Statement]) -> Result<Vec<Vec<Row>>, Failure> {
        if let [read] = reads {
            // A statement is a view by itself.
            return Ok(vec![self.read(read)?]);
        }
        self.control("BEGIN DEFERRED")?;
        let answers = reads.iter().map(|read| self.read(read)).collect::<Result<_, _>>();
        let answers = answers.and_then(|answers| self.control("COMMIT").map(|()| answers));
        if answers.is_err() {
            self.abandon();
        }
        answers
    }

    fn read(&self, statement: &Statement) -> Result<Vec<Row>, Failure> {
        let mut prepared = self.prepare(&statement.sql)?;
        if !prepared.readonly() || prepared.column_count() == 0 {
            return Err(Failure::Statement(format!("the statement reads nothing: {}", statement.sql)));
        }
        let mut found = prepared.query(params_from_iter(statement.params.iter().map(Parameter)))?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            let columns = row.as_ref().column_count();
            rows.push(
                (0..columns).map(|column| cell(column, row.get_ref(column)?)).collect::<Result<_, _>>()?,
            );
        }
        Ok(rows)
    }

    /// Runs a statement of the driver's own, such as COMMIT.
    pub(super) fn control(&self, sql: &'static str) -> Result<(), Failure> {
        self.raw.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    /// Whether a transaction is open. SQLite closes one by itself on some errors.
    pub(super) fn in_transaction(&self) -> bool {
        !self.raw.is_autocommit()
    }

    /// Ends a transaction that failed, if SQLite has not ended it already.
    pub(super) fn abandon(&self) {
        if self.in_transaction() {
            // Where this fails, the caller sees the transaction still open and gives the connection up.
            let _ = self.control("ROLLBACK");
        }
    }

    /// Folds the whole log into the file and empties it.
    pub(super) fn fold(&self) -> Result<(), Failure> {
        self.raw.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
        Ok(())
    }

    fn prepare(&self, sql: &str) -> Result<CachedStatement<'_>, Failure> {
        if !self.single.borrow().contains(sql) {
            self.check_single(sql)?;
            let mut single = self.single.borrow_mut();
            if single.len() == PREPARED_MAX {
                single.clear();
            }
            single.insert(sql.into());
        }
        Ok(self.raw.prepare_cached(sql)?)
    }

    /// Refuses a text of two statements, of which SQLite would prepare the first and forget the second.
    fn check_single(&self, sql: &str) -> Result<(), Failure> {
        let mut statements = Batch::new(&self.raw, sql);
        match statements.next()? {
            None => return Err(Failure::Statement(format!("expected a statement, found none: {sql:?}"))),
            Some(first) => drop(first),
        }
        match statements.next() {
            Ok(None) => Ok(()),
            Ok(Some(_)) | Err(_) => {
                Err(Failure::Statement(format!("expected one statement, found more than one: {sql:?}")))
            }
        }
    }
}

/// A cell on its way into SQLite.
struct Parameter<'a>(&'a Cell);

impl ToSql for Parameter<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Cell::Null => ValueRef::Null,
            Cell::Integer(number) => ValueRef::Integer(*number),
            Cell::Real(number) => ValueRef::Real(*number),
            Cell::Text(text) => ValueRef::Text(text.as_bytes()),
            Cell::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

fn cell(column: usize, value: ValueRef<'_>) -> Result<Cell, Failure> {
    Ok(match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Integer(number),
        ValueRef::Real(number) => Cell::Real(number),
        ValueRef::Text(bytes) => {
            let text = std::str::from_utf8(bytes);
            let text =
                text.map_err(|error| Failure::Statement(format!("column {column} is not UTF-8: {error}")))?;
            Cell::Text(text.into())
        }
        ValueRef::Blob(bytes) => Cell::Blob(bytes.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_set_up_for_durable_commits() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("t.db");
        std::fs::write(&path, "").expect("a file");
        let options = Options::default();
        let writer = Connection::writer(&path, &options).expect("it opens");
        let reader = Connection::reader(&path, &options).expect("it opens");
        let full = 2;
        let in_memory = 2;
        let rows: [(_, _, i64); 13] = [
            (&writer, "synchronous", full),
            (&writer, "fullfsync", 1),
            (&writer, "checkpoint_fullfsync", 1),
            (&writer, "foreign_keys", 0),
            (&writer, "busy_timeout", 5_000),
            (&writer, "wal_autocheckpoint", 4_000),
            (&writer, "journal_size_limit", 64 << 20),
            (&writer, "temp_store", in_memory),
            (&writer, "mmap_size", 0),
            (&writer, "cache_size", -16 * 1024),
            (&reader, "temp_store", in_memory),
            (&reader, "busy_timeout", 5_000),
            (&reader, "cache_size", -16 * 1024),
        ];
        for (connection, pragma, expected) in rows {
            let found: i64 =
                connection.raw.pragma_query_value(None, pragma, |row| row.get(0)).expect("a number");
            assert_eq!(found, expected, "{pragma}");
        }
        for connection in [&writer, &reader] {
            let mode: String =
                connection.raw.pragma_query_value(None, "journal_mode", |row| row.get(0)).expect("a name");
            assert_eq!(mode, "wal");
        }
        assert!(reader.raw.execute_batch("CREATE TABLE t (id INTEGER)").is_err(), "a reader does not write");
    }

    #[test]
    fn the_texts_seen_are_bounded() {
        let connection = Connection::memory().expect("memory");
        for number in 0..2 * PREPARED_MAX + 1 {
            let read = Statement::new(format!("SELECT {number}"), vec![]);
            let rows = connection.view(&[read]).expect("the read is right");
            assert_eq!(rows, [[[Cell::Integer(number as i64)]]]);
        }
        assert!(connection.single.borrow().len() <= PREPARED_MAX);
    }
}
