//! The worker against a scripted server: what it sends when answers are lost, late or unwelcome.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::{Settings, work};
use crate::client::Client;
use crate::listener::{Handler, Upload, accept};
use crate::stop::{self, Phase, Stop, Stopper};

/// Status and body.
type Answer = (u16, Value);

/// Answers by the last segment of the path: the next of its script, or 200 with an empty object. A claim
/// beyond its script waits for ever, as one without tasks does.
struct Script {
    answers: Mutex<BTreeMap<&'static str, VecDeque<Answer>>>,
    calls: watch::Sender<Vec<(String, Value)>>,
}

impl Handler for Script {
    type Body = Full<Bytes>;

    async fn handle(&self, request: Request<Upload>) -> Response<Full<Bytes>> {
        let path = request.uri().path().to_owned();
        let body = request.into_body().collect().await.expect("a whole body").to_bytes();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        self.calls.send_modify(|calls| calls.push((path.clone(), body)));
        let action = path.rsplit('/').next().expect("a path").to_owned();
        let answer = {
            let mut answers = self.answers.lock().expect("no panic while it is held");
            answers.get_mut(action.as_str()).and_then(VecDeque::pop_front)
        };
        let (status, body) = match answer {
            Some(answer) => answer,
            None if action == "claim" => std::future::pending().await,
            None => (200, json!({})),
        };
        let mut response = Response::new(Full::from(body.to_string()));
        *response.status_mut() = status.try_into().expect("a status");
        response
    }
}

struct World {
    script: Arc<Script>,
    settings: Settings,
    stopper: Stopper,
    stop: Stop,
    _server_stopper: Stopper,
}

