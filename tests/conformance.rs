//! The conformance suite: what the contract promises, as data, played on every host.
//!
//! `cargo test --test conformance` plays all cases and prints a table of cases and hosts;
//! `cargo test --test conformance -- leases/` plays those whose `group/name` contains the text. The run fails
//! if a case fails, if an operation of the catalogue never succeeded, or if a problem type was never met.
//!
//! # The format
//!
//! Each file in `tests/conformance` is a group: `{fixtures, cases}`. A case has a server of its own on an
//! empty database, and a clock that stands at 2026-01-01T00:00:00Z until a step moves it:
//!
//! ```yaml
//! fixtures:
//!   one: { selvedge: 1, name: one, tasks: { a: { worker: q } } }
//! cases:
//!   - name: a run completes when its last task does
//!     prose: why this must hold, and what it guards against
//!     needs: compression                                        # optional, what no step shows
//!     base_path: /x                                             # optional
//!     steps:
//!       - { request: POST runs, body: { id: r1, document: { $use: one } }, status: 201 }
//!       - request: POST tasks/claim
//!         body: { worker_id: w, queues: [q] }
//!         capture: { lease: /tasks/0/lease_id }
//!       - { request: "POST leases/{{lease}}/complete", body: { output: 1 } }
//!       - { request: GET runs/r1, answer: { status: completed } }
//! ```
//!
//! A step is one of:
//!
//! - `request: METHOD path?query`, below `/api/v1/` unless the path begins with a slash, with
//!   `headers` (an empty value leaves out what would be implied), and one of `body` (a value, sent as JSON and
//!   in other columns as MessagePack; `{$binary: …}` is binary), `raw` (a text as it is), `raw_bytes`, and
//!   `wat` (a module of WebAssembly as text).
//!   `format: json` or `msgpack` insists on a format. What must come back: `status` (200 unless said),
//!   `problem` (the slug), `answer` (a pattern of the body), `answer_headers` (patterns),
//!   `capture: {name: /json/pointer}` or `{name: header etag}` for later steps.
//! - the same with `background: name`: the request must not be answered at once; other steps go on, until
//!   `join: name` (with an expectation) or `hang_up: name` (the client goes away).
//! - `advance: 30s` moves the clock and fires what has become due.
//! - `database: fail` (also `fail_reads`, `fail_writes`, `break`, `hold`, `lose`, `heal`) makes the database fail;
//!   `hold` does what it is asked but keeps the answer back, `lose` does not even do it.
//!
//! `repeat: 100` repeats a step, `{{n}}` counts from 0. `{{name}}` stands for what was captured; a string
//! that is nothing else takes the captured type. `{{a*5000}}` is that letter so many times.
//! `{$use: name}` stands for a fixture of the file; members beside it replace those of the fixture.
//!
//! A pattern is a value: objects need only the members named, everything else must be equal. Within it,
//! `{$any: true}` is anything but null, `{$absent: true}` nothing, `{$exact: v}` exactly that,
//! `{$matches: regex}`, `{$length: n}`, `{$at_least: n}`, `{$at_most: n}`, `{$not: pattern}`,
//! `{$each: pattern}`, `{$contains: [patterns]}`, `{$unordered: [patterns]}`.
//!
//! The columns of the table are the hosts, see `Column`. What a host lacks it says once, in `Column::lacks`;
//! cases that need it are left out there, which the table shows by a letter with the reason below.
//!
//! What no case needs to say: every answer has a request id, every problem the shape of RFC 9457 with the
//! title and status of its type, every list its `next_cursor`, every 201 its `Location`, and every GET says
//! the same in MessagePack as in JSON. `tests/support/player.rs` holds each answer against these.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use http::Version;
use selvedge::Settings;
use selvedge_libsql::{Libsql, Local, Remote};
use selvedge_puppet::{Ground, VirtualPlatform};
use selvedge_test_sqld::Sqld;
use selvedge_tests::axum::Axum;
use selvedge_tests::browser;
use selvedge_tests::case::{self, Case, Format};
use selvedge_tests::coverage::{Catalogue, Coverage};
use selvedge_tests::engine::{FUEL, running};
use selvedge_tests::host::InProcess;
use selvedge_tests::lambda;
use selvedge_tests::lambda_emulator;
use selvedge_tests::need::Need;
use selvedge_tests::player::Player;
use selvedge_tests::tcp::Tcp;

