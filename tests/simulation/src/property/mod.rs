//! What must hold whatever goes wrong: one object for each promise.
//!
//! A property sees what happens as it happens and complains at once; some look again when all is over. None
//! of them knows what the others know, and none asks the server: they see answers and what was committed.

mod acknowledged;
mod answers;
mod history;
mod idempotency;
mod leases;
mod reads;
mod refusals;
mod replay;
mod wakes;

use selvedge::engine::Event;
use selvedge::time::Timestamp;

use crate::plan::Plan;
use crate::scene::Scene;
use crate::street::{Call, Reply};

/// Something that happens.
#[derive(Debug)]
pub enum Sight<'a> {
    /// A server begins to answer.
    Asked(&'a Call),
    /// An answer leaves the server.
    Answered(&'a Call, &'a Reply),
    /// Nobody will answer: the server died, or the one who asked has gone.
    Dropped(u64),
    /// A commit is in the database.
    Committed(&'a Commit),
    /// Nothing goes on until time passes.
    Quiet,
    /// Something went wrong, as planned.
    Trouble,
    /// A server has logged an error.
    Logged(&'a str),
}

/// A row of the history, as it was when it came.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The run.
    pub run: String,
    /// The number of its first event.
    pub seq: i64,
    /// That of its last.
    pub last_seq: i64,
    /// The place of the first among everything.
    pub cursor: i64,
    /// The events as stored.
    pub text: String,
    /// The events.
    pub events: Vec<Event>,
    /// When it came, by the world's clock.
    pub landed_at: Timestamp,
}

/// A promise.
pub trait Property {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Looks at what happens. The error says how it breaks the promise.
    fn observe(&mut self, sight: &Sight<'_>, scene: &Scene) -> Result<(), String>;

    /// Looks at what is there when everything is over.
    fn finish(&mut self, _scene: &Scene) -> Result<(), String> {
        Ok(())
    }
}

/// Every property.
pub fn all(plan: &Plan) -> Vec<Box<dyn Property>> {
    vec![
        Box::new(history::HistoryGrows::default()),
        Box::new(leases::OneHolder::default()),
        Box::new(acknowledged::Acknowledged::default()),
        Box::new(refusals::Refusals::default()),
        Box::new(idempotency::OneEffect::default()),
        Box::new(reads::ReadsAgree::default()),
        Box::new(answers::NoAnswerOutOfPlace),
        Box::new(wakes::NoLostWakeUp::new(plan)),
        Box::new(replay::RowsReplay),
    ]
}
