//! Commands of those who hold, or want, a lease.

use crate::ids::LeaseId;
use crate::planted::{self, Bug};
use crate::value::Payload;

use super::command::{Refusal, RetryWish, Undecided};
use super::end::{attempt_failed, cut, fail_task, finish_stopping, is_claimable};
use super::event::{Grant, What};
use super::ready::{follow_up, run_value_task, skip};
use super::run::{Category, Failure, RunPhase};
use super::slice::Missing;
use super::task::{Instance, Key, Lease, Skip, TaskPhase, Wait};
use super::turn::Turn;
use crate::workflow::model::{Kind, OnTimeout, Task};

pub(super) fn grant(turn: &mut Turn, grants: &[(Key, Grant)]) -> Result<(), Undecided> {
    turn.slice.require(grants.iter().map(|(key, _)| *key))?;
    let mut granted = 0;
    for (key, grant) in grants {
        let instance = turn.slice.instance(*key)?;
        if !is_claimable(turn, &instance.phase) || !turn.slice.task(*key).kind.is_leased() {
            continue;
        }
        let (task, attempt) = (turn.task_ref(*key), instance.attempt + 1);
        let lease = Lease {
            id: grant.id.clone(),
            worker: grant.worker.clone(),
            granted_at: turn.now,
            ttl: grant.ttl,
            expires_at: turn.now.plus(grant.ttl),
        };
        turn.emit(What::TaskStarted { task, attempt, lease });
        granted += 1;
    }
    if granted == 0 { Err(Refusal::NotClaimable.into()) } else { Ok(()) }
}

pub(super) fn complete(turn: &mut Turn, key: Key, lease: &LeaseId, output: Payload) -> Result<(), Undecided> {
    let lease = held(turn, key, lease)?;
    turn.slice.require(turn.slice.task(key).dependents.iter().copied().map(Key::of))?;
    let (task, attempt) = (turn.task_ref(key), turn.slice.instance(key)?.attempt);
    let lease_id = Some(lease.id);
    turn.emit(What::TaskCompleted { task, attempt, lease_id, output, reused_from: None });
    turn.ended.push_back(key);
    follow_up(turn)?;
    Ok(finish_stopping(turn)?)
}

pub(super) fn fail(
    turn: &mut Turn,
    key: Key,
    lease: &LeaseId,
    failure: Failure,
    wish: RetryWish,
) -> Result<(), Undecided> {
    let lease = held(turn, key, lease)?;
    attempt_failed(turn, key, &lease, failure, wish)?;
    Ok(follow_up(turn)?)
}

pub(super) fn release(turn: &mut Turn, key: Key, lease: &LeaseId) -> Result<(), Undecided> {
    let lease = held(turn, key, lease)?;
    if let RunPhase::Stopping(_) = turn.slice.run.phase {
        cut(turn, key, &lease, "the worker gave the task back while its run was being stopped");
        return Ok(finish_stopping(turn)?);
    }
    let task = turn.task_ref(key);
    turn.emit(What::TaskReleased { task, lease_id: lease.id });
    Ok(())
}

/// The lease, if it is the one that the instance has and its time is not over.
fn held(turn: &Turn, key: Key, id: &LeaseId) -> Result<Lease, Undecided> {
    let instance = turn.slice.instance(key)?;
    let Some(lease) = instance.lease().filter(|lease| lease.id == *id) else {
        return Err(
            Refusal::LeaseLost { why: "another lease has taken its place, or the task has ended" }.into()
        );
    };
    if lease.expires_at <= turn.now && !planted::is(Bug::ExpiredCounts) {
        return Err(Refusal::LeaseLost { why: "it has expired" }.into());
    }
    if let Some(timeout) = turn.slice.task(key).timeout
        && lease.granted_at.plus(timeout) <= turn.now
    {
        return Err(Refusal::LeaseLost { why: "the attempt's timeout has passed" }.into());
    }
    Ok(lease.clone())
}

