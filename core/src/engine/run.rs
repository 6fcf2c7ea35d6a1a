//! The header of a run: what every decision sees, whatever task it concerns.

use serde::{Deserialize, Serialize};

use crate::ids::{RunId, SessionId, Tag, TaskName, TenantId, Version, WorkflowName};
use crate::time::{Duration, Timestamp};
use crate::value::{Payload, Value};

/// A run without its task instances.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Who owns it.
    pub tenant: TenantId,
    /// Unique in the tenant.
    pub id: RunId,
    /// The workflow's name.
    pub workflow: WorkflowName,
    /// The version it keeps for ever.
    pub version: Version,
    /// Grows by one with every commit that changes the run; every commit expects it.
    pub revision: u64,
    /// A random number of the commit that made this state, so that no failed commit is taken for it.
    pub commit: i64,
    /// Where it stands.
    pub phase: RunPhase,
    /// What it was started with.
    pub input: Payload,
    /// What it answered, once completed.
    pub output: Option<Payload>,
    /// Why it did not complete, from the moment that is certain.
    pub failure: Option<Failure>,
    /// Run variables.
    pub vars: Payload,
    /// Typed keys and values, an object.
    pub attributes: Payload,
    /// A set, in order.
    pub tags: Vec<Tag>,
    /// The session it was submitted in.
    pub session_id: Option<SessionId>,
    /// The run that this one repeats.
    pub rerun_of: Option<RunId>,
    /// For tasks that name none.
    pub priority: i32,
    /// The source of all jitter.
    pub seed: u64,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// Not before this.
    pub start_at: Option<Timestamp>,
    /// When its first tasks became ready.
    pub started_at: Option<Timestamp>,
    /// When it reached a terminal status.
    pub finished_at: Option<Timestamp>,
    /// When it last changed; its own time never goes behind this.
    pub updated_at: Timestamp,
    /// From `started_at`.
    pub execution_timeout: Option<Duration>,
    /// When it times out.
    pub deadline: Option<Timestamp>,
    /// Its task instances by status.
    pub counts: Counts,
    /// The sequence number of its last event.
    pub last_seq: u64,
    /// Signals received so far, which numbers the next.
    pub signals_received: u64,
    /// Signals that no task has consumed yet.
    pub signals_buffered: u32,
    /// The fair-queueing order of its task that became ready last. Not part of history.
    pub fair_order: i64,
}

/// Where a run stands.
#[derive(Debug, Clone, PartialEq)]
pub enum RunPhase {
    /// Waits for `start_at`.
    Pending,
    /// Tasks become ready and are claimed.
    Running,
    /// As running, but nothing is claimed and no timer fires.
    Paused,
    /// It will end as said; leases that are still held are being given back or cut.
    Stopping(Stop),
    /// Every task is done.
    Completed,
    /// A task failed for good.
    Failed,
    /// On request.
    Cancelled,
    /// `execution_timeout` passed.
    TimedOut,
}

/// How and since when a run is being stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stop {
    /// The status it will have.
    pub end: End,
    /// Since when its workers are asked to stop: their grace counts from here.
    pub since: Timestamp,
}

/// The ways a run ends without completing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// `failed`.
    Failed,
    /// `cancelled`.
    Cancelled,
    /// `timed_out`.
    TimedOut,
}

/// How many task instances of a run have each status. Tasks that no event has reached are `pending` here
/// and have no row of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "TaskCounts")]
pub struct Counts {
    /// All of them.
    pub total: u32,
    /// Their needs are not met yet.
    pub pending: u32,
    /// A worker may claim them.
    pub ready: u32,
    /// Under a lease.
    pub running: u32,
    /// For backoff, a sleep or a signal.
    pub waiting: u32,
    /// Done.
    pub completed: u32,
    /// Attempts spent.
    pub failed: u32,
    /// Not done on purpose.
    pub skipped: u32,
    /// Stopped on request.
    pub cancelled: u32,
}

