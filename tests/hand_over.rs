//! What becomes ready is leased to a claim that waits, in the commit that makes it ready: what that saves, who
//! gets what, and what becomes of a lease whose claimant has gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use selvedge::store::database::{Batch, Database, DatabaseError, Outcome, Row, Statement};
use selvedge::value::Value;
use selvedge::{App, Budget, Settings};
use selvedge_libsql::{Local, local};
use selvedge_tokio::TokioPlatform;
use tokio::sync::RwLock;
use tokio::task::JoinHandle;

const CHAIN: &str = r#"{"selvedge":1,"name":"chain","tasks":{"a":{"worker":"q"},
    "b":{"needs":["a"],"worker":"q"},"c":{"needs":["b"],"worker":"q","labels":["gpu"]}}}"#;
const ONE: &str = r#"{"selvedge":1,"name":"one","tasks":{"a":{"worker":"q"}}}"#;

/// A server on a file, so that its commits are those of a disk.
struct Server {
    app: Arc<App<Deaf, TokioPlatform>>,
    database: Deaf,
    _directory: tempfile::TempDir,
}

/// A database of which the answers to so many of the next writes are lost, and that cannot be read after each.
#[derive(Debug, Clone)]
struct Deaf {
    inner: Local,
    /// Reads wait while somebody writes it.
    gate: Arc<RwLock<()>>,
    writes: Arc<AtomicUsize>,
    reads: Arc<AtomicUsize>,
}

impl Database for Deaf {
    async fn read(&self, reads: Vec<Statement>) -> Result<Vec<Vec<Row>>, DatabaseError> {
        let _open = self.gate.read().await;
        match one_of(&self.reads) {
            true => Err(unavailable()),
            false => self.inner.read(reads).await,
        }
    }

    fn write(&self, batches: Vec<Batch>) -> impl Future<Output = Result<Vec<Outcome>, DatabaseError>> {
        let is_lost = one_of(&self.writes);
        let writing = self.inner.write(batches);
        async move {
            // As if others were in line before it.
            tokio::task::yield_now().await;
            let outcomes = writing.await;
            if is_lost {
                self.reads.fetch_add(1, Ordering::SeqCst);
                return Err(unavailable());
            }
            outcomes
        }
    }
}

