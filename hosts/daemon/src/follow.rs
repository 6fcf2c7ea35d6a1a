//! Reading what happens to a run, page by page, each event and each piece of log text once.

use selvedge::time::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::client::{Call, Client, ClientError};

/// How much is read at once.
const PAGE_ITEMS: u32 = 500;
/// How many pages are read before what they say is shown.
const PAGES_MAX: usize = 20;

/// One event of a run's history.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Event {
    seq: u64,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) at: String,
    #[serde(default)]
    pub(crate) task: Option<String>,
    #[serde(default)]
    index: Option<u64>,
    #[serde(default)]
    pub(crate) attempt: Option<u64>,
    #[serde(default)]
    pub(crate) data: Value,
}

/// Some text that a task wrote.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Chunk {
    cursor: String,
    task: String,
    #[serde(default)]
    index: Option<u64>,
    pub(crate) stream: String,
    pub(crate) text: String,
    /// When it was written, by the worker's clock.
    pub(crate) at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct Page<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

/// Something that stands in a feed.
trait Item: DeserializeOwned {
    /// Its place, as the parameter `after` names it.
    fn place(&self) -> String;
}

impl Item for Event {
    fn place(&self) -> String {
        self.seq.to_string()
    }
}

impl Item for Chunk {
    fn place(&self) -> String {
        self.cursor.clone()
    }
}

/// A task instance as people name it.
fn instance(task: &str, index: Option<u64>) -> String {
    match index {
        Some(index) => format!("{task}[{index}]"),
        None => task.to_owned(),
    }
}

impl Event {
    /// The task instance that the event is about, with its index.
    pub(crate) fn instance(&self) -> Option<String> {
        Some(instance(self.task.as_ref()?, self.index))
    }

    /// When it happened, by the server's clock.
    pub(crate) fn time(&self) -> Option<Timestamp> {
        self.at.parse().ok()
    }
}

impl Chunk {
    /// The task instance that wrote it, with its index.
    pub(crate) fn instance(&self) -> String {
        instance(&self.task, self.index)
    }
}

/// A run whose feeds are read from where the last reading ended.
#[derive(Debug)]
pub(crate) struct Follower<'a> {
    client: &'a Client,
    run: &'a str,
    /// Only what this task wrote.
    task: Option<&'a str>,
    /// The last event and the last chunk that were returned.
    event: Option<String>,
    chunk: Option<String>,
}

impl<'a> Follower<'a> {
    /// From the beginning.
    pub(crate) fn new(client: &'a Client, run: &'a str, task: Option<&'a str>) -> Self {
        Self { client, run, task, event: None, chunk: None }
    }

    /// The run as it is now.
    pub(crate) async fn run(&self) -> Result<Value, ClientError> {
        self.client.send(Call::get(&["runs", self.run])).await
    }

    /// What happened since the last call.
    pub(crate) async fn events(&mut self) -> Result<Vec<Event>, ClientError> {
        let call = || Call::get(&["runs", self.run, "events"]).query("sort", "seq");
        read_on(self.client, call, &mut self.event).await
    }

    /// What was written since the last call.
    pub(crate) async fn logs(&mut self) -> Result<Vec<Chunk>, ClientError> {
        let call = || match self.task {
            Some(task) => Call::get(&["runs", self.run, "tasks", task, "logs"]),
            None => Call::get(&["runs", self.run, "logs"]),
        };
        read_on(self.client, call, &mut self.chunk).await
    }
}

/// Reads on after the last item, to the end of the feed or as far as one showing should take. The last item
/// moves only over what is returned.
async fn read_on<T: Item>(
    client: &Client,
    call: impl Fn() -> Call<'static>,
    last: &mut Option<String>,
) -> Result<Vec<T>, ClientError> {
    let mut items: Vec<T> = Vec::new();
    let mut after = last.clone();
    for _ in 0..PAGES_MAX {
        let mut call = call().query("limit", PAGE_ITEMS);
        if let Some(after) = &after {
            call = call.query("after", after);
        }
        let page: Page<T> = read(client, client.send(call).await?)?;
        items.extend(page.items);
        after = items.last().map(Item::place).or(after);
        if page.next_cursor.is_none() {
            break;
        }
    }
    *last = after;
    Ok(items)
}

fn read<T: DeserializeOwned>(client: &Client, answer: Value) -> Result<T, ClientError> {
    serde_json::from_value(answer).map_err(|fault| {
        tracing::debug!("an answer cannot be read: {fault}");
        ClientError::Foreign { server: client.server().to_owned(), status: 200 }
    })
}

/// Whether a run of this status has ended.
pub(crate) fn is_over(run: &Value) -> bool {
    matches!(
        run.get("status").and_then(Value::as_str),
        Some("completed" | "failed" | "cancelled" | "timed_out" | "moved")
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_name_their_instance() {
        for (task, index, instance) in [
            (json!("a"), json!(null), Some("a")),
            (json!("a"), json!(2), Some("a[2]")),
            (json!(null), json!(null), None),
        ] {
            let event: Event = serde_json::from_value(json!({"cursor": "7", "run_id": "r", "seq": 1,
                "type": "task_ready", "at": "2030-01-01T00:00:00.000Z", "task": task, "index": index,
                "attempt": null, "data": {}}))
            .expect("an event");
            assert_eq!(event.instance().as_deref(), instance);
            assert_eq!(event.place(), "1");
            assert!(event.time().is_some());
        }
    }

    #[test]
    fn runs_end_in_five_ways() {
        for (status, over) in [
            ("pending", false),
            ("running", false),
            ("paused", false),
            ("cancelling", false),
            ("compensating", false),
            ("completed", true),
            ("failed", true),
            ("cancelled", true),
            ("timed_out", true),
            ("moved", true),
        ] {
            assert_eq!(is_over(&json!({ "status": status })), over, "{status}");
        }
    }
}
