//! A durable workflow server that is one pure function, `http::Request -> http::Response`.
//!
//! [`App`] is the server: over a [`Database`](store::database::Database) it keeps its state in, on a
//! [`Platform`](platform::Platform) that gives it a clock, randomness and a way out.
//! [`App::handle`] answers one request; [`App::drive`] does what happens without one. Core itself does no
//! I/O, asks no clock and starts no thread, so that the same server runs as a daemon, in a function, in a
//! browser and inside other programs.
//!
//! The rings, from the outside in: [`http`] reads requests and writes answers, [`app`] loads and commits,
//! [`store`] knows the SQL, [`engine`] decides, [`workflow`] reads documents.
#![forbid(unsafe_code)]

pub mod app;
pub mod engine;
pub mod http;
pub mod ids;
pub mod module;
#[cfg(feature = "planted")]
pub mod planted;
#[cfg(not(feature = "planted"))]
pub(crate) mod planted;
pub mod platform;
pub mod rpc;
pub mod store;
pub mod time;
pub mod value;
pub mod workflow;

pub use app::{App, Budget, OpenError, Settings};
