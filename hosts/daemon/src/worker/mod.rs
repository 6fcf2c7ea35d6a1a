//! The shell worker: claims tasks over HTTP and runs their commands.
//!
//! ```text
//! work ── claim ──► attempt ── process: the command and its group
//!  │                   │  ├── output ──► logs: what it writes, on its way to the server
//!  │                   │  └── lease: heartbeats; says when to stop
//!  └── heartbeat       └── outcome: the report, until it is heard
//! ```

mod attempt;
mod backoff;
mod claims;
mod command;
mod lease;
mod logs;
mod outcome;
mod output;
mod process;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::client::Client;
use selvedge_tokio as platform;

pub(crate) use claims::work;

/// What a worker is.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) client: Client,
    pub(crate) worker_id: String,
    pub(crate) queues: Vec<String>,
    pub(crate) labels: Vec<String>,
    /// How many tasks run at once; at least one.
    pub(crate) concurrency: usize,
    pub(crate) lease_ttl: Duration,
    /// Between SIGTERM and SIGKILL.
    pub(crate) kill_grace: Duration,
    /// Between being asked to stop and giving tasks back.
    pub(crate) shutdown_grace: Duration,
}

/// As many tasks at once as there are processors.
pub(crate) fn concurrency_default() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// An id that says where the worker is and that no other worker has.
pub(crate) fn fresh_worker_id() -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let host: String = host
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-._~".contains(c) { c } else { '-' })
        .take(64)
        .collect();
    format!("{host}-{}", fresh_id())
}

/// A short random text.
fn fresh_id() -> String {
    let mut bytes = [0; 8];
    platform::random(&mut bytes);
    format!("{:016x}", u64::from_be_bytes(bytes))
}
