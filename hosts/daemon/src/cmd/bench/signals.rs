//! Runs that wait for a signal: start, signal, result.

use std::sync::Arc;

use selvedge_load::{Connection, Failure, Protocol, Target, Workload, run};

use super::server::Server;
use super::stretch::Stretch;
use super::{Measured, plan, runs, warm_up};
use crate::cli::BenchArgs;

const NAME: &str = "signals";

/// Of each operation the run has an id of its own, so that nothing need be read from the answer to a start.
struct Signals {
    target: Target,
    prefix: String,
}

pub(super) async fn measure(args: &BenchArgs, server: &Server, connections: usize) -> Measured {
    let document = r#"{"selvedge":1,"name":"signals","tasks":{"ok":{"signal":"go"}},
        "output":"${{ tasks.ok.output }}"}"#;
    server.save(NAME, document.to_owned()).await?;
    // A server that somebody else runs may have runs of an earlier bench.
    let first = runs::start(server, r#"{"workflow":"signals"}"#).await?;
    let workload = Arc::new(Signals { target: server.target.clone(), prefix: first });
    run(workload.clone(), &warm_up(connections)).await?;
    let plan = plan(args, connections);
    let stretch = Stretch::begin(server).await?;
    let outcome = run(workload, &plan).await?;
    Ok(vec![stretch.end(server).await?.measurement(NAME, &plan, &outcome)])
}

impl Workload for Signals {
    type Connection = Connection;

    async fn connect(&self, _: usize) -> Result<Connection, Failure> {
        Ok(Connection::open(&self.target, Protocol::Http1).await?)
    }

    async fn operate(&self, connection: &mut Connection, number: u64) -> Result<(), Failure> {
        let id = format!("{}-{number}", self.prefix);
        let body = format!(r#"{{"workflow":"{NAME}","id":"{id}"}}"#);
        connection.post("/api/v1/runs", body).await?.of_status(201, "a start")?;
        let signal = format!("/api/v1/runs/{id}/signals/go");
        connection.post(&signal, r#"{"payload":{"ok":true}}"#).await?.of_status(202, "a signal")?;
        runs::result(connection, &id).await
    }
}