/// Does what the timers of an instance say that are due now. None may be: then nothing happens.
pub(super) fn wake(turn: &mut Turn, key: Key) -> Result<(), Undecided> {
    let workflow = turn.slice.workflow.clone();
    let task = workflow.task(key.task);
    let instance = turn.slice.instance(key)?.clone();
    let total_over = instance.total_deadline(task).is_some_and(|deadline| deadline <= turn.now);
    let lease = match &instance.phase {
        TaskPhase::Running(lease) => {
            if wake_running(turn, key, task, lease)? == Fired::Yes {
                return Ok(follow_up(turn)?);
            }
            Some(lease)
        }
        // What does not run rests until its run goes on: its timers fire then.
        TaskPhase::Ready { .. } | TaskPhase::Waiting(_) if turn.slice.run.phase == RunPhase::Paused => {
            return Ok(());
        }
        TaskPhase::Ready { .. } | TaskPhase::Waiting(_) => {
            if !total_over && wake_idle(turn, key, task, &instance)? == Fired::Yes {
                return Ok(follow_up(turn)?);
            }
            None
        }
        TaskPhase::Pending
        | TaskPhase::Completed
        | TaskPhase::Failed
        | TaskPhase::Skipped(_)
        | TaskPhase::Cancelled => return Ok(()),
    };
    if total_over && !matches!(turn.slice.run.phase, RunPhase::Stopping(_)) {
        fail_task(
            turn,
            key,
            lease,
            timed_out("total_timeout", "the task took longer than its total_timeout"),
        )?;
    }
    Ok(follow_up(turn)?)
}

/// Whether a timer was due.
#[derive(PartialEq)]
enum Fired {
    Yes,
    No,
}

fn wake_running(turn: &mut Turn, key: Key, task: &Task, lease: &Lease) -> Result<Fired, Missing> {
    let now = turn.now;
    if let RunPhase::Stopping(stop) = &turn.slice.run.phase
        && stop.since.plus(task.grace) <= now
    {
        cut(turn, key, lease, "the task did not stop within its grace");
        finish_stopping(turn)?;
        return Ok(Fired::Yes);
    }
    let failure = if task.timeout.is_some_and(|timeout| lease.granted_at.plus(timeout) <= now) {
        timed_out("timeout", "the attempt took longer than its timeout")
    } else if lease.expires_at <= now {
        let message = format!("worker {} did not extend its lease", lease.worker);
        Failure::new(Category::System, "lease_expired", message)
    } else {
        return Ok(Fired::No);
    };
    attempt_failed(turn, key, lease, failure, RetryWish::Policy)?;
    Ok(Fired::Yes)
}

fn wake_idle(turn: &mut Turn, key: Key, task: &Task, instance: &Instance) -> Result<Fired, Missing> {
    let now = turn.now;
    let over = |until: &crate::time::Timestamp| *until <= now;
    match &instance.phase {
        TaskPhase::Ready { since } if task.kind.is_leased() => {
            if !task.queue_timeout.is_some_and(|timeout| over(&since.plus(timeout))) {
                return Ok(Fired::No);
            }
            let failure = timed_out("queue_timeout", "no worker claimed the task within its queue_timeout");
            fail_task(turn, key, None, failure)?;
        }
        TaskPhase::Ready { .. } => run_value_task(turn, key)?,
        TaskPhase::Waiting(Wait::Backoff { until }) if over(until) => {
            let task = turn.task_ref(key);
            turn.emit(What::TaskReady { task, input: None });
        }
        TaskPhase::Waiting(Wait::Sleep { until }) if over(until) => {
            super::ready::complete(turn, key, Payload::null())?;
        }
        TaskPhase::Waiting(Wait::Signal { until: Some(until), .. }) if over(until) => {
            signal_timed_out(turn, key, task)?;
        }
        TaskPhase::Waiting(_)
        | TaskPhase::Pending
        | TaskPhase::Running(_)
        | TaskPhase::Completed
        | TaskPhase::Failed
        | TaskPhase::Skipped(_)
        | TaskPhase::Cancelled => return Ok(Fired::No),
    }
    Ok(Fired::Yes)
}

fn signal_timed_out(turn: &mut Turn, key: Key, task: &Task) -> Result<(), Missing> {
    let Kind::Signal { name, on_timeout } = &task.kind else { return Ok(()) };
    match on_timeout {
        OnTimeout::Fail => {
            let message = format!("no signal {name:?} arrived within the timeout", name = name.as_str());
            fail_task(turn, key, None, timed_out("signal_timeout", &message))
        }
        OnTimeout::Skip => skip(turn, key, Skip::Timeout),
        OnTimeout::Continue => super::ready::complete(turn, key, Payload::null()),
    }
}

fn timed_out(code: &str, message: &str) -> Failure {
    Failure::new(Category::Timeout, code, message)
}
