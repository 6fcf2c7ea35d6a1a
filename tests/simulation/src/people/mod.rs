//! Clients and workers: honest, impatient, slow, dying, answering late or twice, lying.

mod client;
mod worker;

pub use client::client;
pub use worker::worker;
