//! Clients and workers of the simulation: honest, slow, dying, answering late or twice, lying.
//!
//! What a 2xx answer promises is written down as a [`Fact`], which the simulation looks up in the database
//! at once and again at the end.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use selvedge::platform::Platform;
use selvedge::time::Duration;
use selvedge::value::Value;
use tokio::sync::oneshot;

use crate::scheduler::Dice;
use selvedge_puppet::VirtualPlatform;

/// What an answer promised: the cell that a statement must yield.
#[derive(Debug, Clone)]
pub struct Fact {
    /// What was promised.
    pub what: String,
    /// The statement; its parameters are texts.
    pub sql: &'static str,
    /// Its parameters.
    pub params: Vec<String>,
    /// The cell is one of these.
    pub expected: &'static [&'static str],
}

/// One request on its way.
pub struct Request {
    /// `POST`, `GET`.
    pub method: &'static str,
    /// Path and query.
    pub path: String,
    /// A JSON body.
    pub body: Option<Value>,
    /// Where the answer goes. Dropped, the connection is lost.
    pub reply: oneshot::Sender<Reply>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Value,
    /// The `ETag`, without its quotes.
    pub etag: Option<String>,
}

/// What people share with the simulation.
#[derive(Clone)]
pub struct Street {
    /// Requests that the server has not seen yet.
    pub requests: Rc<RefCell<VecDeque<Request>>>,
    /// Facts that nobody has looked up yet.
    pub facts: Rc<RefCell<Vec<Fact>>>,
    /// Claims that wait for something to become ready.
    pub waiting: Rc<RefCell<u32>>,
    /// Whether people still misbehave.
    pub mischief: Rc<RefCell<bool>>,
    /// Runs whose end a client has seen.
    pub ended: Rc<RefCell<u32>>,
    /// Numbers of the seed.
    pub dice: Rc<RefCell<Dice>>,
    /// The clock.
    pub platform: VirtualPlatform,
}

/// The workflows that clients run. Nothing in them needs more than time, workers and signals to end.
const DOCUMENTS: [&str; 5] = [
    r#"{"selvedge":1,"name":"diamond","tasks":{
        "a":{"worker":"q","retry":{"max_attempts":6,"backoff":"fixed","delay":"1s"},"grace":"3s"},
        "b":{"needs":["a"],"worker":"q","with":"${{ tasks.a.output }}"},
        "c":{"needs":["a"],"worker":"q","retry":{"max_attempts":6,"backoff":"none"}},
        "d":{"needs":["b","c"],"value":"${{ tasks.b.status + tasks.c.status }}"}},
        "output":"${{ tasks.d.output }}"}"#,
    r#"{"selvedge":1,"name":"approval","tasks":{
        "a":{"worker":"q"},
        "s":{"needs":["a"],"signal":"go","timeout":"30s","on_timeout":"skip"},
        "z":{"needs":["s"],"sleep":"5s"},
        "b":{"needs":["z"],"worker":"q","total_timeout":"10m"}}}"#,
    r#"{"selvedge":1,"name":"tolerant","tasks":{
        "a":{"worker":"q","retry":{"max_attempts":2},"continue_on_error":true,"timeout":"8s"},
        "b":{"needs":["a"],"value":"${{ tasks.a.status }}"},
        "s":{"signal":"go"},
        "t":{"needs":["b"],"signal":"go"},
        "c":{"needs":["s","t"],"worker":"q"}}}"#,
    r#"{"selvedge":1,"name":"wide","execution_timeout":"5m","tasks":{
        "a":{"worker":"q","priority":5},"b":{"worker":"q","queue_timeout":"2m"},"c":{"worker":"q"},
        "d":{"worker":"q"},"e":{"worker":"q","total_timeout":"1m","continue_on_error":true},
        "z":{"needs":["a","b","c","d","e"],"worker":"q"}}}"#,
    r#"{"selvedge":1,"name":"web","tasks":{
        "a":{"http":{"url":"http://x.invalid/"},"retry":{"max_attempts":2},"continue_on_error":true},
        "b":{"needs":["a"],"worker":"q","with":"${{ tasks.a.failure.code }}"}}}"#,
];

impl Street {
    /// A request and its answer; `None` if the connection was lost.
    async fn call(
        &self,
        method: &'static str,
        path: impl Into<String>,
        body: Option<Value>,
    ) -> Option<Reply> {
        let (reply, answer) = oneshot::channel();
        let path = path.into();
        self.requests.borrow_mut().push_back(Request { method, path, body, reply });
        answer.await.ok()
    }

