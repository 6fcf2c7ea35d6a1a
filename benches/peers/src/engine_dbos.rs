//! DBOS's side of the embedded shape: a workflow function of its Rust crate, every step a `dbos::step`, started
//! directly and not through a queue.

use dbos::{Config, DBOS, RunOptions, WorkflowRef};
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::fault::{Fault, fault};

/// What a workflow is started with.
#[derive(Serialize, Deserialize)]
struct Input {
    n: u64,
    steps: u32,
}

/// A launched instance.
pub struct Dbos {
    workflow: WorkflowRef<Input, u64>,
    /// Kept for as long as workflows run.
    _instance: DBOS,
}

impl Dbos {
    /// Makes the tables in the database at `url` and launches, with a pool of `connections`.
    pub async fn open(url: &str, connections: u32) -> Result<Dbos, Fault> {
        let config = Config {
            app_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            max_connections: connections,
            ..Config::new("peers", url)
        };
        let instance = DBOS::new(config);
        let workflow = instance.register_workflow("steps", steps).map_err(|cause| fault!("dbos: {cause}"))?;
        instance.launch().await.map_err(|cause| fault!("dbos: {cause}"))?;
        Ok(Dbos { workflow, _instance: instance })
    }
}

impl Engine for Dbos {
    async fn run(&self, steps: u32, n: u64) -> Result<u64, Fault> {
        let answer = self.workflow.run_with(Input { n, steps }, RunOptions::default()).await;
        answer.map_err(|cause| fault!("dbos: {cause}"))
    }
}

async fn steps(Input { mut n, steps }: Input) -> dbos::Result<u64> {
    for _ in 0..steps {
        n = dbos::step("step", || async move { dbos::Result::Ok(n + 1) }).await?;
    }
    Ok(n)
}
