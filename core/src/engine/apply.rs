//! `apply`: what an event makes of a slice. Total and deterministic: no event is refused here.

use crate::value::Payload;

use super::event::{Event, TaskRef, What};
use super::run::{Counts, End, Run, RunPhase, Stop};
use super::slice::{Slice, Touched};
use super::task::{Instance, Key, Skip, TaskPhase, TaskStatus};
use crate::workflow::model::OnFailure;

/// Changes the slice as the event says.
///
/// The instance that the event names and its dependents must be loaded; one that is not is taken as fresh,
/// which is right for a whole run's replay.
pub fn apply(slice: &mut Slice, event: &Event) {
    slice.run.updated_at = slice.run.updated_at.max(event.at);
    slice.run.last_seq += 1;
    match &event.what {
        What::RunCreated(_) => {}
        What::RunStarted { deadline } => {
            slice.run.phase = RunPhase::Running;
            slice.run.started_at = Some(event.at);
            slice.run.deadline = *deadline;
        }
        What::RunPaused {} => slice.run.phase = RunPhase::Paused,
        What::RunResumed {} => slice.run.phase = RunPhase::Running,
        What::RunStopping { end, failure } => {
            slice.run.failure = Some(failure.clone());
            slice.run.phase = RunPhase::Stopping(Stop { end: *end, since: event.at });
            stop_open(slice, *end, event);
        }
        What::RunCompleted { output } => {
            slice.run.output = Some(output.clone());
            finish(&mut slice.run, RunPhase::Completed, event);
        }
        What::RunFailed {} => finish(&mut slice.run, RunPhase::Failed, event),
        What::RunCancelled {} => finish(&mut slice.run, RunPhase::Cancelled, event),
        What::RunTimedOut {} => finish(&mut slice.run, RunPhase::TimedOut, event),
        What::RunRetried { deadline } => retry(slice, *deadline),
        _ => apply_to_task(slice, event),
    }
}

fn apply_to_task(slice: &mut Slice, event: &Event) {
    match &event.what {
        What::TaskReady { task, input } => change(slice, task, |instance| {
            instance.phase = TaskPhase::Ready { since: event.at };
            instance.ready_at.get_or_insert(event.at);
            take_input(instance, input);
        }),
        What::TaskStarted { task, attempt, lease } => change(slice, task, |instance| {
            instance.phase = TaskPhase::Running(lease.clone());
            instance.attempt = *attempt;
            instance.started_at.get_or_insert(event.at);
        }),
        What::TaskWaiting { task, wait, input } => change(slice, task, |instance| {
            instance.phase = TaskPhase::Waiting(wait.clone());
            instance.ready_at.get_or_insert(event.at);
            instance.started_at.get_or_insert(event.at);
            take_input(instance, input);
        }),
        What::AttemptFailed { task, failure, retry_at, .. } => change(slice, task, |instance| {
            instance.phase = TaskPhase::Waiting(super::task::Wait::Backoff { until: *retry_at });
            instance.failure = Some(failure.clone());
        }),
        What::TaskReleased { task, .. } => change(slice, task, |instance| {
            instance.phase = TaskPhase::Ready { since: event.at };
            instance.attempt -= 1;
        }),
        What::TaskCompleted { task, output, .. } => {
            end(slice, task, event, |instance| {
                instance.phase = TaskPhase::Completed;
                instance.output = Some(output.clone());
                instance.failure = None;
            });
            meet_dependents(slice, task);
        }
        What::TaskSkipped { task, reason } => {
            end(slice, task, event, |instance| instance.phase = TaskPhase::Skipped(*reason));
            meet_dependents(slice, task);
        }
        What::TaskFailed { task, failure, .. } => {
            end(slice, task, event, |instance| {
                instance.phase = TaskPhase::Failed;
                instance.failure = Some(failure.clone());
            });
            if slice.task(task.key(&slice.workflow)).on_failure == OnFailure::Continue {
                meet_dependents(slice, task);
            }
        }
        What::TaskCancelled { task, failure, .. } => end(slice, task, event, |instance| {
            instance.phase = TaskPhase::Cancelled;
            instance.failure = Some(failure.clone());
        }),
        What::SignalReceived { name, number, payload, .. } => {
            slice.run.signals_received = *number;
            slice.run.signals_buffered += 1;
            if let Some(signals) = slice.signals_mut(name) {
                signals.push(super::slice::Buffered { number: *number, payload: payload.clone() });
            }
        }
        What::SignalConsumed { name, number, .. } => {
            slice.run.signals_buffered -= 1;
            if let Some(signals) = slice.signals_mut(name) {
                signals.retain(|signal| signal.number != *number);
            }
        }
        What::RunCreated(_)
        | What::RunStarted { .. }
        | What::RunPaused {}
        | What::RunResumed {}
        | What::RunStopping { .. }
        | What::RunCompleted { .. }
        | What::RunFailed {}
        | What::RunCancelled {}
        | What::RunTimedOut {}
        | What::RunRetried { .. } => {}
    }
}