/// How many cases are played at once.
const THREADS: usize = 4;

/// The hosts on which cases are played, each a column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    /// Function calls, values as JSON, the database in memory.
    InProcess,
    /// The same, values as MessagePack, as one of several servers on the database.
    MessagePack,
    /// The daemon's listener by HTTP/1.1, values as JSON, the database a file.
    DaemonFile,
    /// The same on a database server, sqld, that other servers may share.
    DaemonSqld,
    /// The daemon's listener by HTTP/2, values as MessagePack, the database in memory.
    DaemonHttp2,
    /// The Lambda adapter in process: events of API Gateway, function URLs and load balancers by turns.
    LambdaEvents,
    /// A function behind the emulator of Lambda's runtime API.
    LambdaEmulator,
    /// The server in a Service Worker of Chromium, on SQLite in WebAssembly kept in IndexedDB.
    ServiceWorker,
    /// The embedded service, nested in a router of axum.
    Axum,
}

impl Column {
    const ALL: [Column; 9] = [
        Column::InProcess,
        Column::MessagePack,
        Column::DaemonFile,
        Column::DaemonSqld,
        Column::DaemonHttp2,
        Column::LambdaEvents,
        Column::LambdaEmulator,
        Column::ServiceWorker,
        Column::Axum,
    ];

