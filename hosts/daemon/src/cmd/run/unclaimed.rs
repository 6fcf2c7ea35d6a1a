//! Ready tasks that no worker will take: they are told of, instead of being waited for without a word.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::client::{Call, Client, ClientError};

/// How often it is looked for tasks that nobody takes. A task that is ready in two looks is one.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// Reads what matters of a page: more tasks than these say nothing new.
const PAGE_ITEMS: u32 = 200;

/// What nobody takes, as far as it is known.
#[derive(Debug)]
pub(super) struct Unclaimed {
    looked: Instant,
    /// The tasks that were ready at the last look.
    ready: BTreeSet<String>,
    /// The wants that were told of.
    told: BTreeSet<Want>,
}

/// What a worker would have to be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Want {
    queue: String,
    labels: Vec<String>,
}

impl Unclaimed {
    pub(super) fn new() -> Self {
        Self { looked: Instant::now(), ready: BTreeSet::new(), told: BTreeSet::new() }
    }

    /// What there is to say now: each want once.
    pub(super) async fn look(
        &mut self,
        client: &Client,
        run: &str,
        document: &Value,
    ) -> Result<Vec<String>, ClientError> {
        if self.looked.elapsed() < LOOK_INTERVAL {
            return Ok(Vec::new());
        }
        self.looked = Instant::now();
        let call = Call::get(&["runs", run, "tasks"]).query("status", "ready").query("limit", PAGE_ITEMS);
        let tasks = client.send(call).await?;
        let wants = self.lasting(&tasks, document);
        if wants.is_empty() {
            return Ok(Vec::new());
        }
        let workers = client.send(Call::get(&["workers"]).query("limit", PAGE_ITEMS)).await?;
        let unmet =
            wants.into_iter().filter(|(_, want)| !items(&workers).any(|worker| want.is_met_by(worker)));
        let mut lines = Vec::new();
        for (task, want) in unmet {
            lines.push(want.advice(&task, client.server()));
            self.told.insert(want);
        }
        Ok(lines)
    }

    /// The first task of each want that was ready at the last look too and that was not told of.
    fn lasting(&mut self, tasks: &Value, document: &Value) -> Vec<(String, Want)> {
        let mut found: Vec<(String, Want)> = Vec::new();
        let mut ready = BTreeSet::new();
        for task in items(tasks) {
            let (Some(name), Some(queue)) = (task["task"].as_str(), task["queue"].as_str()) else { continue };
            let want = Want { queue: queue.to_owned(), labels: texts(&document["tasks"][name]["labels"]) };
            let is_new = !self.told.contains(&want) && found.iter().all(|(_, found)| *found != want);
            if is_new && self.ready.contains(name) {
                found.push((name.to_owned(), want));
            }
            ready.insert(name.to_owned());
        }
        self.ready = ready;
        found
    }
}

impl Want {
    fn is_met_by(&self, worker: &Value) -> bool {
        let (queues, labels) = (texts(&worker["queues"]), texts(&worker["labels"]));
        worker["status"] == "online"
            && queues.contains(&self.queue)
            && self.labels.iter().all(|label| labels.contains(label))
    }

    fn advice(&self, task: &str, server: &str) -> String {
        let Self { queue, labels } = self;
        let (mut with, mut flags) = (String::new(), String::new());
        if !labels.is_empty() {
            with = format!(" with the labels {}", labels.join(", "));
            flags = labels.iter().map(|label| format!(" --label {label}")).collect();
        }
        format!(
            "task {task} waits: no online worker{with} asks on its queue {queue}; \
             `selvedge worker --server {server} --queue {queue}{flags}` starts one for shell commands"
        )
    }
}

fn items(page: &Value) -> impl Iterator<Item = &Value> {
    page["items"].as_array().into_iter().flatten()
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn want(queue: &str, labels: &[&str]) -> Want {
        Want { queue: queue.to_owned(), labels: labels.iter().map(|label| (*label).to_owned()).collect() }
    }

    #[test]
    fn a_want_is_met_by_an_online_worker_of_its_queue_with_all_its_labels() {
        let worker = json!({"status": "online", "queues": ["shell", "gpu"], "labels": ["a", "b"]});
        let offline = json!({"status": "offline", "queues": ["shell"], "labels": []});
        for (want, worker, met) in [
            (want("gpu", &[]), &worker, true),
            (want("gpu", &["b", "a"]), &worker, true),
            (want("gpu", &["c"]), &worker, false),
            (want("other", &[]), &worker, false),
            (want("shell", &[]), &offline, false),
        ] {
            assert_eq!(want.is_met_by(worker), met, "{want:?} {worker}");
        }
    }

    #[test]
    fn a_task_that_stays_ready_is_told_of_once() {
        let document = json!({"tasks": {"b": {"worker": "gpu", "labels": ["big"]}}});
        let page = |names: &[&str]| {
            let items = names.iter().map(|name| json!({"task": name, "queue": "gpu"}));
            json!({"items": items.collect::<Vec<_>>()})
        };
        let mut unclaimed = Unclaimed::new();
        assert_eq!(unclaimed.lasting(&page(&["a", "b", "c"]), &document), []);
        let lasting = unclaimed.lasting(&page(&["b", "c", "a"]), &document);
        let expected = [("b".to_owned(), want("gpu", &["big"])), ("c".to_owned(), want("gpu", &[]))];
        assert_eq!(lasting, expected);
        unclaimed.told.extend(lasting.into_iter().map(|(_, want)| want));
        assert_eq!(unclaimed.lasting(&page(&["a", "b", "c"]), &document), []);
    }

    #[test]
    fn advice_is_a_command() {
        let advice = want("gpu", &["big"]).advice("train", "http://h");
        assert!(
            advice
                .starts_with("task train waits: no online worker with the labels big asks on its queue gpu")
        );
        assert!(advice.contains("`selvedge worker --server http://h --queue gpu --label big`"), "{advice}");
    }
}