/// Changes one instance and keeps the counts true.
fn change(slice: &mut Slice, task: &TaskRef, change: impl FnOnce(&mut Instance)) {
    let key = task.key(&slice.workflow);
    let instance = slice.touch(key);
    let before = instance.status();
    change(instance);
    let after = instance.status();
    recount(&mut slice.run.counts, before, after);
}

/// Changes one instance to a terminal phase.
fn end(slice: &mut Slice, task: &TaskRef, event: &Event, phase: impl FnOnce(&mut Instance)) {
    change(slice, task, |instance| {
        phase(instance);
        instance.finished_at = Some(event.at);
        if matches!(instance.phase, TaskPhase::Completed | TaskPhase::Failed) {
            instance.ready_at.get_or_insert(event.at);
            instance.started_at.get_or_insert(event.at);
        }
    });
}

fn meet_dependents(slice: &mut Slice, task: &TaskRef) {
    let workflow = slice.workflow.clone();
    let key = task.key(&workflow);
    for dependent in &workflow.task(key.task).dependents {
        let instance = slice.touch(Key::of(*dependent));
        instance.unmet = instance.unmet.saturating_sub(1);
    }
}

fn recount(counts: &mut Counts, before: TaskStatus, after: TaskStatus) {
    *counts.of_mut(before) -= 1;
    *counts.of_mut(after) += 1;
}

fn take_input(instance: &mut Instance, input: &Option<Payload>) {
    if let Some(input) = input {
        instance.input = Some(input.clone());
    }
}

fn finish(run: &mut Run, phase: RunPhase, event: &Event) {
    run.phase = phase;
    run.finished_at = Some(event.at);
}

/// Ends every instance that is not under a lease, loaded or not: the counts speak for those that are not.
fn stop_open(slice: &mut Slice, end: End, event: &Event) {
    let counts = &mut slice.run.counts;
    let open = counts.pending + counts.ready + counts.waiting;
    (counts.pending, counts.ready, counts.waiting) = (0, 0, 0);
    match end {
        End::Cancelled => counts.cancelled += open,
        End::Failed | End::TimedOut => counts.skipped += open,
    }
    slice.touch_where(|_, instance| match instance.phase {
        TaskPhase::Pending | TaskPhase::Ready { .. } | TaskPhase::Waiting(_) => {
            instance.phase = end.of_open_tasks();
            instance.finished_at = Some(event.at);
            Touched::Yes
        }
        TaskPhase::Running(_)
        | TaskPhase::Completed
        | TaskPhase::Failed
        | TaskPhase::Skipped(_)
        | TaskPhase::Cancelled => Touched::No,
    });
}

/// Makes what did not succeed pending again. All unsuccessful instances are loaded (see `Need::Unsuccessful`).
fn retry(slice: &mut Slice, deadline: Option<crate::time::Timestamp>) {
    slice.run.phase = RunPhase::Running;
    slice.run.failure = None;
    slice.run.finished_at = None;
    slice.run.deadline = deadline;
    let (mut skipped, mut failed) = (0, 0);
    slice.touch_where(|task, instance| match instance.phase {
        TaskPhase::Failed if task.on_failure == OnFailure::Continue => {
            failed += 1;
            Touched::No
        }
        TaskPhase::Skipped(Skip::Condition | Skip::Timeout) => {
            skipped += 1;
            Touched::No
        }
        TaskPhase::Failed | TaskPhase::Skipped(Skip::RunEnded) | TaskPhase::Cancelled => {
            instance.phase = TaskPhase::Pending;
            instance.attempts_before = instance.attempt;
            instance.failure = None;
            instance.ready_at = None;
            instance.finished_at = None;
            Touched::Yes
        }
        TaskPhase::Pending
        | TaskPhase::Ready { .. }
        | TaskPhase::Running(_)
        | TaskPhase::Waiting(_)
        | TaskPhase::Completed => Touched::No,
    });
    let counts = &mut slice.run.counts;
    *counts = Counts {
        total: counts.total,
        completed: counts.completed,
        pending: counts.total - counts.completed - skipped - failed,
        skipped,
        failed,
        ..Counts::default()
    };
}
