//! Clients that start and signal runs, and workers that do their tasks, well and badly.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::common::{Api, PATIENCE, Reply};
use super::facts::Facts;

/// How many tasks may be open at a time.
const TASKS_OPEN: usize = 80;
/// The pause before a server is asked again whose database is away.
const AGAIN_AFTER: Duration = Duration::from_millis(20);
/// How many leases a worker forgets before it comes back to the first of them.
const FORGOTTEN_MAX: usize = 3;

/// Name, number of worker tasks, and tasks of each workflow.
const WORKFLOWS: [(&str, u32, &str); 4] = [
    ("chain", 3, "{ a: W, b: W needs: [a] }, c: W needs: [b] } }"),
    ("diamond", 4, "{ a: W, b: W needs: [a] }, c: W needs: [a] }, d: W needs: [b, c] } }"),
    ("gate", 2, "{ a: W, go: { signal: go }, b: W needs: [a, go] } }"),
    ("timer", 2, "{ a: W, nap: { needs: [a], sleep: 150ms }, b: W needs: [nap] } }"),
];
/// No run may fail because a server was killed often.
const WORKER_TASK: &str =
    "{ worker: crash, retry: { max_attempts: 1000, backoff: fixed, delay: 20ms, jitter: 0 }";

pub(crate) async fn save_workflows(api: &Api) {
    for (name, _, tasks) in WORKFLOWS {
        let tasks =
            tasks.replace("W,", &format!("{WORKER_TASK} }},")).replace("W ", &format!("{WORKER_TASK}, "));
        api.save(&format!("selvedge: 1\nname: {name}\ntasks: {tasks}\n")).await;
    }
}

/// A small generator (SplitMix64): the same seed gives the same choices.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// Both ends included.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.next() % 100 < chance
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// What all clients and workers share.
pub(crate) struct Load {
    api: Api,
    /// Where the server is now.
    url: watch::Sender<String>,
    noted: Mutex<Noted>,
    /// How many facts there are.
    count: watch::Sender<u64>,
    room: Semaphore,
    over: watch::Sender<bool>,
}

#[derive(Default)]
struct Noted {
    facts: Facts,
    /// The runs of facts that were noted since somebody last asked.
    fresh: BTreeSet<String>,
}

impl Load {
    pub(crate) fn new(api: &Api, url: &str) -> Self {
        Self {
            api: api.clone(),
            url: watch::Sender::new(url.to_owned()),
            noted: Mutex::default(),
            count: watch::Sender::new(0),
            room: Semaphore::new(TASKS_OPEN),
            over: watch::Sender::new(false),
        }
    }

    /// The server has come back, here.
    pub(crate) fn moved_to(&self, url: &str) {
        self.url.send_replace(url.to_owned());
    }

    /// Comes back when this many more facts have been noted.
    pub(crate) async fn further(&self, facts: u64) {
        let target = *self.count.borrow() + facts;
        let _ = self.count.subscribe().wait_for(|count| *count >= target).await;
    }

    /// All facts about the runs that something was noted of since the last time.
    pub(crate) fn facts_since_last_time(&self) -> Facts {
        let mut noted = self.noted.lock().expect("nobody panicked");
        let fresh = std::mem::take(&mut noted.fresh);
        noted.facts.about(&fresh)
    }

    pub(crate) fn all_facts(&self) -> Facts {
        self.noted.lock().expect("nobody panicked").facts.clone()
    }

    /// Clients end.
    pub(crate) fn start_no_more(&self) {
        self.room.close();
    }

    /// Workers end.
    pub(crate) fn end(&self) {
        self.over.send_replace(true);
    }

    /// Starts runs, and signals those that wait for it, as long as there is room.
    pub(crate) async fn client(self: Arc<Self>, number: u64, mut random: Random) {
        for run in 0_u64.. {
            let (workflow, tasks, _) = WORKFLOWS[random.between(0, WORKFLOWS.len() as u64 - 1) as usize];
            let Ok(room) = self.room.acquire_many(tasks).await else { return };
            room.forget();
            let id = format!("run-{number}-{run}");
            let reply =
                self.post("/runs", json!({"workflow": workflow, "id": id, "input": {"n": run}})).await;
            // 409: it was stored, and the answer was lost.
            assert!(matches!(reply.status, 201 | 409), "{}", reply.body);
            self.note(&id, |facts| facts.run(&id));
            if workflow == "gate" {
                self.signal(&id, &mut random).await;
            }
        }
    }