async fn world(answers: Vec<(&'static str, Vec<Answer>)>) -> World {
    selvedge_tokio::install_tls();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
    let server = format!("http://{}", listener.local_addr().expect("bound"));
    let answers = answers.into_iter().map(|(action, answers)| (action, answers.into())).collect();
    let script = Arc::new(Script { answers: Mutex::new(answers), calls: watch::Sender::default() });
    let (server_stopper, server_stop) = stop::channel();
    tokio::spawn(accept(listener, script.clone(), 100, server_stop));
    let (stopper, stop) = stop::channel();
    let settings = Settings {
        client: Client::new(&server).expect("an address"),
        worker_id: "w".into(),
        queues: vec!["shell".into()],
        labels: vec!["x".into()],
        concurrency: 2,
        lease_ttl: Duration::from_millis(300),
        kill_grace: Duration::from_secs(10),
        shutdown_grace: Duration::from_secs(10),
    };
    World { script, settings, stopper, stop, _server_stopper: server_stopper }
}

impl World {
    /// Works until a call to this action has come that many times, then stops in the given way. Returns the
    /// bodies of all calls to that action.
    async fn until(self, action: &str, count: usize, phase: Phase) -> Vec<Value> {
        let mut calls = self.script.calls.subscribe();
        let working = tokio::spawn(work(self.settings.clone(), self.stop.clone()));
        calls.wait_for(|calls| of(calls, action).len() >= count).await.expect("the script lives");
        self.stopper.move_to(phase);
        working.await.expect("no panic").expect("no refusal");
        of(&self.script.calls.borrow(), action)
    }
}

fn of(calls: &[(String, Value)], action: &str) -> Vec<Value> {
    let is_of = |path: &str| path.rsplit('/').next() == Some(action);
    calls.iter().filter(|(path, _)| is_of(path)).map(|(_, body)| body.clone()).collect()
}

fn granted(command: &str) -> Answer {
    let task = json!({"lease_id": "l", "run_id": "r", "workflow": "w", "task": "t", "index": null,
        "queue": "shell", "attempt": 1, "input": {"command": command}, "upstream": {}, "deadline": null,
        "lease_expires_at": "2030-01-01T00:00:00.000Z", "grace": "30s"});
    (200, json!({ "tasks": [task] }))
}

fn problem(status: u16) -> Answer {
    (status, json!({"type": "/problems/x", "title": "X", "status": status}))
}

#[tokio::test]
async fn a_claim_that_was_not_answered_is_repeated_as_it_was() {
    let claims = vec![problem(503), problem(500), granted("true")];
    let calls = world(vec![("claim", claims)]).await.until("claim", 4, Phase::Stopping).await;
    assert_eq!(calls[0], calls[1]);
    assert_eq!(calls[0], calls[2]);
    assert_ne!(calls[0]["claim_id"], calls[3]["claim_id"]);
    for (member, value) in [
        ("worker_id", json!("w")),
        ("queues", json!(["shell"])),
        ("labels", json!(["x"])),
        ("max_tasks", json!(2)),
        ("wait", json!("20s")),
        ("lease_ttl", json!("300ms")),
    ] {
        assert_eq!(calls[0][member], value, "{member}");
    }
}

#[tokio::test]
async fn a_worker_that_the_server_does_not_know_registers_again() {
    let calls = world(vec![("claim", vec![problem(404)])]).await.until("workers", 2, Phase::Stopping).await;
    let expected = json!({"worker_id": "w", "queues": ["shell"], "labels": ["x"], "capacity": 2});
    assert_eq!(calls, [expected.clone(), expected]);
}

#[tokio::test]
async fn a_report_that_was_not_answered_is_repeated_as_it_was() {
    let answers = vec![("claim", vec![granted("echo hi")]), ("complete", vec![problem(503)])];
    let calls = world(answers).await.until("complete", 2, Phase::Stopping).await;
    assert_eq!(calls[0], json!({"output": {"exit_code": 0, "stdout": "hi\n", "stderr": ""}}));
    assert_eq!(calls[0], calls[1]);
}

#[tokio::test]
async fn logs_that_were_not_answered_are_repeated_as_they_were() {
    let answers = vec![("claim", vec![granted("echo hi")]), ("logs", vec![problem(503)])];
    let calls = world(answers).await.until("logs", 2, Phase::Stopping).await;
    assert_eq!(calls[0], calls[1]);
    assert_eq!(calls[0]["chunks"][0]["text"], "hi\n");
    assert_eq!(calls[0]["chunks"][0]["stream"], "stdout");
}

#[tokio::test]
async fn a_result_that_is_refused_fails_the_task() {
    let answers = vec![("claim", vec![granted("true")]), ("complete", vec![problem(413)])];
    let calls = world(answers).await.until("fail", 1, Phase::Stopping).await;
    assert_eq!(calls[0]["retryable"], false);
    assert_eq!(calls[0]["error"]["code"], "output");
}

#[tokio::test]
async fn a_command_is_stopped_when_the_server_asks() {
    let answers = vec![
        ("claim", vec![granted("sleep 1000 & wait")]),
        ("heartbeat", vec![(200, json!({"cancel_requested": true}))]),
    ];
    let calls = world(answers).await.until("fail", 1, Phase::Stopping).await;
    assert_eq!(calls[0]["retryable"], false);
    assert_eq!(calls[0]["error"]["code"], "cancelled");
}

#[tokio::test]
async fn a_command_whose_lease_is_lost_is_stopped_and_not_reported() {
    let answers = vec![("claim", vec![granted("sleep 1000 & wait")]), ("heartbeat", vec![problem(409)])];
    let mut world = world(answers).await;
    let script = world.script.clone();
    // With one slot there is a second claim only once the first task is over.
    world.settings.concurrency = 1;
    world.until("claim", 2, Phase::Stopping).await;
    let calls = script.calls.borrow();
    for action in ["complete", "fail", "release"] {
        assert!(of(&calls, action).is_empty(), "{action}");
    }
}

#[tokio::test]
async fn what_runs_is_given_back_when_the_worker_is_cut() {
    let answers = vec![("claim", vec![granted("echo up; sleep 1000 & wait")])];
    let world = world(answers).await;
    let script = world.script.clone();
    world.until("logs", 1, Phase::Cut).await;
    assert_eq!(of(&script.calls.borrow(), "release"), [Value::Null]);
}

#[tokio::test]
async fn what_runs_may_finish_when_the_worker_is_stopped() {
    let answers = vec![("claim", vec![granted("echo up; sleep 0.2; echo done")])];
    let world = world(answers).await;
    let script = world.script.clone();
    world.until("logs", 1, Phase::Stopping).await;
    let completed = of(&script.calls.borrow(), "complete");
    assert_eq!(completed[0]["output"]["stdout"], "up\ndone\n");
}

#[tokio::test]
async fn input_that_is_no_command_fails_for_good() {
    let (status, mut answer) = granted("");
    answer["tasks"][0]["input"] = json!({"comand": "x"});
    let calls = world(vec![("claim", vec![(status, answer)])]).await.until("fail", 1, Phase::Stopping).await;
    let message = calls[0]["error"]["message"].as_str().expect("a message");
    assert!(message.starts_with("with.comand: unknown member"), "{message}");
    assert_eq!((&calls[0]["retryable"], &calls[0]["error"]["code"]), (&json!(false), &json!("input")));
}

#[tokio::test]
async fn a_server_that_refuses_the_worker_ends_it() {
    let world = world(vec![("workers", vec![problem(400)])]).await;
    let refusal = work(world.settings.clone(), world.stop.clone()).await.expect_err("refused");
    assert_eq!(refusal.status(), Some(400));
}
