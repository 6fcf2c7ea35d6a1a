//! The store by itself: how its statements are carried out, and how databases are opened.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use selvedge::store::database::{Batch, Database, Row, Statement};
use selvedge::time::Duration;
use selvedge::value::Value;
use selvedge::{App, Budget, OpenError, Settings};
use selvedge_libsql::Local;
use selvedge_tests::VirtualPlatform;
use selvedge_tests::engine::running;
use selvedge_tests::recorder::Recorder;

/// Plans that look through a whole table or sort, with the reason why they may: part of the statement, part
/// of the plan's line, why.
const ACCEPTED: [(&str, &str, &str); 5] = [
    ("FROM sqlite_master", "SCAN sqlite_master", "the schema is short, and asked for when a server starts"),
    ("SELECT tenant FROM tenants", "SCAN tenants", "every tenant is wanted"),
    ("FROM lanes WHERE tenant = ?1", "SEARCH lanes", "a row for a queue with its labels, and all are wanted"),
    ("INDEXED BY tasks_leased", "INDEX tasks_leased (tenant=?)", "no more than what workers are at work on"),
    ("GROUP BY worker_id", "TEMP B-TREE FOR GROUP BY", "a number for each worker that holds a lease"),
];

/// How many migrations there are.
const MIGRATIONS: usize = 6;

