//! What one workflow costs: a run of one task is started, claimed, completed and read, in this process, on a
//! database file.
//!
//! `cargo bench --bench end_to_end [RUNS]` prints, for several numbers of concurrent clients, the runs per
//! second beside the bare group commits per second of the same machine in the same minute, and the commits,
//! statements and batches for each run. Counts are exact; rates are only worth their ratio.

#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use selvedge::platform::{FetchError, Platform};
use selvedge::store::database::{Batch, Database, Statement};
use selvedge::time::{Duration, Timestamp};
use selvedge::value::Value;
use selvedge::{App, Settings};
use selvedge_libsql::{Local, local};

const RUNS_DEFAULT: u64 = 2000;

#[derive(Clone)]
struct Clock(Arc<AtomicU64>);

impl Platform for Clock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(since.as_millis() as i64)
    }

    fn random(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&z.to_le_bytes()[..chunk.len()]);
        }
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration.into()).await;
    }

    async fn fetch(&self, _: Request<Bytes>, _: usize) -> Result<Response<Bytes>, FetchError> {
        Err(FetchError::Network("the bench has no network".to_owned()))
    }
}

type Server = Arc<App<Local, Clock>>;

#[tokio::main]
async fn main() {
    let runs = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(RUNS_DEFAULT);
    println!("clients     runs/s  of bare commits  commits/run  batches/run  statements/run  reads/run");
    for clients in [1, 8, 64] {
        measure(clients, runs / if clients == 1 { 4 } else { 1 }).await;
    }
}

async fn measure(clients: u64, runs: u64) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let database =
        Local::open(&directory.path().join("bench.db"), local::Options::default()).expect("it opens");
    let bare = bare_commits(&directory, clients, runs).await;
    let random = Clock(Arc::new(AtomicU64::new(1)));
    let app = App::open(database.clone(), random, Settings::default()).await.expect("it migrates");
    let app = Arc::new(app);
    let document = r#"{"selvedge":1,"name":"one","tasks":{"a":{"worker":"q","with":{"n":"${{ input.n }}"}}},
        "output":"${{ tasks.a.output }}"}"#;
    expect(&app, "PUT", "/api/v1/workflows/one", document, 201).await;
    let before = database.stats();
    let start = Instant::now();
    let tasks: Vec<_> =
        (0..clients).map(|client| tokio::spawn(work(app.clone(), client, runs / clients))).collect();
    for task in tasks {
        task.await.expect("no client fails");
    }
    let rate = runs as f64 / start.elapsed().as_secs_f64();
    let after = database.stats();
    let per_run = |count: u64| count as f64 / runs as f64;
    println!(
        "{clients:>7} {rate:>10.0} {:>16.2} {:>12.2} {:>12.2} {:>15.1} {:>10.1}",
        rate / bare,
        per_run(after.commits - before.commits),
        per_run(after.batches - before.batches),
        per_run(after.statements - before.statements),
        per_run(after.reads - before.reads),
    );
}

/// One row in one batch, by as many callers: what the disk and SQLite allow.
async fn bare_commits(directory: &tempfile::TempDir, clients: u64, rows: u64) -> f64 {
    let database =
        Local::open(&directory.path().join("bare.db"), local::Options::default()).expect("it opens");
    let write = |sql: &'static str, params| {
        let mut batch = Batch::default();
        batch.push(Statement::new(sql, params));
        vec![batch]
    };
    database.write(write("CREATE TABLE t (n INTEGER)", Vec::new())).await.expect("a table");
    let start = Instant::now();
    let tasks: Vec<_> = (0..clients)
        .map(|_| {
            let database = database.clone();
            tokio::spawn(async move {
                for n in 0..rows / clients {
                    database
                        .write(write("INSERT INTO t VALUES (?1)", vec![(n as i64).into()]))
                        .await
                        .expect("a row");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no caller fails");
    }
    rows as f64 / start.elapsed().as_secs_f64()
}

async fn work(app: Server, client: u64, runs: u64) {
    for n in 0..runs {
        let id = format!("r{client}-{n}");
        let body = format!(r#"{{"workflow":"one","id":"{id}","input":{{"n":{n}}}}}"#);
        expect(&app, "POST", "/api/v1/runs", &body, 201).await;
        let claim = format!(r#"{{"worker_id":"w{client}","queues":["q"],"wait":"10s"}}"#);
        let claimed = expect(&app, "POST", "/api/v1/tasks/claim", &claim, 200).await;
        for task in claimed.get("tasks").and_then(Value::as_array).unwrap_or_default() {
            let lease = task.get("lease_id").and_then(Value::as_str).expect("a claimed task has a lease");
            expect(
                &app,
                "POST",
                &format!("/api/v1/leases/{lease}/complete"),
                r#"{"output":{"ok":true}}"#,
                200,
            )
            .await;
        }
        expect(&app, "GET", &format!("/api/v1/runs/{id}/result?timeout=30s"), "", 200).await;
    }
}

async fn expect(app: &Server, method: &str, path: &str, body: &str, status: u16) -> Value {
    let mut request = Request::builder().method(method).uri(path);
    if !body.is_empty() {
        request = request.header("content-type", "application/json");
    }
    let request = request.body(Full::new(Bytes::from(body.to_owned()))).expect("a valid request");
    let response = app.handle(request).await;
    let found = response.status().as_u16();
    let bytes = response.into_body().collect().await.expect("bodies cannot fail").to_bytes();
    assert_eq!(found, status, "{method} {path}: {}", String::from_utf8_lossy(&bytes));
    Value::from_json(&bytes).unwrap_or_default()
}
