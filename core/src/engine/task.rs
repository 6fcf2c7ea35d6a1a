//! A task instance: one node of the graph within a run.

use serde::{Deserialize, Serialize};

use crate::ids::{LeaseId, WorkerId};
use crate::time::{Duration, Timestamp};
use crate::value::Payload;
use crate::workflow::model::{Task, TaskIx};

use super::run::{Counts, End, Failure, Run, RunPhase};

/// Which instance of a run: the task and, under `for_each`, the element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The task in its workflow.
    pub task: TaskIx,
    /// The element of the list, counted from zero.
    pub index: Option<u32>,
}

/// One instance and its attempts so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// Where it stands.
    pub phase: TaskPhase,
    /// How many of its needs are not met yet.
    pub unmet: u32,
    /// Attempts begun, the present one included.
    pub attempt: u32,
    /// Attempts that an earlier life of the run had spent when it was retried.
    pub attempts_before: u32,
    /// What it was given, once ready.
    pub input: Option<Payload>,
    /// What it answered, once completed.
    pub output: Option<Payload>,
    /// Why its last attempt failed.
    pub failure: Option<Failure>,
    /// When it first became ready or began to wait: `total_timeout` counts from here.
    pub ready_at: Option<Timestamp>,
    /// When its first attempt began.
    pub started_at: Option<Timestamp>,
    /// When it reached a terminal status.
    pub finished_at: Option<Timestamp>,
}

/// Where an instance stands.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskPhase {
    /// Needs are not met.
    Pending,
    /// May be claimed, since then.
    Ready {
        /// Since when.
        since: Timestamp,
    },
    /// Under a lease.
    Running(Lease),
    /// For a time or a signal.
    Waiting(Wait),
    /// Done.
    Completed,
    /// Attempts spent.
    Failed,
    /// Not done on purpose.
    Skipped(Skip),
    /// Stopped on request.
    Cancelled,
}

/// A worker's right to one attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    /// Its id.
    pub id: LeaseId,
    /// Who holds it.
    pub worker: WorkerId,
    /// Since when; the attempt's `timeout` counts from here.
    pub granted_at: Timestamp,
    /// By how much a heartbeat extends it.
    pub ttl: Duration,
    /// When it ends unless it is extended. Heartbeats move it without an event.
    pub expires_at: Timestamp,
}

/// What an instance waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum Wait {
    /// The delay before the next attempt.
    Backoff {
        /// When it is over.
        until: Timestamp,
    },
    /// A `sleep` task.
    Sleep {
        /// When it is over.
        until: Timestamp,
    },
    /// A `signal` task.
    Signal {
        /// When it began to wait.
        since: Timestamp,
        /// When its `timeout` passes.
        until: Option<Timestamp>,
    },
}

/// Why an instance was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// Its `if` did not hold.
    Condition,
    /// `on_timeout: skip`.
    Timeout,
    /// Its run ended before it could begin.
    RunEnded,
}

/// The word of an instance's status on the wire.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// Its needs are not met yet.
    Pending,
    /// A worker may claim it.
    Ready,
    /// Under a lease.
    Running,
    /// For backoff, a sleep or a signal.
    Waiting,
    /// Done.
    Completed,
    /// Attempts spent.
    Failed,
    /// Not done on purpose.
    Skipped,
    /// Stopped on request.
    Cancelled,
}

impl TaskStatus {
    /// All of them, in the order of a task's life.
    pub const ALL: [TaskStatus; 8] = [
        TaskStatus::Pending,
        TaskStatus::Ready,
        TaskStatus::Running,
        TaskStatus::Waiting,
        TaskStatus::Completed,
        TaskStatus::Failed,
        TaskStatus::Skipped,
        TaskStatus::Cancelled,
    ];

    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            TaskStatus::Pending => "pending",
            TaskStatus::Ready => "ready",
            TaskStatus::Running => "running",
            TaskStatus::Waiting => "waiting",
            TaskStatus::Completed => "completed",
            TaskStatus::Failed => "failed",
            TaskStatus::Skipped => "skipped",
            TaskStatus::Cancelled => "cancelled",
        }
    }
}

impl Key {
    /// The single instance of a task.
    pub fn of(task: TaskIx) -> Self {
        Self { task, index: None }
    }
}

