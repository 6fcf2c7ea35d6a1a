//! Daemons on one database, and workers that go on with the next when one does not answer.

use std::path::Path;
use std::sync::{Arc, Mutex};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::NEXT_DAEMON_PAUSE;
use super::common::{Api, PATIENCE, Reply, Server, eventually_within};
use super::facts::Facts;

pub(crate) const TASKS_PER_RUN: usize = 100;

/// How many tasks a worker takes at a time.
const TASKS_MAX: usize = 25;

/// The daemons.
pub(crate) struct Fleet {
    database: String,
    servers: Vec<Option<Server>>,
    /// Where each is, or was when it was killed.
    urls: Arc<Mutex<Vec<String>>>,
}

impl Fleet {
    pub(crate) async fn start(database: &str, count: usize) -> Self {
        let urls = Arc::new(Mutex::new(vec![String::new(); count]));
        let servers = (0..count).map(|_| None).collect();
        let mut fleet = Self { database: database.to_owned(), servers, urls };
        for index in 0..count {
            fleet.restart(index).await;
        }
        fleet
    }

    pub(crate) fn kill(&mut self, index: usize) {
        let mut server = self.servers[index].take().expect("it runs");
        server.process.kill();
    }

    pub(crate) async fn restart(&mut self, index: usize) {
        let server = Server::start(Path::new(&self.database)).await;
        self.urls.lock().expect("nobody panicked")[index] = server.url.clone();
        self.servers[index] = Some(server);
    }

    fn apis(&self) -> Vec<Api> {
        self.servers.iter().flatten().map(Server::api).collect()
    }
}

/// What all workers share.
pub(crate) struct Load {
    api: Api,
    urls: Arc<Mutex<Vec<String>>>,
    runs: usize,
    facts: Mutex<Facts>,
    completed: watch::Sender<usize>,
}

impl Load {
    pub(crate) fn new(fleet: &Fleet, runs: usize) -> Self {
        let api = fleet.apis().remove(0);
        Self {
            api,
            urls: fleet.urls.clone(),
            runs,
            facts: Mutex::default(),
            completed: watch::Sender::new(0),
        }
    }

    /// How many tasks were acknowledged as completed.
    pub(crate) fn completed(&self) -> watch::Receiver<usize> {
        self.completed.subscribe()
    }

    /// Runs of one task, many that need it, and one that needs them, started at each daemon in turn.
    pub(crate) async fn start_runs(&self) {
        let leaves: Vec<_> = (2..TASKS_PER_RUN).map(|leaf| format!("leaf_{leaf}")).collect();
        let task = "worker: fan, retry: { max_attempts: 100, delay: 50ms }";
        let mut document = format!("selvedge: 1\nname: fan\ntasks:\n  root: {{ {task} }}\n");
        for leaf in &leaves {
            document += &format!("  {leaf}: {{ needs: [root], {task} }}\n");
        }
        document += &format!("  join: {{ needs: [{}], {task} }}\n", leaves.join(", "));
        self.api.save(&document).await;
        for run in 0..self.runs {
            let id = format!("run-{run}");
            let reply = self.post(run, "/runs", json!({"workflow": "fan", "id": id})).await;
            reply.expect(201);
            self.facts.lock().expect("nobody panicked").run(&id);
        }
    }

    /// Claims tasks and does them, for ever. Every third worker reports each task by itself, the others all of
    /// a claim at once.
    pub(crate) async fn work(self: Arc<Self>, number: usize) {
        let name = format!("worker-{number}");
        for claim in 0_u64.. {
            let claim = json!({
                "worker_id": name, "queues": ["fan"], "max_tasks": TASKS_MAX, "wait": "2s", "lease_ttl": "60s",
                "claim_id": format!("{name}-{claim}"),
            });
            let claimed = self.post(number, "/tasks/claim", claim).await.expect(200);
            let tasks = claimed["tasks"].as_array().expect("tasks").clone();
            if number.is_multiple_of(3) {
                for task in tasks {
                    self.complete(number, task).await;
                }
            } else {
                self.complete_all(number, tasks).await;
            }
        }
    }

    async fn complete(&self, number: usize, task: Value) {
        let (lease, output) = (text(&task, "lease_id"), output(number, &task));
        let path = format!("/leases/{lease}/complete");
        let reply = self.post(number, &path, json!({"output": output})).await;
        self.heard(number, &task, u64::from(reply.status), &reply.body);
    }

    /// All of a claim in one report, and again what got no answer of its own.
    async fn complete_all(&self, number: usize, mut tasks: Vec<Value>) {
        while !tasks.is_empty() {
            let item = |task: &Value| json!({"action": "complete", "lease_id": task["lease_id"], "output": output(number, task)});
            let items: Vec<_> = tasks.iter().map(item).collect();
            let reply = self.post(number, "/leases/batch", json!({"items": items})).await.expect(200);
            let outcomes = reply["items"].as_array().expect("outcomes");
            assert_eq!(outcomes.len(), tasks.len());
            let mut again = Vec::new();
            for (task, outcome) in tasks.into_iter().zip(outcomes) {
                match outcome["status"].as_u64().expect("a status") {
                    500.. => again.push(task),
                    status => self.heard(number, &task, status, outcome),
                }
            }
            tasks = again;
            if !tasks.is_empty() {
                sleep(NEXT_DAEMON_PAUSE).await;
            }
        }
    }

    /// Notes what was acknowledged. 409 says that the lease has been lost: a daemon that could not answer the
    /// claim has given it back.
    fn heard(&self, number: usize, task: &Value, status: u64, answer: &Value) {
        assert!(matches!(status, 200 | 409), "{answer}");
        if status == 200 {
            let mut facts = self.facts.lock().expect("nobody panicked");
            facts.output(text(task, "run_id"), text(task, "task"), &output(number, task));
            drop(facts);
            self.completed.send_modify(|count| *count += 1);
        }
    }

    /// Every daemon that is left says that every run has completed, with what was acknowledged and nothing
    /// else.
    pub(crate) async fn is_all_there(&self, fleet: &Fleet) {
        let facts = self.facts.lock().expect("nobody panicked").clone();
        eprintln!("{facts}");
        for api in fleet.apis() {
            eventually_within(PATIENCE, "every run has completed", async || {
                let open = api.get("/runs?status=pending&status=running&limit=1").await.expect(200);
                open["items"].as_array().expect("a page").is_empty().then_some(())
            })
            .await;
            facts.hold(&api).await;
            facts.are_the_history(&api).await;
            let counts = api.get("/tasks/counts").await.expect(200);
            assert_eq!(counts["completed"], json!(self.runs * TASKS_PER_RUN), "{counts}");
        }
    }

    /// Calls until there is an answer that is one, at the daemon of this number or the ones after it.
    async fn post(&self, number: usize, path: &str, body: Value) -> Reply {
        let answered = async {
            for turn in number.. {
                let url = {
                    let urls = self.urls.lock().expect("nobody panicked");
                    urls[turn % urls.len()].clone()
                };
                match self.api.at(&url).call(Method::POST, path, Some(&body)).await {
                    Ok(reply) if reply.status < 500 => return reply,
                    Ok(_) | Err(_) => sleep(NEXT_DAEMON_PAUSE).await,
                }
            }
            unreachable!("the numbers do not end")
        };
        timeout(2 * PATIENCE, answered).await.unwrap_or_else(|_| panic!("no daemon answers to {path}"))
    }
}

fn output(number: usize, task: &Value) -> Value {
    json!({"lease": task["lease_id"], "by": number})
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no text {name} in {value}"))
}
