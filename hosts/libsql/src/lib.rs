//! Selvedge's database on libsql.
//!
//! [`Local`] keeps it in a file that one process owns, or in memory. [`Remote`] asks a libsql server, sqld
//! or Turso, which any number of processes share. [`Libsql`] is either, chosen by a [`Place`]. A driver runs
//! the statements that it is given and holds no rule of ours; what it promises is written down at
//! [`Database`](selvedge::store::database::Database).
//!
//! libsql's files are reached through `libsql-rusqlite`, the binding that libsql's own server uses, rather
//! than through the `libsql` crate: that one cuts a text at its first NUL when it reads it back, panics on a
//! text that is not UTF-8, drops errors of binding, and wraps calls that never wait in boxed futures. Its
//! remote side takes a round trip for each statement of a transaction, where one suffices.
#![forbid(unsafe_code)]

mod either;
pub mod local;
pub mod remote;

pub use either::{Libsql, OpenError, Place, PlaceError};
pub use local::Local;
pub use remote::{Address, Remote, Token};
