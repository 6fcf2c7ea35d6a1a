//! `decide`: the one entry for every command to a run that exists.

use std::collections::BTreeSet;

use crate::time::Timestamp;
use crate::workflow::model::{Kind, TaskIx, Workflow};

use super::command::{Command, Decided, Force, Refusal, Repeated, Undecided, clamp};
use super::end::{cut_all, stop};
use super::event::What;
use super::ready::{begin, complete, first_waiting, follow_up, neighbours};
use super::run::{Category, End, Failure, RunPhase};
use super::slice::{Need, Seen, Slice};
use super::start::begin_run;
use super::task::{Key, TaskPhase};
use super::turn::Turn;
use super::{HISTORY_EVENTS_MAX, SIGNALS_BUFFERED_MAX, lease};

/// What a command leads to, at this time.
///
/// The slice is not changed; the slice after the events comes with the decision.
pub fn decide(slice: &Slice, command: &Command, now: Timestamp) -> Result<Decided, Undecided> {
    let mut turn = Turn::new(slice.clone(), clamp(slice, now));
    let mut repeated = Repeated::No;
    match command {
        Command::Grant(grants) => lease::grant(&mut turn, grants)?,
        Command::Complete { key, lease, output } => lease::complete(&mut turn, *key, lease, output.clone())?,
        Command::Fail { key, lease, failure, retry } => {
            lease::fail(&mut turn, *key, lease, failure.clone(), *retry)?;
        }
        Command::Release { key, lease } => lease::release(&mut turn, *key, lease)?,
        Command::WakeTasks(keys) => {
            turn.slice.require(keys.iter().copied())?;
            for key in keys {
                lease::wake(&mut turn, *key)?;
            }
        }
        Command::WakeRun => wake_run(&mut turn)?,
        Command::Signal { .. } => repeated = signal(&mut turn, command)?,
        Command::Cancel(force) => cancel(&mut turn, *force)?,
        Command::Pause => pause(&mut turn)?,
        Command::Resume => resume(&mut turn)?,
        Command::Retry => retry(&mut turn)?,
    }
    stop_at_history_limit(&mut turn)?;
    Ok(Decided { repeated, ..turn.done() })
}

/// What a decision on this command is likely to need, so that it is loaded in one go.
pub fn prefetch(workflow: &Workflow, command: &Command) -> BTreeSet<Need> {
    let around = |key: &Key| {
        let near = neighbours(workflow, key.task).map(Key::of).map(Need::Instance);
        near.chain([Need::Instance(*key)]).collect()
    };
    match command {
        // What is granted is told together with the outputs upstream of it.
        Command::Grant(grants) => grants
            .iter()
            .flat_map(|(key, _)| {
                let upstream = workflow.task(key.task).needs.iter().map(|ix| Key::of(*ix));
                upstream.chain([*key]).map(Need::Instance)
            })
            .collect(),
        Command::Release { key, .. } => BTreeSet::from([Need::Instance(*key)]),
        Command::Complete { key, .. } | Command::Fail { key, .. } => around(key),
        Command::WakeTasks(keys) => keys.iter().copied().map(Need::Instance).collect(),
        Command::Signal { name, signal_id, .. } => {
            let waits = |kind: &Kind| matches!(kind, Kind::Signal { name: own, .. } if own == name);
            let tasks = workflow.tasks.iter().enumerate().filter(|(_, task)| waits(&task.kind));
            let keys = tasks.map(|(ix, _)| Need::Instance(Key::of(TaskIx(ix as u32))));
            keys.chain(signal_id.clone().map(Need::SignalId)).collect()
        }
        Command::Retry => BTreeSet::from([Need::Unsuccessful]),
        Command::WakeRun | Command::Cancel(_) | Command::Pause | Command::Resume => BTreeSet::new(),
    }
}

fn wake_run(turn: &mut Turn) -> Result<(), Undecided> {
    match turn.slice.run.phase {
        RunPhase::Pending if turn.slice.run.start_at.is_none_or(|at| at <= turn.now) => begin_run(turn)?,
        RunPhase::Running | RunPhase::Paused if turn.slice.run.deadline.is_some_and(|at| at <= turn.now) => {
            let message = "the run took longer than its execution_timeout";
            stop(turn, End::TimedOut, Failure::new(Category::Timeout, "execution_timeout", message))?;
        }
        RunPhase::Pending
        | RunPhase::Running
        | RunPhase::Paused
        | RunPhase::Stopping(_)
        | RunPhase::Completed
        | RunPhase::Failed
        | RunPhase::Cancelled
        | RunPhase::TimedOut => {}
    }
    Ok(())
}