    async fn signal(&self, run: &str, random: &mut Random) {
        let payload = json!({"n": random.between(0, u64::from(u32::MAX))});
        let body = json!({"payload": payload, "signal_id": "first"});
        loop {
            let reply = self.post(&format!("/runs/{run}/signals/go"), body.clone()).await;
            // 409: it was stored, the answer was lost, and the run has ended since.
            assert!(matches!(reply.status, 202 | 409), "{}", reply.body);
            if reply.status == 202 {
                self.note(run, |facts| facts.signal(run, "first", payload.clone()));
            }
            if !random.percent(25) {
                return;
            }
        }
    }

    /// Claims tasks and does them, until the end.
    pub(crate) async fn worker(self: Arc<Self>, number: u64, random: Random) {
        let name = format!("worker-{number}");
        let mut worker = Worker { load: self, name, random, forgotten: VecDeque::new() };
        for claim in 0_u64.. {
            if *worker.load.over.borrow() {
                return;
            }
            worker.claim(claim).await;
        }
    }

    fn note(&self, run: &str, fact: impl FnOnce(&mut Facts)) {
        {
            let mut noted = self.noted.lock().expect("nobody panicked");
            noted.fresh.insert(run.to_owned());
            fact(&mut noted.facts);
        }
        self.count.send_modify(|count| *count += 1);
    }

    /// Calls until there is an answer, over as many servers as it takes. One whose database is away is asked
    /// again.
    async fn post(&self, path: &str, body: impl Into<Option<Value>>) -> Reply {
        let body = body.into();
        let mut urls = self.url.subscribe();
        loop {
            let url = urls.borrow_and_update().clone();
            match self.api.at(&url).call(Method::POST, path, body.as_ref()).await {
                Ok(reply) if reply.status == 503 => {
                    sleep(AGAIN_AFTER).await;
                    continue;
                }
                Ok(reply) => return reply,
                Err(_) => {}
            }
            let moved = timeout(PATIENCE, urls.wait_for(|now| *now != url)).await;
            moved.expect("connections are lost only when the server is killed").expect("the load is there");
        }
    }
}

struct Worker {
    load: Arc<Load>,
    name: String,
    random: Random,
    /// Tasks whose leases this worker has neither ended nor kept alive.
    forgotten: VecDeque<Value>,
}

impl Worker {
    async fn claim(&mut self, number: u64) {
        let claim = json!({
            "worker_id": self.name, "queues": ["crash"], "max_tasks": self.random.between(1, 4),
            "wait": "200ms", "lease_ttl": format!("{}ms", self.random.between(1000, 2000)),
            "claim_id": format!("{}-{number}", self.name),
        });
        let claimed = self.load.post("/tasks/claim", claim).await.expect(200);
        for task in claimed["tasks"].as_array().expect("tasks").clone() {
            self.attempt(task).await;
        }
        if self.forgotten.len() > FORGOTTEN_MAX {
            let late = self.forgotten.pop_front().expect("more than none");
            self.complete(&late).await;
        }
    }

    async fn attempt(&mut self, task: Value) {
        if self.random.percent(20) {
            self.report(&task, "heartbeat", None).await;
        }
        if self.random.percent(10) {
            self.report(&task, "logs", json!({"chunks": [{"stream": "stdout", "text": "busy\n"}]})).await;
        }
        match self.random.between(0, 99) {
            0..10 => self.fail(&task).await,
            10..14 => drop(self.report(&task, "release", None).await),
            14..17 => self.forgotten.push_back(task),
            _ => self.complete(&task).await,
        }
    }

    async fn fail(&mut self, task: &Value) {
        let error = json!({"error": {"message": "not this time"}, "retryable": true});
        if self.report(task, "fail", error).await.status == 200 {
            let (run, name) = (text(task, "run_id"), text(task, "task"));
            let attempt = task["attempt"].as_u64().expect("a number");
            self.load.note(run, |facts| facts.failure(run, name, attempt));
        }
    }

    async fn complete(&mut self, task: &Value) {
        let output = json!({"lease": task["lease_id"], "n": self.random.next()});
        if self.report(task, "complete", json!({"output": output})).await.status != 200 {
            return;
        }
        let (run, name) = (text(task, "run_id"), text(task, "task"));
        self.load.note(run, |facts| facts.output(run, name, &output));
        self.load.room.add_permits(1);
        if self.random.percent(15) {
            self.report(task, "complete", json!({"output": output})).await.expect(200);
        }
        if self.random.percent(15) {
            self.report(task, "complete", json!({"output": "another"})).await.expect(409);
        }
    }

    /// 409 says that the lease has been lost.
    async fn report(&self, task: &Value, what: &str, body: impl Into<Option<Value>>) -> Reply {
        let reply = self.load.post(&format!("/leases/{}/{what}", text(task, "lease_id")), body).await;
        assert!(matches!(reply.status, 200 | 409), "{what}: {}", reply.body);
        reply
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no text {name} in {value}"))
}
