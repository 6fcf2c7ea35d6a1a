//! Selvedge's database on libsql.
//!
//! [`Local`] keeps it in a file that one process owns, or in memory. A driver runs the statements that it
//! is given and holds no rule of ours; what it promises is written down at
//! [`Database`](selvedge::store::database::Database).
//!
//! libsql is reached through `libsql-rusqlite`, the binding that libsql's own server uses, rather than
//! through the `libsql` crate: that one cuts a text at its first NUL when it reads it back, panics on a
//! text that is not UTF-8, drops errors of binding, and wraps calls that never wait in boxed futures.
#![forbid(unsafe_code)]

pub mod local;

pub use local::Local;