    fn name(self) -> &'static str {
        match self {
            Column::InProcess => "in_process",
            Column::MessagePack => "msgpack",
            Column::DaemonFile => "daemon_file",
            Column::DaemonSqld => "daemon_sqld",
            Column::DaemonHttp2 => "daemon_http2",
            Column::LambdaEvents => "lambda_events",
            Column::LambdaEmulator => "lambda_emulator",
            Column::ServiceWorker => "service_worker",
            Column::Axum => "axum",
        }
    }

    fn format(self) -> Format {
        match self {
            Column::InProcess
            | Column::DaemonFile
            | Column::DaemonSqld
            | Column::LambdaEmulator
            | Column::ServiceWorker
            | Column::Axum => Format::Json,
            Column::MessagePack | Column::DaemonHttp2 | Column::LambdaEvents => Format::MessagePack,
        }
    }

    /// Why cases with this need cannot be played here.
    fn lacks(self, need: Need) -> Option<&'static str> {
        match (self, need) {
            (Column::InProcess | Column::MessagePack | Column::ServiceWorker, Need::Compression) => {
                Some("where no network lies between client and server, compression has nothing to gain")
            }
            (Column::ServiceWorker, Need::Modules | Need::BoundedModules) => Some(
                "the tests' server in the browser has no engine; tests/browser/modules.test.mjs runs modules there",
            ),
            (Column::ServiceWorker, Need::ForbiddenHeaders) => {
                Some("scripts in a browser cannot set these header fields (Fetch standard)")
            }
            (Column::LambdaEmulator, Need::Waiting | Need::HangingUp) => Some(
                "Lambda runs one invocation at a time in an environment, and hears of no client that goes away",
            ),
            (Column::LambdaEvents | Column::LambdaEmulator, Need::LongAnswers) => Some(
                "AWS takes at most 6 MiB of an answer from a function; the adapter answers 413 beyond that",
            ),
            (Column::LambdaEmulator, Need::BrokenText) => {
                Some("the emulator itself refuses bodies of type JSON that are not UTF-8; AWS passes them on")
            }
            (Column::InProcess | Column::MessagePack, _)
            | (Column::DaemonFile | Column::DaemonSqld | Column::DaemonHttp2, _)
            | (Column::LambdaEvents | Column::LambdaEmulator, _)
            | (Column::ServiceWorker | Column::Axum, _) => None,
        }
    }

    /// Plays a case on a server of its own.
    async fn play(self, case: &Case, catalogue: &Catalogue, coverage: &mut Coverage) -> Result<(), String> {
        let shared = matches!(self, Column::MessagePack | Column::DaemonSqld);
        let base_path = case.base_path.clone();
        let settings = Settings { base_path, shared, wasm_fuel: FUEL, ..Settings::default() };
        let format = self.format();
        match self {
            Column::InProcess | Column::MessagePack => {
                let platform = running(VirtualPlatform::new(1));
                let host = InProcess(Ground::new(memory(), settings, platform).await);
                Player::new(host, format, case, catalogue, coverage).play(&case.steps).await
            }
            Column::DaemonFile => {
                let directory = tempfile::tempdir().expect("a temporary directory can be made");
                let file = directory.path().join("selvedge.db");
                let database = Local::open(&file, Default::default()).expect("a new file opens");
                let host = Tcp::new(Libsql::Local(database), settings, Version::HTTP_11).await;
                Player::new(host, format, case, catalogue, coverage).play(&case.steps).await
            }
            Column::DaemonSqld => {
                let sqld = Sqld::start();
                let address = sqld.url().parse().expect("it is the address of a server");
                let database = Remote::open(address, None).await.expect("it answers");
                let host = Tcp::new(Libsql::Remote(database), settings, Version::HTTP_11).await;
                Player::new(host, format, case, catalogue, coverage).play(&case.steps).await
            }
            Column::DaemonHttp2 => {
                let host = Tcp::new(memory(), settings, Version::HTTP_2).await;
                Player::new(host, format, case, catalogue, coverage).play(&case.steps).await
            }
            Column::LambdaEvents => {
                let host = lambda::events(memory(), settings).await;
                Player::new(host, format, case, catalogue, coverage).play(&case.steps).await
            }
            Column::LambdaEmulator => {
                let program = Path::new(env!("CARGO_BIN_EXE_lambda-puppet"));
                let host = lambda_emulator::emulated(program, &case.base_path).await;
                Player::new(host, format, case, catalogue, coverage).play(&case.steps).await
            }
            Column::ServiceWorker => {
                let host = browser::service_worker(&case.base_path).await;
                Player::new(host, format, case, catalogue, coverage).play(&case.steps).await
            }
            Column::Axum => {
                let host = Axum::new(memory(), settings).await;
                Player::new(host, format, case, catalogue, coverage).play(&case.steps).await
            }
        }
    }
}

/// What became of a case in one column.
enum Outcome {
    Passed,
    /// The host lacks what the case needs.
    LeftOut(Need),
    Failed(String),
}

