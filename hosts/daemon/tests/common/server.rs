//! `selvedge serve` on a free port.

use std::path::Path;

use rustix::process::Signal;

use super::{Api, Ended, Process, eventually};

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
        Self::at("127.0.0.1", database, more).await
    }

    /// The same on this address, on a port that is free there.
    pub(crate) async fn at(address: &str, database: &Path, more: &[&str]) -> Self {
        let database = database.to_str().expect("a path of ASCII");
        let bind = format!("{address}:0");
        let arguments = ["serve", "--bind", &bind, "--database", database];
        let mut process = Process::start(&[&arguments, more].concat());
        process.shows("listening on").await;
        // The address follows the line of the log, on the other stream.
        let url = eventually("the server prints its address", async || {
            process.stdout().lines().next().map(str::to_owned).filter(|_| process.stdout().ends_with('\n'))
        })
        .await;
        Self { process, url }
    }

    pub(crate) fn api(&self) -> Api {
        Api::new(&self.url)
    }

    /// A worker of this server as a process of its own.
    pub(crate) async fn worker(&self, more: &[&str]) -> Process {
        let mut worker = Process::start(&[&["worker", "--server", &self.url], more].concat());
        worker.shows("working for").await;
        worker
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn stop(self) -> Ended {
        self.process.signal(Signal::TERM);
        self.process.ended().await
    }
}
