//! A run as it goes: plain lines, or on a terminal a block of tasks that is drawn again and again.
//!
//! Everything goes to standard error, so that standard output is the result alone.

mod tasks;

use std::collections::BTreeMap;

use selvedge::time::Timestamp;
use serde_json::Value;

use crate::cli::SERVER_DEFAULT;
use crate::follow::{Chunk, Event};
use crate::terminal::{self, Colour, Paint};
use selvedge_tokio as platform;
use tasks::{State, Tasks};

pub(crate) use tasks::short;

/// How many lines the block of tasks takes at most, besides the summary.
const BLOCK_LINES_MAX: usize = 12;

/// How a run is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Not at all.
    Silent,
    /// One line for each thing that happens.
    Lines,
    /// The same, above a block that is drawn again.
    Block,
}

/// What is shown of one run.
#[derive(Debug)]
pub(crate) struct Progress {
    style: Style,
    paint: Paint,
    run: String,
    /// What a command line needs besides, to reach the run's server.
    server: String,
    /// The signal of each signal task, from the document.
    signals: BTreeMap<String, String>,
    tasks: Tasks,
    /// The last line of each task and stream, as long as its end has not come.
    partial: BTreeMap<(String, String), String>,
    /// How many lines of the terminal the block holds now.
    drawn: usize,
}

impl Progress {
    /// For a run of this document on this server.
    pub(crate) fn new(style: Style, run: &str, server: &str, document: &Value) -> Self {
        let tasks = document.get("tasks").and_then(Value::as_object).into_iter().flatten();
        let signal = |task: &Value| Some(task.get("signal")?.as_str()?.to_owned());
        let signals = tasks.filter_map(|(name, task)| Some((name.clone(), signal(task)?))).collect();
        Self {
            style,
            paint: Paint::of_stderr(),
            run: run.to_owned(),
            server: if server == SERVER_DEFAULT { String::new() } else { format!(" --server {server}") },
            signals,
            tasks: Tasks::default(),
            partial: BTreeMap::new(),
            drawn: 0,
        }
    }

    /// Shows what happened and what was written since the last time.
    pub(crate) fn show(&mut self, events: &[Event], chunks: &[Chunk]) {
        let mut lines = Vec::new();
        let mut chunks = chunks.iter().peekable();
        for event in events {
            // The clocks are two, so the order is a guess where they differ; nothing depends on it.
            while let Some(chunk) = chunks.next_if(|chunk| chunk.at < event.time()) {
                self.chunk_lines(chunk, &mut lines);
            }
            self.tasks.apply(event);
            lines.extend(self.event_line(event));
        }
        chunks.for_each(|chunk| self.chunk_lines(chunk, &mut lines));
        self.draw(&lines);
    }

    /// A remark of the command itself.
    pub(crate) fn say(&mut self, text: &str) {
        let line = self.paint.paint(Colour::Yellow, text);
        self.draw(&[line]);
    }

    /// The run has ended like this. The block gives way to one last line.
    pub(crate) fn finish(&mut self, run: &Value) {
        let mut lines: Vec<_> = std::mem::take(&mut self.partial)
            .into_iter()
            .map(|((task, stream), text)| self.log_line(&task, &stream, &text))
            .collect();
        lines.push(self.verdict(run));
        self.style = if self.style == Style::Block { Style::Lines } else { self.style };
        self.draw(&lines);
    }

    fn draw(&mut self, lines: &[String]) {
        let mut text = String::new();
        if self.drawn > 0 {
            // Back to where the block begins, and everything below it away.
            text.push_str(&format!("\x1b[{}A\x1b[J", self.drawn));
            self.drawn = 0;
        }
        if self.style != Style::Silent {
            lines.iter().for_each(|line| text.extend([line.as_str(), "\n"]));
        }
        if self.style == Style::Block {
            let block = self.block(terminal::width(), platform::now());
            self.drawn = block.len();
            block.iter().for_each(|line| text.extend([line.as_str(), "\n"]));
        }
        if !text.is_empty() {
            terminal::err_raw(&text);
        }
    }

