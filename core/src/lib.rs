//! A durable workflow server that is one pure function, `http::Request -> http::Response`.
#![forbid(unsafe_code)]

pub mod app;
pub mod http;
pub mod ids;
pub mod platform;
pub mod store;
pub mod time;
pub mod value;
pub mod workflow;

pub use app::{App, Budget, OpenError, Settings};