/// Requests that make every statement of the server's run at least once. `{lease}` is the last lease.
const SCRIPT: &[(&str, &str, &str)] = &[
    ("PUT", "modules/m", ECHO),
    ("PUT", "modules/m", ECHO),
    ("GET", "modules", ""),
    ("GET", "modules/m", ""),
    (
        "PUT",
        "workflows/echo",
        r#"{"selvedge":1,"name":"echo","tasks":{"a":{"wasm":{"module":"m","function":"f"}}}}"#,
    ),
    ("POST", "runs", r#"{"workflow":"echo","id":"e1"}"#),
    ("DRIVE", "0s", ""),
    ("PUT", "modules/m", OTHER),
    (
        "PUT",
        "workflows/echo",
        r#"{"selvedge":1,"name":"echo","tasks":{"a":{"wasm":{"module":"m","function":"f"}}}}"#,
    ),
    ("DELETE", "modules/m", ""),
    ("DELETE", "workflows/echo", ""),
    ("PUT", "workflows/flow", FLOW),
    ("GET", "workflows", ""),
    ("GET", "workflows/flow", ""),
    ("GET", "workflows/flow/versions", ""),
    ("POST", "workers", r#"{"worker_id":"w","queues":["q"],"labels":["gpu"],"capacity":4}"#),
    (
        "POST",
        "runs",
        r#"{"workflow":"flow","id":"r1","tags":["x","y"],"attributes":{"n":3,"s":["a","b"]},"session_id":"s"}"#,
    ),
    ("POST", "runs", r#"{"workflow":"flow","id":"r2","start_after":"1h"}"#),
    ("POST", "runs", r#"{"workflow":"flow","id":"r3"}"#),
    ("POST", "runs/r1/signals/go", r#"{"payload":1,"signal_id":"one"}"#),
    ("POST", "tasks/claim", r#"{"worker_id":"w","queues":["q"],"labels":["gpu"],"claim_id":"c1"}"#),
    ("POST", "tasks/claim", r#"{"worker_id":"w","queues":["q"],"labels":["gpu"],"claim_id":"c1"}"#),
    ("POST", "leases/{lease}/logs", r#"{"chunks":[{"seq":1,"stream":"stdout","text":"hello"}]}"#),
    ("PUT", "leases/{lease}/checkpoints/one", r#"{"value":1}"#),
    ("PUT", "leases/{lease}/checkpoints/one", r#"{"value":2}"#),
    ("POST", "leases/{lease}/heartbeat", ""),
    ("POST", "leases/{lease}/complete", r#"{"output":1}"#),
    ("POST", "leases/{lease}/complete", r#"{"output":1}"#),
    ("POST", "tasks/claim", r#"{"worker_id":"w","queues":["q"],"labels":["gpu"]}"#),
    ("POST", "leases/{lease}/fail", r#"{"error":{"message":"broken"}}"#),
    ("POST", "runs/r1/pause", ""),
    ("POST", "runs/r1/resume", ""),
    ("POST", "tasks/claim", r#"{"worker_id":"w","queues":["q"],"labels":["gpu"]}"#),
    (
        "POST",
        "leases/batch",
        r#"{"items":[{"action":"heartbeat","lease_id":"{lease}"},{"action":"release","lease_id":"{lease}"}]}"#,
    ),
    ("DRIVE", "1s", ""),
    ("POST", "tasks/claim", r#"{"worker_id":"w","queues":["q"],"labels":["gpu"]}"#),
    ("POST", "runs/r1/cancel?force=true", ""),
    ("DRIVE", "2m", ""),
    ("POST", "runs/r1/retry", ""),
    ("POST", "runs/r1/cancel", ""),
    ("POST", "runs/r3/rerun", r#"{"id":"r4"}"#),
    ("GET", "runs/r1", ""),
    ("GET", "runs/r1/result?timeout=0s", ""),
    ("GET", "runs/r1/output", ""),
    ("GET", "runs/r1/events", ""),
    ("GET", "runs/r1/events?sort=seq", ""),
    ("GET", "runs/r1/events?sort=-seq", ""),
    ("GET", "runs/r1/signals", ""),
    ("GET", "runs/r1/logs", ""),
    ("GET", "runs/r1/logs?stream=stdout&attempt=1", ""),
    ("GET", "runs/r1/tasks", ""),
    ("GET", "runs/r1/tasks/a", ""),
    ("GET", "runs/r1/tasks/a/logs", ""),
    ("GET", "tasks", ""),
    ("GET", "tasks?status=ready&queue=q&worker=w&limit=1", ""),
    ("GET", "tasks/counts", ""),
    ("GET", "workers", ""),
    ("POST", "workers/w/heartbeat", ""),
    ("DELETE", "workers/w", ""),
    ("DELETE", "runs/r1", ""),
    ("POST", "runs/r2/cancel?force=true", ""),
    ("POST", "runs/r3/cancel?force=true", ""),
    ("POST", "runs/r4/cancel?force=true", ""),
    ("DRIVE", "2h", ""),
    ("DELETE", "workflows/flow", ""),
    ("GET", "../ready", ""),
];

/// Every filter of the list of runs alone, in each order; then a page after another.
const FILTERS: [&str; 16] = [
    "",
    "status=running",
    "status=running&status=failed",
    "workflow=flow",
    "id_prefix=r",
    "failure_category=timeout",
    "tag=x",
    "tag=x&tag=y",
    "session=s",
    "parent=r1",
    "created_after=2025-01-01T00:00:00Z&created_before=2027-01-01T00:00:00Z",
    "updated_after=2025-01-01T00:00:00Z&updated_before=2027-01-01T00:00:00Z",
    "deadline_after=2025-01-01T00:00:00Z&deadline_before=2027-01-01T00:00:00Z",
    "attribute.n=3",
    "attribute.n.gte=1&attribute.n.lt=9",
    "count=true&workflow=flow&status=running",
];

const ECHO: &str = r#"(module (memory (export "memory") 1)
    (func (export "selvedge_alloc") (param i32) (result i32) (i32.const 64))
    (func (export "f") (param i32 i32) (result i64) (unreachable)))"#;
const OTHER: &str = r#"(module (memory (export "memory") 2)
    (func (export "selvedge_alloc") (param i32) (result i32) (i32.const 64))
    (func (export "f") (param i32 i32) (result i64) (unreachable)))"#;

const FLOW: &str = r#"{"selvedge":1,"name":"flow","execution_timeout":"1d","tasks":{
    "a":{"worker":"q","labels":["gpu"],"timeout":"1m"},
    "b":{"needs":["a"],"worker":"q"},
    "c":{"worker":"q"},
    "h":{"http":{"url":"http://x.invalid/"},"continue_on_error":true},
    "s":{"signal":"go","timeout":"1h","on_timeout":"skip"},
    "z":{"sleep":"30s"}}}"#;

#[tokio::test]
async fn no_statement_looks_through_a_table_or_sorts() {
    let database = Local::memory().expect("a database in memory opens");
    let recorder = Recorder::new(database.clone());
    play(&recorder).await;
    let mut faults = Vec::new();
    let mut used = [false; ACCEPTED.len()];
    let seen = recorder.seen();
    let planner = planner(&database).await;
    // A migration makes tables, fills them from others, and is done once.
    let migrates = |sql: &str| {
        ["CREATE", "ALTER", "DROP"].iter().any(|word| sql.starts_with(word)) || sql.contains("_in_order")
    };
    for sql in seen.iter().filter(|sql| !migrates(sql)) {
        for line in plan(&planner, sql) {
            if !looks_through_a_table(&line)
                && !looks_through_a_tenant(&line, sql)
                && !line.contains("TEMP B-TREE")
            {
                continue;
            }
            let reason =
                ACCEPTED.iter().position(|(text, plan, _)| sql.contains(text) && line.contains(plan));
            match reason {
                Some(at) => used[at] = true,
                None => faults.push(format!("{line}\n    in {sql}")),
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    for (accepted, used) in ACCEPTED.iter().zip(used) {
        assert!(used, "nothing needs this exception any more: {accepted:?}");
    }
    // A script that stops short would prove nothing.
    for text in [
        "FROM module_bodies",
        "INTO module_uses",
        "FROM tasks WHERE tenant = ?1 AND lane = ?2",
        "wake_at <= ?2",
        "FROM logs",
        "run_attributes a",
    ] {
        assert!(seen.iter().any(|sql| sql.contains(text)), "the script never runs {text:?}");
    }
}

/// Subqueries are scanned too, but hold no more than their own limit; `event` is the list in one row of history.
fn looks_through_a_table(line: &str) -> bool {
    let Some(scanned) = line.strip_prefix("SCAN ") else { return false };
    let name = scanned.split(' ').next().unwrap_or_default();
    !matches!(
        name,
        "CONSTANT"
            | "event"
            | "r"
            | "t"
            | "w"
            | "(subquery-1)"
            | "(subquery-2)"
            | "(subquery-3)"
            | "(subquery-4)"
    )
}

/// All that a tenant has in a table or an index, unless the statement takes but the first.
fn looks_through_a_tenant(line: &str, sql: &str) -> bool {
    line.starts_with("SEARCH ") && line.ends_with("(tenant=?)") && !sql.contains(" LIMIT ")
}

/// SQLite itself, with the tables of a database and nothing in them.
async fn planner(database: &Local) -> rusqlite::Connection {
    let tables = Statement::new("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL", Vec::new());
    let tables = database.read(vec![tables]).await.expect("the test's own statement");
    let connection = rusqlite::Connection::open_in_memory().expect("memory");
    for row in tables.iter().flatten() {
        let sql = row[0].as_text().expect("a table's text");
        connection.execute_batch(sql).expect("it was made so before");
    }
    connection
}

fn plan(planner: &rusqlite::Connection, sql: &str) -> Vec<String> {
    let mut explain = planner
        .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
        .unwrap_or_else(|error| panic!("{error} in {sql}"));
    let mut lines = Vec::new();
    let mut rows = explain.raw_query();
    while let Some(row) = rows.next().expect("a plan") {
        lines.push(row.get("detail").expect("a plan has words"));
    }
    lines
}

/// Carries out the script.
async fn play(recorder: &Recorder<Local>) {
    let platform = running(VirtualPlatform::new(1));
    // On a shared database a server asks everything that it asks alone, and more.
    let settings = Settings { shared: true, ..Settings::default() };
    let app = App::open(recorder.clone(), platform.clone(), settings).await.expect("it opens");
    let mut lease = String::new();
    for (method, path, body) in SCRIPT {
        if *method == "DRIVE" {
            platform.advance(path.parse::<Duration>().expect("a duration"));
            app.drive(Budget::For(Duration::ZERO)).await;
            continue;
        }
        let path = format!("/api/v1/{path}").replace("/api/v1/../", "/").replace("{lease}", &lease);
        let answer = call(&app, method, &path, &body.replace("{lease}", &lease)).await;
        let claimed = answer.get("tasks").and_then(Value::as_array).and_then(|tasks| tasks.first());
        if let Some(id) = claimed.and_then(|task| task.get("lease_id")).and_then(Value::as_str) {
            lease = id.to_owned();
        }
        for sort in ["created_at", "-created_at", "updated_at", "-updated_at"] {
            if *path == *"/api/v1/runs/r1/output" {
                for filter in FILTERS {
                    list(&app, &format!("/api/v1/runs?sort={sort}&limit=1&{filter}")).await;
                }
            }
        }
    }
    assert_eq!(platform.errors(), Vec::<String>::new());
}

/// A page, and the next one where there is one.
async fn list(app: &App<Recorder<Local>, VirtualPlatform>, path: &str) {
    let page = call(app, "GET", path.trim_end_matches('&'), "").await;
    if let Some(cursor) = page.get("next_cursor").and_then(Value::as_str) {
        call(app, "GET", &format!("{}&cursor={cursor}", path.trim_end_matches('&')), "").await;
    }
}

async fn call(app: &App<Recorder<Local>, VirtualPlatform>, method: &str, path: &str, body: &str) -> Value {
    let mut request = Request::builder().method(method).uri(path);
    let is_module = body.starts_with("(module");
    if !body.is_empty() {
        let media_type = if is_module { "application/wasm" } else { "application/json" };
        request = request.header("content-type", media_type);
    }
    if method != "GET" && !path.contains("claim") {
        let text = format!("{path}{body}");
        let key: String = text.chars().filter(char::is_ascii_alphanumeric).take(128).collect();
        request = request.header("idempotency-key", key);
    }
    let body = if is_module { wat::parse_str(body).expect("a module") } else { body.as_bytes().to_vec() };
    let request = request.body(Full::new(Bytes::from(body))).expect("a valid request");
    let response = app.handle(request).await;
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.expect("bodies cannot fail").to_bytes();
    assert!(status < 500 && status != 400 && status != 404, "{method} {path}: {status} {bytes:?}");
    if bytes.is_empty() { Value::Null } else { Value::from_json(&bytes).expect("JSON") }
}

async fn write(database: &Local, sql: &'static str) {
    let mut batch = Batch::default();
    batch.push(Statement::new(sql, Vec::new()));
    database.write(vec![batch]).await.expect("the test's own statement");
}

/// The schema, the versions, and how many rows each table has.
async fn contents(database: &Local) -> Vec<Vec<Row>> {
    let reads = [
        "SELECT name, sql FROM sqlite_master ORDER BY name",
        "SELECT * FROM migrations ORDER BY version",
        "SELECT * FROM counters",
        "SELECT * FROM tenants",
    ];
    let reads = reads.map(|sql| Statement::new(sql, Vec::new()));
    database.read(reads.into()).await.expect("the test's own statements")
}

#[tokio::test]
async fn a_database_is_migrated_once() {
    let database = Local::memory().expect("a database in memory opens");
    let platform = VirtualPlatform::new(1);
    App::open(database.clone(), platform.clone(), Settings::default()).await.expect("it opens");
    let first = contents(&database).await;
    assert_eq!(first[1].len(), MIGRATIONS, "every migration is recorded: {:?}", first[1]);
    platform.advance(Duration::from_secs(60));
    App::open(database.clone(), platform, Settings::default()).await.expect("it opens again");
    assert_eq!(contents(&database).await, first, "opening it again changes nothing");
}

#[tokio::test]
async fn two_that_open_at_once_migrate_once() {
    let database = Local::memory().expect("a database in memory opens");
    let platform = VirtualPlatform::new(1);
    let open = || App::open(database.clone(), platform.clone(), Settings::default());
    let (one, other) = futures_util::future::join(open(), open()).await;
    one.expect("it opens");
    other.expect("the other finds it done");
    assert_eq!(contents(&database).await[1].len(), MIGRATIONS);
}

#[tokio::test]
async fn a_newer_database_is_refused_and_left_alone() {
    let database = Local::memory().expect("a database in memory opens");
    let platform = VirtualPlatform::new(1);
    App::open(database.clone(), platform.clone(), Settings::default()).await.expect("it opens");
    write(&database, "INSERT INTO migrations (version, applied_at) VALUES (99, 0)").await;
    let before = contents(&database).await;
    let Err(error) = App::open(database.clone(), platform, Settings::default()).await else {
        panic!("a database of the future was opened")
    };
    assert!(
        matches!(error, OpenError::Newer { found: 99, known } if known == MIGRATIONS as i64),
        "{error:?}"
    );
    let text = error.to_string();
    assert!(text.contains("version 99") && text.contains(&format!("up to {MIGRATIONS}")), "{text}");
    assert_eq!(contents(&database).await, before);
}