    /// The request again and again until the server has said something final.
    async fn insist(&self, method: &'static str, path: &str, body: Option<Value>) -> Reply {
        loop {
            match self.call(method, path, body.clone()).await {
                Some(reply) if reply.status != 503 => return reply,
                _ => self.sleep(200, 2000).await,
            }
        }
    }

    async fn sleep(&self, least: u64, most: u64) {
        let millis = least + self.below(most - least);
        self.platform.sleep(Duration::from_millis(millis)).await;
    }

    fn below(&self, limit: u64) -> u64 {
        self.dice.borrow_mut().below(limit)
    }

    fn misbehaves(&self) -> bool {
        *self.mischief.borrow()
    }

    fn promise(
        &self,
        what: impl Into<String>,
        sql: &'static str,
        params: &[&str],
        expected: &'static [&'static str],
    ) {
        let params = params.iter().map(|text| (*text).to_owned()).collect();
        self.facts.borrow_mut().push(Fact { what: what.into(), sql, params, expected });
    }

    /// A client that starts a run, meddles with it, and sees it through.
    pub async fn client(self, id: String) {
        let document = DOCUMENTS[self.below(DOCUMENTS.len() as u64) as usize];
        let mut start = Value::from([("id", id.as_str().into()), ("document", json(document))]);
        if self.below(5) == 0
            && let Value::Object(members) = &mut start
        {
            members.insert("start_after".to_owned(), "7s".into());
        }
        let started = self.insist("POST", "/api/v1/runs", Some(start)).await;
        // A repetition of a start whose answer was lost finds the run.
        assert!([201, 409].contains(&started.status), "start {id}: {started:?}");
        self.promise(format!("start {id}"), "SELECT count(*) FROM runs WHERE id = ?1", &[&id], &["1"]);
        let mut number = 0;
        for _ in 0..self.below(8) {
            self.sleep(100, 15_000).await;
            number += 1;
            self.meddle(&id, number).await;
        }
        loop {
            number += 1;
            let _ = self.steer(&id, "resume").await;
            self.signal(&id, number).await;
            let path = format!("/api/v1/runs/{id}/result?timeout=10s");
            match self.call("GET", path, None).await {
                Some(reply) if [200, 422].contains(&reply.status) => break,
                Some(reply) => assert!([408, 503].contains(&reply.status), "result {id}: {reply:?}"),
                None => self.sleep(200, 2000).await,
            }
        }
        let sql =
            "SELECT status IN ('completed', 'failed', 'cancelled', 'timed_out') FROM runs WHERE id = ?1";
        self.promise(format!("{id} has ended"), sql, &[&id], &["1"]);
        *self.ended.borrow_mut() += 1;
    }

    async fn meddle(&self, id: &str, number: u64) {
        match self.below(9) {
            0 => {
                if self.steer(id, "cancel").await {
                    let sql = "SELECT count(*) > 0 FROM history WHERE run_id = ?1 AND events LIKE '%\"run_stopping\"%'";
                    self.promise(format!("cancel {id}"), sql, &[id], &["1"]);
                }
            }
            1 => drop(self.steer(id, "cancel?force=true").await),
            2 | 3 => drop(self.steer(id, "pause").await),
            4 => drop(self.steer(id, "resume").await),
            5 | 6 => drop(self.steer(id, "retry").await),
            _ => self.signal(id, number).await,
        }
    }

    /// Whether the server did it. A refusal is final too.
    async fn steer(&self, id: &str, action: &str) -> bool {
        let reply = self.insist("POST", &format!("/api/v1/runs/{id}/{action}"), None).await;
        assert!([200, 202, 409].contains(&reply.status), "{action} {id}: {reply:?}");
        if reply.status == 409 {
            return false;
        }
        let revision = reply.etag.expect("a run has an ETag");
        let sql = "SELECT revision >= CAST(?2 AS INTEGER) FROM runs WHERE id = ?1";
        self.promise(format!("{action} {id} at revision {revision}"), sql, &[id, &revision], &["1"]);
        true
    }

    async fn signal(&self, id: &str, number: u64) {
        let signal_id = format!("{id}-{number}");
        let body =
            Value::from([("signal_id", signal_id.as_str().into()), ("payload", Value::Int(number as i64))]);
        let reply = self.insist("POST", &format!("/api/v1/runs/{id}/signals/go"), Some(body)).await;
        assert!([202, 409].contains(&reply.status), "signal {signal_id}: {reply:?}");
        if reply.status == 202 {
            let sql = "SELECT count(*) FROM signals WHERE run_id = ?1 AND signal_id = ?2";
            self.promise(format!("signal {signal_id}"), sql, &[id, &signal_id], &["1"]);
        }
    }

    /// A worker that claims for ever.
    pub async fn worker(self, name: String) {
        let mut number = 0u64;
        loop {
            let max_tasks = 1 + self.below(3);
            let claim = Value::from([
                ("worker_id", name.as_str().into()),
                ("queues", Value::from(vec!["q".into()])),
                ("max_tasks", Value::Int(max_tasks as i64)),
                ("wait", "20s".into()),
                ("lease_ttl", "10s".into()),
                ("claim_id", format!("{name}-{number}").into()),
            ]);
            *self.waiting.borrow_mut() += 1;
            let reply = self.call("POST", "/api/v1/tasks/claim", Some(claim)).await;
            *self.waiting.borrow_mut() -= 1;
            let Some(reply) = reply.filter(|reply| reply.status == 200) else {
                // Perhaps the same claim again, perhaps a new one.
                number += self.below(2);
                self.sleep(100, 1000).await;
                continue;
            };
            number += 1;
            for task in reply.body.get("tasks").and_then(Value::as_array).expect("a list of tasks") {
                let lease = task.get("lease_id").and_then(Value::as_str).expect("a lease");
                let sql = "SELECT count(*) FROM leases WHERE lease_id = ?1 AND worker_id = ?2";
                self.promise(format!("lease {lease}"), sql, &[lease, &name], &["1"]);
                self.work(lease).await;
            }
        }
    }

    async fn work(&self, lease: &str) {
        match if self.misbehaves() { self.below(12) } else { 99 } {
            0 => {}
            1 => {
                self.sleep(9000, 16_000).await;
                self.complete(lease, 1).await;
            }
            2 => {
                let reply =
                    self.insist("POST", &format!("/api/v1/leases/{lease}x/complete"), output(1)).await;
                assert_eq!(reply.status, 404, "a lease that nobody was given: {reply:?}");
            }
            3 | 4 => {
                let (first, second) = (self.complete(lease, 1).await, self.complete(lease, 1).await);
                assert!(first != 200 || second == 200, "the same report again: {first}, then {second}");
                let other = self.complete(lease, 2).await;
                assert!(first != 200 || other == 409, "another report on an ended lease: {other}");
            }
            5 | 6 => {
                for _ in 0..3 {
                    self.sleep(4000, 7000).await;
                    self.heartbeat(lease).await;
                }
                self.complete(lease, 1).await;
            }
            7 => {
                let body = r#"{"error":{"message":"broken"}}"#;
                self.end(lease, "fail", Some(json(body)), &["failed", "cancelled"]).await;
            }
            8 => {
                self.end(lease, "release", None, &["released", "cancelled"]).await;
            }
            _ => {
                self.sleep(10, 3000).await;
                self.complete(lease, 1).await;
            }
        }
    }

    async fn complete(&self, lease: &str, number: i64) -> u16 {
        self.end(lease, "complete", output(number), &["completed"]).await
    }

    async fn end(&self, lease: &str, how: &str, body: Option<Value>, ended: &'static [&'static str]) -> u16 {
        let reply = self.insist("POST", &format!("/api/v1/leases/{lease}/{how}"), body).await;
        assert!([200, 409].contains(&reply.status), "{how} {lease}: {reply:?}");
        if reply.status == 200 {
            let sql = "SELECT ended FROM leases WHERE lease_id = ?1";
            self.promise(format!("{how} {lease}"), sql, &[lease], ended);
        }
        reply.status
    }

    async fn heartbeat(&self, lease: &str) {
        let Some(reply) = self.call("POST", format!("/api/v1/leases/{lease}/heartbeat"), None).await else {
            return;
        };
        assert!([200, 409, 503].contains(&reply.status), "heartbeat {lease}: {reply:?}");
        if reply.status == 200 {
            let until = reply.body.get("lease_expires_at").and_then(Value::as_str).expect("a time");
            let until: selvedge::time::Timestamp = until.parse().expect("RFC 3339");
            let sql = "SELECT coalesce((SELECT lease_expires_at >= CAST(?2 AS INTEGER) FROM tasks WHERE \
                       lease_id = ?1), 1)";
            self.promise(format!("heartbeat {lease}"), sql, &[lease, &until.as_millis().to_string()], &["1"]);
        }
    }
}

fn output(number: i64) -> Option<Value> {
    Some(Value::from([("output", Value::Int(number))]))
}

fn json(text: &str) -> Value {
    Value::from_json(text.as_bytes()).expect("the test's own JSON")
}
