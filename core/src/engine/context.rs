//! What expressions see of a run.

use std::collections::BTreeMap;

use crate::ids::TaskName;
use crate::value::{Payload, Value};
use crate::workflow::expression::{Context, Names, TaskView};

use super::slice::{Missing, Slice};
use super::task::{Instance, Key};
use super::turn::Turn;

/// The values that these names stand for, at the time of the decision.
///
/// Only what is named is built: a decision never parses payloads that nobody reads.
pub(super) fn context(turn: &Turn, names: &Names) -> Result<Context, Missing> {
    let slice = &turn.slice;
    let keys = || names.tasks.iter().filter_map(|name| slice.workflow.index(name)).map(Key::of);
    slice.require(keys())?;
    let mut tasks = BTreeMap::new();
    for name in &names.tasks {
        if let Some(task) = slice.workflow.index(name) {
            tasks.insert(name.clone(), view(slice.instance(Key::of(task))?, &slice.workflow.task(task).name));
        }
    }
    let reads = |root: &str| names.roots.contains(root);
    let object = |payload: &Payload| match payload.to_value() {
        Value::Object(members) => members,
        _ => BTreeMap::new(),
    };
    Ok(Context {
        input: if reads("input") { slice.run.input.to_value() } else { Value::Null },
        vars: if reads("vars") { object(&slice.run.vars) } else { BTreeMap::new() },
        tasks,
        run: if reads("run") { run_value(slice) } else { Value::Null },
        now: turn.now,
    })
}

fn view(instance: &Instance, name: &TaskName) -> TaskView {
    TaskView {
        output: instance.output.as_ref().map_or(Value::Null, Payload::to_value),
        status: instance.status().word(),
        failure: instance.failure.as_ref().map_or(Value::Null, |failure| {
            let text = |text: &Option<String>| text.clone().map_or(Value::Null, Value::String);
            Value::from([
                ("category", failure.category.word().into()),
                ("message", failure.message.as_str().into()),
                ("code", text(&failure.code)),
                ("task", name.as_str().into()),
                ("details", failure.details.clone()),
            ])
        }),
    }
}

/// The part of the run shape that is the same however often a decision is taken.
fn run_value(slice: &Slice) -> Value {
    let run = &slice.run;
    let counts = run.counts;
    let number = |count: u32| Value::Int(i64::from(count));
    let time = |time: Option<crate::time::Timestamp>| time.map_or(Value::Null, |t| t.to_string().into());
    Value::from([
        ("id", run.id.as_str().into()),
        ("workflow", run.workflow.as_str().into()),
        ("version", run.version.as_str().into()),
        ("status", run.status().word().into()),
        ("attributes", run.attributes.to_value()),
        ("tags", run.tags.iter().map(|tag| tag.as_str().into()).collect::<Vec<Value>>().into()),
        ("priority", Value::Int(i64::from(run.priority))),
        ("session_id", run.session_id.as_ref().map_or(Value::Null, |id| id.as_str().into())),
        ("rerun_of", run.rerun_of.as_ref().map_or(Value::Null, |id| id.as_str().into())),
        ("created_at", time(Some(run.created_at))),
        ("started_at", time(run.started_at)),
        ("deadline", time(run.deadline)),
        (
            "tasks",
            Value::from([
                ("total", number(counts.total)),
                ("pending", number(counts.pending)),
                ("ready", number(counts.ready)),
                ("running", number(counts.running)),
                ("waiting", number(counts.waiting)),
                ("completed", number(counts.completed)),
                ("failed", number(counts.failed)),
                ("skipped", number(counts.skipped)),
                ("cancelled", number(counts.cancelled)),
            ]),
        ),
    ])
}