fn main() -> ExitCode {
    let filters: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let cases = match case::load(&directory) {
        Ok(cases) => cases,
        Err(faults) => {
            say(&faults.join("\n"));
            return ExitCode::FAILURE;
        }
    };
    let title = |case: &Case| format!("{}/{}", case.group, case.name);
    let wanted: Vec<&Case> = cases
        .iter()
        .filter(|case| {
            filters.is_empty() || filters.iter().any(|filter| title(case).contains(filter.as_str()))
        })
        .collect();
    if std::env::args().any(|word| word == "--list") {
        wanted.iter().for_each(|case| say(&format!("{}: test", title(case))));
        return ExitCode::SUCCESS;
    }
    let (outcomes, coverage) = play_all(&wanted);
    lambda_emulator::stop();
    let mut failed = report(&wanted, &outcomes);
    say(&coverage.summary());
    if filters.is_empty() {
        let gaps = coverage.gaps();
        gaps.iter().for_each(|gap| say(gap));
        failed += gaps.len();
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn say(text: &str) {
    // A reader that has gone needs no report.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Plays each case in each column; the outcomes of case `i` are at `i`.
fn play_all(cases: &[&Case]) -> (Vec<Vec<Outcome>>, Coverage) {
    let (next, coverage) = (AtomicUsize::new(0), Mutex::new(Coverage::default()));
    let outcomes: Vec<Mutex<Vec<Outcome>>> = cases.iter().map(|_| Mutex::default()).collect();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let catalogue = Catalogue::default();
                let mut seen = Coverage::default();
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let played: Vec<Outcome> =
                        Column::ALL.iter().map(|column| play(case, *column, &catalogue, &mut seen)).collect();
                    let index = cases.iter().position(|other| std::ptr::eq(*other, *case));
                    let index = index.expect("the case is one of them");
                    *outcomes[index].lock().expect("no player panics while it holds this") = played;
                }
                coverage.lock().expect("no player panics while it holds this").join(seen);
            });
        }
    });
    let outcomes = outcomes.into_iter().map(|cell| cell.into_inner().expect("every thread has ended"));
    (outcomes.collect(), coverage.into_inner().expect("every thread has ended"))
}

fn play(case: &Case, column: Column, catalogue: &Catalogue, coverage: &mut Coverage) -> Outcome {
    if let Some(need) = case.needs.iter().find(|need| column.lacks(**need).is_some()) {
        return Outcome::LeftOut(*need);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime of one thread");
    let played = catch_unwind(AssertUnwindSafe(|| {
        tokio::task::LocalSet::new().block_on(&runtime, column.play(case, catalogue, coverage))
    }));
    match played.unwrap_or_else(|_| Err("it panicked, as said above".to_owned())) {
        Ok(()) => Outcome::Passed,
        Err(fault) => Outcome::Failed(fault),
    }
}

fn memory() -> Libsql {
    Libsql::Local(Local::memory().expect("a database in memory opens"))
}

/// Prints the table and what went wrong; says how much did.
fn report(cases: &[&Case], outcomes: &[Vec<Outcome>]) -> usize {
    let columns: Vec<&str> = Column::ALL.iter().map(|column| column.name()).collect();
    say(&columns.join("  "));
    let (mut failed, mut reasons) = (0, Vec::new());
    for (case, outcomes) in cases.iter().zip(outcomes) {
        let cells = outcomes.iter().zip(Column::ALL).map(|(outcome, column)| {
            let word = match outcome {
                Outcome::Passed => "ok".to_owned(),
                Outcome::LeftOut(need) => letter(column, *need, &mut reasons),
                Outcome::Failed(_) => "FAILED".to_owned(),
            };
            format!("{word:width$}", width = column.name().len())
        });
        let cells: Vec<String> = cells.collect();
        say(&format!("{}  {}/{}", cells.join("  "), case.group, case.name));
        for (outcome, column) in outcomes.iter().zip(&columns) {
            if let Outcome::Failed(fault) = outcome {
                failed += 1;
                say(&format!("  on {column}: {fault}\n  {}", case.prose));
            }
        }
    }
    for (letter, reason) in ('a'..).zip(&reasons) {
        say(&format!("({letter}) left out: {reason}"));
    }
    say(&format!("{} cases on {} hosts, {failed} failures", cases.len(), columns.len()));
    failed
}

/// The sign of a case that is left out: a letter for each reason.
fn letter(column: Column, need: Need, reasons: &mut Vec<&'static str>) -> String {
    let reason = column.lacks(need).expect("the case was left out for it");
    let index = reasons.iter().position(|known| *known == reason).unwrap_or_else(|| {
        reasons.push(reason);
        reasons.len() - 1
    });
    let letter = ('a'..='z').nth(index).expect("there are few reasons");
    format!("({letter})")
}