    /// The tasks under way, those that failed, and the latest that ended, as many as fit; and a summary.
    fn block(&self, width: usize, now: Timestamp) -> Vec<String> {
        let mut lines: Vec<_> = self
            .tasks
            .foremost(BLOCK_LINES_MAX)
            .map(|task| {
                let text = format!("{} {:24} {}", task.state.mark(), task.name, task.describe(now));
                self.paint.paint(task.state.colour(), &terminal::fit(&terminal::harmless(&text), width - 1))
            })
            .collect();
        let summary = format!("{} · {}", self.run, self.tasks.summary());
        lines.push(self.paint.paint(Colour::Bold, &terminal::fit(&summary, width - 1)));
        lines
    }

    fn event_line(&self, event: &Event) -> Option<String> {
        let name = event.instance();
        let (state, text) = tasks::reading(event, name.as_deref().and_then(|name| self.signals.get(name)))?;
        let text = match (&state, name.as_ref().and_then(|name| self.tasks.get(name))) {
            (State::Completed | State::Failed, Some(task)) => match task.took() {
                Some(took) => format!("{text} ({took})"),
                None => text,
            },
            _ => text,
        };
        let text = match event.data.pointer("/wait/for").and_then(Value::as_str) {
            Some("signal") => match name.as_ref().and_then(|name| self.signals.get(name)) {
                Some(signal) => {
                    format!("{text}: selvedge signal {} {signal} [PAYLOAD]{}", self.run, self.server)
                }
                None => text,
            },
            _ => text,
        };
        let name = name.unwrap_or_else(|| "run".to_owned());
        Some(self.line(&name, state.colour(), &terminal::harmless(&text)))
    }

    fn chunk_lines(&mut self, chunk: &Chunk, lines: &mut Vec<String>) {
        let task = chunk.instance();
        let key = (task.clone(), chunk.stream.clone());
        let mut text = self.partial.remove(&key).unwrap_or_default();
        text.push_str(&chunk.text);
        let mut rest = text.as_str();
        while let Some((line, after)) = rest.split_once('\n') {
            lines.push(self.log_line(&task, &chunk.stream, line));
            rest = after;
        }
        if !rest.is_empty() {
            self.partial.insert(key, rest.to_owned());
        }
    }

    fn log_line(&self, task: &str, stream: &str, text: &str) -> String {
        let bar = if stream == "stderr" { self.paint.paint(Colour::Red, "|") } else { "|".to_owned() };
        let name = self.paint.paint(Colour::Dim, &format!("{task:16}"));
        format!("{name} {bar} {}", terminal::harmless(text.trim_end_matches('\r')))
    }

    fn verdict(&self, run: &Value) -> String {
        let status = run.get("status").and_then(Value::as_str).unwrap_or("of unknown status");
        let colour = if status == "completed" { Colour::Green } else { Colour::Red };
        let failure = failure_text(run.get("failure").unwrap_or(&Value::Null));
        let text = match failure {
            Some(failure) => format!("{status}: {}", terminal::harmless(&failure)),
            None => status.to_owned(),
        };
        self.line("run", colour, &format!("{} {text}", self.run))
    }

    fn line(&self, name: &str, colour: Colour, text: &str) -> String {
        format!(
            "{} {}",
            self.paint.paint(Colour::Bold, &format!("{name:16}")),
            self.paint.paint(colour, text)
        )
    }
}

