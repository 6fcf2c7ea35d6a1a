//! The language of the tables: a step, the events that it leads to, and what holds afterwards.
//!
//! A step is a command, with a move of the clock before it if there is one: `+30s complete a {"x": 1}`.
//! Commands: `grant a b`, `complete a JSON`, `fail a [never | after 5s]`, `release a`, `wake [a b]` (without
//! names: all that is due, the run's own timer included), `signal NAME [JSON] [id=ID]`, `cancel`, `force`,
//! `pause`, `resume`, `retry`, `nothing`. `a#1` is the first lease that was granted on `a`; without a number
//! it is the last one.
//!
//! Events are their words; those of a task with its name and without `task_`: `run_started a:ready`. A
//! refusal is its words after `!`. What holds: the run's status, then `a=ready` for a task's status, `a.n=2`
//! for its attempt, `a<JSON` for its input, `a>JSON` for its output, `a!code` for its failure's code; of the
//! run `>JSON` and `!code` likewise; `deadline=10s` counted from the start.

use crate::engine::run::{Category, Failure};
use crate::engine::*;
use crate::ids::LeaseId;
use crate::time::{Duration, Timestamp};
use crate::value::{Payload, Value};

use super::stored::{START, Stored, compiled, created};

/// A step, its events or refusal, and what holds afterwards.
pub(super) type Row = (&'static str, &'static str, &'static str);

/// A run under way, with the leases that its steps were granted.
pub(super) struct Script {
    pub(super) stored: Stored,
    granted: Vec<(Key, LeaseId)>,
    offered: u32,
}

/// Plays rows on a run of these tasks, which starts at once with the input `{"yes": true, "n": 3}`.
///
/// The first row is `start`.
pub(super) fn play(tasks: &str, rows: &[Row]) {
    play_document(&format!("{{selvedge: 1, name: t, tasks: {tasks}}}"), rows);
}

/// Plays rows on a run of this whole document.
pub(super) fn play_document(document: &str, rows: &[Row]) {
    let workflow = compiled(document);
    let input = Value::from([("yes", true.into()), ("n", Value::Int(3))]);
    let mut created = created(&workflow, &input);
    let [(first, events, holds), rest @ ..] = rows else { panic!("a table has rows") };
    let begin = first.strip_prefix("start").expect("the first row is `start`");
    if let Some(delay) = begin.trim().strip_prefix("in ") {
        created.start_at = Some(START.plus(duration(delay)));
    }
    let stored = Stored::start(workflow, created, Vec::new());
    let mut script = Script { stored, granted: Vec::new(), offered: 0 };
    let history = script.stored.history.clone();
    assert_eq!(script.words(&history), *events, "row 0, {first:?}");
    script.hold(holds, &format!("row 0, {first:?}"));
    script.play(rest);
}

impl Script {
    pub(super) fn of(stored: Stored) -> Self {
        Self { stored, granted: Vec::new(), offered: 0 }
    }

    pub(super) fn play(&mut self, rows: &[Row]) {
        for (index, (step, events, holds)) in rows.iter().enumerate() {
            let place = format!("row {}, {step:?}", index + 1);
            assert_eq!(self.step(step), *events, "{place}");
            self.hold(holds, &place);
        }
    }

    /// Carries out a step; the words of its events, or of its refusal.
    pub(super) fn step(&mut self, step: &str) -> String {
        let mut rest = step;
        if let Some((first, after)) = step.split_once(' ')
            && first.starts_with(['+', '-'])
        {
            let millis = duration(&first[1..]).as_millis() as i64;
            let millis = if first.starts_with('-') { -millis } else { millis };
            self.stored.now = Timestamp::from_millis(self.stored.now.as_millis() + millis);
            rest = after;
        }
        let mut events = Vec::new();
        for command in self.commands(rest) {
            match self.stored.command(&command) {
                Ok(more) => events.extend(more),
                Err(refusal) => return format!("! {refusal}"),
            }
        }
        for event in &events {
            if let What::TaskStarted { task, lease, .. } = &event.what {
                self.granted.push((task.key(&self.stored.workflow), lease.id.clone()));
            }
        }
        self.words(&events)
    }

    fn commands(&mut self, step: &str) -> Vec<Command> {
        let (verb, rest) = step.split_once(' ').unwrap_or((step, ""));
        let (first, after) = rest.split_once(' ').unwrap_or((rest, ""));
        let command = match verb {
            "nothing" => return Vec::new(),
            "grant" => Command::Grant(rest.split(' ').map(|name| self.grant(name)).collect()),
            "complete" => {
                let (key, lease) = self.lease(first);
                Command::Complete { key, lease, output: payload(after) }
            }
            "fail" => {
                let (key, lease) = self.lease(first);
                let retry = match after.strip_prefix("after ") {
                    Some(delay) => RetryWish::After(duration(delay)),
                    None if after == "never" => RetryWish::Never,
                    None => RetryWish::Policy,
                };
                let failure = Failure::new(Category::Application, "broken", "it broke");
                Command::Fail { key, lease, failure, retry }
            }
            "release" => {
                let (key, lease) = self.lease(first);
                Command::Release { key, lease }
            }
            "wake" if rest.is_empty() => {
                return vec![Command::WakeRun, Command::WakeTasks(self.stored.due())];
            }
            "wake" => Command::WakeTasks(rest.split(' ').map(|name| self.key(name)).collect()),
            "signal" => {
                let (text, id) = match after.split_once("id=") {
                    Some((text, id)) => (text.trim(), Some(id.parse().expect("a signal id"))),
                    None => (after, None),
                };
                let name = first.parse().expect("a signal's name");
                Command::Signal { name, signal_id: id, payload: payload(text) }
            }
            "cancel" => Command::Cancel(Force::Graceful),
            "force" => Command::Cancel(Force::Now),
            "pause" => Command::Pause,
            "resume" => Command::Resume,
            "retry" => Command::Retry,
            other => panic!("no step is called {other:?}"),
        };
        vec![command]
    }

    /// A grant of 30 s under a new lease.
    fn grant(&mut self, name: &str) -> (Key, Grant) {
        let key = self.key(name);
        self.offered += 1;
        let id: LeaseId = format!("lease-{}", self.offered).parse().expect("a lease id");
        (key, Grant { id, worker: "w".parse().expect("a worker id"), ttl: Duration::from_secs(30) })
    }

    fn lease(&self, name: &str) -> (Key, LeaseId) {
        let (name, number) = name.split_once('#').unwrap_or((name, ""));
        let key = self.key(name);
        let own: Vec<&LeaseId> =
            self.granted.iter().filter(|(granted, _)| *granted == key).map(|(_, id)| id).collect();
        let found = match number.parse::<usize>() {
            Ok(number) => own.get(number - 1),
            Err(_) => own.last(),
        };
        (key, found.map_or_else(|| "nobody-s".parse().expect("a lease id"), |id| (*id).clone()))
    }

    fn key(&self, name: &str) -> Key {
        Key::of(self.stored.workflow.index(name).unwrap_or_else(|| panic!("no task is called {name}")))
    }

    fn words(&self, events: &[Event]) -> String {
        let word = |event: &Event| match event.what.task() {
            Some(task) => {
                let word = event.what.word();
                format!("{}:{}", task.task, word.strip_prefix("task_").unwrap_or(word))
            }
            None => event.what.word().to_owned(),
        };
        events.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    fn hold(&self, holds: &str, place: &str) {
        let run = &self.stored.run;
        for fact in holds.split(' ').filter(|fact| !fact.is_empty()) {
            let is = |found: &str, expected: &str| {
                assert_eq!(found, expected, "{place}: {fact}\nrun: {run:#?}");
            };
            let text =
                |payload: &Option<Payload>| payload.as_ref().map_or("none", Payload::as_str).to_owned();
            let code = |failure: &Option<Failure>| {
                failure.as_ref().and_then(|failure| failure.code.clone()).unwrap_or_default()
            };
            if let Some(after) = fact.strip_prefix("deadline=") {
                let deadline = run.deadline.map(|at| at.since(START).to_string());
                is(deadline.as_deref().unwrap_or("none"), after);
            } else if let Some((name, expected)) = fact.split_once('>') {
                let output = if name.is_empty() { run.output.clone() } else { self.instance(name).output };
                is(&text(&output), expected);
            } else if let Some((name, expected)) = fact.split_once('<') {
                is(&text(&self.instance(name).input), expected);
            } else if let Some((name, expected)) = fact.split_once('!') {
                let failure = if name.is_empty() { run.failure.clone() } else { self.instance(name).failure };
                is(&code(&failure), expected);
            } else if let Some((name, expected)) = fact.split_once(".n=") {
                is(&self.instance(name).attempt.to_string(), expected);
            } else if let Some((name, expected)) = fact.split_once('=') {
                is(self.instance(name).status().word(), expected);
            } else {
                is(run.status().word(), fact);
            }
        }
    }

    fn instance(&self, name: &str) -> Instance {
        self.stored.instance(self.key(name))
    }
}

fn duration(text: &str) -> Duration {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

fn payload(text: &str) -> Payload {
    let text = if text.is_empty() { "null" } else { text };
    Payload::from(&Value::from_json(text.as_bytes()).expect("the row's own JSON"))
}
