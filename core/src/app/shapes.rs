//! Resources as clients see them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::run::{Counts, Failure};
use crate::engine::{Instance, Key, Run, RunStatus, Slice, TaskStatus};
use crate::ids::{
    Label, LeaseId, ModuleDigest, ModuleName, QueueName, RunId, SessionId, Tag, Version, WorkerId,
    WorkflowName,
};
use crate::store::history::Recorded;
use crate::store::logs::ChunkRow;
use crate::store::signals::SignalRow;
use crate::store::workers::WorkerRow;
use crate::store::workflows::WorkflowRow;
use crate::time::{Duration, Timestamp};
use crate::value::{Payload, Value};
use crate::workflow::model::{Kind, Task, Workflow};

/// A run.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Run")]
pub(crate) struct RunShape {
    /// Unique in the tenant.
    id: RunId,
    /// The workflow's name.
    workflow: WorkflowName,
    /// The version it keeps for ever.
    version: Version,
    /// Where it stands.
    status: RunStatus,
    /// What it was started with.
    input: Payload,
    /// What it answered; null until it has completed.
    output: Option<Payload>,
    /// Why it did not complete.
    failure: Option<Failure>,
    /// Run variables.
    vars: Payload,
    /// Typed keys and values.
    attributes: Payload,
    /// A set.
    tags: Vec<Tag>,
    /// The session it was submitted in.
    session_id: Option<SessionId>,
    /// The run whose task started it.
    parent: Option<RunId>,
    /// The schedule that started it.
    schedule: Option<String>,
    /// The run that it repeats.
    rerun_of: Option<RunId>,
    /// For tasks that name none; higher goes first.
    priority: i32,
    /// When it was accepted.
    created_at: Timestamp,
    /// Not before this.
    start_at: Option<Timestamp>,
    /// When its first tasks became ready.
    started_at: Option<Timestamp>,
    /// When it ended.
    finished_at: Option<Timestamp>,
    /// When it last changed.
    updated_at: Timestamp,
    /// When it times out.
    deadline: Option<Timestamp>,
    /// Its task instances by status.
    tasks: Counts,
}

impl From<&Run> for RunShape {
    fn from(run: &Run) -> Self {
        Self {
            id: run.id.clone(),
            workflow: run.workflow.clone(),
            version: run.version.clone(),
            status: run.status(),
            input: run.input.clone(),
            output: run.output.clone(),
            failure: run.failure.clone(),
            vars: run.vars.clone(),
            attributes: run.attributes.clone(),
            tags: run.tags.clone(),
            session_id: run.session_id.clone(),
            parent: None,
            schedule: None,
            rerun_of: run.rerun_of.clone(),
            priority: run.priority,
            created_at: run.created_at,
            start_at: run.start_at,
            started_at: run.started_at,
            finished_at: run.finished_at,
            updated_at: run.updated_at,
            deadline: run.deadline,
            tasks: run.counts,
        }
    }
}

/// A task instance.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Task")]
pub(crate) struct TaskShape {
    /// The run.
    run_id: RunId,
    /// Its name in the workflow.
    task: String,
    /// The element under `for_each`.
    index: Option<u32>,
    /// What it does: `worker`, `http`, `wasm`, `value`, `sleep` or `signal`.
    kind: String,
    /// The queue that workers claim it from.
    queue: Option<String>,
    /// Where it stands.
    status: TaskStatus,
    /// Attempts begun.
    attempt: u32,
    /// Attempts it may have.
    max_attempts: u32,
    /// What it was given.
    input: Option<Payload>,
    /// What it answered.
    output: Option<Payload>,
    /// Why its last attempt failed.
    failure: Option<Failure>,
    /// When it first became ready.
    ready_at: Option<Timestamp>,
    /// When its first attempt began.
    started_at: Option<Timestamp>,
    /// When it ended.
    finished_at: Option<Timestamp>,
    /// Who holds its lease.
    worker_id: Option<WorkerId>,
    /// When its lease ends unless it is extended.
    lease_expires_at: Option<Timestamp>,
}