impl Instance {
    /// An instance that no event has reached.
    pub fn fresh(task: &Task) -> Self {
        Self {
            phase: TaskPhase::Pending,
            unmet: task.needs.len() as u32,
            attempt: 0,
            attempts_before: 0,
            input: None,
            output: None,
            failure: None,
            ready_at: None,
            started_at: None,
            finished_at: None,
        }
    }

    /// What it means that an instance has no row: no event has named it, so that it is fresh, or has ended
    /// with its run.
    pub fn absent(task: &Task, run: &Run) -> Self {
        let (phase, finished_at) = match &run.phase {
            RunPhase::Pending | RunPhase::Running | RunPhase::Paused | RunPhase::Completed => {
                return Self::fresh(task);
            }
            RunPhase::Stopping(stop) => (stop.end.of_open_tasks(), Some(stop.since)),
            RunPhase::Failed => (End::Failed.of_open_tasks(), run.finished_at),
            RunPhase::Cancelled => (End::Cancelled.of_open_tasks(), run.finished_at),
            RunPhase::TimedOut => (End::TimedOut.of_open_tasks(), run.finished_at),
        };
        Self { phase, finished_at, ..Self::fresh(task) }
    }

    /// The status on the wire.
    pub fn status(&self) -> TaskStatus {
        match self.phase {
            TaskPhase::Pending => TaskStatus::Pending,
            TaskPhase::Ready { .. } => TaskStatus::Ready,
            TaskPhase::Running(_) => TaskStatus::Running,
            TaskPhase::Waiting(_) => TaskStatus::Waiting,
            TaskPhase::Completed => TaskStatus::Completed,
            TaskPhase::Failed => TaskStatus::Failed,
            TaskPhase::Skipped(_) => TaskStatus::Skipped,
            TaskPhase::Cancelled => TaskStatus::Cancelled,
        }
    }

    /// The lease, while one is held.
    pub fn lease(&self) -> Option<&Lease> {
        match &self.phase {
            TaskPhase::Running(lease) => Some(lease),
            _ => None,
        }
    }

    /// When `total_timeout` passes.
    pub fn total_deadline(&self, task: &Task) -> Option<Timestamp> {
        Some(self.ready_at?.plus(task.total_timeout?))
    }

    /// When the earliest timer of this instance is due, seen from the state of its run.
    pub fn wake_at(&self, run: &Run, task: &Task) -> Option<Timestamp> {
        let own = match &self.phase {
            TaskPhase::Ready { since } if task.kind.is_leased() => task.queue_timeout.map(|t| since.plus(t)),
            TaskPhase::Ready { since } => Some(*since),
            TaskPhase::Running(lease) => {
                let attempt = task.timeout.map(|t| lease.granted_at.plus(t));
                let cut = match &run.phase {
                    RunPhase::Stopping(stop) => Some(stop.since.plus(task.grace)),
                    _ => None,
                };
                [Some(lease.expires_at), attempt, cut].into_iter().flatten().min()
            }
            TaskPhase::Waiting(Wait::Backoff { until } | Wait::Sleep { until }) => Some(*until),
            TaskPhase::Waiting(Wait::Signal { until, .. }) => *until,
            TaskPhase::Pending
            | TaskPhase::Completed
            | TaskPhase::Failed
            | TaskPhase::Skipped(_)
            | TaskPhase::Cancelled => return None,
        };
        let total = match &run.phase {
            // The task ends with its run now, whatever time it has taken.
            RunPhase::Stopping(_) => None,
            _ => self.total_deadline(task),
        };
        [own, total].into_iter().flatten().min()
    }
}

impl End {
    /// What becomes of an instance that is not under a lease when its run is stopped so.
    pub(super) fn of_open_tasks(self) -> TaskPhase {
        match self {
            End::Cancelled => TaskPhase::Cancelled,
            End::Failed | End::TimedOut => TaskPhase::Skipped(Skip::RunEnded),
        }
    }
}

impl Counts {
    /// The count of one status, to be changed.
    pub fn of_mut(&mut self, status: TaskStatus) -> &mut u32 {
        match status {
            TaskStatus::Pending => &mut self.pending,
            TaskStatus::Ready => &mut self.ready,
            TaskStatus::Running => &mut self.running,
            TaskStatus::Waiting => &mut self.waiting,
            TaskStatus::Completed => &mut self.completed,
            TaskStatus::Failed => &mut self.failed,
            TaskStatus::Skipped => &mut self.skipped,
            TaskStatus::Cancelled => &mut self.cancelled,
        }
    }
}
