//! What the tests of the real binary share: processes that end with their test, a server, and its API.
//!
//! Nothing here sleeps for a fixed time to let something happen: [`eventually`] looks until it has, and says
//! what did not when [`PATIENCE`] is over.
#![allow(dead_code, unused_imports, reason = "each file of tests uses a part of it")]

mod api;
mod process;
mod sandbox;
mod server;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};

pub(crate) use api::{Api, Lost, Reply};
pub(crate) use process::{Ended, Process, command, is_running};
pub(crate) use sandbox::{sandboxed, seen_by};
pub(crate) use server::{Server, own_address};

/// How long a test waits for what should happen soon. Long, because other tests run at the same time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);
/// The pause between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Looks until there is something to see.
pub(crate) async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    eventually_within(PATIENCE, what, look).await
}

/// Looks for this long until there is something to see.
pub(crate) async fn eventually_within<T>(
    patience: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let end = Instant::now() + patience;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < end, "waited {patience:?} for this: {what}");
        sleep(LOOK_INTERVAL).await;
    }
}

/// Runs the binary to its end.
pub(crate) async fn run(arguments: &[&str]) -> Ended {
    Process::start(arguments).ended().await
}

/// A directory that goes away with the test.
pub(crate) fn directory() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("selvedge-test-").tempdir().expect("a temporary directory")
}

/// A file of this repository.
pub(crate) fn of_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Writes a file and returns its path as an argument.
pub(crate) fn file(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, text).expect("a writable directory");
    path.to_str().expect("a path of ASCII").to_owned()
}
