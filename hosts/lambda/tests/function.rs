//! What one invocation does and when, on tokio's paused clock: answers, drives, and the end of its time.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use selvedge::http::body::Body;
use selvedge::time::Timestamp;
use selvedge_lambda::function::TIME_MARGIN;
use selvedge_lambda::{Drive, Failure, Function, Server};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

/// A server that writes down what it is asked. `GET /ms/N` takes that long; a `POST` leaves something to drive.
#[derive(Clone)]
struct Script(Rc<State>);

struct State {
    began: Instant,
    log: RefCell<Vec<String>>,
    needed: Cell<bool>,
    bell: Notify,
    /// How long a drive takes, unless the time for it is shorter.
    drive_takes: Duration,
    /// The seconds at which something is due by itself.
    due: RefCell<Vec<u64>>,
}

impl Script {
    fn new(drive_takes: Duration, due: &[u64]) -> Self {
        Self(Rc::new(State {
            began: Instant::now(),
            log: RefCell::default(),
            needed: Cell::new(false),
            bell: Notify::new(),
            drive_takes,
            due: RefCell::new(due.to_vec()),
        }))
    }

    fn note(&self, what: &str) {
        let at = self.0.began.elapsed().as_millis();
        self.0.log.borrow_mut().push(format!("{at} {what}"));
    }

    fn log(&self) -> Vec<String> {
        self.0.log.take()
    }
}

impl Server for Script {
    async fn handle(&self, request: Request<Bytes>) -> Response<Body> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let takes = path.rsplit('/').next().and_then(|ms| ms.parse().ok()).unwrap_or(0);
        sleep(Duration::from_millis(takes)).await;
        if method == "POST" {
            self.0.needed.set(true);
            self.0.bell.notify_waiters();
        }
        self.note(&format!("{method} {path}"));
        let mut response = Response::new(Body::full("\u{1}".repeat(request.body().len())));
        response.headers_mut().insert("content-type", HeaderValue::from_static("text/plain"));
        response
    }

    async fn drive(&self, within: Duration) -> Option<Timestamp> {
        self.0.needed.set(false);
        let now = self.now();
        self.0.due.borrow_mut().retain(|second| Timestamp::from_millis(*second as i64 * 1000) > now);
        sleep(self.0.drive_takes.min(within)).await;
        self.note("driven");
        self.0.due.borrow().first().map(|second| Timestamp::from_millis(*second as i64 * 1000))
    }

    async fn woken(&self) {
        loop {
            let ear = self.0.bell.notified();
            if self.0.needed.get() {
                return;
            }
            ear.await;
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.began.elapsed().as_millis() as i64)
    }
}

fn event(method: &str, path: &str) -> String {
    json!({
        "version": "2.0", "rawPath": path, "rawQueryString": "", "headers": {},
        "requestContext": { "http": { "method": method, "path": path }, "stage": "$default" },
        "isBase64Encoded": false,
    })
    .to_string()
}

/// One invocation as the runtime does it; the log says when the answer was sent.
async fn invoke<O>(function: &Function<Script, O>, script: &Script, event: &str, within: Duration) -> Value
where
    O: AsyncFn() -> Result<Script, String>,
{
    let (answer, rest) = function.invoke(event, within).await.expect("the event is one of ours");
    script.note("sent");
    if let Some(rest) = rest {
        rest.await;
    }
    script.note("over");
    serde_json::from_str(answer.get()).expect("answers are JSON")
}

#[tokio::test(start_paused = true)]
async fn each_way_of_driving_has_its_place() {
    let half = Duration::from_millis(500);
    for (drive, method, expected) in [
        (Drive::After, "POST", &["10 POST /ms/10", "10 sent", "510 driven", "510 over"][..]),
        (Drive::After, "GET", &["10 GET /ms/10", "10 sent", "10 over"]),
        (Drive::Before(SECOND), "POST", &["10 POST /ms/10", "510 driven", "510 sent", "510 over"]),
        (
            Drive::Before(Duration::from_millis(100)),
            "POST",
            &["10 POST /ms/10", "110 driven", "110 sent", "110 over"],
        ),
        (Drive::Before(SECOND), "GET", &["10 GET /ms/10", "10 sent", "10 over"]),
        (Drive::Never, "POST", &["10 POST /ms/10", "10 sent", "10 over"]),
    ] {
        let script = Script::new(half, &[]);
        let function = Function::new(async || Ok(script.clone()), String::new(), drive);
        invoke(&function, &script, &event(method, "/ms/10"), 5 * SECOND).await;
        assert_eq!(script.log(), expected, "{drive:?} {method}");
    }
}