/// Takes one of so many, if any are left.
fn one_of(left: &AtomicUsize) -> bool {
    left.try_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

fn unavailable() -> DatabaseError {
    DatabaseError::Unavailable { message: "the test says so".to_owned(), indeterminate: true }
}

impl Server {
    /// With both workflows started once: what is remembered of them is.
    async fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let inner = Local::open(&directory.path().join("t.db"), local::Options::default()).expect("it opens");
        let database = Deaf { inner, gate: Arc::default(), writes: Arc::default(), reads: Arc::default() };
        let app = App::open(database.clone(), TokioPlatform::default(), Settings::default()).await;
        let server = Self { app: Arc::new(app.expect("it migrates")), database, _directory: directory };
        for (name, document) in [("chain", CHAIN), ("one", ONE)] {
            server.ask("PUT", &format!("workflows/{name}"), document).await;
            let run = server.ask("POST", "runs", &format!(r#"{{"workflow":"{name}"}}"#)).await;
            server.ask("POST", &format!("runs/{}/cancel", text(&run, "id")), "").await;
        }
        for worker in ["w", "v"] {
            let claimed = server.ask("POST", "tasks/claim", &claim(worker, "[]", "0s")).await;
            assert_eq!(leases(&claimed), Vec::<String>::new());
        }
        server
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> Value {
        ask(&self.app, method, path, body).await
    }

    /// A claim that has found nothing and waits.
    async fn waiting(&self, worker: &str, labels: &str) -> JoinHandle<Value> {
        let (app, body) = (self.app.clone(), claim(worker, labels, "60s"));
        let waiting = tokio::spawn(async move { ask(&app, "POST", "tasks/claim", &body).await });
        // Reads of a file never wait, so that the claim comes as far as its bell in one go.
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        waiting
    }

    fn commits(&self) -> u64 {
        self.database.inner.stats().commits
    }
}

#[tokio::test]
async fn a_workflow_whose_worker_waits_takes_two_commits_and_three_otherwise() {
    let server = Server::new().await;
    for (waits, expected) in [(true, 2), (false, 3)] {
        let before = server.commits();
        let claimed = match waits {
            true => {
                let claimed = server.waiting("w", "[]").await;
                server.ask("POST", "runs", r#"{"workflow":"one","id":"early"}"#).await;
                claimed.await.expect("no panic")
            }
            false => {
                server.ask("POST", "runs", r#"{"workflow":"one","id":"late"}"#).await;
                server.ask("POST", "tasks/claim", &claim("w", "[]", "0s")).await
            }
        };
        let [lease] = &leases(&claimed)[..] else { panic!("one task: {claimed:?}") };
        server.ask("POST", &format!("leases/{lease}/complete"), "{}").await;
        let id = if waits { "early" } else { "late" };
        server.ask("GET", &format!("runs/{id}/result"), "").await;
        assert_eq!(server.commits() - before, expected, "the worker waits: {waits}");
    }
}

#[tokio::test]
async fn a_backlog_keeps_its_order_while_claims_look() {
    let server = Server::new().await;
    let start = async |id: &str| {
        server.ask("POST", "runs", &format!(r#"{{"workflow":"one","id":"{id}"}}"#)).await;
    };
    for id in ["r1", "r2", "r3", "r4", "r5"] {
        start(id).await;
    }
    let mut claimed = Vec::new();
    for id in ["r6", "r7", "r8", "r9"] {
        // While this claim looks at the queue another run is started: that is not its turn.
        let gate = server.database.gate.write().await;
        let waiting = server.waiting("w", "[]").await;
        start(id).await;
        drop(gate);
        claimed.extend(runs(&waiting.await.expect("no panic")));
    }
    claimed.extend(runs(&server.ask("POST", "tasks/claim", &claim("w", "[]", "0s")).await));
    assert_eq!(claimed, ["r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9"]);
}

#[tokio::test]
async fn a_completion_hands_what_it_makes_ready_to_the_next_claim() {
    let server = Server::new().await;
    let first = server.waiting("w", "[]").await;
    server.ask("POST", "runs", r#"{"workflow":"chain","id":"r"}"#).await;
    let first = first.await.expect("no panic");
    let second = server.waiting("w", "[]").await;
    let before = server.commits();
    server.ask("POST", &format!("leases/{}/complete", leases(&first)[0]), r#"{"output":1}"#).await;
    let second = second.await.expect("no panic");
    assert_eq!(server.commits() - before, 1);
    let task = &second.get("tasks").and_then(Value::as_array).expect("tasks")[0];
    assert_eq!((text(task, "task"), text(task, "run_id")), ("b".to_owned(), "r".to_owned()));
    assert_eq!(task.get("upstream").and_then(|upstream| upstream.get("a")), Some(&Value::Int(1)));
    // The third asks for a label, which only one of two that wait carries.
    let plain = server.waiting("w", "[]").await;
    let labelled = server.waiting("v", r#"["gpu"]"#).await;
    server.ask("POST", &format!("leases/{}/complete", leases(&second)[0]), "{}").await;
    let third = labelled.await.expect("no panic");
    server.ask("POST", &format!("leases/{}/complete", leases(&third)[0]), "{}").await;
    server.app.end_waits();
    assert_eq!(leases(&plain.await.expect("no panic")), Vec::<String>::new());
    let history = server.ask("GET", "runs/r/events?limit=100", "").await;
    let items = history.get("items").and_then(Value::as_array).expect("events");
    let types: Vec<String> = items.iter().map(|event| text(event, "type")).collect();
    assert_eq!(types.iter().filter(|event| *event == "task_started").count(), 3);
    assert_eq!(types.first().map(String::as_str), Some("run_completed"), "the newest comes first");
}

#[tokio::test]
async fn one_claim_takes_no_more_than_it_asked_for() {
    let server = Server::new().await;
    let waiting = server.waiting("w", "[]").await;
    let starts = ["a", "b", "c"].map(|id| {
        let (app, body) = (server.app.clone(), format!(r#"{{"workflow":"one","id":"{id}"}}"#));
        tokio::spawn(async move { ask(&app, "POST", "runs", &body).await })
    });
    for start in starts {
        start.await.expect("no panic");
    }
    let claimed = waiting.await.expect("no panic");
    assert_eq!(leases(&claimed).len(), 2, "as many as it takes: {claimed:?}");
    let rest = server.ask("POST", "tasks/claim", &claim("w", "[]", "0s")).await;
    assert_eq!(leases(&rest).len(), 1);
}

#[tokio::test]
async fn a_claim_with_an_id_is_answered_with_the_same_leases_again() {
    let server = Server::new().await;
    let body = r#"{"worker_id":"w","queues":["q"],"wait":"60s","claim_id":"c1"}"#;
    let app = server.app.clone();
    let waiting = tokio::spawn(async move { ask(&app, "POST", "tasks/claim", body).await });
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
    server.ask("POST", "runs", r#"{"workflow":"one"}"#).await;
    let first = waiting.await.expect("no panic");
    let again = server.ask("POST", "tasks/claim", body).await;
    assert_eq!(leases(&first).len(), 1);
    assert_eq!(leases(&again), leases(&first));
}

#[tokio::test]
async fn what_is_handed_to_a_claimant_that_has_gone_goes_back() {
    let server = Server::new().await;
    let waiting = server.waiting("w", "[]").await;
    {
        let body = r#"{"workflow":"one","id":"r"}"#;
        let mut start = std::pin::pin!(server.ask("POST", "runs", body));
        // The commit is in line when the claimant goes.
        assert!(futures_util::poll!(start.as_mut()).is_pending());
        waiting.abort();
        assert!(waiting.await.expect_err("it was aborted").is_cancelled());
        start.await;
    }
    server.app.drive(Budget::Idle).await;
    let claimed = server.ask("POST", "tasks/claim", &claim("v", "[]", "0s")).await;
    assert_eq!(leases(&claimed).len(), 1, "the task is there again, at once");
    let task = &claimed.get("tasks").and_then(Value::as_array).expect("tasks")[0];
    assert_eq!(task.get("attempt"), Some(&Value::Int(1)), "and no attempt was spent");
}

#[tokio::test]
async fn what_a_claim_was_answered_without_goes_back() {
    let server = Server::new().await;
    for id in ["a", "b"] {
        server.ask("POST", "runs", &format!(r#"{{"workflow":"one","id":"{id}"}}"#)).await;
    }
    // A claim of both runs makes two commits. Its id makes no difference: after an answer nobody asks again.
    server.database.writes.store(1, Ordering::SeqCst);
    let body = r#"{"worker_id":"w","queues":["q"],"max_tasks":2,"claim_id":"c1"}"#;
    let claimed = server.ask("POST", "tasks/claim", body).await;
    assert_eq!(leases(&claimed).len(), 1, "one that is known, and one that is not: {claimed:?}");
    server.app.drive(Budget::Idle).await;
    let rest = server.ask("POST", "tasks/claim", &claim("v", "[]", "0s")).await;
    assert_eq!(leases(&rest).len(), 1, "the other is there again, at once");
}

#[tokio::test]
async fn leases_of_earlier_versions_are_known_by_their_rows() {
    let server = Server::new().await;
    // Each had a row, and an id that says nothing.
    let reports = [
        ("complete", r#"{"output":1}"#, r#"{"output":2}"#),
        ("fail", r#"{"error":{"message":"x"}}"#, r#"{"error":{"message":"y"}}"#),
    ];
    for (index, (report, body, other)) in reports.into_iter().enumerate() {
        let run = server.ask("POST", "runs", r#"{"workflow":"one"}"#).await;
        let claimed = server.ask("POST", "tasks/claim", &claim("w", "[]", "0s")).await;
        let lease = leases(&claimed).pop().expect("a lease");
        let old = format!("01234567-89ab-7000-8000-{index:012}");
        let add = "INSERT INTO leases (tenant, lease_id, run_id, task, idx, attempt, worker_id, granted_at) SELECT \
            tenant, ?1, run_id, task, idx, attempt, worker_id, granted_at FROM tasks WHERE lease_id = ?2";
        let mut batch = Batch::default();
        batch.expect(1, Statement::new(add, vec![old.as_str().into(), lease.as_str().into()]));
        let rename = "UPDATE tasks SET lease_id = ?1 WHERE lease_id = ?2";
        batch.expect(1, Statement::new(rename, vec![old.as_str().into(), lease.as_str().into()]));
        assert_eq!(server.database.inner.write(vec![batch]).await, Ok(vec![Outcome::Committed]));
        // A server that has seen nothing of this.
        let app = App::open(server.database.clone(), TokioPlatform::default(), Settings::default()).await;
        let app = app.expect("it is migrated");
        let report = format!("leases/{old}/{report}");
        ask(&app, "POST", &format!("leases/{old}/heartbeat"), "").await;
        ask(&app, "POST", &format!("leases/{old}/logs"), r#"{"chunks":[{"stream":"s","text":"t"}]}"#).await;
        let first = ask(&app, "POST", &report, body).await;
        assert_eq!(text(&first, "run_id"), text(&run, "id"));
        assert_eq!(ask(&app, "POST", &report, body).await, first, "the same again");
        let lost = app.handle(request("POST", &report, other)).await;
        assert_eq!(lost.status(), 409, "another report");
    }
}

#[tokio::test]
async fn a_worker_that_drains_is_handed_nothing() {
    let server = Server::new().await;
    let waiting = server.waiting("w", "[]").await;
    server.ask("DELETE", "workers/w", "").await;
    server.ask("POST", "runs", r#"{"workflow":"one"}"#).await;
    assert_eq!(leases(&waiting.await.expect("no panic")), Vec::<String>::new());
    let claimed = server.ask("POST", "tasks/claim", &claim("v", "[]", "0s")).await;
    assert_eq!(leases(&claimed).len(), 1);
}

fn claim(worker: &str, labels: &str, wait: &str) -> String {
    format!(r#"{{"worker_id":"{worker}","queues":["q"],"labels":{labels},"max_tasks":2,"wait":"{wait}"}}"#)
}

fn request(method: &str, path: &str, body: &str) -> Request<Full<Bytes>> {
    let request = Request::builder().method(method).uri(format!("/api/v1/{path}"));
    let request = match body {
        "" => request.body(Full::new(Bytes::new())),
        body => request.header("content-type", "application/json").body(Full::new(body.to_owned().into())),
    };
    request.expect("a valid request")
}

async fn ask(app: &App<Deaf, TokioPlatform>, method: &str, path: &str, body: &str) -> Value {
    let answer = app.handle(request(method, path, body)).await;
    let status = answer.status();
    let bytes = answer.into_body().collect().await.expect("bodies cannot fail").to_bytes();
    assert!(status.is_success(), "{method} {path}: {status} {}", String::from_utf8_lossy(&bytes));
    if bytes.is_empty() { Value::Null } else { Value::from_json(&bytes).expect("JSON") }
}

fn leases(claimed: &Value) -> Vec<String> {
    let tasks = claimed.get("tasks").and_then(Value::as_array).expect("a list of tasks");
    tasks.iter().map(|task| text(task, "lease_id")).collect()
}

fn runs(claimed: &Value) -> Vec<String> {
    let tasks = claimed.get("tasks").and_then(Value::as_array).expect("a list of tasks");
    tasks.iter().map(|task| text(task, "run_id")).collect()
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).expect("a text").to_owned()
}
