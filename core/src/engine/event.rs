//! What happened: the closed list of events. A run's state is what its events say, in order.
//!
//! Events are stored as JSON, several to a row: all that one commit decided. [`Event::data`] is what clients
//! see; the stored form is the same enum, so that history can be replayed.

use serde::{Deserialize, Deserializer, Serialize};

use crate::ids::{
    LeaseId, RequestKey, RunId, SessionId, SignalName, Tag, TaskName, Version, WorkerId, WorkflowName,
};
use crate::time::{Duration, Timestamp};
use crate::value::{Payload, Value};
use crate::workflow::model::Workflow;

use super::run::{End, Failure, RunStatus};
use super::task::{Key, Lease, Skip, Wait};

/// One thing that happened to a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When, by the run's own time, which never goes back.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// A task instance as events name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRef {
    /// The task.
    pub task: TaskName,
    /// The element under `for_each`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
}

/// What a run is when it is created.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Created {
    /// The workflow's name.
    pub workflow: WorkflowName,
    /// The version.
    pub version: Version,
    /// The input.
    pub input: Payload,
    /// The run variables' first values.
    pub vars: Payload,
    /// An object.
    pub attributes: Payload,
    /// A set.
    pub tags: Vec<Tag>,
    /// The session.
    pub session_id: Option<SessionId>,
    /// The run that this one repeats.
    pub rerun_of: Option<RunId>,
    /// For tasks that name none.
    pub priority: i32,
    /// The source of all jitter; as text, because JSON readers round large numbers.
    #[serde(with = "seed_text")]
    pub seed: u64,
    /// Not before this.
    pub start_at: Option<Timestamp>,
    /// From the start.
    pub execution_timeout: Option<Duration>,
}

/// The kinds of event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub enum What {
    /// The run was accepted.
    RunCreated(Box<Created>),
    /// Its first tasks may become ready.
    RunStarted {
        /// When it will time out.
        deadline: Option<Timestamp>,
    },
    /// Nothing is claimed any more.
    RunPaused {},
    /// Claims go on.
    RunResumed {},
    /// The run will end as said. Every instance that is not under a lease ends with this event, also those
    /// that no event has named: `skipped`, or `cancelled` when the run is being cancelled.
    RunStopping {
        /// The status it will have.
        end: End,
        /// Why.
        failure: Failure,
    },
    /// Every task is done.
    RunCompleted {
        /// The run's output.
        output: Payload,
    },
    /// The last lease of a failed run has ended.
    RunFailed {},
    /// The last lease of a cancelled run has ended.
    RunCancelled {},
    /// The last lease of a timed-out run has ended.
    RunTimedOut {},
    /// A run that had not completed goes on from what did not succeed.
    RunRetried {
        /// Its new deadline.
        deadline: Option<Timestamp>,
    },
    /// The instance may be claimed.
    TaskReady {
        /// Which instance.
        #[serde(flatten)]
        task: TaskRef,
        /// What it is given; absent when it was ready before.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        input: Option<Payload>,
    },
    /// A worker took it.
    TaskStarted {
        /// Which instance.
        #[serde(flatten)]
        task: TaskRef,
        /// Which attempt this is, from 1.
        attempt: u32,
        /// The lease.
        lease: Lease,
    },
    /// It waits.
    TaskWaiting {
        /// Which instance.
        #[serde(flatten)]
        task: TaskRef,
        /// For what.
        wait: Wait,
        /// What it was given; absent when it had it before.
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        input: Option<Payload>,
    },
    /// An attempt failed and another follows.
    AttemptFailed {
        /// Which instance.
        #[serde(flatten)]
        task: TaskRef,
        /// Which attempt.
        attempt: u32,
        /// The lease it had.
        lease_id: LeaseId,
        /// Why.
        failure: Failure,
        /// When the next may begin.
        retry_at: Timestamp,
    },
    /// A worker gave it back; the attempt does not count.
    TaskReleased {
        /// Which instance.
        #[serde(flatten)]
        task: TaskRef,
        /// The lease it had.
        lease_id: LeaseId,
    },
    /// Done.
    TaskCompleted {
        /// Which instance.
        #[serde(flatten)]
        task: TaskRef,
        /// Which attempt; 0 for what the engine did itself.
        attempt: u32,
        /// The lease it had, if any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lease_id: Option<LeaseId>,
        /// What it answered.
        output: Payload,
        /// The run whose result was taken over, in a rerun.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reused_from: Option<RunId>,
    },
    /// Failed for good.
    TaskFailed {
        /// Which instance.
        #[serde(flatten)]
        task: TaskRef,
        /// Which attempt.
        attempt: u32,
        /// The lease it had, if any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lease_id: Option<LeaseId>,
        /// Why.
        failure: Failure,
    },
    /// Not done on purpose.
    TaskSkipped {
        /// Which instance.
        #[serde(flatten)]
        task: TaskRef,
        /// Why.
        reason: Skip,
    },
    /// It was under a lease when its run was stopped, and ended without completing.
    TaskCancelled {
        /// Which instance.
        #[serde(flatten)]
        task: TaskRef,
        /// The lease it had.
        lease_id: LeaseId,
        /// What its worker said, or that it was cut.
        failure: Failure,
    },
    /// A signal was stored.
    SignalReceived {
        /// Its name.
        name: SignalName,
        /// Its number within the run, from 1.
        number: u64,
        /// The sender's id for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signal_id: Option<RequestKey>,
        /// What it carries.
        payload: Payload,
    },
    /// A task took a signal; its completion follows.
    SignalConsumed {
        /// Its name.
        name: SignalName,
        /// Its number within the run.
        number: u64,
        /// Which instance.
        #[serde(flatten)]
        task: TaskRef,
    },
}

