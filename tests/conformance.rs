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
//!     except: { tcp: why the case cannot run on that host }     # optional
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
//!   in a second pass as MessagePack; `{$binary: …}` is binary), `raw` (a text as it is) and `raw_bytes`.
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
//! The columns of the table: `in_process` and `msgpack` are function calls with values in JSON and in
//! MessagePack; `tcp` and `http2` go through the daemon's listener, by HTTP/1.1 in JSON and by HTTP/2 in
//! MessagePack.
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
use selvedge_tests::VirtualPlatform;
use selvedge_tests::case::{self, Case, Format};
use selvedge_tests::coverage::{Catalogue, Coverage};
use selvedge_tests::host::{Ground, InProcess};
use selvedge_tests::player::Player;
use selvedge_tests::tcp::Tcp;

/// How many cases are played at once.
const THREADS: usize = 4;

/// The ways in which cases are played, each a column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// Function calls, values as JSON.
    Json,
    /// Function calls, values as MessagePack.
    MessagePack,
    /// The daemon's listener, HTTP/1.1, values as JSON.
    Tcp,
    /// The daemon's listener, HTTP/2, values as MessagePack.
    Http2,
}

impl Pass {
    const ALL: [Pass; 4] = [Pass::Json, Pass::MessagePack, Pass::Tcp, Pass::Http2];

    fn name(self) -> &'static str {
        match self {
            Pass::Json => "in_process",
            Pass::MessagePack => "msgpack",
            Pass::Tcp => "tcp",
            Pass::Http2 => "http2",
        }
    }

    fn format(self) -> Format {
        match self {
            Pass::Json | Pass::Tcp => Format::Json,
            Pass::MessagePack | Pass::Http2 => Format::MessagePack,
        }
    }
}

/// What became of a case in one pass.
enum Outcome {
    Passed,
    Excepted,
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

/// Plays each case in each pass; the outcomes of case `i` are at `i`.
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
                        Pass::ALL.iter().map(|pass| play(case, *pass, &catalogue, &mut seen)).collect();
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

fn play(case: &Case, pass: Pass, catalogue: &Catalogue, coverage: &mut Coverage) -> Outcome {
    if case.except.contains_key(pass.name()) {
        return Outcome::Excepted;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime of one thread");
    let settings = Settings { base_path: case.base_path.clone(), ..Settings::default() };
    let played = catch_unwind(AssertUnwindSafe(|| {
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let format = pass.format();
            match pass {
                Pass::Json | Pass::MessagePack => {
                    let host = InProcess(Ground::new(settings, VirtualPlatform::new(1)).await);
                    Player::new(host, format, case, catalogue, coverage).play(&case.steps).await
                }
                Pass::Tcp | Pass::Http2 => {
                    let version = if pass == Pass::Tcp { Version::HTTP_11 } else { Version::HTTP_2 };
                    let host = Tcp::new(settings, version).await;
                    Player::new(host, format, case, catalogue, coverage).play(&case.steps).await
                }
            }
        })
    }));
    let played = played.unwrap_or_else(|_| Err("it panicked, as said above".to_owned()));
    match played {
        Ok(()) => Outcome::Passed,
        Err(fault) => Outcome::Failed(fault),
    }
}

/// Prints the table and what went wrong; says how much did.
fn report(cases: &[&Case], outcomes: &[Vec<Outcome>]) -> usize {
    let columns: Vec<&str> = Pass::ALL.iter().map(|pass| pass.name()).collect();
    say(&columns.join("  "));
    let mut failed = 0;
    for (case, outcomes) in cases.iter().zip(outcomes) {
        let cells = outcomes.iter().zip(&columns).map(|(outcome, column)| {
            let word = match outcome {
                Outcome::Passed => "ok",
                Outcome::Excepted => "-",
                Outcome::Failed(_) => "FAILED",
            };
            format!("{word:width$}", width = column.len())
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
    say(&format!("{} cases, {failed} failures", cases.len()));
    failed
}
