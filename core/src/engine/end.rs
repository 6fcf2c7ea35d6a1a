//! How attempts, tasks and runs end.

use crate::value::Payload;
use crate::workflow::model::Workflow;

use super::backoff;
use super::command::RetryWish;
use super::context::context;
use super::event::What;
use super::ready::goes_on;
use super::run::{Category, End, Failure, RunPhase};
use super::slice::{Missing, Need};
use super::task::{Key, Lease, TaskPhase};
use super::turn::Turn;

/// An attempt under a lease did not succeed: retry, fail, or end with the run that is being stopped.
pub(super) fn attempt_failed(
    turn: &mut Turn,
    key: Key,
    lease: &Lease,
    failure: Failure,
    wish: RetryWish,
) -> Result<(), Missing> {
    let workflow = turn.slice.workflow.clone();
    let task = workflow.task(key.task);
    let failure = named(&workflow, key, failure);
    if let RunPhase::Stopping(_) = turn.slice.run.phase {
        let task = turn.task_ref(key);
        turn.emit(What::TaskCancelled { task, lease_id: lease.id.clone(), failure });
        return finish_stopping(turn);
    }
    let instance = turn.slice.instance(key)?;
    let (attempt, spent) = (instance.attempt, instance.attempt - instance.attempts_before);
    if wish == RetryWish::Never || spent >= task.retry.max_attempts {
        return fail_task(turn, key, Some(lease), failure);
    }
    let delay = match wish {
        RetryWish::After(delay) => delay,
        RetryWish::Policy | RetryWish::Never => backoff::delay(&task.retry, turn.slice.run.seed, key, spent),
    };
    let (task, retry_at) = (turn.task_ref(key), turn.now.plus(delay));
    let lease_id = lease.id.clone();
    turn.emit(What::AttemptFailed { task: task.clone(), attempt, lease_id, failure, retry_at });
    if retry_at <= turn.now {
        turn.emit(What::TaskReady { task, input: None });
    }
    Ok(())
}

/// An instance failed for good: its run goes on, or stops.
pub(super) fn fail_task(
    turn: &mut Turn,
    key: Key,
    lease: Option<&Lease>,
    failure: Failure,
) -> Result<(), Missing> {
    let workflow = turn.slice.workflow.clone();
    let task = workflow.task(key.task);
    turn.slice.require(task.dependents.iter().copied().map(Key::of))?;
    let failure = named(&workflow, key, failure);
    let attempt = turn.slice.instance(key)?.attempt;
    let (reference, lease_id) = (turn.task_ref(key), lease.map(|lease| lease.id.clone()));
    turn.emit(What::TaskFailed { task: reference, attempt, lease_id, failure: failure.clone() });
    if goes_on(task) {
        turn.ended.push_back(key);
        return Ok(());
    }
    stop(turn, End::Failed, failure)
}

/// Stops the run: whatever is not under a lease ends now.
pub(super) fn stop(turn: &mut Turn, end: End, failure: Failure) -> Result<(), Missing> {
    match turn.slice.run.phase {
        RunPhase::Pending | RunPhase::Running | RunPhase::Paused => {
            turn.emit(What::RunStopping { end, failure });
            finish_stopping(turn)
        }
        RunPhase::Stopping(_)
        | RunPhase::Completed
        | RunPhase::Failed
        | RunPhase::Cancelled
        | RunPhase::TimedOut => Ok(()),
    }
}

/// Cuts every lease of a run that is being stopped.
pub(super) fn cut_all(turn: &mut Turn) -> Result<(), Missing> {
    if turn.slice.run.counts.running == 0 {
        return Ok(());
    }
    turn.slice.require_set(Need::Running)?;
    let held: Vec<(Key, Lease)> =
        turn.slice.instances().filter_map(|(key, i)| Some((key, i.lease()?.clone()))).collect();
    for (key, lease) in held {
        cut(turn, key, &lease, "the run was cancelled with force");
    }
    finish_stopping(turn)
}

/// Ends one lease of a run that is being stopped.
pub(super) fn cut(turn: &mut Turn, key: Key, lease: &Lease, why: &str) {
    let failure = named(&turn.slice.workflow, key, Failure::new(Category::Cancelled, "cut", why));
    let task = turn.task_ref(key);
    turn.emit(What::TaskCancelled { task, lease_id: lease.id.clone(), failure });
}

/// Ends a run that is being stopped, once no lease is held.
pub(super) fn finish_stopping(turn: &mut Turn) -> Result<(), Missing> {
    if let RunPhase::Stopping(stop) = &turn.slice.run.phase
        && turn.slice.run.counts.running == 0
    {
        let what = match stop.end {
            End::Failed => What::RunFailed {},
            End::Cancelled => What::RunCancelled {},
            End::TimedOut => What::RunTimedOut {},
        };
        turn.emit(what);
    }
    Ok(())
}

/// Ends a run whose tasks have all ended.
pub(super) fn complete_run(turn: &mut Turn) -> Result<(), Missing> {
    let under_way = matches!(turn.slice.run.phase, RunPhase::Running | RunPhase::Paused);
    if !under_way || turn.slice.run.counts.open() > 0 {
        return Ok(());
    }
    let workflow = turn.slice.workflow.clone();
    let output = match &workflow.output {
        None => Ok(Payload::null()),
        Some(template) => {
            template.evaluate(&context(turn, template.names())?).map(|value| Payload::from(&value))
        }
    };
    match output {
        Ok(output) => {
            turn.emit(What::RunCompleted { output });
            Ok(())
        }
        Err(error) => {
            let message = format!("`output`: {error}");
            stop(turn, End::Failed, Failure::new(Category::Application, "expression", message))
        }
    }
}

fn named(workflow: &Workflow, key: Key, failure: Failure) -> Failure {
    failure.of_task(&workflow.task(key.task).name, key.index)
}

/// Whether an instance may be given to a worker.
pub(super) fn is_claimable(turn: &Turn, phase: &TaskPhase) -> bool {
    turn.slice.run.phase == RunPhase::Running && matches!(phase, TaskPhase::Ready { .. })
}
