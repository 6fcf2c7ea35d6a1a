//! How often each command asks the database, which is what it costs where the database is far.
//!
//! Warm: the same server has granted or started what the command is about. Cold: another server has. The
//! document is compiled on both, as it is after the first run of a workflow. The counts are printed:
//! `cargo test --test round_trips -- --nocapture`.
#![allow(clippy::print_stdout, reason = "the counts are what the test is for")]

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use selvedge::value::Value;
use selvedge::{App, Settings};
use selvedge_libsql::Remote;
use selvedge_test_sqld::Sqld;
use selvedge_tests::meter::{Count, Meter};
use selvedge_tokio::TokioPlatform;

/// `a` and `b` on one queue, `b` reading what `a` puts out.
const DOCUMENT: &str = r#"{"selvedge":1,"name":"two","tasks":{"a":{"worker":"q"},
    "b":{"needs":["a"],"worker":"q","with":{"from":"${{ tasks.a.output }}"}}}}"#;

/// One of the servers on a database.
struct Server {
    app: App<Meter<Remote>, TokioPlatform>,
    meter: Meter<Remote>,
}

/// Which server a command goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    Warm,
    Cold,
}

impl Server {
    async fn new(database: &Remote) -> Self {
        let meter = Meter::new(database.clone());
        let settings = Settings { shared: true, durability: "server", ..Settings::default() };
        let app = App::open(meter.clone(), TokioPlatform::default(), settings).await.expect("it opens");
        Self { app, meter }
    }

    /// Sends a request and says how often the database was asked for it.
    async fn call(&self, method: &str, path: &str, body: &str) -> (Value, Count) {
        self.meter.take();
        let request = Request::builder().method(method).uri(format!("/api/v1/{path}"));
        let request = request.header("content-type", "application/json");
        let body = Full::new(Bytes::from(body.to_owned()));
        let answer = self.app.handle(request.body(body).expect("a valid request")).await;
        let status = answer.status();
        let bytes = answer.into_body().collect().await.expect("bodies cannot fail").to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        let value = if bytes.is_empty() { Value::Null } else { Value::from_json(&bytes).expect("JSON") };
        (value, self.meter.take())
    }
}

#[tokio::test]
async fn a_command_costs_at_most_one_read_and_one_write() {
    let sqld = Sqld::start();
    let address = sqld.url().parse().expect("it is the address of a server");
    let database = Remote::open(address, None).await.expect("it answers");
    let servers = Arc::new([Server::new(&database).await, Server::new(&database).await]);
    let [warm, cold] = &*servers;
    let pick = |to: To| if to == To::Warm { warm } else { cold };
    warm.call("PUT", "workflows/two", DOCUMENT).await;
    // A first run on each server: its document is compiled, its queue's lanes are known.
    for (server, id) in [(warm, "w"), (cold, "c")] {
        server.call("POST", "runs", &format!(r#"{{"workflow":"two","id":"{id}"}}"#)).await;
        run_to_its_end(server).await;
    }
    let mut rows = Vec::new();
    for (index, to) in [To::Warm, To::Cold].into_iter().enumerate() {
        let (id, other) = (format!("r{index}"), pick(to));
        let mut row =
            |what: &'static str, to: To, count: Count, most: u64| rows.push((what, to, count, most));
        let (_, count) = warm.call("POST", "runs", &format!(r#"{{"workflow":"two","id":"{id}"}}"#)).await;
        row("start", To::Warm, count, 1);
        for _ in 0..2 {
            let claim = r#"{"worker_id":"x","queues":["q"]}"#;
            let (claimed, count) = other.call("POST", "tasks/claim", claim).await;
            row("claim", to, count, 2);
            let lease = lease_of(&claimed);
            let holder = if to == To::Warm { other } else { warm };
            let (_, count) = holder.call("POST", &format!("leases/{lease}/heartbeat"), "").await;
            row("heartbeat", to, count, 2);
            let complete = format!("leases/{lease}/complete");
            let (_, count) = holder.call("POST", &complete, r#"{"output":{"n":1}}"#).await;
            row("complete", to, count, if to == To::Warm { 1 } else { 2 });
        }
        let (run, count) = other.call("GET", &format!("runs/{id}"), "").await;
        assert_eq!(run.get("status").and_then(Value::as_str), Some("completed"));
        row("get", to, count, 1);
        let (_, count) = other.call("GET", &format!("runs/{id}/result"), "").await;
        row("result", to, count, 1);
    }
    println!("{:10} {:5} {:>5} {:>6} {:>8}", "command", "state", "reads", "writes", "at most");
    for (what, to, count, most) in &rows {
        println!("{what:10} {to:5?} {:5} {:6} {most:8}", count.reads, count.writes);
    }
    for (what, to, count, most) in rows {
        assert!(count.round_trips() <= most, "{what} {to:?}: {count:?}, expected at most {most}");
    }
}

async fn run_to_its_end(server: &Server) {
    for _ in 0..2 {
        let (claimed, _) = server.call("POST", "tasks/claim", r#"{"worker_id":"x","queues":["q"]}"#).await;
        server.call("POST", &format!("leases/{}/complete", lease_of(&claimed)), "{}").await;
    }
}

fn lease_of(claimed: &Value) -> String {
    let tasks = claimed.get("tasks").and_then(Value::as_array).expect("a list of tasks");
    let lease = tasks.first().and_then(|task| task.get("lease_id")).and_then(Value::as_str);
    lease.expect("a task is ready").to_owned()
}
