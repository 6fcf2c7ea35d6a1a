//! How statements and batches run on one connection of SQLite: what every driver needs that has SQLite in
//! its own process.
//!
//! The drivers say where the pages lie, who waits for whom and when a commit is durable. What a statement
//! may be, how a batch is kept apart from its neighbours and what an error means is the same for all, and
//! is here: `selvedge-libsql` runs it on libsql and a file, the Service Worker on SQLite in WebAssembly.
#![forbid(unsafe_code)]

mod connection;
mod failure;
mod transaction;

/// The binding underneath, for drivers that open connections in their own way.
pub use rusqlite;

pub use connection::Connection;
pub use failure::Failure;
pub use transaction::{Answer, transact};
