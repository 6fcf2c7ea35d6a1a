//! What the load generator asks over HTTP/1.1: one workflow from its start to its result is one request, both at
//! Restate's ingress and at Selvedge's API.

use selvedge_load::{Connection, Failure, Protocol, Target, Workload};
use serde::Deserialize;

use crate::documents;
use crate::engine::expect_sum;
use crate::fault::Fault;

/// Requests to one server.
pub struct Calls {
    target: Target,
    what: What,
}

/// What is asked.
#[derive(Debug, Clone)]
pub enum What {
    /// A workflow of so many steps, of Restate.
    Restate(u32),
    /// A workflow of so many steps, of Selvedge.
    Selvedge(u32),
    /// The same thing again and again.
    Get(String),
}

#[derive(Deserialize)]
struct Sum {
    n: u64,
}

/// A run of Selvedge, as far as it matters.
#[derive(Deserialize)]
struct Run {
    output: Option<Sum>,
}

impl Calls {
    /// To the server at `url`.
    pub async fn to(url: &str, what: What) -> Result<Calls, Fault> {
        Ok(Calls { target: Target::find(url).await?, what })
    }
}

impl Workload for Calls {
    type Connection = Connection;

    async fn connect(&self, _: usize) -> Result<Connection, Failure> {
        Ok(Connection::open(&self.target, Protocol::Http1).await?)
    }

    async fn operate(&self, connection: &mut Connection, n: u64) -> Result<(), Failure> {
        let (steps, sum) = match &self.what {
            What::Restate(steps) => {
                let body = format!(r#"{{"n":{n},"steps":{steps}}}"#);
                let answer = connection.post("/Steps/run", body).await?.of_status(200, "a workflow")?;
                (*steps, serde_json::from_slice::<Sum>(&answer.body)?)
            }
            What::Selvedge(steps) => {
                let name = documents::name(*steps);
                let body = format!(r#"{{"workflow":"{name}","input":{{"n":{n}}}}}"#);
                let answer = connection.post("/api/v1/runs?wait=60s", body).await?.of_status(201, "a run")?;
                let run: Run = serde_json::from_slice(&answer.body)?;
                (*steps, run.output.ok_or("expected a completed run, found one without an output")?)
            }
            What::Get(path) => {
                connection.get(path).await?.of_status(200, path)?;
                return Ok(());
            }
        };
        expect_sum(steps, n, sum.n).map_err(|Fault(text)| text.into())
    }
}
