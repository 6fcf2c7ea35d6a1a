//! `selvedge serve` on a free port.

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use super::{Api, Ended, Process, command};

/// A server in a process of its own.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) url: String,
}

impl Server {
    /// Starts a server of this database, and comes back when it answers.
    pub(crate) async fn start(database: &Path) -> Self {
        Self::with(database, &[]).await
    }

    /// The same with further arguments.
    pub(crate) async fn with(database: &Path, more: &[&str]) -> Self {
        Self::at("127.0.0.1:0", database, more).await
    }

    /// The same on this address.
    pub(crate) async fn at(bind: &str, database: &Path, more: &[&str]) -> Self {
        let database = database.to_str().expect("a path of ASCII");
        let arguments = ["serve", "--bind", bind, "--database", database];
        Self::of(command(&[&arguments, more].concat())).await
    }

    /// Comes back when the server that this command is answers.
    pub(crate) async fn of(command: Command) -> Self {
        let mut process = Process::of(command);
        process.shows(", database ").await;
        let log = process.stderr();
        let url = log.split_once("listening on ").and_then(|(_, rest)| rest.split_once(','));
        let url = url.expect("the log names the address").0.to_owned();
        Self { process, url }
    }

    /// Where it listens, for another server that takes its place.
    pub(crate) fn address(&self) -> &str {
        self.url.strip_prefix("http://").expect("it speaks HTTP")
    }

    pub(crate) fn api(&self) -> Api {
        Api::new(&self.url)
    }

    /// A worker of this server as a process of its own, whose commands run in this directory.
    pub(crate) async fn worker(&self, directory: &Path, more: &[&str]) -> Process {
        let mut worker = command(&[&["worker", "--server", &self.url], more].concat());
        worker.current_dir(directory);
        let mut worker = Process::of(worker);
        worker.shows("working for").await;
        worker
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn stop(self) -> Ended {
        self.process.signal(Signal::TERM);
        self.process.ended().await
    }
}

/// An address of this machine where no other program is met on the port of a server that is gone. Each
/// `place` has another one.
pub(crate) fn own_address(place: u8) -> String {
    let pid = std::process::id();
    format!("127.{}.{}.{place}:0", pid >> 8 & 255, pid & 255)
}
