//! The tasks of a run as its events tell them.

use std::collections::BTreeMap;

use selvedge::time::{Duration, Timestamp};
use serde_json::Value;

use crate::follow::Event;
use crate::terminal::Colour;

/// How far a task is, as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    Running,
    Waiting,
    Ready,
    Failed,
    Completed,
    Skipped,
}

/// One task instance.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) name: String,
    pub(super) state: State,
    attempt: u64,
    /// When its first attempt began.
    started: Option<Timestamp>,
    /// When it took its present state.
    since: Option<Timestamp>,
}

/// Every instance that an event has named, in the order of their first events.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    tasks: Vec<Task>,
    by_name: BTreeMap<String, usize>,
}

impl State {
    pub(super) fn mark(self) -> char {
        match self {
            State::Running => '▶',
            State::Waiting => '◷',
            State::Ready => '·',
            State::Failed => '✗',
            State::Completed => '✓',
            State::Skipped => '-',
        }
    }

    pub(super) fn colour(self) -> Colour {
        match self {
            State::Running => Colour::Cyan,
            State::Waiting => Colour::Yellow,
            State::Ready | State::Skipped => Colour::Dim,
            State::Failed => Colour::Red,
            State::Completed => Colour::Green,
        }
    }

    fn word(self) -> &'static str {
        match self {
            State::Running => "running",
            State::Waiting => "waiting",
            State::Ready => "ready",
            State::Failed => "failed",
            State::Completed => "completed",
            State::Skipped => "skipped",
        }
    }
}

impl Task {
    /// State, attempt and time in one line.
    pub(super) fn describe(&self, now: Timestamp) -> String {
        let attempt = if self.attempt > 1 { format!(", attempt {}", self.attempt) } else { String::new() };
        let time = match self.state {
            State::Running | State::Waiting => self.since.map(|since| now.since(since)),
            State::Failed | State::Completed => self.length(),
            State::Ready | State::Skipped => None,
        };
        let time = time.map_or_else(String::new, |time| format!(" {}", short(time)));
        format!("{}{time}{attempt}", self.state.word())
    }

    /// How long it took from its first attempt on.
    pub(super) fn took(&self) -> Option<String> {
        self.length().map(short)
    }

    fn length(&self) -> Option<Duration> {
        Some(self.since?.since(self.started?))
    }
}

impl Tasks {
    /// Takes note of what happened.
    pub(super) fn apply(&mut self, event: &Event) {
        let (Some(name), Some(state)) = (event.instance(), state(event)) else { return };
        let index = *self.by_name.entry(name.clone()).or_insert_with(|| {
            self.tasks.push(Task { name, state, attempt: 0, started: None, since: None });
            self.tasks.len() - 1
        });
        let task = &mut self.tasks[index];
        task.state = state;
        task.since = event.time();
        if state == State::Running {
            task.started = task.started.or(task.since);
            task.attempt = event.attempt.unwrap_or(task.attempt);
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Task> {
        self.by_name.get(name).map(|index| &self.tasks[*index])
    }

    /// At most this many: first what runs and waits, then what failed, then what ended last; shown in the
    /// order in which they began.
    pub(super) fn foremost(&self, count: usize) -> impl Iterator<Item = &Task> {
        let mut chosen: Vec<_> = (0..self.tasks.len()).collect();
        chosen.sort_by_key(|index| {
            let task = &self.tasks[*index];
            let latest = std::cmp::Reverse(task.since);
            (task.state.min(State::Completed), latest)
        });
        chosen.truncate(count);
        chosen.sort_unstable();
        chosen.into_iter().map(|index| &self.tasks[index])
    }

    /// How many tasks are how far.
    pub(super) fn summary(&self) -> String {
        let mut counts = BTreeMap::new();
        for task in &self.tasks {
            *counts.entry(task.state).or_insert(0_usize) += 1;
        }
        let counts: Vec<_> =
            counts.iter().map(|(state, count)| format!("{count} {}", state.word())).collect();
        if counts.is_empty() { "starting".to_owned() } else { counts.join(", ") }
    }
}

/// What an event means in a line, and how it is coloured; none where it is not worth one. `signal` is the
/// signal that the event's task waits for.
pub(super) fn reading(event: &Event, signal: Option<&String>) -> Option<(State, String)> {
    let data = &event.data;
    let attempt = event.attempt.unwrap_or(0);
    let because = |text: String| match data.pointer("/failure/message").and_then(Value::as_str) {
        Some(message) => format!("{text}: {message}"),
        None => text,
    };
    let kind = event.kind.as_str();
    let state = state(event).unwrap_or(match kind {
        "run_failed" | "run_timed_out" | "run_cancelled" | "run_stopping" => State::Failed,
        "run_completed" => State::Completed,
        _ => State::Ready,
    });
    let text = match kind {
        // Said by what follows at once, or by the last line.
        "run_created" | "task_ready" | "signal_consumed" | "run_completed" | "run_failed"
        | "run_cancelled" | "run_timed_out" => return None,
        "task_started" if attempt > 1 => format!("started, attempt {attempt}"),
        "task_waiting" => waiting(data, signal),
        "task_skipped" => match data.get("reason").and_then(Value::as_str) {
            Some(reason) => format!("skipped: {}", reason.replace('_', " ")),
            None => "skipped".to_owned(),
        },
        "attempt_failed" => because(format!("attempt {attempt} failed")),
        "signal_received" => match data.get("name").and_then(Value::as_str) {
            Some(name) => format!("the signal {name} came"),
            None => "a signal came".to_owned(),
        },
        other => {
            let words = other.strip_prefix("task_").or(other.strip_prefix("run_")).unwrap_or(other);
            because(words.replace('_', " "))
        }
    };
    Some((state, text))
}

fn waiting(data: &Value, signal: Option<&String>) -> String {
    let until = data.pointer("/wait/until").and_then(Value::as_str);
    match (data.pointer("/wait/for").and_then(Value::as_str), until, signal) {
        (Some("signal"), _, Some(signal)) => format!("waits for the signal {signal}"),
        (Some("signal"), ..) => "waits for a signal".to_owned(),
        (_, Some(until), _) => format!("waits until {until}"),
        _ => "waits".to_owned(),
    }
}

fn state(event: &Event) -> Option<State> {
    match event.kind.as_str() {
        "task_ready" | "task_released" => Some(State::Ready),
        "task_started" => Some(State::Running),
        "task_waiting" | "attempt_failed" => Some(State::Waiting),
        "task_completed" => Some(State::Completed),
        "task_failed" | "task_cancelled" => Some(State::Failed),
        "task_skipped" => Some(State::Skipped),
        _ => None,
    }
}

/// A duration as people say it: two units at most.
pub(crate) fn short(duration: Duration) -> String {
    let millis = duration.as_millis();
    let seconds = millis / 1000;
    match seconds {
        0..60 => format!("{}.{}s", seconds, millis % 1000 / 100),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units_at_most() {
        for (millis, text) in [
            (0, "0.0s"),
            (1290, "1.2s"),
            (59_999, "59.9s"),
            (60_000, "1m00s"),
            (3_599_000, "59m59s"),
            (3_660_000, "1h01m"),
            (90_000_000, "1d01h"),
        ] {
            assert_eq!(short(Duration::from_millis(millis)), text);
        }
    }
}
