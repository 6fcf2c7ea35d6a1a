//! The real `bootstrap` behind the emulator of Lambda's runtime API, on a real sqld.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use selvedge_emulator::Emulator;
use selvedge_test_sqld::Sqld;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// No answer takes this long, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// `{"id": "m1", "document": {…}}` would be long in MessagePack; this is `{}`.
const EMPTY_MSGPACK: &[u8] = b"\x80";

struct Lambda {
    emulator: Emulator,
    client: reqwest::Client,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Lambda {
    /// A function on this database.
    fn start(database: &str, environment: &[(&str, &str)]) -> Self {
        let mut variables = vec![("SELVEDGE_DATABASE", database)];
        variables.extend(environment);
        let emulator = Emulator::start(Path::new(env!("CARGO_BIN_EXE_bootstrap")), &variables);
        selvedge_tokio::install_tls();
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(PATIENCE).build();
        Self { emulator, client: client.expect("a client") }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let fields = headers.iter().map(|(name, value)| {
            (HeaderName::try_from(*name).expect("a name"), HeaderValue::try_from(*value).expect("a value"))
        });
        let url = format!("http://{}{path}", self.emulator.address());
        let request = self.client.request(method, url).headers(fields.collect()).body(body.into());
        let answer = request.send().await.expect("an answer");
        let (status, headers) = (answer.status(), answer.headers().clone());
        Answer { status, headers, body: answer.bytes().await.expect("a whole answer") }
    }

    async fn get(&self, path: &str) -> Value {
        self.send(Method::GET, path, &[], "").await.json()
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        let json = [("content-type", "application/json")];
        self.send(Method::POST, path, &json, body.to_string()).await
    }

    /// An event of its own, as a schedule sends it.
    async fn invoke(&self, event: &str) -> Value {
        self.send(Method::POST, self.emulator.invocations(), &[], event.to_owned()).await.json()
    }
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|fault| panic!("{fault}: {:?}", self.body))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

#[tokio::test]
async fn requests_of_every_format_are_answered() {
    let sqld = Sqld::start();
    let lambda = Lambda::start(&sqld.url(), &[("SELVEDGE_BASE_PATH", "/flows")]);
    let document = json!({ "selvedge": 1, "name": "one", "tasks": { "gate": { "signal": "go" } } });
    let text = "x".repeat(4_000);
    let started =
        lambda.post("/flows/api/v1/runs", json!({ "id": "r1", "document": document, "input": text })).await;
    assert_eq!(started.status, 201, "{}", started.json());
    assert_eq!(started.header("location"), "/flows/api/v1/runs/r1");

    assert_eq!(lambda.get("/flows/api/v1/info").await["host"], "lambda");
    let run = lambda.get("/flows/api/v1/runs/%72%31").await;
    assert_eq!(run["id"], "r1", "an encoded path means the same: {run}");

    let packed = [("accept", "application/msgpack")];
    let packed = lambda.send(Method::GET, "/flows/api/v1/runs/r1", &packed, "").await;
    assert_eq!((packed.status, packed.header("content-type")), (StatusCode::OK, "application/msgpack"));
    // A map of 16 bits, which is not UTF-8.
    assert_eq!(packed.body[0], 0xde, "{:?}", packed.body);

    let gzipped = [("accept-encoding", "gzip")];
    let gzipped = lambda.send(Method::GET, "/flows/api/v1/runs/r1", &gzipped, "").await;
    assert_eq!((gzipped.header("content-encoding"), &gzipped.body[..2]), ("gzip", &b"\x1f\x8b"[..]));

    let media = [("content-type", "application/msgpack")];
    let signalled = "/flows/api/v1/runs/r1/signals/go";
    let signalled = lambda.send(Method::POST, signalled, &media, EMPTY_MSGPACK).await;
    assert!(signalled.status.is_success(), "{}", signalled.json());
    let result = lambda.send(Method::GET, "/flows/api/v1/runs/r1/result?timeout=30s", &[], "").await;
    assert_eq!(result.status, StatusCode::OK, "{}", result.json());

    // To the emulator's domain as to an API's own, the base path is a mapping that the event does not show.
    let inside = lambda.send(Method::GET, "/health", &[], "").await;
    assert_eq!(inside.status, StatusCode::OK);
}

#[tokio::test]
async fn inline_tasks_run_after_the_answer() {
    let target = TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
    let url = format!("http://{}/", target.local_addr().expect("it is bound"));
    let sqld = Sqld::start();
    let lambda = Lambda::start(&sqld.url(), &[]);
    let document = json!({ "selvedge": 1, "name": "call", "tasks": { "call": { "http": { "url": url } } } });
    let started = lambda.post("/api/v1/runs", json!({ "id": "r1", "document": document })).await;
    assert_eq!(started.status, StatusCode::CREATED, "{}", started.json());
    assert_eq!(started.json()["status"], "running");

    // The client has its answer, and no other event has come: the function goes on by itself.
    let (mut stream, _) =
        tokio::time::timeout(PATIENCE, target.accept()).await.expect("it calls").expect("a call");
    let mut head = [0; 4096];
    let read = stream.read(&mut head).await.expect("a request");
    assert!(head[..read].starts_with(b"GET / HTTP/1.1\r\n"));
    let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n42";
    stream.write_all(answer.as_bytes()).await.expect("it listens");
    drop(stream);
    let result = lambda.send(Method::GET, "/api/v1/runs/r1/result?timeout=30s", &[], "").await;
    assert_eq!(result.status, StatusCode::OK, "{}", result.json());
}

#[tokio::test]
async fn a_schedule_fires_timers() {
    let sqld = Sqld::start();
    let lambda = Lambda::start(&sqld.url(), &[("SELVEDGE_DRIVE", "never")]);
    let document = json!({ "selvedge": 1, "name": "nap", "tasks": { "nap": { "sleep": "1ms" }, "long": { "sleep": "1h" } } });
    let started = lambda.post("/api/v1/runs", json!({ "id": "r1", "document": document })).await;
    assert_eq!(started.status, StatusCode::CREATED, "{}", started.json());
    assert_eq!(lambda.get("/api/v1/runs/r1/tasks/nap").await["status"], "waiting");

    let schedule = include_str!("events/scheduled_event.json");
    let answer = lambda.invoke(schedule).await;
    assert_eq!(lambda.get("/api/v1/runs/r1/tasks/nap").await["status"], "completed");
    let long = lambda.get("/api/v1/runs/r1/tasks/long").await;
    assert_eq!(long["status"], "waiting", "{long}");
    assert!(answer["next_timer_at"].is_string(), "{answer}");

    let refused = lambda.invoke(include_str!("events/sqs.json")).await;
    assert_eq!(refused["errorType"], "Selvedge.Event", "{refused}");
    assert!(
        refused["errorMessage"].as_str().is_some_and(|text| text.contains("members Records")),
        "{refused}"
    );
}

#[tokio::test]
async fn timers_fire_while_a_client_waits() {
    let sqld = Sqld::start();
    let lambda = Lambda::start(&sqld.url(), &[]);
    let document = json!({ "selvedge": 1, "name": "nap", "tasks": { "nap": { "sleep": "300ms" } } });
    lambda.post("/api/v1/runs", json!({ "id": "r1", "document": document })).await;
    let result = lambda.send(Method::GET, "/api/v1/runs/r1/result?timeout=30s", &[], "").await;
    assert_eq!(result.status, StatusCode::OK, "{}", result.json());
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_a_problem_until_it_can() {
    let lambda = Lambda::start("/nonexistent/selvedge.db", &[]);
    let refused = lambda.send(Method::GET, "/api/v1/runs", &[], "").await;
    assert_eq!(
        (refused.status, refused.header("content-type")),
        (StatusCode::SERVICE_UNAVAILABLE, "application/problem+json")
    );
    assert_eq!(refused.json()["type"], "/problems/unavailable");
    let tick = lambda.invoke(r#"{"tick": {}}"#).await;
    assert_eq!(tick["errorType"], "Selvedge.Database", "{tick}");
    assert!(lambda.emulator.log().contains("/nonexistent"), "{}", lambda.emulator.log());
}

#[tokio::test]
async fn environments_share_the_database_and_may_go_at_any_time() {
    let sqld = Sqld::start();
    let mut first = Lambda::start(&sqld.url(), &[]);
    let document = json!({ "selvedge": 1, "name": "two", "tasks": { "a": { "signal": "go" } } });
    let started = first.post("/api/v1/runs", json!({ "id": "r1", "document": document })).await;
    assert_eq!(started.status, StatusCode::CREATED, "{}", started.json());
    first.emulator.kill_function();

    let second = Lambda::start(&sqld.url(), &[]);
    assert_eq!(second.get("/api/v1/runs/r1").await["status"], "running");
    let signalled = second.post("/api/v1/runs/r1/signals/go", json!({})).await;
    assert!(signalled.status.is_success(), "{}", signalled.json());
    let result = second.send(Method::GET, "/api/v1/runs/r1/result?timeout=30s", &[], "").await;
    assert_eq!(result.status, StatusCode::OK, "{}", result.json());
    assert_eq!(second.get("/api/v1/info").await["durability"], "server");
}
