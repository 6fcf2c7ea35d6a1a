//! A run of 1,000 tasks and eight workers: every task runs once, and what an attempt writes can be read while
//! it runs.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use common::{Api, PATIENCE, Process, Server, command, directory, file};

const LAYERS: usize = 25;
const TASKS_PER_LAYER: usize = 40;
const TASKS: usize = LAYERS * TASKS_PER_LAYER;
const WORKERS: usize = 8;

/// Each task needs three of the layer before it.
fn needs(layer: usize, place: usize) -> Vec<String> {
    let before = layer.checked_sub(1).into_iter();
    before.flat_map(|layer| [0, 1, 7].map(|step| name(layer, (place + step) % TASKS_PER_LAYER))).collect()
}

fn name(layer: usize, place: usize) -> String {
    format!("t{layer}_{place}")
}

fn document(task: &str) -> String {
    let mut text = String::from("selvedge: 1\nname: layers\ntasks:\n");
    for (layer, place) in places() {
        let (name, needs) = (name(layer, place), needs(layer, place).join(", "));
        writeln!(text, "  {name}: {{ needs: [{needs}], {task} }}").expect("memory");
    }
    text
}

fn places() -> impl Iterator<Item = (usize, usize)> {
    (0..LAYERS).flat_map(|layer| (0..TASKS_PER_LAYER).map(move |place| (layer, place)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_tasks_run_once_each() {
    let directory = directory();
    let server = Server::start(&directory.path().join("scale.db")).await;
    let api = server.api();
    api.start(&document("worker: many"), "big").await;

    let done = Arc::new(Done::default());
    let mut workers = JoinSet::new();
    for number in 0..WORKERS {
        workers.spawn(done.clone().work(api.clone(), format!("worker-{number}")));
    }
    let mut count = done.count.subscribe();
    tokio::select! {
        all = timeout(4 * PATIENCE, count.wait_for(|count| *count == TASKS)) => {
            all.expect("a thousand tasks do not take that long").expect("the sender is here");
        }
        Some(ended) = workers.join_next() => panic!("a worker ended: {ended:?}"),
    }
    let run = api.run_is("big", "completed").await;
    workers.abort_all();
    assert_eq!((&run["tasks"]["total"], &run["tasks"]["completed"]), (&json!(TASKS), &json!(TASKS)));
    let attempts = done.attempts.lock().expect("nobody panicked").clone();
    assert_eq!(attempts.len(), TASKS);
    assert!(attempts.values().all(|attempts| *attempts == 1), "{attempts:?}");

    let events = api.all("/runs/big/events?sort=seq").await;
    assert!(events.iter().zip(1_u64..).all(|(event, seq)| event["seq"] == seq), "a gap in the history");
    for kind in ["task_started", "task_completed"] {
        assert_eq!(events.iter().filter(|event| event["type"] == kind).count(), TASKS, "{kind}");
    }
    assert_needs_came_first(&events);
}

/// What eight workers have done.
#[derive(Default)]
struct Done {
    /// How often each task was begun.
    attempts: Mutex<BTreeMap<String, u32>>,
    count: watch::Sender<usize>,
}

impl Done {
    async fn work(self: Arc<Self>, api: Api, worker: String) {
        loop {
            let claim = json!({"worker_id": worker, "queues": ["many"], "max_tasks": 4, "wait": "5s"});
            let claimed = api.post("/tasks/claim", claim).await.expect(200);
            for task in claimed["tasks"].as_array().expect("tasks") {
                self.attempt(&api, &worker, task).await;
            }
        }
    }

    async fn attempt(&self, api: &Api, worker: &str, task: &Value) {
        let name = task["task"].as_str().expect("a name");
        let lease = task["lease_id"].as_str().expect("an id");
        *self.attempts.lock().expect("nobody panicked").entry(name.to_owned()).or_default() += 1;

        let said = format!("{worker} does {name}\n");
        let chunks = json!({"chunks": [{"seq": 0, "stream": "stdout", "text": said}]});
        api.post(&format!("/leases/{lease}/logs"), chunks).await.expect(200);
        assert_eq!(api.written("big", name, "stdout").await, said, "read while it runs");

        let output = json!({"output": {"by": worker}});
        api.post(&format!("/leases/{lease}/complete"), output).await.expect(200);
        self.count.send_modify(|count| *count += 1);
    }
}

/// No task began before those that it needs were completed.
fn assert_needs_came_first(events: &[Value]) {
    let all: BTreeMap<_, _> =
        places().map(|(layer, place)| (name(layer, place), needs(layer, place))).collect();
    let mut completed = BTreeSet::new();
    for event in events {
        let Some(task) = event["task"].as_str() else { continue };
        if event["type"] == "task_completed" {
            completed.insert(task);
        }
        if event["type"] == "task_started" {
            assert!(all[task].iter().all(|need| completed.contains(need.as_str())), "{task} began too early");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_command_runs_a_thousand_commands() {
    let directory = directory();
    let path =
        file(directory.path(), "layers.yaml", &document("worker: shell, with: { command: [echo, x] }"));
    let mut run = command(&["run", &path, "--local", "--json", "--concurrency", "8"]);
    run.current_dir(directory.path());
    let ended = Process::of(run).ended_within(4 * PATIENCE).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let run: Value = serde_json::from_str(&ended.stdout).expect("a run");
    assert_eq!(run["tasks"]["completed"], TASKS, "{run}");
}
