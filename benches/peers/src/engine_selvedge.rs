//! Selvedge's side of the embedded shape: a server in this process on a database file, and a closure as worker.

use std::path::Path;

use http::Method;
use selvedge_embed::{Options, Server, TaskError, WorkerOptions};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::documents::{self, QUEUE};
use crate::engine::Engine;
use crate::fault::{Fault, fault};

/// More tasks at once than the bench has callers: a claim waits with free slots whenever something becomes ready.
const CONCURRENCY: usize = 256;

#[derive(Serialize, Deserialize)]
struct Number {
    n: u64,
}

/// An open server.
pub struct Embedded {
    server: Server,
}

impl Embedded {
    /// Opens the database file, stores the workflows and starts the worker.
    pub async fn open(file: &Path) -> Result<Embedded, Fault> {
        let server = Server::open(Options::file(file)).await?;
        for steps in documents::STEPS {
            let path = format!("/api/v1/workflows/{}", documents::name(steps));
            server.call(Method::PUT, &path, Some(&documents::document(steps))).await?;
        }
        let options = WorkerOptions { concurrency: CONCURRENCY, ..WorkerOptions::default() };
        server.worker_with(QUEUE, options, |input: Number, _| async move {
            Ok::<_, TaskError>(Number { n: input.n + 1 })
        })?;
        Ok(Embedded { server })
    }
}

impl Engine for Embedded {
    async fn run(&self, steps: u32, n: u64) -> Result<u64, Fault> {
        let run = json!({ "workflow": documents::name(steps), "input": { "n": n } });
        let answer = self.server.call(Method::POST, "/api/v1/runs?wait=60s", Some(&run)).await?;
        answer["output"]["n"].as_u64().ok_or_else(|| fault!("expected a completed run, found {answer}"))
    }
}