/// What a failure says: its task, message and code.
pub(crate) fn failure_text(failure: &Value) -> Option<String> {
    let text = |name| failure.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let message = text("message").or(text("code")).or(text("category"))?;
    Some(match text("task") {
        Some(task) => format!("task {task}: {message}"),
        None => message.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn progress() -> Progress {
        let document = json!({"tasks": {"a": {"worker": "shell"}, "ok": {"signal": "approval"}}});
        Progress { paint: Paint::Plain, ..Progress::new(Style::Lines, "r1", "http://h", &document) }
    }

    fn event(kind: &str, task: Option<&str>, at: u32, data: Value) -> Event {
        let at = format!("2030-01-01T00:00:{at:02}.000Z");
        serde_json::from_value(
            json!({"seq": 1, "type": kind, "at": at, "task": task, "attempt": 1, "data": data}),
        )
        .expect("an event")
    }

    fn chunk(stream: &str, text: &str) -> Chunk {
        serde_json::from_value(
            json!({"cursor": "1", "task": "a", "stream": stream, "text": text, "at": null}),
        )
        .expect("a chunk")
    }

    #[test]
    fn events_become_lines() {
        let mut progress = progress();
        for (event, line) in [
            (event("run_started", None, 0, json!({})), Some("run              started")),
            (event("task_ready", Some("a"), 0, json!({})), None),
            (event("task_started", Some("a"), 1, json!({})), Some("a                started")),
            (
                event("attempt_failed", Some("a"), 2, json!({"failure": {"message": "exit code 3"}})),
                Some("a                attempt 1 failed: exit code 3"),
            ),
            (event("task_completed", Some("a"), 4, json!({})), Some("a                completed (3.0s)")),
            (
                event("task_failed", Some("b"), 4, json!({"failure": {"message": "no\x1b disk"}})),
                Some("b                failed: no␛ disk"),
            ),
            (
                event("task_waiting", Some("ok"), 4, json!({"wait": {"for": "signal"}})),
                Some(
                    "ok               waits for the signal approval: selvedge signal r1 approval [PAYLOAD] --server http://h",
                ),
            ),
            (
                event("task_skipped", Some("c"), 4, json!({"reason": "condition"})),
                Some("c                skipped: condition"),
            ),
            (event("something_new", Some("c"), 4, json!({})), Some("c                something new")),
        ] {
            progress.tasks.apply(&event);
            assert_eq!(progress.event_line(&event).as_deref(), line, "{}", event.kind);
        }
    }

    #[test]
    fn logs_are_shown_by_whole_lines() {
        let mut progress = progress();
        let mut lines = Vec::new();
        for (stream, text) in [("stdout", "one\ntw"), ("stderr", "oops\n"), ("stdout", "o\r\n\nrest")] {
            progress.chunk_lines(&chunk(stream, text), &mut lines);
        }
        assert_eq!(lines, ["one", "oops", "two", ""].map(|text| format!("a                | {text}")),);
        assert_eq!(progress.partial.len(), 1);
    }

    #[test]
    fn the_block_holds_what_matters_and_fits() {
        let mut progress = progress();
        for index in 0..40 {
            let name = format!("done{index}");
            progress.tasks.apply(&event("task_started", Some(&name), 0, json!({})));
            progress.tasks.apply(&event("task_completed", Some(&name), 1, json!({})));
        }
        progress.tasks.apply(&event("task_started", Some("slow"), 1, json!({})));
        let now = "2030-01-01T00:00:09.000Z".parse().expect("a time");
        let block = progress.block(40, now);
        assert_eq!(block.len(), BLOCK_LINES_MAX + 1);
        assert!(block.iter().any(|line| line.contains("slow") && line.contains("running 8.0s")), "{block:?}");
        assert!(block.iter().all(|line| line.chars().count() < 40));
        assert!(block.last().expect("a summary").contains("1 running"));
    }

    #[test]
    fn failures_name_their_task() {
        for (failure, text) in [
            (json!(null), None),
            (json!({"message": "m", "task": "a", "code": "c"}), Some("task a: m")),
            (json!({"message": "", "code": "c", "task": null}), Some("c")),
            (json!({"category": "timeout"}), Some("timeout")),
        ] {
            assert_eq!(failure_text(&failure).as_deref(), text);
        }
    }
}