impl TaskShape {
    /// An instance of a task of this workflow.
    pub(crate) fn new(run: &RunId, task: &Task, key: Key, instance: &Instance) -> Self {
        let leased = task.kind.is_leased();
        Self {
            run_id: run.clone(),
            task: task.name.to_string(),
            index: key.index,
            kind: task.kind.word().to_owned(),
            queue: match &task.kind {
                Kind::Worker { queue, .. } => Some(queue.to_string()),
                Kind::Http { .. }
                | Kind::Wasm { .. }
                | Kind::Value { .. }
                | Kind::Sleep { .. }
                | Kind::Signal { .. } => None,
            },
            status: instance.status(),
            attempt: instance.attempt,
            max_attempts: if leased { instance.attempts_before + task.retry.max_attempts } else { 0 },
            input: instance.input.clone(),
            output: instance.output.clone(),
            failure: instance.failure.clone(),
            ready_at: instance.ready_at,
            started_at: instance.started_at,
            finished_at: instance.finished_at,
            worker_id: instance.lease().map(|lease| lease.worker.clone()),
            lease_expires_at: instance.lease().map(|lease| lease.expires_at),
        }
    }

    /// An instance of a slice.
    pub(crate) fn of(slice: &Slice, key: Key) -> Option<Self> {
        Some(Self::new(&slice.run.id, slice.task(key), key, slice.get(key)?))
    }

    /// An instance that has no row: no event has reached it, unless its run has ended.
    pub(crate) fn unreached(run: &Run, workflow: &Workflow, key: Key) -> Self {
        let task = workflow.task(key.task);
        let instance = Instance::absent(task, run);
        Self::new(&run.id, task, key, &instance)
    }

    /// The status.
    pub(crate) fn status(&self) -> TaskStatus {
        self.status
    }
}

/// Something that happened to a run.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Event")]
pub(crate) struct EventShape {
    /// Grows over the whole database.
    cursor: String,
    /// The run.
    run_id: RunId,
    /// From 1, without a gap.
    seq: u64,
    /// What happened.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = crate::engine::What::WORDS))]
    kind: &'static str,
    /// When, by the run's own time.
    at: Timestamp,
    /// The task it is about.
    task: Option<String>,
    /// The element under `for_each`.
    index: Option<u32>,
    /// The attempt it is about.
    attempt: Option<u32>,
    /// The particulars.
    data: Value,
}

impl EventShape {
    pub(crate) fn new(run: &RunId, recorded: &Recorded) -> Self {
        let task = recorded.event.what.task();
        Self {
            cursor: recorded.cursor.to_string(),
            run_id: run.clone(),
            seq: recorded.seq,
            kind: recorded.event.what.word(),
            at: recorded.event.at,
            task: task.map(|task| task.task.to_string()),
            index: task.and_then(|task| task.index),
            attempt: recorded.event.attempt(),
            data: recorded.event.data(),
        }
    }
}

/// Something that a task printed.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LogChunk")]
pub(crate) struct LogShape {
    /// Grows over the whole database.
    cursor: String,
    /// The task.
    task: String,
    /// The element under `for_each`.
    index: Option<u32>,
    /// The attempt.
    attempt: u32,
    /// `stdout`, `stderr` or a name of the task's own.
    stream: String,
    /// What it printed.
    text: String,
    /// When.
    at: Timestamp,
}

impl From<ChunkRow> for LogShape {
    fn from(row: ChunkRow) -> Self {
        Self {
            cursor: row.cursor.to_string(),
            task: row.task.to_string(),
            index: row.index,
            attempt: row.attempt,
            stream: row.stream.to_string(),
            text: row.text.to_string(),
            at: row.at,
        }
    }
}

/// A stored signal.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Signal")]
pub(crate) struct SignalShape {
    /// From 1 within the run.
    number: u64,
    /// Its name.
    name: String,
    /// The sender's id for it.
    signal_id: Option<String>,
    /// What it carries.
    payload: Payload,
    /// When it was stored.
    received_at: Timestamp,
    /// The task that took it; null while it is buffered.
    consumed_by: Option<String>,
}

impl From<SignalRow> for SignalShape {
    fn from(row: SignalRow) -> Self {
        Self {
            number: row.number,
            name: row.name.to_string(),
            signal_id: row.signal_id.map(|id| id.to_string()),
            payload: row.payload,
            received_at: row.received_at,
            consumed_by: row.consumed_by.map(|by| by.to_string()),
        }
    }
}

