//! A database that fails when the test says so: the faults of disks and networks, on demand.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use event_listener::Event;
use selvedge::platform::Platform;
use selvedge::store::clock;
use selvedge::store::database::{Batch, Cell, Database, DatabaseError, Outcome, Row, Statement};

use crate::platform::VirtualPlatform;

/// How a [`Faulty`] database behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// It does what it is asked.
    #[default]
    Whole,
    /// Reads and writes find it unavailable.
    Fail,
    /// Reads find it unavailable; writes go through.
    FailReads,
    /// Writes find it unavailable and are not done; reads go through.
    FailWrites,
    /// Reads and writes meet a defect.
    Break,
    /// Writes are done, but nobody hears of it until the database is whole again.
    Hold,
    /// Writes are not done, and nobody hears of it until the database is whole again.
    Lose,
}

impl Mode {
    /// Every mode with its word.
    pub const WORDS: [(&str, Mode); 7] = [
        ("heal", Mode::Whole),
        ("fail", Mode::Fail),
        ("fail_reads", Mode::FailReads),
        ("fail_writes", Mode::FailWrites),
        ("break", Mode::Break),
        ("hold", Mode::Hold),
        ("lose", Mode::Lose),
    ];
}

/// The switch of a [`Faulty`] database. Clones are the same switch.
#[derive(Debug, Clone, Default)]
pub struct Switch(Arc<State>);

#[derive(Debug, Default)]
struct State {
    mode: Mutex<Mode>,
    held: AtomicUsize,
    changed: Event,
}

impl Switch {
    /// Changes how the database behaves from now on.
    pub fn set(&self, mode: Mode) {
        *self.0.mode.lock().unwrap_or_else(PoisonError::into_inner) = mode;
        self.0.changed.notify(usize::MAX);
    }

    /// How it behaves.
    pub fn mode(&self) -> Mode {
        *self.0.mode.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it keeps its answers back.
    pub fn holds(&self) -> bool {
        matches!(self.mode(), Mode::Hold | Mode::Lose)
    }

    /// How many writes have been held back so far.
    pub fn held(&self) -> usize {
        self.0.held.load(Ordering::SeqCst)
    }

    /// Comes back when the database does not hold answers back.
    async fn let_go(&self) {
        if self.holds() {
            self.0.held.fetch_add(1, Ordering::SeqCst);
        }
        loop {
            let ear = self.0.changed.listen();
            if !self.holds() {
                return;
            }
            ear.await;
        }
    }
}

/// A database over another one, with a switch. Asked for the time it says that of the test's clock.
#[derive(Debug, Clone)]
pub struct Faulty<D> {
    inner: D,
    switch: Switch,
    platform: VirtualPlatform,
}

impl<D> Faulty<D> {
    /// This database, whole until the switch says otherwise.
    pub fn new(inner: D, switch: Switch, platform: VirtualPlatform) -> Self {
        Self { inner, switch, platform }
    }
}

impl<D: Database> Database for Faulty<D> {
    async fn read(&self, reads: Vec<Statement>) -> Result<Vec<Vec<Row>>, DatabaseError> {
        match self.switch.mode() {
            Mode::Fail | Mode::FailReads => Err(unavailable()),
            Mode::Break => Err(broken()),
            Mode::Whole | Mode::FailWrites | Mode::Hold | Mode::Lose => {
                let asks_time: Vec<bool> = reads.iter().map(|read| read.sql == clock::NOW).collect();
                let mut answers = self.inner.read(reads).await?;
                let now = Cell::Integer(self.platform.now().as_millis());
                for (rows, _) in answers.iter_mut().zip(asks_time).filter(|(_, asks_time)| *asks_time) {
                    *rows = vec![vec![now.clone()]];
                }
                Ok(answers)
            }
        }
    }

    fn write(&self, batches: Vec<Batch>) -> impl Future<Output = Result<Vec<Outcome>, DatabaseError>> {
        // In line when this is called, as the trait promises.
        let written = match self.switch.mode() {
            Mode::Fail | Mode::FailWrites | Mode::Lose => Err(unavailable()),
            Mode::Break => Err(broken()),
            Mode::Whole | Mode::FailReads | Mode::Hold => Ok(self.inner.write(batches)),
        };
        async move {
            let outcomes = match written {
                Ok(writing) => writing.await,
                Err(error) => Err(error),
            };
            self.switch.let_go().await;
            outcomes
        }
    }
}

fn unavailable() -> DatabaseError {
    DatabaseError::Unavailable { message: "the test says so".to_owned(), indeterminate: false }
}

fn broken() -> DatabaseError {
    DatabaseError::Broken("the test says so, at /secret/path".to_owned())
}
