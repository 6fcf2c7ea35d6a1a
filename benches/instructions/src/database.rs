//! Two databases on the caller's own thread: SQLite in memory, and a stub that repeats what SQLite answered.
//!
//! The first is what a request costs without disk and threads; the second is what it costs without SQLite.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, ready};
use std::rc::Rc;

use selvedge::store::database::{Batch, Database, DatabaseError, Outcome, Row, Statement};
use selvedge_sqlite::{Connection, rusqlite, transact};

/// One answer of a database.
#[derive(Debug, Clone)]
enum Answered {
    Read(Vec<Vec<Row>>),
    Written(Vec<Outcome>),
}

/// SQLite in memory. It writes down what it answers.
pub(crate) struct Memory {
    connection: Connection,
    tape: Tape,
}

/// Answers as they were given, the oldest first. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tape(Rc<RefCell<VecDeque<Answered>>>);

/// Answers from a tape to whatever is asked.
pub(crate) struct Stub(pub(crate) Tape);

impl Memory {
    /// An empty one, and what it will have answered.
    pub(crate) fn open() -> (Memory, Tape) {
        let raw = rusqlite::Connection::open_in_memory().expect("there is memory");
        let connection = Connection::new(raw).expect("its pragmas are known");
        let tape = Tape::default();
        (Memory { connection, tape: tape.clone() }, tape)
    }
}

impl Database for Memory {
    fn read(&self, reads: Vec<Statement>) -> impl Future<Output = Result<Vec<Vec<Row>>, DatabaseError>> {
        let rows = self.connection.view(&reads).map_err(|failure| failure.into_error());
        if let Ok(rows) = &rows {
            self.tape.add(Answered::Read(rows.clone()));
        }
        ready(rows)
    }

    fn write(&self, batches: Vec<Batch>) -> impl Future<Output = Result<Vec<Outcome>, DatabaseError>> {
        let answered = transact(&self.connection, &mut vec![batches], &mut |_| {}, &|| {});
        let outcomes =
            answered.and_then(|(answers, _)| answers.into_iter().next().expect("one call, one answer"));
        if let Ok(outcomes) = &outcomes {
            self.tape.add(Answered::Written(outcomes.clone()));
        }
        ready(outcomes)
    }
}

impl Database for Stub {
    fn read(&self, _: Vec<Statement>) -> impl Future<Output = Result<Vec<Vec<Row>>, DatabaseError>> {
        match self.0.next() {
            Answered::Read(rows) => ready(Ok(rows)),
            Answered::Written(_) => panic!("a read where the recorded run wrote"),
        }
    }

    fn write(&self, _: Vec<Batch>) -> impl Future<Output = Result<Vec<Outcome>, DatabaseError>> {
        match self.0.next() {
            Answered::Written(outcomes) => ready(Ok(outcomes)),
            Answered::Read(_) => panic!("a write where the recorded run read"),
        }
    }
}

impl Tape {
    fn add(&self, answered: Answered) {
        self.0.borrow_mut().push_back(answered);
    }

    fn next(&self) -> Answered {
        self.0.borrow_mut().pop_front().expect("the recorded run asked as often")
    }
}