impl What {
    /// The event's type on the wire.
    pub fn word(&self) -> &'static str {
        match self {
            What::RunCreated(_) => "run_created",
            What::RunStarted { .. } => "run_started",
            What::RunPaused {} => "run_paused",
            What::RunResumed {} => "run_resumed",
            What::RunStopping { .. } => "run_stopping",
            What::RunCompleted { .. } => "run_completed",
            What::RunFailed {} => "run_failed",
            What::RunCancelled {} => "run_cancelled",
            What::RunTimedOut {} => "run_timed_out",
            What::RunRetried { .. } => "run_retried",
            What::TaskReady { .. } => "task_ready",
            What::TaskStarted { .. } => "task_started",
            What::TaskWaiting { .. } => "task_waiting",
            What::AttemptFailed { .. } => "attempt_failed",
            What::TaskReleased { .. } => "task_released",
            What::TaskCompleted { .. } => "task_completed",
            What::TaskFailed { .. } => "task_failed",
            What::TaskSkipped { .. } => "task_skipped",
            What::TaskCancelled { .. } => "task_cancelled",
            What::SignalReceived { .. } => "signal_received",
            What::SignalConsumed { .. } => "signal_consumed",
        }
    }

    /// Every type, for the schema.
    pub const WORDS: [&'static str; 21] = [
        "run_created",
        "run_started",
        "run_paused",
        "run_resumed",
        "run_stopping",
        "run_completed",
        "run_failed",
        "run_cancelled",
        "run_timed_out",
        "run_retried",
        "task_ready",
        "task_started",
        "task_waiting",
        "attempt_failed",
        "task_released",
        "task_completed",
        "task_failed",
        "task_skipped",
        "task_cancelled",
        "signal_received",
        "signal_consumed",
    ];

    /// The lease that ended with this event, and what the lease table remembers of its end.
    pub fn lease_ended(&self) -> Option<(&LeaseId, LeaseEnd)> {
        match self {
            What::AttemptFailed { lease_id, .. } => Some((lease_id, LeaseEnd::Failed)),
            What::TaskReleased { lease_id, .. } => Some((lease_id, LeaseEnd::Released)),
            What::TaskCompleted { lease_id: Some(id), .. } => Some((id, LeaseEnd::Completed)),
            What::TaskFailed { lease_id: Some(id), .. } => Some((id, LeaseEnd::Failed)),
            What::TaskCancelled { lease_id, .. } => Some((lease_id, LeaseEnd::Cancelled)),
            What::RunCreated(_)
            | What::RunStarted { .. }
            | What::RunPaused {}
            | What::RunResumed {}
            | What::RunStopping { .. }
            | What::RunCompleted { .. }
            | What::RunFailed {}
            | What::RunCancelled {}
            | What::RunTimedOut {}
            | What::RunRetried { .. }
            | What::TaskReady { .. }
            | What::TaskStarted { .. }
            | What::TaskWaiting { .. }
            | What::TaskCompleted { lease_id: None, .. }
            | What::TaskFailed { lease_id: None, .. }
            | What::TaskSkipped { .. }
            | What::SignalReceived { .. }
            | What::SignalConsumed { .. } => None,
        }
    }

    /// The task instance the event is about, if it is about one.
    pub fn task(&self) -> Option<&TaskRef> {
        match self {
            What::TaskReady { task, .. }
            | What::TaskStarted { task, .. }
            | What::TaskWaiting { task, .. }
            | What::AttemptFailed { task, .. }
            | What::TaskReleased { task, .. }
            | What::TaskCompleted { task, .. }
            | What::TaskFailed { task, .. }
            | What::TaskSkipped { task, .. }
            | What::TaskCancelled { task, .. }
            | What::SignalConsumed { task, .. } => Some(task),
            What::RunCreated(_)
            | What::RunStarted { .. }
            | What::RunPaused {}
            | What::RunResumed {}
            | What::RunStopping { .. }
            | What::RunCompleted { .. }
            | What::RunFailed {}
            | What::RunCancelled {}
            | What::RunTimedOut {}
            | What::RunRetried { .. }
            | What::SignalReceived { .. } => None,
        }
    }
}

