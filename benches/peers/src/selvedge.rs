//! Selvedge: the daemon on a database file, and an external worker.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use rustix::process::Signal;
use selvedge_load::{Connection, Protocol, Target};
use tokio::process::Command;

use crate::documents;
use crate::fault::Fault;
use crate::process::Process;

/// The daemon and the worker.
pub struct Selvedge {
    pub daemon: Process,
    pub worker: Process,
    /// Where the API is.
    pub url: String,
}

/// How it is started.
pub struct Options {
    /// The daemon's program.
    pub daemon: PathBuf,
    /// Our own program, which is also the worker.
    pub own: PathBuf,
    /// How many claims the worker has under way.
    pub claimers: usize,
    /// How many reports.
    pub reporters: usize,
}

impl Selvedge {
    /// Starts both, with the database in `directory`, and stores the workflows.
    pub async fn start(options: &Options, directory: &Path) -> Result<Selvedge, Fault> {
        let mut command = Command::new(&options.daemon);
        command.args(["serve", "--bind", "127.0.0.1:0", "--database"]).arg(directory.join("selvedge.db"));
        let log = directory.join("selvedge.log");
        let (daemon, _, url) = Process::announced("selvedge", command, &log).await?;
        let mut connection = Connection::open(&Target::find(&url).await?, Protocol::Http1).await?;
        for steps in documents::STEPS {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            let path = format!("/api/v1/workflows/{}", documents::name(steps));
            let document = Bytes::from(documents::document(steps).to_string());
            connection.send(Method::PUT, &path, headers, document).await?.of_status(201, &path)?;
        }
        let mut command = Command::new(&options.own);
        command.args(["selvedge-worker", &url]);
        command.args(["--claimers", &options.claimers.to_string()]);
        command.args(["--reporters", &options.reporters.to_string()]);
        let log = directory.join("selvedge-worker.log");
        let (worker, _, _) = Process::announced("the selvedge worker", command, &log).await?;
        Ok(Selvedge { daemon, worker, url })
    }

    /// Ends both.
    pub async fn stop(self) -> Result<(), Fault> {
        self.worker.stop(Signal::KILL).await?;
        self.daemon.stop(Signal::TERM).await.map(drop)
    }
}
