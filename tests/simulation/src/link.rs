//! One server's way to the database, which fails as such ways fail.
//!
//! What the server asks for waits here until the scheduler lets it happen. Writes stand in line from the moment
//! they are called; reads happen at any time after they were asked for. That is all that the trait promises
//! of an order, so it is all that a server gets.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::rc::Rc;

use futures_channel::oneshot;
use selvedge::store::clock;
use selvedge::store::database::{Batch, Cell, Database, DatabaseError, Outcome, Row, Statement};

use crate::clock::Clock;
use crate::store::Store;

/// What becomes of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It is done and answered.
    Done,
    /// It is done; the answer takes long.
    DoneLate,
    /// It is not done, and the answer says so.
    ErrorBefore,
    /// It is not done: there is no room, and the answer says so.
    Full,
    /// It is not done, and the answer says that nobody knows.
    LostBefore,
    /// It is done, and the answer says that nobody knows.
    ErrorAfter,
    /// It is done, the reply is lost, and after a while the driver gives up.
    ReplyLost,
    /// The answer says that nobody knows; it is done later, after other writes, or never. Of a database that
    /// others share: a request may outlive the one who waits for it.
    DoneAfterAll,
    /// Somebody else's commit comes between: every run has another revision. Of a shared database.
    Conflict,
}

impl Fate {
    /// All that are faults.
    pub const FAULTS: [Fate; 8] = [
        Fate::DoneLate,
        Fate::ErrorBefore,
        Fate::Full,
        Fate::LostBefore,
        Fate::ErrorAfter,
        Fate::ReplyLost,
        Fate::DoneAfterAll,
        Fate::Conflict,
    ];
}

/// What becomes of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReadFate {
    /// It is answered.
    Done,
    /// It is answered with what was there, but late.
    Late,
    /// It fails.
    Error,
    /// It fails after a while.
    ErrorLate,
}

impl ReadFate {
    /// All that are faults.
    pub const FAULTS: [ReadFate; 3] = [ReadFate::Late, ReadFate::Error, ReadFate::ErrorLate];
}

/// How long a late answer takes, in milliseconds.
pub const LATE: u64 = 1200;
/// How long a driver waits for a reply that was lost, in milliseconds.
pub const GIVES_UP_AFTER: u64 = 4000;

/// A way to the database. Clones are the same way.
#[derive(Clone)]
pub struct Link(Rc<Inner>);

struct Inner {
    store: Store,
    clock: Clock,
    reads: RefCell<Vec<Asked<Statement, Vec<Vec<Row>>>>>,
    writes: RefCell<VecDeque<Asked<Batch, Vec<Outcome>>>>,
}

/// What was asked, and where the answer goes.
type Asked<Q, A> = (Vec<Q>, Sender<A>);

type Answer<T> = Result<T, DatabaseError>;
/// Where an answer goes, with how many milliseconds it takes on its way.
type Sender<T> = oneshot::Sender<(Answer<T>, u64)>;

impl Link {
    /// A way to this database.
    pub fn new(store: Store, clock: Clock) -> Self {
        Self(Rc::new(Inner { store, clock, reads: RefCell::default(), writes: RefCell::default() }))
    }

    /// How many reads wait.
    pub fn reads(&self) -> usize {
        self.0.reads.borrow().len()
    }

    /// How many writes stand in line.
    pub fn writes(&self) -> usize {
        self.0.writes.borrow().len()
    }

    /// Lets one of the reads happen.
    pub fn land_read(&self, index: usize, fate: ReadFate) {
        let (reads, sender) = self.0.reads.borrow_mut().swap_remove(index);
        let answer = match fate {
            ReadFate::Done => (self.look(&reads), 0),
            ReadFate::Late => (self.look(&reads), LATE),
            ReadFate::Error => (Err(unavailable(false)), 0),
            ReadFate::ErrorLate => (Err(unavailable(false)), GIVES_UP_AFTER),
        };
        // Whoever asked may be gone.
        let _ = sender.send(answer);
    }

    /// Lets the first write in line happen. What is [done after all](Fate::DoneAfterAll) is handed back, for
    /// its time to come.
    pub fn land_write(&self, fate: Fate) -> Option<Vec<Batch>> {
        let (batches, sender) = self.0.writes.borrow_mut().pop_front()?;
        let mut later = None;
        let answer = match fate {
            Fate::Done => (self.0.store.commit(&batches), 0),
            Fate::DoneLate => (self.0.store.commit(&batches), LATE),
            Fate::ErrorBefore => (Err(unavailable(false)), 0),
            Fate::Full => (Err(DatabaseError::Storage("there is no room left".into())), 0),
            Fate::LostBefore => (Err(unavailable(true)), 0),
            Fate::ErrorAfter => (self.0.store.commit(&batches).and(Err(unavailable(true))), 0),
            Fate::ReplyLost => (self.0.store.commit(&batches).and(Err(unavailable(true))), GIVES_UP_AFTER),
            Fate::DoneAfterAll => {
                later = Some(batches);
                (Err(unavailable(true)), 0)
            }
            Fate::Conflict => {
                // Nobody else has anything in a database without tables.
                if self.0.store.is_migrated() {
                    self.0.store.commit(&[rival()]).expect("memory does not fail");
                }
                (self.0.store.commit(&batches), 0)
            }
        };
        let _ = sender.send(answer);
        later
    }

    /// The process has died: the writes that it had in line, in their order.
    pub fn abandon(&self) -> VecDeque<Vec<Batch>> {
        self.0.reads.take();
        self.0.writes.take().into_iter().map(|(batches, _)| batches).collect()
    }

    /// The database's clock is the world's.
    fn look(&self, reads: &[Statement]) -> Answer<Vec<Vec<Row>>> {
        let mut answers = self.0.store.view(reads)?;
        for (read, rows) in reads.iter().zip(&mut answers) {
            if read.sql == clock::NOW {
                *rows = vec![vec![Cell::Integer(self.0.clock.now().as_millis())]];
            }
        }
        Ok(answers)
    }

    fn wait<T>(
        &self,
        answer: oneshot::Receiver<(Answer<T>, u64)>,
    ) -> impl Future<Output = Answer<T>> + use<T> {
        let clock = self.0.clock.clone();
        async move {
            let (answer, millis) = answer.await.unwrap_or_else(|_| (Err(unavailable(true)), 0));
            if millis > 0 {
                clock.sleep(millis).await;
            }
            answer
        }
    }
}

/// A commit of somebody else that changes nothing but the revision of every run.
fn rival() -> Batch {
    let sql = "UPDATE runs SET revision = revision + 1, commit_id = commit_id + 1";
    let mut batch = Batch::default();
    batch.push(Statement::new(sql, vec![]));
    batch
}

fn unavailable(indeterminate: bool) -> DatabaseError {
    DatabaseError::Unavailable { message: "the simulation says so".to_owned(), indeterminate }
}

impl Database for Link {
    async fn read(&self, reads: Vec<Statement>) -> Answer<Vec<Vec<Row>>> {
        let (sender, answer) = oneshot::channel();
        self.0.reads.borrow_mut().push((reads, sender));
        self.wait(answer).await
    }

    fn write(&self, batches: Vec<Batch>) -> impl Future<Output = Answer<Vec<Outcome>>> {
        let (sender, answer) = oneshot::channel();
        self.0.writes.borrow_mut().push_back((batches, sender));
        self.wait(answer)
    }
}