/// How a lease ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseEnd {
    /// Its output was accepted.
    Completed,
    /// Its attempt failed, was timed out or expired.
    Failed,
    /// It was given back.
    Released,
    /// Its run was stopped.
    Cancelled,
}

impl LeaseEnd {
    /// The end of this word.
    pub fn of_word(word: &str) -> Option<Self> {
        let all = [LeaseEnd::Completed, LeaseEnd::Failed, LeaseEnd::Released, LeaseEnd::Cancelled];
        all.into_iter().find(|end| end.word() == word)
    }

    /// The word in the lease table.
    pub fn word(self) -> &'static str {
        match self {
            LeaseEnd::Completed => "completed",
            LeaseEnd::Failed => "failed",
            LeaseEnd::Released => "released",
            LeaseEnd::Cancelled => "cancelled",
        }
    }
}

impl End {
    /// The status a run has at this end.
    pub fn status(self) -> RunStatus {
        match self {
            End::Failed => RunStatus::Failed,
            End::Cancelled => RunStatus::Cancelled,
            End::TimedOut => RunStatus::TimedOut,
        }
    }
}

impl TaskRef {
    /// How events name an instance.
    pub fn new(workflow: &Workflow, key: Key) -> Self {
        Self { task: workflow.task(key.task).name.clone(), index: key.index }
    }

    /// The instance in its workflow. History holds no task that the run's version does not have.
    pub fn key(&self, workflow: &Workflow) -> Key {
        let task = workflow.index(self.task.as_str()).expect("history names tasks of its own version only");
        Key { task, index: self.index }
    }
}

impl Event {
    /// The attempt the event is about, if it is about one.
    pub fn attempt(&self) -> Option<u32> {
        match &self.what {
            What::TaskStarted { attempt, .. }
            | What::AttemptFailed { attempt, .. }
            | What::TaskCompleted { attempt, .. }
            | What::TaskFailed { attempt, .. } => Some(*attempt),
            _ => None,
        }
    }

    /// What clients see as `data`: the event's members without the task, which stands beside it.
    pub fn data(&self) -> Value {
        let stored = serde_json::to_vec(&self.what).expect("events are plain data");
        let stored = Value::from_json(&stored).expect("our own JSON reads back");
        let mut data = match stored {
            Value::Object(mut members) => members.remove("data").unwrap_or_default(),
            _ => Value::Null,
        };
        if let Value::Object(members) = &mut data {
            if self.what.task().is_some() {
                members.remove("task");
                members.remove("index");
                members.remove("attempt");
            }
            members.remove("seed");
        }
        data
    }
}

/// A member that is there has a value, also where that is null.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Payload>, D::Error> {
    Payload::deserialize(deserializer).map(Some)
}

mod seed_text {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(seed: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(seed)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A lease as claim answers need it: who was given what.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// The lease's id.
    pub id: LeaseId,
    /// Who asked.
    pub worker: WorkerId,
    /// How long it lasts without a heartbeat.
    pub ttl: Duration,
}