#[tokio::test(start_paused = true)]
async fn timers_fire_beside_a_long_poll() {
    let script = Script::new(Duration::ZERO, &[2, 3, 60]);
    let function = Function::new(async || Ok(script.clone()), String::new(), Drive::After);
    invoke(&function, &script, r#"{"tick": {}}"#, 9 * SECOND).await;
    invoke(&function, &script, &event("GET", "/ms/5000"), 9 * SECOND).await;
    let expected = [
        "0 driven",
        "0 sent",
        "0 over",
        "2000 driven",
        "3000 driven",
        "5000 GET /ms/5000",
        "5000 sent",
        "5000 over",
    ];
    assert_eq!(script.log(), expected);
}

#[tokio::test(start_paused = true)]
async fn an_invocation_ends_before_its_time_is_up() {
    let script = Script::new(60 * SECOND, &[]);
    let function = Function::new(async || Ok(script.clone()), String::new(), Drive::After);
    invoke(&function, &script, &event("POST", "/ms/1000"), 3 * SECOND).await;
    let margin = TIME_MARGIN.as_millis();
    let end = 3000 - margin;
    let over = format!("{end} over");
    assert_eq!(script.log(), ["1000 POST /ms/1000", "1000 sent", &format!("{end} driven"), &over]);

    let answer = invoke(&function, &script, &event("GET", "/ms/9000"), 3 * SECOND).await;
    let end = end + 3000 - margin;
    assert_eq!(script.log(), [format!("{end} sent"), format!("{end} over")]);
    assert_eq!(answer["statusCode"], 503);
    let body: Value = serde_json::from_str(answer["body"].as_str().expect("text")).expect("JSON");
    assert_eq!(body["type"], "/problems/unavailable");
    assert_eq!(body["detail"], "the function's time is up; ask again");
    assert_eq!(body["instance"], answer["headers"]["x-request-id"]);
    assert!(answer["headers"]["retry-after"].is_string());
}

#[tokio::test(start_paused = true)]
async fn a_tick_drives_and_says_what_is_next() {
    let script = Script::new(SECOND, &[0, 7]);
    let function = Function::new(async || Ok(script.clone()), String::new(), Drive::Never);
    let answer = invoke(&function, &script, r#"{"tick": {}}"#, 5 * SECOND).await;
    assert_eq!(answer, json!({ "next_timer_at": "1970-01-01T00:00:07.000Z" }));
    assert_eq!(script.log(), ["1000 driven", "1000 sent", "1000 over"]);
}

#[tokio::test(start_paused = true)]
async fn without_a_database_requests_are_told_so_and_the_next_one_tries_again() {
    let script = Script::new(Duration::ZERO, &[]);
    let tries = Cell::new(0);
    let open = async || {
        tries.set(tries.get() + 1);
        if tries.get() < 3 { Err("no route to libsql.example".to_owned()) } else { Ok(script.clone()) }
    };
    let function = Function::new(open, "/flows".to_owned(), Drive::After);

    let fault = function.invoke(r#"{"tick": {}}"#, SECOND).await.map(drop).expect_err("no database");
    assert!(matches!(&fault, Failure::Database(_)), "{fault:?}");
    assert_eq!(fault.to_string(), "the database cannot be used: no route to libsql.example");

    let answer = invoke(&function, &script, &event("GET", "/flows/api/v1/runs"), SECOND).await;
    assert_eq!(
        (&answer["statusCode"], &answer["headers"]["content-type"]),
        (&json!(503), &json!("application/problem+json"))
    );
    let body = answer["body"].as_str().expect("text");
    assert!(body.contains("/flows/problems/unavailable") && !body.contains("libsql.example"), "{body}");

    let answer = invoke(&function, &script, &event("GET", "/flows/api/v1/runs"), SECOND).await;
    assert_eq!(answer["statusCode"], 200);
    invoke(&function, &script, &event("GET", "/flows/api/v1/runs"), SECOND).await;
    assert_eq!(tries.get(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_aws_does_not_take_is_a_problem() {
    // Each byte of the body takes six in JSON.
    for (trigger, bytes, status) in
        [("http", 1_000_000, 200), ("http", 1_050_000, 413), ("elb", 170_000, 200), ("elb", 175_000, 413)]
    {
        let script = Script::new(Duration::ZERO, &[]);
        let function = Function::new(async || Ok(script.clone()), String::new(), Drive::After);
        let mut event: Value = serde_json::from_str(&event("POST", "/ms/0")).expect("JSON");
        event["body"] = "x".repeat(bytes).into();
        if trigger == "elb" {
            event["requestContext"] = json!({ "elb": {} });
            event["httpMethod"] = "POST".into();
            event["path"] = "/ms/0".into();
        }
        let answer = invoke(&function, &script, &event.to_string(), SECOND).await;
        assert_eq!(answer["statusCode"], status, "{trigger} {bytes}");
        let body = answer["body"].as_str().expect("text");
        assert_eq!(body.contains("ask for fewer items (limit)"), status == 413, "{trigger} {bytes}");
    }
}