fn signal(turn: &mut Turn, command: &Command) -> Result<Repeated, Undecided> {
    let Command::Signal { name, signal_id, payload } = command else { return Ok(Repeated::No) };
    if let Some(id) = signal_id
        && turn.slice.signal_id(id)? == Seen::Before
    {
        return Ok(Repeated::Yes);
    }
    let run = &turn.slice.run;
    if run.is_terminal() {
        return Err(Refusal::RunFinished(run.status()).into());
    }
    let waiting = match run.phase {
        RunPhase::Running | RunPhase::Paused => first_waiting(turn, name)?,
        _ => None,
    };
    if waiting.is_none() && run.signals_buffered >= SIGNALS_BUFFERED_MAX {
        return Err(Refusal::TooManySignals(SIGNALS_BUFFERED_MAX).into());
    }
    let number = run.signals_received + 1;
    turn.emit(What::SignalReceived {
        name: name.clone(),
        number,
        signal_id: signal_id.clone(),
        payload: payload.clone(),
    });
    if let Some(key) = waiting {
        let task = turn.task_ref(key);
        turn.emit(What::SignalConsumed { name: name.clone(), number, task });
        complete(turn, key, payload.clone())?;
        follow_up(turn)?;
    }
    Ok(Repeated::No)
}

fn cancel(turn: &mut Turn, force: Force) -> Result<(), Undecided> {
    let status = turn.slice.run.status();
    match &turn.slice.run.phase {
        RunPhase::Pending | RunPhase::Running | RunPhase::Paused => {
            let failure = Failure::new(Category::Cancelled, "cancelled", "the run was cancelled on request");
            stop(turn, End::Cancelled, failure)?;
        }
        RunPhase::Stopping(_) | RunPhase::Cancelled => {}
        RunPhase::Completed | RunPhase::Failed | RunPhase::TimedOut => {
            return Err(Refusal::RunFinished(status).into());
        }
    }
    match force {
        Force::Now => Ok(cut_all(turn)?),
        Force::Graceful => Ok(()),
    }
}

fn pause(turn: &mut Turn) -> Result<(), Undecided> {
    match turn.slice.run.phase {
        RunPhase::Running => turn.emit(What::RunPaused {}),
        RunPhase::Paused => {}
        RunPhase::Pending
        | RunPhase::Stopping(_)
        | RunPhase::Completed
        | RunPhase::Failed
        | RunPhase::Cancelled
        | RunPhase::TimedOut => return Err(not_under_way(turn, "paused")),
    }
    Ok(())
}

fn resume(turn: &mut Turn) -> Result<(), Undecided> {
    match turn.slice.run.phase {
        RunPhase::Paused => turn.emit(What::RunResumed {}),
        RunPhase::Running => {}
        RunPhase::Pending
        | RunPhase::Stopping(_)
        | RunPhase::Completed
        | RunPhase::Failed
        | RunPhase::Cancelled
        | RunPhase::TimedOut => return Err(not_under_way(turn, "resumed")),
    }
    Ok(())
}

fn not_under_way(turn: &Turn, action: &'static str) -> Undecided {
    let state = match turn.slice.run.phase {
        RunPhase::Stopping(_) => "being stopped",
        _ => turn.slice.run.status().word(),
    };
    Refusal::NotUnderWay { action, state }.into()
}

fn retry(turn: &mut Turn) -> Result<(), Undecided> {
    match turn.slice.run.phase {
        RunPhase::Failed | RunPhase::Cancelled | RunPhase::TimedOut => {}
        RunPhase::Pending
        | RunPhase::Running
        | RunPhase::Paused
        | RunPhase::Stopping(_)
        | RunPhase::Completed => return Err(Refusal::NotRetryable(turn.slice.run.status()).into()),
    }
    turn.slice.require_set(Need::Unsuccessful)?;
    let started = turn.slice.run.started_at.is_some();
    let timeout = turn.slice.run.execution_timeout;
    let deadline = timeout.filter(|_| started).map(|timeout| turn.now.plus(timeout));
    turn.emit(What::RunRetried { deadline });
    if !started {
        return Ok(begin_run(turn)?);
    }
    let pending = turn.slice.instances().filter(|(_, instance)| instance.phase == TaskPhase::Pending);
    let candidates: Vec<Key> = pending.map(|(key, _)| key).collect();
    Ok(begin(turn, candidates)?)
}

/// Fails a run whose history has grown to its limit, so that no run grows for ever.
fn stop_at_history_limit(turn: &mut Turn) -> Result<(), Undecided> {
    let run = &turn.slice.run;
    if run.last_seq < HISTORY_EVENTS_MAX || run.is_terminal() {
        return Ok(());
    }
    let message = format!("the run's history has reached {HISTORY_EVENTS_MAX} events");
    Ok(stop(turn, End::Failed, Failure::new(Category::Resource, "history_limit", message))?)
}
