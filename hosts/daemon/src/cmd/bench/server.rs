//! The server that is measured: a process that was started for it, or one that runs anyway.

use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use selvedge_load::{Connection, Meter, Protocol, Target, Usage};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::BenchError;
use super::counts::Counts;

/// A server that answers.
pub(super) struct Server {
    /// Where it answers.
    pub(super) target: Target,
    /// The process, if it was started for this; killed when this is dropped.
    child: Option<Child>,
}

impl Server {
    /// One that somebody else runs. What it uses is not known.
    pub(super) async fn at(url: &str) -> Result<Server, BenchError> {
        Ok(Server { target: Target::find(url).await?, child: None })
    }

    /// This binary again, as a server on the file, with all settings at their defaults.
    pub(super) async fn start(database: &Path) -> Result<Server, BenchError> {
        let failed = |cause| BenchError::Machine { what: "the server cannot be started".into(), cause };
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("SELVEDGE_") {
                command.env_remove(name);
            }
        }
        command.args(["serve", "--bind", "127.0.0.1:0", "--log-level", "warn", "--database"]).arg(database);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(failed)?;
        let mut url = String::new();
        let output = child.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut url).await.map_err(failed)?;
        if url.is_empty() {
            return Err(BenchError::Server("ended before it answered".to_owned()));
        }
        Ok(Server { target: Target::find(url.trim()).await?, child: Some(child) })
    }

    /// One more connection to it.
    pub(super) async fn connect(&self) -> Result<Connection, BenchError> {
        Ok(Connection::open(&self.target, Protocol::Http1).await?)
    }

    /// What the process has used so far; none of one that somebody else runs.
    pub(super) fn used(&self) -> Result<Option<Usage>, BenchError> {
        let Some(pid) = self.child.as_ref().and_then(Child::id) else { return Ok(None) };
        let used = Meter::process(pid).look();
        used.map(Some).map_err(|cause| BenchError::Machine { what: "the server is gone".into(), cause })
    }

    /// What it has counted so far.
    pub(super) async fn counts(&self) -> Result<Counts, BenchError> {
        let answer = self.connect().await?.get("/metrics").await?.of_status(200, "GET /metrics")?;
        Ok(Counts::read(&String::from_utf8_lossy(&answer.body)))
    }

    /// Saves a workflow.
    pub(super) async fn save(&self, name: &str, document: String) -> Result<(), BenchError> {
        let json = http::HeaderValue::from_static("application/json");
        let headers = http::HeaderMap::from_iter([(http::header::CONTENT_TYPE, json)]);
        let path = format!("/api/v1/workflows/{name}");
        let answer = self.connect().await?.send(http::Method::PUT, &path, headers, document.into()).await?;
        match answer.status.as_u16() {
            200 | 201 => Ok(()),
            _ => Err(answer.of_status(201, &path).expect_err("it is another").into()),
        }
    }

    /// Lets the process end by itself, so that its database is whole.
    pub(super) async fn stop(mut self) -> Result<(), BenchError> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        if let Some(pid) = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
            // It may have ended by itself, which the wait finds out.
            let _ = kill_process(pid, Signal::TERM);
        }
        let ended = child.wait().await;
        let ended =
            ended.map_err(|cause| BenchError::Machine { what: "the server is gone".into(), cause })?;
        if ended.success() { Ok(()) } else { Err(BenchError::Server(format!("ended with {ended}"))) }
    }
}
