//! What somebody asks of a run, and the answers that are not events.

use crate::ids::{LeaseId, RequestKey, SignalName};
use crate::time::{Duration, Timestamp};
use crate::value::Payload;

use super::event::{Event, Grant};
use super::run::{Failure, RunStatus};
use super::slice::{Missing, Slice};
use super::task::Key;

/// What is asked of one run.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// A worker claims ready instances, each under a lease to be made. Those that are not ready any more
    /// drop out.
    Grant(Vec<(Key, Grant)>),
    /// The holder of a lease reports its output.
    Complete {
        /// Which.
        key: Key,
        /// The lease.
        lease: LeaseId,
        /// What it answers.
        output: Payload,
    },
    /// The holder of a lease reports a failure.
    Fail {
        /// Which.
        key: Key,
        /// The lease.
        lease: LeaseId,
        /// Why.
        failure: Failure,
        /// Whether another attempt makes sense.
        retry: RetryWish,
    },
    /// The holder of a lease gives it back.
    Release {
        /// Which.
        key: Key,
        /// The lease.
        lease: LeaseId,
    },
    /// Timers of these instances are due, or may be.
    WakeTasks(Vec<Key>),
    /// A timer of the run itself is due, or may be.
    WakeRun,
    /// A signal arrives.
    Signal {
        /// Its name.
        name: SignalName,
        /// The sender's id for it.
        signal_id: Option<RequestKey>,
        /// What it carries.
        payload: Payload,
    },
    /// The run is to stop.
    Cancel(Force),
    /// Claims are to stop.
    Pause,
    /// Claims may go on.
    Resume,
    /// A run that did not complete is to go on.
    Retry,
}

/// What a worker says of another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryWish {
    /// As the policy says.
    Policy,
    /// Not before this long.
    After(Duration),
    /// It would fail again.
    Never,
}

/// Whether a cancel waits for the workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Force {
    /// They have their grace.
    Graceful,
    /// Leases are cut at once.
    Now,
}

/// What a command leads to.
#[derive(Debug, Clone)]
pub struct Decided {
    /// What happened, in order; empty where the command asks for what is so already.
    pub events: Vec<Event>,
    /// The slice after the events.
    pub after: Slice,
    /// For a signal that was received before.
    pub repeated: Repeated,
}

/// Whether a command had been taken before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeated {
    /// It is new.
    No,
    /// It was, and has no further effect.
    Yes,
}

/// Why there is no decision.
#[derive(Debug, Clone, PartialEq)]
pub enum Undecided {
    /// Load this and ask again.
    Missing(Missing),
    /// It may not be.
    Refused(Refusal),
}

/// What may not be, each with what the caller has to know.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The action needs a run that has not ended.
    #[error("the run has ended: it is {}", .0.word())]
    RunFinished(RunStatus),
    /// The action needs a run that has ended without completing.
    #[error("only a failed, timed out or cancelled run can be retried: this one is {}", .0.word())]
    NotRetryable(RunStatus),
    /// Pausing and resuming need a run that is under way.
    #[error("only a running or paused run can be {action}: this one is {state}")]
    NotUnderWay {
        /// `paused` or `resumed`.
        action: &'static str,
        /// What it is instead.
        state: &'static str,
    },
    /// The lease is not the one that the instance has now.
    #[error("the lease is no longer held: {why}")]
    LeaseLost {
        /// What became of it.
        why: &'static str,
    },
    /// None of the instances is ready any more: somebody else was quicker, or the run does not run.
    #[error("the tasks cannot be claimed any more")]
    NotClaimable,
    /// The buffer of unconsumed signals is full.
    #[error("the run holds {0} signals that no task has taken: no more are accepted until some are")]
    TooManySignals(u32),
}

impl From<Missing> for Undecided {
    fn from(missing: Missing) -> Self {
        Undecided::Missing(missing)
    }
}

impl From<Refusal> for Undecided {
    fn from(refusal: Refusal) -> Self {
        Undecided::Refused(refusal)
    }
}

/// The clock that a decision goes by: never behind the run's own.
pub(super) fn clamp(slice: &Slice, now: Timestamp) -> Timestamp {
    now.max(slice.run.updated_at)
}
