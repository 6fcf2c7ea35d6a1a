//! A second opinion: what a run may be, said anew and more simply than the engine says it.
//!
//! The model is fed with what was committed, event by event, and refuses what may not be. It shares the
//! names of events with the engine and nothing else: it reads documents itself, counts no unmet needs, keeps
//! no timers, and knows no slices, rows or leases in a table. So it says of every commit whether it could
//! have followed from what was committed before, and of every moment what must have happened by now.

mod commit;
pub mod event;
mod run;
mod spec;
mod timers;

pub use run::{Ended, Held, Phase, Run, Signal, State, TaskState};
pub use spec::Spec;
pub use timers::Due;
