//! What the server has acknowledged, and whether it still says so.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use futures_util::StreamExt;
use serde_json::{Value, json};

use super::common::Api;

/// How many runs are looked at at the same time.
const CONCURRENCY: usize = 8;

/// Everything acknowledged, by run.
#[derive(Debug, Default, Clone)]
pub(crate) struct Facts(BTreeMap<String, Run>);

/// What is known of one run.
#[derive(Debug, Default, Clone)]
struct Run {
    /// The accepted output of each task.
    outputs: BTreeMap<String, Value>,
    /// Task and attempt of each accepted failure.
    failures: BTreeSet<(String, u64)>,
    /// The payload of each stored signal, by its id.
    signals: BTreeMap<String, Value>,
}

impl Facts {
    pub(crate) fn run(&mut self, run: &str) {
        self.0.entry(run.to_owned()).or_default();
    }

    /// A result was accepted: the first of its task, or the same again.
    pub(crate) fn output(&mut self, run: &str, task: &str, output: &Value) {
        let outputs = &mut self.0.entry(run.to_owned()).or_default().outputs;
        let first = outputs.entry(task.to_owned()).or_insert_with(|| output.clone());
        assert_eq!(first, output, "two results were accepted for task {task} of run {run}");
    }

    pub(crate) fn failure(&mut self, run: &str, task: &str, attempt: u64) {
        let failures = &mut self.0.entry(run.to_owned()).or_default().failures;
        assert!(
            failures.insert((task.to_owned(), attempt)),
            "attempt {attempt} of {run}/{task} failed twice"
        );
    }

    pub(crate) fn signal(&mut self, run: &str, id: &str, payload: Value) {
        self.0.entry(run.to_owned()).or_default().signals.insert(id.to_owned(), payload);
    }

    /// Only the facts about these runs.
    pub(crate) fn about(&self, runs: &BTreeSet<String>) -> Self {
        let of = |run: &String| Some((run.clone(), self.0.get(run)?.clone()));
        Self(runs.iter().filter_map(of).collect())
    }

    /// The server says all of it.
    pub(crate) async fn hold(&self, api: &Api) {
        let runs = futures_util::stream::iter(&self.0);
        runs.for_each_concurrent(CONCURRENCY, async |(id, run)| run.holds(id, api).await).await;
    }

    /// Every run has completed, and its history tells these facts once each, without a gap.
    pub(crate) async fn are_the_history(&self, api: &Api) {
        let runs = api.all("/runs").await;
        for run in &runs {
            assert_eq!(run["status"], "completed", "{run}");
        }
        let listed: BTreeSet<_> = runs.iter().filter_map(|run| run["id"].as_str()).collect();
        assert_eq!(listed.len(), runs.len(), "a run is listed twice");
        assert_eq!(listed, self.0.keys().map(String::as_str).collect());
        let runs = futures_util::stream::iter(&self.0);
        runs.for_each_concurrent(CONCURRENCY, async |(id, run)| run.is_the_history(id, api).await).await;
    }
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = |of: fn(&Run) -> usize| self.0.values().map(of).sum::<usize>();
        let (outputs, failures) = (sum(|run| run.outputs.len()), sum(|run| run.failures.len()));
        let signals = sum(|run| run.signals.len());
        let runs = self.0.len();
        write!(f, "{runs} runs, {outputs} outputs, {failures} failures, {signals} signals acknowledged")
    }
}

impl Run {
    async fn holds(&self, id: &str, api: &Api) {
        assert_eq!(api.get(&format!("/runs/{id}")).await.expect(200)["id"], id);
        let tasks = api.all(&format!("/runs/{id}/tasks")).await;
        for (task, output) in &self.outputs {
            let found = tasks.iter().find(|found| found["task"] == task.as_str());
            let found = found.unwrap_or_else(|| panic!("run {id} has lost its task {task}"));
            assert_eq!((&found["status"], &found["output"]), (&json!("completed"), output), "{id}/{task}");
        }
        if !self.signals.is_empty() {
            let signals = api.all(&format!("/runs/{id}/signals")).await;
            for (signal, payload) in &self.signals {
                let mut found = signals.iter().filter(|found| found["signal_id"] == signal.as_str());
                let first = found.next().unwrap_or_else(|| panic!("run {id} has lost the signal {signal}"));
                assert_eq!(&first["payload"], payload, "{id}/{signal}");
                assert!(found.next().is_none(), "run {id} has the signal {signal} twice");
            }
        }
        if !self.failures.is_empty() {
            let failed = told(&api.all(&format!("/runs/{id}/events?sort=seq")).await, "attempt_failed");
            let lost: Vec<_> = self.failures.iter().filter(|failure| !failed.contains(failure)).collect();
            assert!(lost.is_empty(), "run {id} has lost the failures {lost:?}");
        }
    }

    async fn is_the_history(&self, id: &str, api: &Api) {
        let events = api.all(&format!("/runs/{id}/events?sort=seq")).await;
        let seqs: Vec<_> = events.iter().map(|event| event["seq"].as_u64().expect("a number")).collect();
        assert_eq!(seqs, (1..=events.len() as u64).collect::<Vec<_>>(), "the history of run {id}");
        let last = events.last().expect("a history");
        assert_eq!(last["type"], "run_completed", "{last}");
        for kind in ["task_completed", "attempt_failed", "task_started"] {
            let told = told(&events, kind);
            let once: BTreeSet<_> = told.iter().collect();
            // An attempt that was given back starts again under its number.
            assert!(once.len() == told.len() || kind == "task_started", "run {id}: {kind} twice: {told:?}");
        }
        let completed = told(&events, "task_completed");
        let tasks: BTreeSet<_> = completed.iter().map(|(task, _)| task).collect();
        assert_eq!(tasks.len(), completed.len(), "run {id}: a task completed twice: {completed:?}");
        for task in self.outputs.keys() {
            assert!(tasks.contains(task), "the history of run {id} does not tell of task {task}");
            let started = |event: &&Value| event["type"] == "task_started" && event["task"] == task.as_str();
            let last = events.iter().rfind(started).expect("it was started before it was completed");
            let by = &self.outputs[task]["lease"];
            assert_eq!(by, &last["data"]["lease"]["id"], "a displaced lease completed {id}/{task}");
        }
    }
}

/// Task and attempt of each event of this kind.
fn told(events: &[Value], kind: &str) -> Vec<(String, u64)> {
    let of =
        |event: &Value| Some((event["task"].as_str()?.to_owned(), event["attempt"].as_u64().unwrap_or(0)));
    events.iter().filter(|event| event["type"] == kind).filter_map(of).collect()
}
