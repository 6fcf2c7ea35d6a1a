//! One connection of SQLite: how a statement runs on it.

use std::borrow::Cow;
use std::cell::{Cell as Counter, RefCell};
use std::collections::HashSet;

// The method `next` of a `Batch` is the other binding's own.
use rusqlite::config::DbConfig;
#[cfg(target_family = "wasm")]
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Batch, CachedStatement, params_from_iter};
use selvedge::store::database::{Cell, Row, Statement};

use crate::failure::Failure;

/// Prepared statements that a connection keeps. The engine's SQL is a fixed set of a few hundred texts.
const PREPARED_MAX: usize = 512;

/// Where a text that lives as long as the program is, and its length.
type Place = (usize, usize);

/// A connection and what is known of the statements it has seen.
pub struct Connection {
    raw: rusqlite::Connection,
    /// Texts known to hold one statement each.
    single: RefCell<HashSet<String>>,
    /// The same of texts that live as long as the program, by where they are: nothing of them is hashed.
    single_places: RefCell<HashSet<Place>>,
    /// For how many more transactions each batch gets a savepoint.
    careful: Counter<u32>,
}

impl Connection {
    /// Takes over a connection that has just been opened.
    pub fn new(raw: rusqlite::Connection) -> Result<Self, Failure> {
        raw.set_prepared_statement_cache_capacity(PREPARED_MAX);
        // Without it every statement whose plan could depend on a parameter, such as `LIMIT ?3`, is prepared
        // anew each time that it runs.
        raw.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        // libsql has foreign keys on by default, as no other SQLite has.
        raw.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA temp_store = MEMORY;")?;
        Ok(Connection {
            raw,
            single: RefCell::default(),
            single_places: RefCell::default(),
            careful: Counter::new(0),
        })
    }

    /// The binding's own connection, for settings.
    pub fn raw(&self) -> &rusqlite::Connection {
        &self.raw
    }

    /// Whether this transaction is to begin with savepoints; counts it.
    pub(crate) fn is_careful(&self) -> bool {
        let left = self.careful.get();
        self.careful.set(left.saturating_sub(1));
        left > 0
    }

    /// Has the next transactions begin with savepoints.
    pub(crate) fn be_careful(&self, transactions: u32) {
        self.careful.set(transactions);
    }

