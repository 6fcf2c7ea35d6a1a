//! Decisions of the engine alone: no rows, no text, no request.

use std::hint::black_box;
use std::sync::Arc;

use selvedge::engine::{Command, Created, Decided, Grant, Key, NewRun, Slice, decide, start};
use selvedge::ids::LeaseId;
use selvedge::time::Duration;
use selvedge::value::{Payload, Value};
use selvedge::workflow::model::{TaskIx, Workflow};
use selvedge::workflow::parse::parse;

use crate::platform::NOW;
use crate::scenario::{BEFORE, Count, TIMES, step};

/// A chain, so that completing a task makes the next one ready.
const DOCUMENT: &[u8] = br#"{"selvedge":1,"name":"ten","tasks":{
    "a":{"worker":"q","with":{"n":"${{ input.n }}"}},
    "b":{"worker":"q","needs":["a"],"with":{"n":"${{ tasks.a.output.n }}"}},
    "c":{"worker":"q","needs":["b"]}},"output":"${{ tasks.c.output }}"}"#;

/// One kind of decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Start,
    Claim,
    Complete,
}

impl Decision {
    pub(crate) const ALL: [Decision; 3] = [Decision::Start, Decision::Claim, Decision::Complete];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Decision::Start => "start",
            Decision::Claim => "claim",
            Decision::Complete => "complete",
        }
    }
}

/// A run's first three decisions, over and over, of which one counts.
pub(crate) fn carry_out(chosen: Decision) {
    let document = Value::from_json(DOCUMENT).expect("it is JSON");
    let workflow = Arc::new(parse(&document).expect("it is a workflow"));
    for round in 0..BEFORE + TIMES {
        let count = |decision| if decision == chosen && round >= BEFORE { Count::Yes } else { Count::No };
        let new = new_run(&workflow);
        let started = step(count(Decision::Start), || start(black_box(new), workflow.clone(), NOW));
        let claim = Command::Grant(vec![(Key::of(TaskIx(0)), grant())]);
        let claimed = step(count(Decision::Claim), || made(decide(black_box(&started.after), &claim, NOW)));
        let output = Payload::from(&Value::from_json(br#"{"n":1}"#).expect("it is JSON"));
        let complete = Command::Complete { key: Key::of(TaskIx(0)), lease: lease(), output };
        let slice = &claimed.after;
        let completed = step(count(Decision::Complete), || made(decide(black_box(slice), &complete, NOW)));
        assert_eq!(ready(&completed.after), 1, "the second task has become ready");
        black_box(completed);
    }
}

fn made(decided: Result<Decided, selvedge::engine::Undecided>) -> Decided {
    decided.expect("the run takes the command")
}

fn new_run(workflow: &Workflow) -> NewRun {
    NewRun {
        tenant: "default".parse().expect("a tenant"),
        id: "0190a5b0-7c1e-7000-8000-000000000001".parse().expect("an id"),
        created: Created {
            workflow: workflow.name.clone(),
            version: workflow.version.clone(),
            input: Payload::from(&Value::from_json(br#"{"n":1}"#).expect("it is JSON")),
            vars: Payload::from(&Value::from_json(b"{}").expect("it is JSON")),
            attributes: Payload::from(&Value::from_json(b"{}").expect("it is JSON")),
            tags: Vec::new(),
            session_id: None,
            rerun_of: None,
            priority: 0,
            seed: 7,
            start_at: None,
            execution_timeout: None,
        },
        reused: Vec::new(),
    }
}

fn lease() -> LeaseId {
    "0190a5b0-7c1e-7000-8000-000000000002".parse().expect("an id")
}

fn grant() -> Grant {
    Grant { id: lease(), worker: "w".parse().expect("an id"), ttl: Duration::from_secs(30) }
}

fn ready(slice: &Slice) -> u32 {
    slice.run.counts.ready
}
