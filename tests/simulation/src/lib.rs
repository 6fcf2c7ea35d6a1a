//! Worlds in which everything goes wrong, and what must hold in all of them.
//!
//! A seed makes a [plan](plan::Plan): servers, clients, workers and mishaps. The [world] plays it on
//! one thread and in a time of its own, on the real server over a real SQLite, in an order that the seed
//! decides. [Properties](property) watch, beside a [model] that knows what a run may be. A seed that
//! breaks a promise is [brought down](play::shrink) to the parts that it takes.
//!
//! `docs/simulation.md` says how to use it.

pub mod clock;
pub mod coverage;
pub mod dice;
pub mod documents;
pub mod host;
pub mod link;
pub mod many;
pub mod model;
pub mod people;
pub mod plan;
pub mod play;
pub mod property;
pub mod scene;
pub mod scheduler;
pub mod server;
pub mod store;
pub mod street;
pub mod trace;
pub mod transitions;
pub mod world;
