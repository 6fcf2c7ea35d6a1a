//! The program of a workflow: given what just ended, which instances begin, with what input, or is the run
//! over?
//!
//! This is the one place that knows that a workflow is a graph of `needs`. Another workflow language is
//! another answer to [`follow_up`] and [`begin`] over the same commands, events and storage.

use crate::planted::{self, Bug};
use crate::time::Duration;
use crate::value::{Payload, Value};
use crate::workflow::expression::{ExpressionError, Names, Template};
use crate::workflow::model::{Kind, OnFailure, Task, TaskIx, Workflow};

use super::CASCADE_MAX;
use super::context::context;
use super::end::{complete_run, fail_task};
use super::event::What;
use super::run::{Category, Failure, RunPhase};
use super::slice::Missing;
use super::task::{Instance, Key, Skip, TaskPhase, Wait};
use super::turn::Turn;

/// Begins whatever has no unmet need, when a run starts or is retried.
pub(super) fn begin(turn: &mut Turn, candidates: Vec<Key>) -> Result<(), Missing> {
    turn.slice.require(candidates.iter().copied())?;
    for key in candidates {
        let instance = turn.slice.instance(key)?;
        if instance.phase == TaskPhase::Pending && instance.unmet == 0 {
            become_ready(turn, key)?;
        }
    }
    follow_up(turn)
}

/// Follows up every end that has not been followed up: begins dependents, ends the run after the last.
pub(super) fn follow_up(turn: &mut Turn) -> Result<(), Missing> {
    while let Some(key) = turn.ended.pop_front() {
        if !matches!(turn.slice.run.phase, RunPhase::Running | RunPhase::Paused) {
            continue;
        }
        let workflow = turn.slice.workflow.clone();
        for dependent in &workflow.task(key.task).dependents {
            let dependent = Key::of(*dependent);
            let instance = turn.slice.instance(dependent)?;
            if planted::is(Bug::DependentForgotten) && turn.slice.task(dependent).needs.len() > 1 {
                continue;
            }
            if instance.phase == TaskPhase::Pending && instance.unmet == 0 {
                become_ready(turn, dependent)?;
            }
        }
    }
    complete_run(turn)
}

/// The tasks whose instances a decision about `task` will look at: its dependents, and what the expressions
/// of those read that have no other need.
pub(super) fn neighbours(workflow: &Workflow, task: TaskIx) -> impl Iterator<Item = TaskIx> {
    workflow.task(task).dependents.iter().flat_map(move |dependent| {
        let single = workflow.task(*dependent).needs.len() == 1;
        let read = names(workflow.task(*dependent)).into_iter().filter(move |_| single);
        let read = read.flat_map(|names| names.tasks.iter().filter_map(|name| workflow.index(name)));
        std::iter::once(*dependent).chain(read.collect::<Vec<_>>())
    })
}

fn names(task: &Task) -> Vec<&Names> {
    let template = match &task.kind {
        Kind::Worker { with, .. } | Kind::Wasm { with, .. } => with.as_ref(),
        Kind::Http { request } => Some(request),
        Kind::Value { value } => Some(value),
        Kind::Sleep { duration } => Some(duration),
        Kind::Signal { .. } => None,
    };
    task.condition.iter().map(|c| c.names()).chain(template.map(Template::names)).collect()
}

/// What an instance does once its needs are met.
fn become_ready(turn: &mut Turn, key: Key) -> Result<(), Missing> {
    let workflow = turn.slice.workflow.clone();
    let task = workflow.task(key.task);
    if let Some(condition) = &task.condition {
        match condition.holds(&context(turn, condition.names())?) {
            Ok(true) => {}
            Ok(false) => return skip(turn, key, Skip::Condition),
            Err(error) => return fail_expression(turn, key, &error),
        }
    }
    match &task.kind {
        Kind::Worker { with, .. } | Kind::Wasm { with, .. } => match with {
            Some(template) => ready(turn, key, template),
            None => {
                let task = turn.task_ref(key);
                turn.emit(What::TaskReady { task, input: Some(Payload::null()) });
                Ok(())
            }
        },
        Kind::Http { request } => ready(turn, key, request),
        Kind::Value { .. } => run_value_task(turn, key),
        Kind::Sleep { duration } => sleep(turn, key, duration),
        Kind::Signal { .. } => wait_for_signal(turn, key, task),
    }
}

fn ready(turn: &mut Turn, key: Key, template: &Template) -> Result<(), Missing> {
    match template.evaluate(&context(turn, template.names())?) {
        Ok(input) => {
            let task = turn.task_ref(key);
            turn.emit(What::TaskReady { task, input: Some(Payload::from(&input)) });
            Ok(())
        }
        Err(error) => fail_expression(turn, key, &error),
    }
}

