//! The database that all servers of a world share: SQLite in memory, on this thread.
//!
//! Opening and migrating one, and preparing a few hundred statements, would cost more than playing most
//! worlds. So each thread keeps a connection, and a world that takes it finds it as a fresh one is after its
//! migration. What a thread's next world sees does not depend on its last: the tables are emptied.

use std::cell::RefCell;
use std::rc::Rc;

use selvedge::store::database::{Batch, Cell, Database, DatabaseError, Outcome, Row, Statement};
use selvedge::{App, Settings};
use selvedge_sqlite::{Connection, Failure, rusqlite, transact};

use crate::clock::Clock;
use crate::dice::Dice;
use crate::host::Host;
use crate::scheduler::at_once;

/// The database itself. Clones are the same database.
#[derive(Clone)]
pub struct Store(Rc<Inner>);

struct Inner {
    connection: Connection,
    /// What brings the tables back to where they were after the migration.
    afresh: RefCell<Batch>,
}

thread_local! {
    static KEPT: RefCell<Option<Store>> = const { RefCell::new(None) };
}

impl Store {
    /// A database without a table.
    pub fn empty() -> Self {
        let raw = rusqlite::Connection::open_in_memory().expect("a database in memory opens");
        let connection = Connection::new(raw).expect("it takes its settings");
        Self(Rc::new(Inner { connection, afresh: RefCell::default() }))
    }

    /// This thread's migrated database, as if it were new. It is to be [kept](Store::keep) afterwards.
    pub fn migrated() -> Self {
        let store = KEPT.with(RefCell::take).unwrap_or_else(Self::migrate);
        let afresh = store.0.afresh.borrow();
        store.commit(std::slice::from_ref(&*afresh)).expect("tables can be emptied and filled");
        drop(afresh);
        store
    }

    /// Hands the database over to this thread's next world.
    pub fn keep(self) {
        if !self.0.afresh.borrow().writes.is_empty() {
            KEPT.with(|kept| kept.replace(Some(self)));
        }
    }

    fn migrate() -> Self {
        let store = Self::empty();
        let host = Host::new(Clock::default(), 0, Dice::new(0));
        let opened = at_once(App::open(store.clone(), host, Settings::default()));
        opened.map(drop).expect("an empty database is migrated");
        let names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
        let names: Vec<String> = store.rows(names, &[]).into_iter().map(|row| text(&row[0])).collect();
        let mut afresh = Batch::default();
        for name in names {
            afresh.push(Statement::new(format!("DELETE FROM {name}"), vec![]));
            let rows = store.view(&[Statement::new(format!("SELECT * FROM {name}"), vec![])]);
            for row in rows.expect("a table can be read").into_iter().flatten() {
                let places: Vec<String> = (1..=row.len()).map(|place| format!("?{place}")).collect();
                let sql = format!("INSERT INTO {name} VALUES ({})", places.join(", "));
                afresh.push(Statement::new(sql, row));
            }
        }
        store.0.afresh.replace(afresh);
        store
    }

    /// Whether a server has made the tables.
    pub fn is_migrated(&self) -> bool {
        !self.rows("SELECT 1 FROM sqlite_master WHERE name = 'history'", &[]).is_empty()
    }

    /// The rows of a statement, for those who check.
    pub fn rows(&self, sql: &'static str, params: &[Cell]) -> Vec<Row> {
        let rows = self.view(&[Statement::new(sql, params.to_vec())]);
        rows.expect("the simulation's own statement").into_iter().flatten().collect()
    }

    /// Runs reads in one view.
    pub fn view(&self, reads: &[Statement]) -> Result<Vec<Vec<Row>>, DatabaseError> {
        self.0.connection.view(reads).map_err(Failure::into_error)
    }

    /// Commits the batches of one call.
    pub fn commit(&self, batches: &[Batch]) -> Result<Vec<Outcome>, DatabaseError> {
        match transact(&self.0.connection, &mut vec![batches], &mut |_| {}, &|| {}) {
            Ok((mut answers, _)) => answers.pop().expect("one call, one answer"),
            Err(error) => {
                self.0.connection.abandon();
                Err(error)
            }
        }
    }
}

/// A cell as text; empty for NULL.
pub fn text(cell: &Cell) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Integer(number) => number.to_string(),
        Cell::Real(number) => number.to_string(),
        Cell::Text(text) => text.to_string(),
        Cell::Blob(bytes) => format!("{} bytes", bytes.len()),
    }
}

impl Database for Store {
    async fn read(&self, reads: Vec<Statement>) -> Result<Vec<Vec<Row>>, DatabaseError> {
        self.view(&reads)
    }

    fn write(&self, batches: Vec<Batch>) -> impl Future<Output = Result<Vec<Outcome>, DatabaseError>> {
        std::future::ready(self.commit(&batches))
    }
}
