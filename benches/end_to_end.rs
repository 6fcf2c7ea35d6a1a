//! What a workflow costs without a network: runs are started and waited for by clients, their tasks claimed and
//! completed by one worker, all in this process, on a database file.
//!
//! `cargo bench -p selvedge-libsql --bench end_to_end -- [RUNS] [STEPS] [CLIENTS]` prints, for several numbers
//! of concurrent clients, the runs per second beside the bare group commits per second of the same machine in
//! the same minute, the processor's time and the commits, statements and batches for each run. Counts are
//! exact; rates are only worth their ratio.

#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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
/// How many claims the worker has open at once, so that one waits while another's tasks are on their way.
const CLAIMS: usize = 4;

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
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<u64>().ok());
    let runs = numbers.next().unwrap_or(RUNS_DEFAULT);
    let steps = numbers.next().unwrap_or(1);
    let clients = numbers.next().map_or(vec![1, 8, 64], |clients| vec![clients]);
    println!(
        "clients     runs/s  of bare commits  cpu µs/run  KiB/run  commits/run  batches/run  statements/run  \
         reads/run"
    );
    for clients in clients {
        measure(clients, runs / if clients == 1 { 4 } else { 1 }, steps).await;
    }
}

async fn measure(clients: u64, runs: u64, steps: u64) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let database =
        Local::open(&directory.path().join("bench.db"), local::Options::default()).expect("it opens");
    let bare = bare_commits(&directory, clients, runs).await;
    let random = Clock(Arc::new(AtomicU64::new(1)));
    let app = App::open(database.clone(), random, Settings::default()).await.expect("it migrates");
    let app = Arc::new(app);
    expect(&app, "PUT", "/api/v1/workflows/chain", &chain(steps), 201).await;
    let done = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..CLAIMS).map(|_| tokio::spawn(work(app.clone(), done.clone()))).collect();
    let (before, cpu, written) = (database.stats(), cpu_micros(), written_bytes());
    let start = Instant::now();
    let tasks: Vec<_> =
        (0..clients).map(|client| tokio::spawn(ask(app.clone(), client, runs / clients))).collect();
    for task in tasks {
        task.await.expect("no client fails");
    }
    let rate = runs as f64 / start.elapsed().as_secs_f64();
    let (after, cpu, written) = (database.stats(), cpu_micros() - cpu, written_bytes() - written);
    done.store(true, Ordering::SeqCst);
    app.end_waits();
    for worker in workers {
        worker.await.expect("no worker fails");
    }
    let per_run = |count: u64| count as f64 / runs as f64;
    println!(
        "{clients:>7} {rate:>10.0} {:>16.2} {:>11.0} {:>8.1} {:>12.2} {:>12.2} {:>15.1} {:>10.1}",
        rate / bare,
        cpu / runs as f64,
        written / 1024.0 / runs as f64,
        per_run(after.commits - before.commits),
        per_run(after.batches - before.batches),
        per_run(after.statements - before.statements),
        per_run(after.reads - before.reads),
    );
}

/// What this process has used of the processor so far; nothing where the system does not say.
fn cpu_micros() -> f64 {
    const MICROS_PER_TICK: f64 = 10_000.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() * MICROS_PER_TICK
}

/// What this process has written so far, by the system's count.
fn written_bytes() -> f64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let bytes = io.lines().find_map(|line| line.strip_prefix("wchar: "));
    bytes.and_then(|bytes| bytes.parse().ok()).unwrap_or(0.0)
}

/// A workflow of so many worker tasks, each after the one before.
fn chain(steps: u64) -> String {
    let task = |n| match n {
        0 => r#""t0":{"worker":"q","with":{"n":"${{ input.n }}"}}"#.to_owned(),
        n => {
            let before = n - 1;
            format!(
                r#""t{n}":{{"worker":"q","needs":["t{before}"],"with":{{"n":"${{{{ tasks.t{before}.output.ok }}}}"}}}}"#
            )
        }
    };
    let tasks: Vec<String> = (0..steps).map(task).collect();
    let last = steps - 1;
    format!(
        r#"{{"selvedge":1,"name":"chain","tasks":{{{}}},"output":"${{{{ tasks.t{last}.output }}}}"}}"#,
        tasks.join(",")
    )
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

/// A client: starts a run, and another one when it has the result.
async fn ask(app: Server, client: u64, runs: u64) {
    for n in 0..runs {
        let body = format!(r#"{{"workflow":"chain","input":{{"n":{n},"client":{client}}}}}"#);
        let run = expect(&app, "POST", "/api/v1/runs?wait=60s", &body, 201).await;
        assert_eq!(run.get("status").and_then(Value::as_str), Some("completed"));
    }
}

/// One claim of the worker, again and again, and the reports on what it gets.
async fn work(app: Server, done: Arc<AtomicBool>) {
    while !done.load(Ordering::SeqCst) {
        let claim = r#"{"worker_id":"w","queues":["q"],"wait":"10s","max_tasks":100}"#;
        let claimed = expect(&app, "POST", "/api/v1/tasks/claim", claim, 200).await;
        let leases = claimed.get("tasks").and_then(Value::as_array).unwrap_or_default();
        let leases = leases.iter().filter_map(|task| task.get("lease_id").and_then(Value::as_str));
        let reports: Vec<String> = leases
            .map(|lease| format!(r#"{{"action":"complete","lease_id":"{lease}","output":{{"ok":true}}}}"#))
            .collect();
        if !reports.is_empty() {
            let app = app.clone();
            tokio::spawn(async move {
                let body = format!(r#"{{"items":[{}]}}"#, reports.join(","));
                expect(&app, "POST", "/api/v1/leases/batch", &body, 200).await;
            });
        }
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
