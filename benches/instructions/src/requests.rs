//! Requests through `App::handle`: a run's life and pages of runs, of which one kind of request counts.

use std::hint::black_box;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use selvedge::store::database::Database;
use selvedge::{App, Settings};
use serde_json::Value;

use crate::database::{Memory, Stub, Tape};
use crate::platform::{Still, now};
use crate::scenario::{BEFORE, Count, TIMES, step};

const DOCUMENT: &str = r#"{"selvedge":1,"name":"one","tasks":{"a":{"worker":"q","with":{"n":"${{ input.n }}"}}},
    "output":"${{ tasks.a.output }}"}"#;
/// Whether the story has pages in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Story {
    RunsOnly,
    WithPages,
}

/// Runs that there are before the first page is read, which has as many.
const PAGE_RUNS: u64 = 50;

/// One kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    Start,
    Claim,
    Complete,
    GetRun,
    PageJson,
    PageMsgpack,
}

/// What stands behind the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Memory,
    Stub,
}

impl Request {
    pub(crate) const ALL: [Request; 6] = [
        Request::Start,
        Request::Claim,
        Request::Complete,
        Request::GetRun,
        Request::PageJson,
        Request::PageMsgpack,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Request::Start => "start",
            Request::Claim => "claim",
            Request::Complete => "complete",
            Request::GetRun => "get-run",
            Request::PageJson => "page-json",
            Request::PageMsgpack => "page-msgpack",
        }
    }

    fn story(self) -> Story {
        match self {
            Request::Start | Request::Claim | Request::Complete | Request::GetRun => Story::RunsOnly,
            Request::PageJson | Request::PageMsgpack => Story::WithPages,
        }
    }
}

impl Over {
    pub(crate) const ALL: [Over; 2] = [Over::Memory, Over::Stub];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Over::Memory => "memory",
            Over::Stub => "stub",
        }
    }
}

/// Plays the story; over the stub a second time, with what SQLite answered in the first.
pub(crate) fn carry_out(chosen: Request, over: Over) {
    let (memory, tape) = Memory::open();
    let story = chosen.story();
    match over {
        Over::Memory => play(memory, Some(chosen), story),
        Over::Stub => {
            play(memory, None, story);
            let recorded: Tape = tape;
            play(Stub(recorded), Some(chosen), story);
        }
    }
}

fn play<D: Database>(database: D, chosen: Option<Request>, story: Story) {
    let app = now(App::open(database, Still::default(), Settings::default())).expect("it opens");
    let server = Server(app);
    server.ask(Count::No, put("/api/v1/workflows/one", DOCUMENT), 201);
    for _ in 0..PAGE_RUNS {
        server.live(&|_| Count::No);
    }
    for round in 0..BEFORE + TIMES {
        let count = |request| {
            if Some(request) == chosen && round >= BEFORE { Count::Yes } else { Count::No }
        };
        server.live(&count);
        // Only where they count: what a page gives back to the allocator, the next request would tidy up.
        if story == Story::WithPages {
            server.page(&count);
        }
    }
}

struct Server<D>(App<D, Still>);

impl<D: Database> Server<D> {
    /// A run from start to result.
    fn live(&self, count: &dyn Fn(Request) -> Count) {
        let start = post("/api/v1/runs", r#"{"workflow":"one","input":{"n":1}}"#);
        let run = self.ask(count(Request::Start), start, 201);
        let id = run["id"].as_str().expect("an id").to_owned();
        let claim = post("/api/v1/tasks/claim", r#"{"worker_id":"w","queues":["q"]}"#);
        let claimed = self.ask(count(Request::Claim), claim, 200);
        let lease = claimed["tasks"][0]["lease_id"].as_str().expect("a task").to_owned();
        let complete = post(&format!("/api/v1/leases/{lease}/complete"), r#"{"output":{"ok":true}}"#);
        self.ask(count(Request::Complete), complete, 200);
        let run =
            self.ask(count(Request::GetRun), get(&format!("/api/v1/runs/{id}"), "application/json"), 200);
        assert_eq!(run["status"], "completed");
    }

    /// The newest runs, in both formats.
    fn page(&self, count: &dyn Fn(Request) -> Count) {
        let page = format!("/api/v1/runs?limit={PAGE_RUNS}");
        self.ask(count(Request::PageJson), get(&page, "application/json"), 200);
        self.ask(count(Request::PageMsgpack), get(&page, "application/msgpack"), 200);
    }

    /// One request; only its way through the server counts.
    fn ask(&self, count: Count, request: http::Request<Full<Bytes>>, status: u16) -> Value {
        let response = step(count, || now(self.0.handle(black_box(request))));
        let found = response.status().as_u16();
        let body = now(response.into_body().collect()).expect("it is in memory").to_bytes();
        assert_eq!(found, status, "{}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap_or_default()
    }
}

fn get(path: &str, accept: &str) -> http::Request<Full<Bytes>> {
    let request = http::Request::get(path).header(ACCEPT, accept);
    request.body(Full::default()).expect("the path is valid")
}

fn post(path: &str, body: &str) -> http::Request<Full<Bytes>> {
    with_body(http::Request::post(path), body)
}

fn put(path: &str, body: &str) -> http::Request<Full<Bytes>> {
    with_body(http::Request::put(path), body)
}

fn with_body(request: http::request::Builder, body: &str) -> http::Request<Full<Bytes>> {
    let request = request.header(CONTENT_TYPE, "application/json");
    request.body(Full::new(Bytes::from(body.to_owned()))).expect("the path is valid")
}