/// Why a run or a task did not complete.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Failure {
    /// What kind of thing went wrong.
    pub category: Category,
    /// For a person.
    pub message: String,
    /// For a program; the worker's own, or one of ours such as `lease_expired`.
    pub code: Option<String>,
    /// The task that failed, as `name` or `name[3]`.
    pub task: Option<String>,
    /// Whatever else the worker said.
    pub details: Value,
}

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "FailureCategory")]
pub enum Category {
    /// The task's own code, or an expression of the document, said so.
    Application,
    /// A limit of time passed.
    Timeout,
    /// Somebody asked for it.
    Cancelled,
    /// A limit of size or number was crossed.
    Resource,
    /// A worker or the server itself failed.
    System,
}

/// The word of a run's status on the wire.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Waits for its start.
    Pending,
    /// Under way; also while its last leases end after a failure or time-out.
    Running,
    /// No claims, no timers.
    Paused,
    /// Its leases are ending after a cancel.
    Cancelling,
    /// Terminal.
    Completed,
    /// Terminal.
    Failed,
    /// Terminal.
    Cancelled,
    /// Terminal.
    TimedOut,
}

impl RunStatus {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            RunStatus::Pending => "pending",
            RunStatus::Running => "running",
            RunStatus::Paused => "paused",
            RunStatus::Cancelling => "cancelling",
            RunStatus::Completed => "completed",
            RunStatus::Failed => "failed",
            RunStatus::Cancelled => "cancelled",
            RunStatus::TimedOut => "timed_out",
        }
    }
}

impl Category {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Category::Application => "application",
            Category::Timeout => "timeout",
            Category::Cancelled => "cancelled",
            Category::Resource => "resource",
            Category::System => "system",
        }
    }
}

impl Run {
    /// The status on the wire.
    pub fn status(&self) -> RunStatus {
        match &self.phase {
            RunPhase::Pending => RunStatus::Pending,
            RunPhase::Running => RunStatus::Running,
            RunPhase::Paused => RunStatus::Paused,
            RunPhase::Stopping(stop) => match stop.end {
                End::Cancelled => RunStatus::Cancelling,
                End::Failed | End::TimedOut => RunStatus::Running,
            },
            RunPhase::Completed => RunStatus::Completed,
            RunPhase::Failed => RunStatus::Failed,
            RunPhase::Cancelled => RunStatus::Cancelled,
            RunPhase::TimedOut => RunStatus::TimedOut,
        }
    }

    /// Whether nothing will happen to it any more unless somebody retries it.
    pub fn is_terminal(&self) -> bool {
        matches!(
            self.phase,
            RunPhase::Completed | RunPhase::Failed | RunPhase::Cancelled | RunPhase::TimedOut
        )
    }

    /// When a timer of the run itself (not of a task) is due.
    pub fn wake_at(&self) -> Option<Timestamp> {
        match self.phase {
            RunPhase::Pending => self.start_at,
            RunPhase::Running | RunPhase::Paused => self.deadline,
            RunPhase::Stopping(_)
            | RunPhase::Completed
            | RunPhase::Failed
            | RunPhase::Cancelled
            | RunPhase::TimedOut => None,
        }
    }
}

impl Counts {
    /// Counts of a run that has not begun.
    pub fn all_pending(total: u32) -> Self {
        Self { total, pending: total, ..Self::default() }
    }

    /// How many instances may still change.
    pub fn open(&self) -> u32 {
        self.pending + self.ready + self.running + self.waiting
    }
}

impl Failure {
    /// A failure with a code of ours and no details.
    pub fn new(category: Category, code: &str, message: impl Into<String>) -> Self {
        Self {
            category,
            message: message.into(),
            code: Some(code.to_owned()),
            task: None,
            details: Value::Null,
        }
    }

    /// The same failure, said of a task.
    #[must_use]
    pub fn of_task(mut self, task: &TaskName, index: Option<u32>) -> Self {
        self.task = Some(match index {
            None => task.to_string(),
            Some(index) => format!("{task}[{index}]"),
        });
        self
    }
}
