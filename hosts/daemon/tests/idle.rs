//! A server that has nothing to do does nothing: no query, no wake-up, no time of a processor.

mod common;

use std::time::Duration;

use selvedge_load::{Connection, Meter, Protocol, Target, Usage};
use serde_json::json;

use common::{Server, directory, eventually};

/// How long nothing must happen. Nothing can only be seen by waiting.
const WATCHED: Duration = Duration::from_secs(3);
/// Between two looks whether the server has come to rest.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A task that sleeps for long, and one that a worker has not asked for.
const DOCUMENT: &str =
    "selvedge: 1\nname: waits\ntasks:\n  nap: { sleep: 30d }\n  work: { worker: nobody }\n";

#[tokio::test]
async fn an_idle_server_neither_wakes_nor_asks() {
    let directory = directory();
    let server = Server::start(&directory.path().join("idle.db")).await;
    let api = server.api();
    api.start(DOCUMENT, "r").await;
    let claim = json!({"worker_id": "w", "queues": ["nobody"], "lease_ttl": "1h"});
    api.post("/tasks/claim", claim).await.expect(200);

    let meter = Meter::process(server.process.id());
    let look = || meter.look().expect("the server runs");
    rest(&look).await;
    let counted = queries(&server.url).await;
    // The answer to that may still have been on its way out.
    let before = rest(&look).await;
    tokio::time::sleep(WATCHED).await;
    let since = look().since(&before);
    assert_eq!(since.waits, 0, "threads woke up: {since:?}");
    assert_eq!(since.cpu(), Duration::ZERO, "{since:?}");
    assert_eq!((since.written, since.writes), (0, 0), "{since:?}");
    assert_eq!(queries(&server.url).await, counted, "the database was asked");
    let Usage { resident, .. } = look();
    assert!(resident > 0, "the meter reads what is there");
    server.stop().await;
}

/// What the server has used by the time that it comes to rest.
async fn rest(look: impl Fn() -> Usage) -> Usage {
    let mut last = look();
    eventually("the server comes to rest", async || {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = look();
        let is_at_rest = now.waits == last.waits;
        last = now;
        is_at_rest.then_some(last)
    })
    .await
}

/// Reads and writes of the database so far.
async fn queries(url: &str) -> Vec<String> {
    let target = Target::find(url).await.expect("an address");
    let mut connection = Connection::open(&target, Protocol::Http1).await.expect("somebody listens");
    let answer = connection.get("/metrics").await.expect("the server answers");
    let metrics = String::from_utf8_lossy(&answer.body).into_owned();
    let lines = metrics.lines().filter(|line| line.starts_with("selvedge_database_"));
    let lines: Vec<String> = lines.map(str::to_owned).collect();
    assert!(lines.len() >= 4, "{metrics}");
    lines
}
