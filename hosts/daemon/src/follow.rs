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
    cursor: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) at: String,
    #[serde(default)]
    pub(crate) task: Option<String>,
    #[serde(default)]
    pub(crate) attempt: Option<u64>,
    #[serde(default)]
    pub(crate) data: Value,
}

/// Some text that a task wrote.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Chunk {
    cursor: String,
    pub(crate) task: String,
    pub(crate) stream: String,
    pub(crate) text: String,
}

#[derive(Debug, Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct Page<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

/// Something that stands in a feed.
trait Item: DeserializeOwned {
    fn cursor(&self) -> &str;
}

impl Item for Event {
    fn cursor(&self) -> &str {
        &self.cursor
    }
}

impl Item for Chunk {
    fn cursor(&self) -> &str {
        &self.cursor
    }
}

impl Event {
    /// The task instance that the event is about, with its index.
    pub(crate) fn instance(&self) -> Option<String> {
        let task = self.task.as_ref()?;
        Some(match self.data.get("index").and_then(Value::as_u64) {
            Some(index) if !task.ends_with(']') => format!("{task}[{index}]"),
            _ => task.clone(),
        })
    }

    /// When it happened, by the server's clock.
    pub(crate) fn time(&self) -> Option<Timestamp> {
        self.at.parse().ok()
    }
}

/// A run whose feeds are read from where the last reading ended.
#[derive(Debug)]
pub(crate) struct Follower<'a> {
    client: &'a Client,
    run: &'a str,
    /// Only what this task wrote.
    task: Option<&'a str>,
    events_cursor: Option<String>,
    logs_cursor: Option<String>,
}

impl<'a> Follower<'a> {
    /// From the beginning.
    pub(crate) fn new(client: &'a Client, run: &'a str, task: Option<&'a str>) -> Self {
        Self { client, run, task, events_cursor: None, logs_cursor: None }
    }

    /// The run as it is now.
    pub(crate) async fn run(&self) -> Result<Value, ClientError> {
        self.client.send(Call::get(&["runs", self.run])).await
    }

    /// What happened since the last call.
    pub(crate) async fn events(&mut self) -> Result<Vec<Event>, ClientError> {
        let segments = ["runs", self.run, "events"];
        read_on(self.client, &segments, &mut self.events_cursor).await
    }

    /// What was written since the last call.
    pub(crate) async fn logs(&mut self) -> Result<Vec<Chunk>, ClientError> {
        let segments = match self.task {
            Some(task) => vec!["runs", self.run, "tasks", task, "logs"],
            None => vec!["runs", self.run, "logs"],
        };
        read_on(self.client, &segments, &mut self.logs_cursor).await
    }
}

/// Reads on after the cursor, to the end of the feed or as far as one showing should take. The cursor moves
/// only over what is returned.
async fn read_on<T: Item>(
    client: &Client,
    segments: &[&str],
    cursor: &mut Option<String>,
) -> Result<Vec<T>, ClientError> {
    let mut items: Vec<T> = Vec::new();
    let mut after = cursor.clone();
    for _ in 0..PAGES_MAX {
        let mut call = Call::get(segments).query("limit", PAGE_ITEMS);
        if let Some(after) = &after {
            call = call.query("cursor", after);
        }
        let page: Page<T> = read(client, client.send(call).await?)?;
        items.extend(page.items);
        if let Some(last) = items.last() {
            after = Some(last.cursor().to_owned());
        }
        match page.next_cursor {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    *cursor = after;
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
        for (task, data, instance) in [
            (json!("a"), json!({}), Some("a")),
            (json!("a"), json!({"index": 2}), Some("a[2]")),
            (json!("a[2]"), json!({"index": 2}), Some("a[2]")),
            (json!(null), json!({}), None),
        ] {
            let event: Event = serde_json::from_value(json!({"cursor": "1", "run_id": "r", "seq": 1,
                "type": "task_ready", "at": "2030-01-01T00:00:00.000Z", "task": task, "attempt": null, "data": data}))
            .expect("an event");
            assert_eq!(event.instance().as_deref(), instance);
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
