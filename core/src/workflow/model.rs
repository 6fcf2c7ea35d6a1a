//! A workflow as the engine reads it: parsed, checked, compiled. What exists here is right.
//!
//! Tasks stand in *document order*: by their depth in the graph of needs, then by name. JSON objects have
//! no order of their own, so this is the order that ties and lists use, whatever wrote the document.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{
    FunctionName, Label, ModuleDigest, ModuleName, QueueName, SignalName, TaskName, Version, WorkflowName,
};
use crate::module::Encoding;
use crate::time::Duration;
use crate::value::Object;

use super::expression::{Expression, Template};
use super::schema::Schema;

/// A document may be at most this long, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;
/// A workflow may have at most this many tasks.
pub const TASKS_MAX: usize = 10_000;
/// A task may need at most this many others.
pub const NEEDS_MAX: usize = 1000;
/// A task may ask for at most this many labels.
pub const LABELS_MAX: usize = 64;
/// What `grace` is where the document says nothing.
pub const GRACE_DEFAULT: Duration = Duration::from_secs(30);

/// The index of a task in [`Workflow::tasks`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskIx(pub u32);

/// One version of a workflow.
#[derive(Debug)]
pub struct Workflow {
    /// What the names of modules in the document mean. Parsing leaves this empty: it depends on what is stored
    /// when the version is first saved or started, and is kept from then on.
    pub modules: BTreeMap<ModuleName, Pin>,
    /// SHA-256 of the canonical document.
    pub version: Version,
    /// The document's `name`.
    pub name: WorkflowName,
    /// The document's `description`.
    pub description: Option<String>,
    /// What a run's input must fit.
    pub input: Option<Schema>,
    /// The run variables and their values at the start.
    pub vars: Object,
    /// In document order.
    pub tasks: Vec<Task>,
    /// The index of each task by its name.
    pub by_name: BTreeMap<TaskName, TaskIx>,
    /// What a completed run answers; null where there is none.
    pub output: Option<Template>,
    /// How long a run may take from `started_at`.
    pub execution_timeout: Option<Duration>,
    /// The canonical JSON text of the document.
    pub canonical: Arc<str>,
}

/// One node of the graph.
#[derive(Debug)]
pub struct Task {
    /// Its key in `tasks`.
    pub name: TaskName,
    /// Upstream tasks, in document order, each once.
    pub needs: Vec<TaskIx>,
    /// The tasks that need this one, in document order: `needs` turned round.
    pub dependents: Vec<TaskIx>,
    /// `if`: asked when the needs are met; none where it is `true` or absent.
    pub condition: Option<Expression>,
    /// What the task does.
    pub kind: Kind,
    /// How often and when a failed attempt is tried again; [`Retry::never`] for what is not leased.
    pub retry: Retry,
    /// Of one attempt's leased time; for a signal, of the wait.
    pub timeout: Option<Duration>,
    /// Of the time in `ready`, unclaimed.
    pub queue_timeout: Option<Duration>,
    /// Of the whole task, from first ready, attempts and waits included.
    pub total_timeout: Option<Duration>,
    /// Between being asked to stop and being cut.
    pub grace: Duration,
    /// Claim order within the queue, higher first; the run's where the document says nothing.
    pub priority: Option<i32>,
    /// What a worker must carry to claim this task, in order, each once.
    pub labels: Vec<Label>,
    /// Whether the run goes on when this task has failed.
    pub on_failure: OnFailure,
}

/// What the name of a module means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The SHA-256 of the module's bytes.
    pub digest: ModuleDigest,
    /// How the module writes values.
    pub encoding: Encoding,
}

/// What the failure of a task does to its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// The run fails.
    FailRun,
    /// `continue_on_error: true`: needs on the task are met, its output is null.
    Continue,
}

/// The kinds of task.
#[derive(Debug)]
pub enum Kind {
    /// `worker`: leased to a worker that asks on this queue, with `with` as its input.
    Worker {
        /// The queue.
        queue: QueueName,
        /// The input; null where the document has none.
        with: Option<Template>,
    },
    /// `http`: leased to the host's own HTTP executor. The template is the whole object
    /// `{method, url, headers, body}`; the evaluated object is the task's input.
    Http {
        /// `{method, url, headers?, body?}`.
        request: Template,
    },
    /// `wasm`: leased to a host that runs modules of WebAssembly.
    Wasm {
        /// The module, by name or digest.
        module: ModuleName,
        /// The function that is called.
        function: FunctionName,
        /// The input; null where the document has none.
        with: Option<Template>,
    },
    /// `value`: completes at once with what the template yields.
    Value {
        /// The template.
        value: Template,
    },
    /// `sleep`: waits, then completes with null. The template yields a duration text.
    Sleep {
        /// Yields a text that is a duration.
        duration: Template,
    },
    /// `signal`: waits for the signal, then completes with its payload.
    Signal {
        /// The signal's name.
        name: SignalName,
        /// What happens when `timeout` passes first.
        on_timeout: OnTimeout,
    },
}

/// What becomes of a signal task whose `timeout` passes before the signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnTimeout {
    /// The task fails with category `timeout`.
    Fail,
    /// The task is `skipped`.
    Skip,
    /// The task is `completed` with a null output.
    Continue,
}

/// When a failed attempt is tried again. The default is 3 attempts, exponential from 1 s to 1 min, jitter 0.2.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// Attempts in all, the first included; at least 1.
    pub max_attempts: u32,
    /// How the delay grows.
    pub backoff: Backoff,
    /// The delay before the second attempt.
    pub delay: Duration,
    /// What no delay exceeds.
    pub max_delay: Duration,
    /// The share of the delay, 0 to 1, by which it is varied up or down.
    pub jitter: f64,
}

/// How the delay between attempts grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backoff {
    /// No delay at all.
    None,
    /// Always `delay`.
    Fixed,
    /// `delay · 2^(attempt−1)`.
    Exponential,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            backoff: Backoff::Exponential,
            delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(60),
            jitter: 0.2,
        }
    }
}

impl Retry {
    /// One attempt and no more.
    pub fn never() -> Self {
        Self { max_attempts: 1, ..Self::default() }
    }
}

impl Workflow {
    /// The task at an index of this workflow.
    pub fn task(&self, ix: TaskIx) -> &Task {
        &self.tasks[ix.0 as usize]
    }

    /// The index of a task, if the workflow has one of this name.
    pub fn index(&self, name: &str) -> Option<TaskIx> {
        self.by_name.get(name).copied()
    }
}

impl Kind {
    /// The kind's word in documents and task shapes.
    pub fn word(&self) -> &'static str {
        match self {
            Kind::Worker { .. } => "worker",
            Kind::Http { .. } => "http",
            Kind::Wasm { .. } => "wasm",
            Kind::Value { .. } => "value",
            Kind::Sleep { .. } => "sleep",
            Kind::Signal { .. } => "signal",
        }
    }

    /// Whether an attempt of this kind runs outside the engine, under a lease.
    pub fn is_leased(&self) -> bool {
        match self {
            Kind::Worker { .. } | Kind::Http { .. } | Kind::Wasm { .. } => true,
            Kind::Value { .. } | Kind::Sleep { .. } | Kind::Signal { .. } => false,
        }
    }
}
