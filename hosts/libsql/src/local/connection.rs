//! How a connection to a file or to memory is set up; what runs on it is `selvedge-sqlite`'s business.

use std::path::Path;
use std::time::Duration;

use selvedge_sqlite::rusqlite::config::DbConfig;
use selvedge_sqlite::rusqlite::{self, OpenFlags};
use selvedge_sqlite::{Connection, Failure};

use super::open::Options;

/// How long a statement waits for a foreign process, such as a backup or a curious `sqlite3`.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Pages of 4 KiB in the log before they are folded into the file: 16 MiB, which spreads the two fsyncs
/// of a checkpoint over many commits and keeps recovery after a crash short.
const CHECKPOINT_PAGES: u32 = 4_000;

/// What the log's file is cut back to after a burst has grown it.
const LOG_BYTES_KEPT: u32 = 64 * 1024 * 1024;

/// The connection that writes to a file, which is there and may be empty. It makes none, so that a file
/// that was taken away while the database was open does not come back empty.
pub(super) fn writer(path: &Path, options: &Options) -> Result<Connection, Failure> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, options)?;
    let raw = connection.raw();
    let mode: String = raw.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        let message =
            format!("the file system allows no write-ahead log: journal mode {mode:?}, expected \"wal\"");
        return Err(Failure::Passing(message));
    }
    set_folding(&connection, Folding::Due)?;
    // fullfsync: on macOS a plain fsync leaves the commit in the drive's cache.
    raw.execute_batch(&format!(
        "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;
         PRAGMA journal_size_limit = {LOG_BYTES_KEPT};"
    ))?;
    if let Some(pages) = options.pages_max {
        raw.execute_batch(&format!("PRAGMA max_page_count = {pages}"))?;
    }
    Ok(connection)
}

/// A connection that only reads a file, which is there.
pub(super) fn reader(path: &Path, options: &Options) -> Result<Connection, Failure> {
    open(path, OpenFlags::SQLITE_OPEN_READ_ONLY, options)
}

/// A database in memory, gone with the connection.
pub(super) fn memory() -> Result<Connection, Failure> {
    set_up(rusqlite::Connection::open_in_memory()?)
}

/// Whether a commit that finds the log long folds it into the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Folding {
    /// It does, and takes so much longer.
    Due,
    /// Another one will.
    Left,
}

/// Has the next commits fold the log, or leave it.
pub(super) fn set_folding(connection: &Connection, folding: Folding) -> Result<(), Failure> {
    let pages = match folding {
        Folding::Due => CHECKPOINT_PAGES,
        Folding::Left => 0,
    };
    connection.raw().execute_batch(&format!("PRAGMA wal_autocheckpoint = {pages}"))?;
    Ok(())
}

/// Folds the whole log into the file and empties it.
pub(super) fn fold(connection: &Connection) -> Result<(), Failure> {
    connection.raw().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(())
}

fn open(path: &Path, flags: OpenFlags, options: &Options) -> Result<Connection, Failure> {
    // Every connection is used by one thread at a time, so SQLite need not lock it as well.
    let raw = rusqlite::Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    let connection = set_up(raw)?;
    let kib = options.cache_bytes / 1024;
    connection.raw().execute_batch(&format!("PRAGMA mmap_size = 0; PRAGMA cache_size = -{kib};"))?;
    Ok(connection)
}

fn set_up(raw: rusqlite::Connection) -> Result<Connection, Failure> {
    raw.busy_timeout(BUSY_TIMEOUT)?;
    // Plans are made once for each text: without this a LIMIT of another number would make a new one.
    raw.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Connection::new(raw)
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
        let writing = writer(&path, &options).expect("it opens");
        let reading = reader(&path, &options).expect("it opens");
        let full = 2;
        let in_memory = 2;
        let rows: [(_, _, i64); 13] = [
            (&writing, "synchronous", full),
            (&writing, "fullfsync", 1),
            (&writing, "checkpoint_fullfsync", 1),
            (&writing, "foreign_keys", 0),
            (&writing, "busy_timeout", 5_000),
            (&writing, "wal_autocheckpoint", 4_000),
            (&writing, "journal_size_limit", 64 << 20),
            (&writing, "temp_store", in_memory),
            (&writing, "mmap_size", 0),
            (&writing, "cache_size", -16 * 1024),
            (&reading, "temp_store", in_memory),
            (&reading, "busy_timeout", 5_000),
            (&reading, "cache_size", -16 * 1024),
        ];
        for (connection, pragma, expected) in rows {
            let found: i64 =
                connection.raw().pragma_query_value(None, pragma, |row| row.get(0)).expect("a number");
            assert_eq!(found, expected, "{pragma}");
        }
        for connection in [&writing, &reading] {
            let mode: String =
                connection.raw().pragma_query_value(None, "journal_mode", |row| row.get(0)).expect("a name");
            assert_eq!(mode, "wal");
        }
        assert!(
            reading.raw().execute_batch("CREATE TABLE t (id INTEGER)").is_err(),
            "a reader does not write"
        );
    }
}
