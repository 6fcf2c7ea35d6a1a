//! What the model has to know of a document.

use std::collections::BTreeMap;

use serde_json::Value;

/// A document.
#[derive(Debug)]
pub struct Spec {
    /// In document order: by depth in the graph of needs, then by name.
    pub tasks: Vec<Task>,
    /// How long a run may take, in milliseconds.
    pub execution_timeout: Option<i64>,
    by_name: BTreeMap<String, usize>,
}

/// A task of a document. Times are in milliseconds.
#[derive(Debug)]
pub struct Task {
    /// Its name.
    pub name: String,
    /// What it needs.
    pub needs: Vec<usize>,
    /// What it does.
    pub kind: Kind,
    /// The queue that workers claim it from.
    pub queue: Option<String>,
    /// What a worker must carry.
    pub labels: Vec<String>,
    /// Attempts in all.
    pub max_attempts: u32,
    /// Whether its run goes on without it.
    pub may_fail: bool,
    /// Whether it has a condition.
    pub has_condition: bool,
    /// Of an attempt; of a signal's wait.
    pub timeout: Option<i64>,
    /// Of the time unclaimed.
    pub queue_timeout: Option<i64>,
    /// Of everything.
    pub total_timeout: Option<i64>,
    /// Between being asked to stop and being cut.
    pub grace: i64,
    /// `fail`, `skip` or `continue`.
    pub on_timeout: String,
}

/// What a task does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Somebody claims it.
    Leased,
    /// It completes at once.
    Value,
    /// It waits for a time.
    Sleep,
    /// It waits for a signal of this name.
    Signal(String),
}

impl Spec {
    /// Reads a document that the server has taken.
    pub fn read(document: &Value) -> Self {
        let empty = serde_json::Map::new();
        let tasks = document["tasks"].as_object().unwrap_or(&empty);
        let needs = |name: &str| strings(&tasks[name]["needs"]);
        fn depth(name: &str, needs: &dyn Fn(&str) -> Vec<String>) -> usize {
            needs(name).iter().map(|need| 1 + depth(need, needs)).max().unwrap_or(0)
        }
        let mut names: Vec<&String> = tasks.keys().collect();
        names.sort_by_key(|name| (depth(name, &needs), (*name).clone()));
        let by_name: BTreeMap<String, usize> =
            names.iter().enumerate().map(|(at, name)| ((*name).clone(), at)).collect();
        let tasks = names.iter().map(|name| Task::read(name, &tasks[*name], &by_name)).collect();
        Self { tasks, execution_timeout: millis(&document["execution_timeout"]), by_name }
    }

    /// The place of a task.
    pub fn place(&self, name: &str) -> Result<usize, String> {
        self.by_name.get(name).copied().ok_or_else(|| format!("there is no task {name}"))
    }
}

impl Task {
    fn read(name: &str, task: &Value, places: &BTreeMap<String, usize>) -> Self {
        let kind = match (task.get("worker"), task.get("http"), task.get("sleep"), task.get("signal")) {
            (Some(_), ..) | (_, Some(_), ..) => Kind::Leased,
            (_, _, Some(_), _) => Kind::Sleep,
            (.., Some(signal)) => Kind::Signal(signal.as_str().unwrap_or_default().to_owned()),
            _ => Kind::Value,
        };
        let attempts = task["retry"]["max_attempts"].as_u64().unwrap_or(3) as u32;
        Self {
            name: name.to_owned(),
            needs: strings(&task["needs"]).iter().map(|need| places[need]).collect(),
            queue: task["worker"].as_str().map(str::to_owned),
            labels: strings(&task["labels"]),
            max_attempts: attempts,
            may_fail: task["continue_on_error"].as_bool().unwrap_or(false),
            has_condition: task.get("if").is_some(),
            timeout: millis(&task["timeout"]),
            queue_timeout: millis(&task["queue_timeout"]),
            total_timeout: millis(&task["total_timeout"]),
            grace: millis(&task["grace"]).unwrap_or(30_000),
            on_timeout: task["on_timeout"].as_str().unwrap_or("fail").to_owned(),
            kind,
        }
    }
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

/// A duration of our documents: one number and its unit.
fn millis(value: &Value) -> Option<i64> {
    let text = value.as_str()?;
    let at = text.find(|c: char| !c.is_ascii_digit()).expect("durations have a unit");
    let number: i64 = text[..at].parse().expect("durations begin with a number");
    Some(
        number
            * match &text[at..] {
                "ms" => 1,
                "s" => 1000,
                "m" => 60_000,
                unit => unreachable!("our documents have no durations in {unit}"),
            },
    )
}