    /// The statements of one transaction, each looked up once.
    pub(crate) fn statements(&self) -> Statements<'_> {
        Statements { connection: self, held: Vec::new() }
    }

    /// Runs the reads in one consistent view. It leaves no transaction open, unless even ROLLBACK fails.
    pub fn view(&self, reads: &[Statement]) -> Result<Vec<Vec<Row>>, Failure> {
        if let [read] = reads {
            // A statement is a view by itself.
            return Ok(vec![self.read(read)?]);
        }
        self.control("BEGIN DEFERRED")?;
        let answers = self.read_all(reads);
        let answers = answers.and_then(|answers| self.control("COMMIT").map(|()| answers));
        if answers.is_err() {
            self.abandon();
        }
        answers
    }

    /// Runs the reads in the transaction that is open, or each in a view of its own.
    pub fn read_all(&self, reads: &[Statement]) -> Result<Vec<Vec<Row>>, Failure> {
        reads.iter().map(|read| self.read(read)).collect()
    }

    fn read(&self, statement: &Statement) -> Result<Vec<Row>, Failure> {
        let mut prepared = self.prepare(statement)?;
        if !prepared.readonly() || prepared.column_count() == 0 {
            return Err(Failure::Statement(format!("the statement reads nothing: {}", statement.sql)));
        }
        let mut found = prepared.query(params_from_iter(statement.params.iter().map(Parameter)))?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            // Asked for each row: the first may have found another schema.
            let columns = row.as_ref().column_count();
            let mut cells = Row::with_capacity(columns);
            for column in 0..columns {
                cells.push(cell(column, row.get_ref(column)?)?);
            }
            rows.push(cells);
        }
        Ok(rows)
    }

    /// Runs a statement of the driver's own, such as COMMIT.
    pub fn control(&self, sql: &'static str) -> Result<(), Failure> {
        self.raw.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    /// Whether a transaction is open. SQLite closes one by itself on some errors.
    pub fn in_transaction(&self) -> bool {
        !self.raw.is_autocommit()
    }

    /// Ends a transaction that failed, if SQLite has not ended it already.
    pub fn abandon(&self) {
        if self.in_transaction() {
            // Where this fails, the caller sees the transaction still open and gives the connection up.
            let _ = self.control("ROLLBACK");
        }
    }

    fn prepare(&self, statement: &Statement) -> Result<CachedStatement<'_>, Failure> {
        let sql = &statement.sql;
        let is_known = match sql {
            Cow::Borrowed(text) => self.single_places.borrow().contains(&place(text)),
            Cow::Owned(text) => self.single.borrow().contains(text),
        };
        if !is_known {
            self.check_single(sql)?;
            match sql {
                Cow::Borrowed(text) => {
                    self.single_places.borrow_mut().insert(place(text));
                }
                Cow::Owned(text) => {
                    let mut single = self.single.borrow_mut();
                    if single.len() == PREPARED_MAX {
                        single.clear();
                    }
                    single.insert(text.clone());
                }
            }
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

/// Prepared statements that are kept at hand for a while: the cache of a connection is asked by the text, which
/// takes as long as many a statement.
pub(crate) struct Statements<'c> {
    connection: &'c Connection,
    held: Vec<(Place, CachedStatement<'c>)>,
}

impl Statements<'_> {
    /// Runs one write and returns how many rows it changed, as SQLite counts them: rows inserted, updated
    /// or deleted by the statement itself, not by triggers. Of a statement that changes the schema the
    /// number means nothing.
    pub(crate) fn write(&mut self, statement: &Statement) -> Result<u64, Failure> {
        let parameters = params_from_iter(statement.params.iter().map(Parameter));
        let Cow::Borrowed(sql) = statement.sql else {
            return Ok(writing(self.connection, statement)?.execute(parameters)? as u64);
        };
        let place = place(sql);
        let at = match self.held.iter().position(|(held, _)| *held == place) {
            Some(at) => at,
            None => {
                self.held.push((place, writing(self.connection, statement)?));
                self.held.len() - 1
            }
        };
        Ok(self.held[at].1.execute(parameters)? as u64)
    }
}

fn place(text: &'static str) -> Place {
    (text.as_ptr().addr(), text.len())
}

/// A statement that writes.
fn writing<'c>(connection: &'c Connection, statement: &Statement) -> Result<CachedStatement<'c>, Failure> {
    let prepared = connection.prepare(statement)?;
    // BEGIN, COMMIT, SAVEPOINT and their kin count as read-only too; they would break the frame that
    // the writer puts around a batch.
    if prepared.readonly() {
        return Err(Failure::Statement(format!("the statement writes nothing: {}", statement.sql)));
    }
    Ok(prepared)
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

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("texts", &self.single.borrow().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_seen_are_bounded() {
        let connection = memory();
        for number in 0..2 * PREPARED_MAX + 1 {
            let read = Statement::new(format!("SELECT {number}"), vec![]);
            let rows = connection.view(&[read]).expect("the read is right");
            assert_eq!(rows, [[[Cell::Integer(number as i64)]]]);
        }
        assert!(connection.single.borrow().len() <= PREPARED_MAX);
    }

    #[test]
    fn a_statement_is_prepared_once_whatever_its_parameters() {
        let connection = memory();
        let tables = "CREATE TABLE t (id INTEGER PRIMARY KEY, status TEXT);
            CREATE INDEX t_ready ON t (id) WHERE status = 'ready';";
        connection.raw().execute_batch(tables).expect("a table and an index");
        for sql in ["SELECT id FROM t ORDER BY id LIMIT ?1", "SELECT id FROM t WHERE status = ?1"] {
            for number in 0..3 {
                let read = Statement::new(sql, vec![Cell::Integer(number)]);
                connection.view(&[read]).expect("the read is right");
            }
            let prepared = connection.raw().prepare_cached(sql).expect("it is there");
            assert_eq!(prepared.get_status(rusqlite::StatementStatus::RePrepare), 0, "{sql}");
        }
    }

    fn memory() -> Connection {
        let raw = rusqlite::Connection::open_in_memory().expect("memory");
        Connection::new(raw).expect("it can be set up")
    }
}