/// Carries out a `value` task, or leaves it ready for a later commit once this one has done enough.
pub(super) fn run_value_task(turn: &mut Turn, key: Key) -> Result<(), Missing> {
    let workflow = turn.slice.workflow.clone();
    let Kind::Value { value } = &workflow.task(key.task).kind else { return Ok(()) };
    if turn.cascaded >= CASCADE_MAX {
        let task = turn.task_ref(key);
        turn.emit(What::TaskReady { task, input: None });
        return Ok(());
    }
    turn.cascaded += 1;
    match value.evaluate(&context(turn, value.names())?) {
        Ok(output) => complete(turn, key, Payload::from(&output)),
        Err(error) => fail_expression(turn, key, &error),
    }
}

fn sleep(turn: &mut Turn, key: Key, template: &Template) -> Result<(), Missing> {
    let value = match template.evaluate(&context(turn, template.names())?) {
        Ok(value) => value,
        Err(error) => return fail_expression(turn, key, &error),
    };
    let duration = match &value {
        Value::String(text) => text.parse::<Duration>().map_err(|error| error.to_string()),
        other => Err(format!("expected a duration such as 30s, found {}", other.kind())),
    };
    match duration {
        Ok(Duration::ZERO) => complete(turn, key, Payload::null()),
        Ok(duration) => {
            let (task, until) = (turn.task_ref(key), turn.now.plus(duration));
            turn.emit(What::TaskWaiting {
                task,
                wait: Wait::Sleep { until },
                input: Some(Payload::from(&value)),
            });
            Ok(())
        }
        Err(message) => {
            let failure = Failure::new(Category::Application, "expression", format!("`sleep`: {message}"));
            fail_task(turn, key, None, failure)
        }
    }
}

fn wait_for_signal(turn: &mut Turn, key: Key, task: &Task) -> Result<(), Missing> {
    let Kind::Signal { name, .. } = &task.kind else { return Ok(()) };
    if let Some(signal) = turn.slice.oldest_signal(name)?.cloned() {
        let task = turn.task_ref(key);
        turn.emit(What::SignalConsumed { name: name.clone(), number: signal.number, task });
        return complete(turn, key, signal.payload);
    }
    let (reference, since) = (turn.task_ref(key), turn.now);
    let wait = Wait::Signal { since, until: task.timeout.map(|timeout| since.plus(timeout)) };
    turn.emit(What::TaskWaiting { task: reference, wait, input: None });
    Ok(())
}

/// Completes an instance that had no lease.
pub(super) fn complete(turn: &mut Turn, key: Key, output: Payload) -> Result<(), Missing> {
    let task = turn.task_ref(key);
    turn.slice.require(turn.slice.task(key).dependents.iter().copied().map(Key::of))?;
    turn.emit(What::TaskCompleted { task, attempt: 0, lease_id: None, output, reused_from: None });
    turn.ended.push_back(key);
    Ok(())
}

/// Skips an instance; what needs it goes on.
pub(super) fn skip(turn: &mut Turn, key: Key, reason: Skip) -> Result<(), Missing> {
    let task = turn.task_ref(key);
    turn.slice.require(turn.slice.task(key).dependents.iter().copied().map(Key::of))?;
    turn.emit(What::TaskSkipped { task, reason });
    turn.ended.push_back(key);
    Ok(())
}

fn fail_expression(turn: &mut Turn, key: Key, error: &ExpressionError) -> Result<(), Missing> {
    fail_task(turn, key, None, Failure::new(Category::Application, "expression", error.to_string()))
}

/// Whether the failure of this task lets its run go on.
pub(super) fn goes_on(task: &Task) -> bool {
    task.on_failure == OnFailure::Continue
}

/// The task that began to wait for a signal first; in document order among equals.
pub(super) fn first_waiting(turn: &Turn, name: &crate::ids::SignalName) -> Result<Option<Key>, Missing> {
    let waits = |task: &&Task| matches!(&task.kind, Kind::Signal { name: own, .. } if own == name);
    let tasks = turn.slice.workflow.tasks.iter().enumerate().filter(|(_, task)| waits(task));
    let keys: Vec<Key> = tasks.map(|(ix, _)| Key::of(TaskIx(ix as u32))).collect();
    turn.slice.require(keys.iter().copied())?;
    let mut first: Option<(crate::time::Timestamp, Key)> = None;
    for key in keys {
        let instance: &Instance = turn.slice.instance(key)?;
        if let TaskPhase::Waiting(Wait::Signal { since, .. }) = instance.phase
            && first.is_none_or(|(earliest, _)| since < earliest)
        {
            first = Some((since, key));
        }
    }
    Ok(first.map(|(_, key)| key))
}