/// Whether a worker is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WorkerStatus {
    /// It was heard of lately.
    Online,
    /// It was not.
    Offline,
    /// It gets no more tasks.
    Draining,
}

/// A worker is offline when it was not heard of for this long.
pub(crate) const OFFLINE_AFTER: Duration = Duration::from_secs(60);

/// A registered worker.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Worker")]
pub(crate) struct WorkerShape {
    /// Its own choice.
    worker_id: WorkerId,
    /// The queues it asks on.
    queues: Vec<QueueName>,
    /// What it carries.
    labels: Vec<Label>,
    /// How many tasks it runs at once.
    capacity: u32,
    /// Whether it is there.
    status: WorkerStatus,
    /// How many leases it holds.
    leases: u32,
    /// When it was last heard of.
    last_seen_at: Timestamp,
}

impl WorkerShape {
    pub(crate) fn new(row: WorkerRow, now: Timestamp) -> Self {
        let status = if row.draining {
            WorkerStatus::Draining
        } else if row.last_seen_at.plus(OFFLINE_AFTER) <= now {
            WorkerStatus::Offline
        } else {
            WorkerStatus::Online
        };
        Self {
            worker_id: row.id,
            queues: row.queues,
            labels: row.labels,
            capacity: row.capacity,
            status,
            leases: row.leases,
            last_seen_at: row.last_seen_at,
        }
    }
}

/// One version of a workflow.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Workflow")]
pub(crate) struct WorkflowShape {
    /// Its name.
    name: WorkflowName,
    /// SHA-256 of the canonical document.
    version: Version,
    /// When it was saved.
    created_at: Timestamp,
    /// The canonical document.
    document: Payload,
    /// The modules of its `wasm` tasks: what each name means in this version, as a digest.
    modules: std::collections::BTreeMap<ModuleName, ModuleDigest>,
}

impl From<WorkflowRow> for WorkflowShape {
    fn from(row: WorkflowRow) -> Self {
        Self {
            name: row.name,
            version: row.version,
            created_at: row.created_at,
            document: row.document,
            modules: row.modules.into_iter().map(|(name, pin)| (name, pin.digest)).collect(),
        }
    }
}

/// A task under a lease, as its worker gets it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct ClaimedTask {
    /// The right to this attempt; reports name it.
    pub(crate) lease_id: LeaseId,
    /// The run.
    pub(crate) run_id: RunId,
    /// The workflow's name.
    pub(crate) workflow: WorkflowName,
    /// The task's name.
    pub(crate) task: String,
    /// The element under `for_each`.
    pub(crate) index: Option<u32>,
    /// The queue.
    pub(crate) queue: String,
    /// Which attempt this is, from 1.
    pub(crate) attempt: u32,
    /// What it is given.
    pub(crate) input: Payload,
    /// The outputs of the tasks it needs, by name.
    pub(crate) upstream: std::collections::BTreeMap<String, Option<Payload>>,
    /// What earlier leases of this task instance have remembered, by key.
    pub(crate) checkpoints: std::collections::BTreeMap<String, Payload>,
    /// When the attempt must have ended, whatever heartbeats say.
    pub(crate) deadline: Option<Timestamp>,
    /// When the lease ends unless it is extended.
    pub(crate) lease_expires_at: Timestamp,
    /// How long the task has between being asked to stop and being cut.
    pub(crate) grace: Duration,
}

/// What a run answered.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RunResult {
    /// The run's output.
    pub(crate) output: Option<Payload>,
}

/// What a run has answered so far.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RunOutput {
    /// Where the run stands.
    pub(crate) status: RunStatus,
    /// Its output; null until it has completed.
    pub(crate) output: Option<Payload>,
}

/// The answer to a heartbeat.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Heartbeat {
    /// When the lease ends now.
    pub(crate) lease_expires_at: Timestamp,
    /// Whether the task is to stop.
    pub(crate) cancel_requested: bool,
}

/// What became of a signal.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct SignalAccepted {
    /// It is stored.
    pub(crate) accepted: bool,
    /// A signal with this id was stored before; this one has no effect.
    pub(crate) duplicate: bool,
}
