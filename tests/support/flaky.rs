//! A database that fails as databases fail, when a seed says so.
//!
//! Writes stand in line from the moment they are called until the scheduler lets one land. Then it commits,
//! or is lost before it is tried, or commits and its answer is lost. A crash loses what is still in line,
//! all of it or from some place on.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use selvedge::store::database::{Batch, Database, DatabaseError, Outcome, Row, Statement};
use selvedge_libsql::Local;

/// What becomes of the next operation in line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is done and answered.
    Done,
    /// It is not done, and the answer says so.
    Unavailable,
    /// It is not done, and nobody knows.
    LostBefore,
    /// It is done, and nobody knows.
    LostAfter,
}

/// A database whose operations land one by one.
#[derive(Clone)]
pub struct Flaky {
    inner: Local,
    line: Rc<RefCell<VecDeque<Operation>>>,
}

enum Operation {
    Read(Vec<Statement>, Slot<Vec<Vec<Row>>>),
    Write(Vec<Batch>, Slot<Vec<Outcome>>),
}

type Slot<T> = Rc<RefCell<Answer<T>>>;

struct Answer<T> {
    value: Option<Result<T, DatabaseError>>,
    waker: Option<Waker>,
}

struct Wait<T>(Slot<T>);

impl<T> Future for Wait<T> {
    type Output = Result<T, DatabaseError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut answer = self.0.borrow_mut();
        match answer.value.take() {
            Some(value) => Poll::Ready(value),
            None => {
                answer.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

fn slot<T>() -> Slot<T> {
    Rc::new(RefCell::new(Answer { value: None, waker: None }))
}

fn answer<T>(slot: &Slot<T>, value: Result<T, DatabaseError>) {
    let mut answer = slot.borrow_mut();
    answer.value = Some(value);
    if let Some(waker) = answer.waker.take() {
        waker.wake();
    }
}

impl Flaky {
    /// A flaky way to this database.
    pub fn new(inner: Local) -> Self {
        Self { inner, line: Rc::default() }
    }

    /// How many operations stand in line.
    pub fn waiting(&self) -> usize {
        self.line.borrow().len()
    }

    /// Whether the next operation in line writes.
    pub fn writes_next(&self) -> bool {
        matches!(self.line.borrow().front(), Some(Operation::Write(..)))
    }

    /// Lets the next operation land, with this fate. Reads are done or not; there is nothing to lose.
    pub async fn land(&self, fate: Fate) {
        let next = self.line.borrow_mut().pop_front();
        match next {
            None => {}
            Some(Operation::Read(reads, slot)) => match fate {
                Fate::Done => {
                    let rows = self.inner.read(reads).await;
                    answer(&slot, rows);
                }
                Fate::Unavailable | Fate::LostBefore | Fate::LostAfter => {
                    answer(&slot, Err(failed(false)));
                }
            },
            Some(Operation::Write(batches, slot)) => match fate {
                Fate::Done => {
                    let outcomes = self.inner.write(batches).await;
                    answer(&slot, outcomes);
                }
                Fate::Unavailable => answer(&slot, Err(failed(false))),
                Fate::LostBefore => answer(&slot, Err(failed(true))),
                Fate::LostAfter => {
                    self.inner.write(batches).await.expect("memory does not fail");
                    answer(&slot, Err(failed(true)));
                }
            },
        }
    }

    /// The process dies: so many of the writes in line land without anybody learning of it, the rest does not.
    pub async fn crash(&self, landing: usize) {
        let line = std::mem::take(&mut *self.line.borrow_mut());
        let writes = line.into_iter().filter_map(|operation| match operation {
            Operation::Read(..) => None,
            Operation::Write(batches, _) => Some(batches),
        });
        for batches in writes.take(landing) {
            self.inner.write(batches).await.expect("memory does not fail");
        }
    }
}

fn failed(indeterminate: bool) -> DatabaseError {
    DatabaseError::Unavailable { message: "the test says so".to_owned(), indeterminate }
}

impl Database for Flaky {
    async fn read(&self, reads: Vec<Statement>) -> Result<Vec<Vec<Row>>, DatabaseError> {
        let slot = slot();
        self.line.borrow_mut().push_back(Operation::Read(reads, slot.clone()));
        Wait(slot).await
    }

    fn write(&self, batches: Vec<Batch>) -> impl Future<Output = Result<Vec<Outcome>, DatabaseError>> {
        let slot = slot();
        self.line.borrow_mut().push_back(Operation::Write(batches, slot.clone()));
        Wait(slot)
    }
}
