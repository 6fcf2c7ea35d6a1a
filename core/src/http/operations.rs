//! The rows of the catalogue.

use crate::app::checkpoints::{CheckpointShape, PutCheckpoint};
use crate::app::claim::{Claim, Claimed};
use crate::app::documents::{DOT, GraphQuery, MERMAID, Validation};
use crate::app::events::EventsQuery;
use crate::app::leases::{Complete, Fail, Outcomes, Reports};
use crate::app::lists::RunsQuery;
use crate::app::logs::{AppendLogs, Appended, LogsQuery};
use crate::app::metrics::PROMETHEUS;
use crate::app::modules::ModuleShape;
use crate::app::runs::{CancelQuery, Rerun, ResultQuery, StartQuery, StartRun};
use crate::app::shapes::{
    EventShape, Heartbeat, LogShape, RunOutput, RunResult, RunShape, SignalAccepted, SignalShape, TaskShape,
    WorkerShape, WorkflowShape,
};
use crate::app::signals::SendSignal;
use crate::app::system::{Health, Info};
use crate::app::tasks::{FleetCounts, RunTasksQuery, TasksQuery};
use crate::app::workers::Register;
use crate::app::workflows::{ListQuery, WorkflowQuery};

use super::catalogue::{BodyKind, Conditional, Idempotency, Method, Operation, Output, schema};
use super::page::Page;
use super::problem::Slug;
use super::problems_page::ProblemType;

use Method::{Delete, Get, Post, Put};

/// The name by which dispatch knows an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is the row of the same name below")]
pub enum OperationId {
    Health,
    Ready,
    Metrics,
    Info,
    Openapi,
    WorkflowSchema,
    ProblemPage,
    ListWorkflows,
    PutWorkflow,
    GetWorkflow,
    WorkflowVersions,
    DeleteWorkflow,
    ListModules,
    PutModule,
    GetModule,
    DeleteModule,
    ValidateDocument,
    DocumentGraph,
    StartRun,
    ListRuns,
    GetRun,
    RunResult,
    RunOutput,
    CancelRun,
    PauseRun,
    ResumeRun,
    RetryRun,
    RerunRun,
    DeleteRun,
    RunEvents,
    RunLogs,
    RunTasks,
    GetTask,
    TaskLogs,
    SendSignal,
    ListSignals,
    ListTasks,
    TaskCounts,
    ClaimTasks,
    RegisterWorker,
    ListWorkers,
    GetWorker,
    HeartbeatWorker,
    DrainWorker,
    HeartbeatLease,
    CompleteLease,
    FailLease,
    ReleaseLease,
    AppendLogs,
    PutCheckpoint,
    LeaseBatch,
}

/// A row with the usual particulars: no query, no body, no condition.
const fn row(
    id: OperationId,
    name: &'static str,
    (method, path): (Method, &'static str),
    (group, scope): (&'static str, &'static str),
    (summary, description): (&'static str, &'static str),
) -> Operation {
    Operation {
        id,
        name,
        method,
        path,
        group,
        scope,
        summary,
        description,
        query: None,
        body: BodyKind::None,
        success: &[],
        problems: &[],
        idempotency: match method {
            Method::Post => Idempotency::Keyed,
            Method::Get | Method::Put | Method::Patch | Method::Delete => Idempotency::Exempt,
        },
        conditional: Conditional::None,
        example: None,
    }
}

const RUN: Output = Output::Json(schema::<RunShape>);
const TASK: Output = Output::Json(schema::<TaskShape>);
const WORKER: Output = Output::Json(schema::<WorkerShape>);
const WORKFLOW: Output = Output::Json(schema::<WorkflowShape>);
const MODULE: Output = Output::Json(schema::<ModuleShape>);
/// The media type of a module (registered with IANA).
pub(crate) const WASM: &str = "application/wasm";
const LOGS: Output = Output::Json(schema::<Page<LogShape>>);

/// Every operation of the API.
pub static OPERATIONS: &[Operation] = &[
    Operation {
        success: &[(200, Output::Json(schema::<Health>))],
        ..row(
            OperationId::Health,
            "health",
            (Get, "/health"),
            ("system", "system:read"),
            (
                "Whether the process answers",
                "Answers as long as the process serves requests; asks nothing of the database.",
            ),
        )
    },
    Operation {
        success: &[(200, Output::Json(schema::<Health>))],
        ..row(
            OperationId::Ready,
            "ready",
            (Get, "/ready"),
            ("system", "system:read"),
            (
                "Whether the server can do its work",
                "Asks the database; 503 while it does not answer, or while the server shuts down.",
            ),
        )
    },
    Operation {
        success: &[(200, Output::Text(&[PROMETHEUS]))],
        ..row(
            OperationId::Metrics,
            "metrics",
            (Get, "/metrics"),
            ("system", "metrics:read"),
            (
                "Counts in Prometheus' text format",
                "Version 0.0.4. What the host's database does not count is not listed; asks nothing of the \
                 database.",
            ),
        )
    },
    Operation {
        success: &[(200, Output::Json(schema::<Info>))],
        ..row(
            OperationId::Info,
            "info",
            (Get, "/api/v1/info"),
            ("system", "system:read"),
            ("Version, host, limits and capabilities", "What this server is and how much it takes."),
        )
    },
    Operation {
        success: &[(200, Output::Json(any))],
        conditional: Conditional::Read,
        ..row(
            OperationId::Openapi,
            "openapi",
            (Get, "/openapi.json"),
            ("discovery", "system:read"),
            ("This API as an OpenAPI 3.1 document", "Made from the same table that routes requests."),
        )
    },
    Operation {
        success: &[(200, Output::Json(any))],
        conditional: Conditional::Read,
        ..row(
            OperationId::WorkflowSchema,
            "workflow_schema",
            (Get, "/schemas/workflow.json"),
            ("discovery", "system:read"),
            (
                "The JSON Schema of a workflow document",
                "Draft 2020-12; editors check and complete documents with it.",
            ),
        )
    },
    Operation {
        success: &[(200, Output::Html), (200, Output::Json(schema::<ProblemType>))],
        problems: &[Slug::NotFound],
        ..row(
            OperationId::ProblemPage,
            "problem_page",
            (Get, "/problems/{slug}"),
            ("discovery", "system:read"),
            ("What a problem type means", "The page that the `type` of a problem document points to."),
        )
    },
    Operation {
        query: Some(schema::<ListQuery>),
        success: &[(200, Output::Json(schema::<Page<WorkflowShape>>))],
        ..row(
            OperationId::ListWorkflows,
            "list_workflows",
            (Get, "/api/v1/workflows"),
            ("workflows", "workflows:read"),
            ("The newest version of each workflow", "Sorted by name."),
        )
    },
    Operation {
        body: BodyKind::Document,
        success: &[(201, WORKFLOW), (200, WORKFLOW)],
        problems: &[Slug::InvalidDocument, Slug::DocumentTooLarge, Slug::PreconditionFailed],
        conditional: Conditional::Write,
        example: Some(
            r#"{"selvedge":1,"name":"hello","tasks":{"greet":{"worker":"shell","with":{"command":"echo hello"}}}}"#,
        ),
        ..row(
            OperationId::PutWorkflow,
            "put_workflow",
            (Put, "/api/v1/workflows/{name}"),
            ("workflows", "workflows:write"),
            (
                "Save a workflow",
                "The version is the SHA-256 of the canonical document: saving the newest content again changes \
                 nothing, saving older content makes it the newest again.",
            ),
        )
    },
    Operation {
        query: Some(schema::<WorkflowQuery>),
        success: &[(200, WORKFLOW)],
        problems: &[Slug::NotFound],
        conditional: Conditional::Read,
        ..row(
            OperationId::GetWorkflow,
            "get_workflow",
            (Get, "/api/v1/workflows/{name}"),
            ("workflows", "workflows:read"),
            ("A workflow", "Its newest version, or the one asked for."),
        )
    },
    Operation {
        query: Some(schema::<ListQuery>),
        success: &[(200, Output::Json(schema::<Page<WorkflowShape>>))],
        problems: &[Slug::NotFound],
        ..row(
            OperationId::WorkflowVersions,
            "workflow_versions",
            (Get, "/api/v1/workflows/{name}/versions"),
            ("workflows", "workflows:read"),
            ("The versions of a workflow", "Newest first."),
        )
    },
    Operation {
        success: &[(204, Output::None)],
        problems: &[Slug::NotFound, Slug::WorkflowInUse, Slug::PreconditionFailed],
        conditional: Conditional::Write,
        ..row(
            OperationId::DeleteWorkflow,
            "delete_workflow",
            (Delete, "/api/v1/workflows/{name}"),
            ("workflows", "workflows:write"),
            (
                "Forget a workflow",
                "All its versions. Refused while a run of it has not ended; ended runs keep theirs.",
            ),
        )
    },
    Operation {
        query: Some(schema::<ListQuery>),
        success: &[(200, Output::Json(schema::<Page<ModuleShape>>))],
        ..row(
            OperationId::ListModules,
            "list_modules",
            (Get, "/api/v1/modules"),
            ("modules", "workflows:read"),
            ("Modules of WebAssembly", "Sorted by name; a module with several names is listed under each."),
        )
    },
    Operation {
        body: BodyKind::Bytes(WASM),
        success: &[(201, MODULE), (200, MODULE)],
        problems: &[Slug::InvalidModule, Slug::ModuleTooLarge, Slug::PreconditionFailed],
        conditional: Conditional::Write,
        ..row(
            OperationId::PutModule,
            "put_module",
            (Put, "/api/v1/modules/{name}"),
            ("modules", "workflows:write"),
            (
                "Upload a module of WebAssembly",
                "Under a name, or under `sha256:` and the digest of its bytes. The same bytes again change \
                 nothing. Versions that are pinned to what the name meant before keep that, under its digest.",
            ),
        )
    },
    Operation {
        success: &[(200, MODULE), (200, Output::Bytes(WASM))],
        problems: &[Slug::NotFound],
        conditional: Conditional::Read,
        ..row(
            OperationId::GetModule,
            "get_module",
            (Get, "/api/v1/modules/{name}"),
            ("modules", "workflows:read"),
            ("A module", "What it offers; its bytes with `Accept: application/wasm`. By name or by digest."),
        )
    },
    Operation {
        success: &[(204, Output::None)],
        problems: &[Slug::NotFound, Slug::ModuleInUse, Slug::PreconditionFailed],
        conditional: Conditional::Write,
        ..row(
            OperationId::DeleteModule,
            "delete_module",
            (Delete, "/api/v1/modules/{name}"),
            ("modules", "workflows:write"),
            (
                "Take a module's name away",
                "With its last name the module goes. That is refused while a saved workflow or a run that has \
                 not ended is pinned to it.",
            ),
        )
    },
    Operation {
        body: BodyKind::Draft,
        success: &[(200, Output::Json(schema::<Validation>))],
        problems: &[Slug::DocumentTooLarge],
        idempotency: Idempotency::Exempt,
        example: Some(r#"{"selvedge":1,"name":"hello","tasks":{"greet":{"value":"hello"}}}"#),
        ..row(
            OperationId::ValidateDocument,
            "validate_document",
            (Post, "/api/v1/documents/validate"),
            ("documents", "workflows:read"),
            ("Check a document", "Answers with every fault at once, each with its pointer, line and column."),
        )
    },
    Operation {
        query: Some(schema::<GraphQuery>),
        body: BodyKind::Document,
        success: &[(200, Output::Json(any)), (200, Output::Text(&[DOT, MERMAID]))],
        problems: &[Slug::InvalidDocument, Slug::DocumentTooLarge],
        idempotency: Idempotency::Exempt,
        example: Some(
            r#"{"selvedge":1,"name":"two","tasks":{"a":{"value":1},"b":{"needs":["a"],"value":2}}}"#,
        ),
        ..row(
            OperationId::DocumentGraph,
            "document_graph",
            (Post, "/api/v1/documents/graph"),
            ("documents", "workflows:read"),
            ("Draw a document's graph", "As JSON, for Graphviz, or for Mermaid."),
        )
    },
    Operation {
        query: Some(schema::<StartQuery>),
        body: BodyKind::Typed(schema::<StartRun>),
        success: &[(201, RUN)],
        problems: &[
            Slug::NotFound,
            Slug::RunExists,
            Slug::InvalidDocument,
            Slug::InvalidInput,
            Slug::DocumentTooLarge,
            Slug::PayloadTooLarge,
        ],
        conditional: Conditional::None,
        example: Some(r#"{"workflow":"hello","input":{"name":"world"}}"#),
        ..row(
            OperationId::StartRun,
            "start_run",
            (Post, "/api/v1/runs"),
            ("runs", "runs:write"),
            ("Start a run", "Of a saved workflow or of a document. The answer comes when the run is stored."),
        )
    },
    Operation {
        query: Some(schema::<RunsQuery>),
        success: &[(200, Output::Json(schema::<Page<RunShape>>))],
        ..row(
            OperationId::ListRuns,
            "list_runs",
            (Get, "/api/v1/runs"),
            ("runs", "runs:read"),
            (
                "Runs",
                "Newest first unless sorted. One page looks at no more than 10,000 runs, so that a page of a \
                 filter that seldom matches may be short and still have a next cursor.",
            ),
        )
    },
    Operation {
        success: &[(200, RUN)],
        problems: &[Slug::NotFound],
        conditional: Conditional::Read,
        ..row(
            OperationId::GetRun,
            "get_run",
            (Get, "/api/v1/runs/{id}"),
            ("runs", "runs:read"),
            ("A run", "As the database has it."),
        )
    },
    Operation {
        query: Some(schema::<ResultQuery>),
        success: &[(200, Output::Json(schema::<RunResult>))],
        problems: &[Slug::NotFound, Slug::NotFinished, Slug::RunFailed],
        ..row(
            OperationId::RunResult,
            "run_result",
            (Get, "/api/v1/runs/{id}/result"),
            ("runs", "runs:read"),
            (
                "Wait for a run's output",
                "422 with the failure if the run ends without completing, 408 if it has not ended in time.",
            ),
        )
    },
    Operation {
        success: &[(200, Output::Json(schema::<RunOutput>))],
        problems: &[Slug::NotFound],
        ..row(
            OperationId::RunOutput,
            "run_output",
            (Get, "/api/v1/runs/{id}/output"),
            ("runs", "runs:read"),
            ("A run's output as it is now", "Null until the run has completed."),
        )
    },
    Operation {
        query: Some(schema::<CancelQuery>),
        success: &[(202, RUN)],
        problems: &[Slug::NotFound, Slug::RunFinished, Slug::PreconditionFailed],
        conditional: Conditional::Write,
        ..row(
            OperationId::CancelRun,
            "cancel_run",
            (Post, "/api/v1/runs/{id}/cancel"),
            ("runs", "runs:write"),
            (
                "Cancel a run",
                "Running tasks are asked to stop and have their grace; with `force` they are cut at once. \
                 Cancelling twice is not an error.",
            ),
        )
    },
    Operation {
        success: &[(200, RUN)],
        problems: &[Slug::NotFound, Slug::Conflict, Slug::PreconditionFailed],
        conditional: Conditional::Write,
        ..row(
            OperationId::PauseRun,
            "pause_run",
            (Post, "/api/v1/runs/{id}/pause"),
            ("runs", "runs:write"),
            (
                "Pause a run",
                "Nothing is claimed and no task timer fires until it is resumed; held leases finish and count.",
            ),
        )
    },
    Operation {
        success: &[(200, RUN)],
        problems: &[Slug::NotFound, Slug::Conflict, Slug::PreconditionFailed],
        conditional: Conditional::Write,
        ..row(
            OperationId::ResumeRun,
            "resume_run",
            (Post, "/api/v1/runs/{id}/resume"),
            ("runs", "runs:write"),
            ("Resume a run", "Timers that came due meanwhile fire now."),
        )
    },
    Operation {
        success: &[(202, RUN)],
        problems: &[Slug::NotFound, Slug::RunNotFinished, Slug::PreconditionFailed],
        conditional: Conditional::Write,
        ..row(
            OperationId::RetryRun,
            "retry_run",
            (Post, "/api/v1/runs/{id}/retry"),
            ("runs", "runs:write"),
            (
                "Go on with a run that did not complete",
                "From what did not succeed, with fresh attempts and a fresh deadline. Attempt numbers go on.",
            ),
        )
    },
    Operation {
        body: BodyKind::Optional(schema::<Rerun>),
        success: &[(201, RUN)],
        problems: &[
            Slug::NotFound,
            Slug::RunExists,
            Slug::Conflict,
            Slug::InvalidInput,
            Slug::PayloadTooLarge,
        ],
        example: Some("{}"),
        ..row(
            OperationId::RerunRun,
            "rerun_run",
            (Post, "/api/v1/runs/{id}/rerun"),
            ("runs", "runs:write"),
            (
                "Start a run again as a new one",
                "Of the same version. `from` a task, it takes over the results upstream.",
            ),
        )
    },
    Operation {
        success: &[(204, Output::None)],
        problems: &[Slug::NotFound, Slug::RunNotFinished, Slug::PreconditionFailed],
        conditional: Conditional::Write,
        ..row(
            OperationId::DeleteRun,
            "delete_run",
            (Delete, "/api/v1/runs/{id}"),
            ("runs", "runs:admin"),
            ("Remove an ended run", "With its history, tasks, logs and signals."),
        )
    },
    Operation {
        query: Some(schema::<EventsQuery>),
        success: &[(200, Output::Json(schema::<Page<EventShape>>))],
        problems: &[Slug::NotFound],
        ..row(
            OperationId::RunEvents,
            "run_events",
            (Get, "/api/v1/runs/{id}/events"),
            ("runs", "events:read"),
            ("A run's history", "Newest first unless sorted by `seq`."),
        )
    },
    Operation {
        query: Some(schema::<LogsQuery>),
        success: &[(200, LOGS)],
        problems: &[Slug::NotFound],
        ..row(
            OperationId::RunLogs,
            "run_logs",
            (Get, "/api/v1/runs/{id}/logs"),
            ("runs", "runs:read"),
            ("What a run's tasks printed", "Oldest first, also while they run."),
        )
    },
    Operation {
        query: Some(schema::<RunTasksQuery>),
        success: &[(200, Output::Json(schema::<Page<TaskShape>>))],
        problems: &[Slug::NotFound],
        ..row(
            OperationId::RunTasks,
            "run_tasks",
            (Get, "/api/v1/runs/{id}/tasks"),
            ("tasks", "tasks:read"),
            ("The tasks of a run", "In document order: by depth in the graph, then by name."),
        )
    },
    Operation {
        success: &[(200, TASK)],
        problems: &[Slug::NotFound],
        ..row(
            OperationId::GetTask,
            "get_task",
            (Get, "/api/v1/runs/{id}/tasks/{task}"),
            ("tasks", "tasks:read"),
            ("A task of a run", "By its name."),
        )
    },
    Operation {
        query: Some(schema::<LogsQuery>),
        success: &[(200, LOGS)],
        problems: &[Slug::NotFound],
        ..row(
            OperationId::TaskLogs,
            "task_logs",
            (Get, "/api/v1/runs/{id}/tasks/{task}/logs"),
            ("tasks", "tasks:read"),
            ("What a task printed", "Oldest first, also while it runs."),
        )
    },
    Operation {
        body: BodyKind::Optional(schema::<SendSignal>),
        success: &[(202, Output::Json(schema::<SignalAccepted>))],
        problems: &[Slug::NotFound, Slug::RunFinished, Slug::TooManySignals, Slug::PayloadTooLarge],
        example: Some(r#"{"payload":{"ok":true},"signal_id":"approval-1"}"#),
        ..row(
            OperationId::SendSignal,
            "send_signal",
            (Post, "/api/v1/runs/{id}/signals/{name}"),
            ("signals", "runs:write"),
            ("Send a signal", "Stored before it is answered, whether or not a task waits for it yet."),
        )
    },
    Operation {
        query: Some(schema::<ListQuery>),
        success: &[(200, Output::Json(schema::<Page<SignalShape>>))],
        problems: &[Slug::NotFound],
        ..row(
            OperationId::ListSignals,
            "list_signals",
            (Get, "/api/v1/runs/{id}/signals"),
            ("signals", "runs:read"),
            ("The signals of a run", "Newest first, with the task that took each."),
        )
    },
    Operation {
        query: Some(schema::<TasksQuery>),
        success: &[(200, Output::Json(schema::<Page<TaskShape>>))],
        ..row(
            OperationId::ListTasks,
            "list_tasks",
            (Get, "/api/v1/tasks"),
            ("tasks", "tasks:read"),
            (
                "Tasks of all runs",
                "By run id, descending, which is newest first where the server made the ids. Tasks that no event \
                 has reached are listed with their run only.",
            ),
        )
    },
    Operation {
        success: &[(200, Output::Json(schema::<FleetCounts>))],
        ..row(
            OperationId::TaskCounts,
            "task_counts",
            (Get, "/api/v1/tasks/counts"),
            ("tasks", "tasks:read"),
            ("How many tasks have each status", "Of the newest 10,000 runs; every status is always there."),
        )
    },
    Operation {
        body: BodyKind::Typed(schema::<Claim>),
        success: &[(200, Output::Json(schema::<Claimed>))],
        idempotency: Idempotency::Exempt,
        example: Some(r#"{"worker_id":"w1","queues":["shell"],"max_tasks":4,"wait":"10s"}"#),
        ..row(
            OperationId::ClaimTasks,
            "claim_tasks",
            (Post, "/api/v1/tasks/claim"),
            ("leases", "workers:write"),
            (
                "Claim tasks",
                "At once, or as soon as one is ready within `wait`. The same `claim_id` again gives the same leases.",
            ),
        )
    },
    Operation {
        body: BodyKind::Typed(schema::<Register>),
        success: &[(201, WORKER), (200, WORKER)],
        example: Some(r#"{"worker_id":"w1","queues":["shell"],"labels":["docker"],"capacity":4}"#),
        ..row(
            OperationId::RegisterWorker,
            "register_worker",
            (Post, "/api/v1/workers"),
            ("workers", "workers:write"),
            ("Register a worker", "The same id again keeps its leases."),
        )
    },
    Operation {
        query: Some(schema::<ListQuery>),
        success: &[(200, Output::Json(schema::<Page<WorkerShape>>))],
        ..row(
            OperationId::ListWorkers,
            "list_workers",
            (Get, "/api/v1/workers"),
            ("workers", "tasks:read"),
            ("Workers", "Newest first. A worker is offline when it was not heard of for 60 s."),
        )
    },
    Operation {
        success: &[(200, WORKER)],
        problems: &[Slug::NotFound],
        ..row(
            OperationId::GetWorker,
            "get_worker",
            (Get, "/api/v1/workers/{worker_id}"),
            ("workers", "tasks:read"),
            ("A worker", "With the number of leases it holds."),
        )
    },
    Operation {
        success: &[(200, WORKER)],
        problems: &[Slug::NotFound],
        idempotency: Idempotency::Exempt,
        ..row(
            OperationId::HeartbeatWorker,
            "heartbeat_worker",
            (Post, "/api/v1/workers/{worker_id}/heartbeat"),
            ("workers", "workers:write"),
            ("Say that a worker is there", "Claims say so too. Leases end by their own ttl only."),
        )
    },
    Operation {
        success: &[(204, Output::None)],
        problems: &[Slug::NotFound],
        ..row(
            OperationId::DrainWorker,
            "drain_worker",
            (Delete, "/api/v1/workers/{worker_id}"),
            ("workers", "workers:write"),
            (
                "Drain a worker",
                "It gets no more tasks until it registers again. Asked a second time, or when the worker is offline, it is \
                 forgotten once it holds no lease.",
            ),
        )
    },
    Operation {
        success: &[(200, Output::Json(schema::<Heartbeat>))],
        problems: &[Slug::NotFound, Slug::LeaseLost],
        idempotency: Idempotency::Exempt,
        ..row(
            OperationId::HeartbeatLease,
            "heartbeat_lease",
            (Post, "/api/v1/leases/{lease_id}/heartbeat"),
            ("leases", "workers:write"),
            ("Extend a lease", "By its own ttl. The answer says whether the task is to stop."),
        )
    },
    Operation {
        body: BodyKind::Optional(schema::<Complete>),
        success: &[(200, TASK)],
        problems: &[Slug::NotFound, Slug::LeaseLost, Slug::PayloadTooLarge],
        example: Some(r#"{"output":{"charged":42}}"#),
        ..row(
            OperationId::CompleteLease,
            "complete_lease",
            (Post, "/api/v1/leases/{lease_id}/complete"),
            ("leases", "workers:write"),
            ("Report an output", "The same body again gets the same answer."),
        )
    },
    Operation {
        body: BodyKind::Typed(schema::<Fail>),
        success: &[(200, TASK)],
        problems: &[Slug::NotFound, Slug::LeaseLost, Slug::PayloadTooLarge],
        example: Some(r#"{"error":{"message":"card declined","code":"declined"},"retryable":false}"#),
        ..row(
            OperationId::FailLease,
            "fail_lease",
            (Post, "/api/v1/leases/{lease_id}/fail"),
            ("leases", "workers:write"),
            (
                "Report a failure",
                "Another attempt follows as the task's policy says, unless `retryable` is false.",
            ),
        )
    },
    Operation {
        success: &[(200, TASK)],
        problems: &[Slug::NotFound, Slug::LeaseLost],
        ..row(
            OperationId::ReleaseLease,
            "release_lease",
            (Post, "/api/v1/leases/{lease_id}/release"),
            ("leases", "workers:write"),
            ("Give a task back", "The attempt does not count."),
        )
    },
    Operation {
        body: BodyKind::Typed(schema::<AppendLogs>),
        success: &[(200, Output::Json(schema::<Appended>))],
        problems: &[Slug::NotFound, Slug::LeaseLost],
        example: Some(r#"{"chunks":[{"seq":0,"stream":"stdout","text":"hello\n"}]}"#),
        ..row(
            OperationId::AppendLogs,
            "append_logs",
            (Post, "/api/v1/leases/{lease_id}/logs"),
            ("leases", "workers:write"),
            (
                "Append what a task prints",
                "A repeated `seq` is ignored. At most 16 MiB of an attempt are kept.",
            ),
        )
    },
    Operation {
        body: BodyKind::Typed(schema::<PutCheckpoint>),
        success: &[(200, Output::Json(schema::<CheckpointShape>))],
        problems: &[Slug::NotFound, Slug::LeaseLost, Slug::PayloadTooLarge, Slug::TooManyCheckpoints],
        example: Some(r#"{"value":{"charge_id":"ch_1"}}"#),
        ..row(
            OperationId::PutCheckpoint,
            "put_checkpoint",
            (Put, "/api/v1/leases/{lease_id}/checkpoints/{key}"),
            ("leases", "workers:write"),
            (
                "Remember a value for later attempts",
                "The first value of a key stays and is the answer, whichever attempt wrote it. Claims of the \
                 task instance carry all of them, also after a retry of the run; they go with the run.",
            ),
        )
    },
    Operation {
        body: BodyKind::Typed(schema::<Reports>),
        success: &[(200, Output::Json(schema::<Outcomes>))],
        idempotency: Idempotency::Exempt,
        example: Some(
            r#"{"items":[{"action":"heartbeat","lease_id":"0190a5b0-7c1e-7000-8000-000000000000"}]}"#,
        ),
        ..row(
            OperationId::LeaseBatch,
            "lease_batch",
            (Post, "/api/v1/leases/batch"),
            ("leases", "workers:write"),
            ("Many reports in one request", "Each has an outcome of its own, as if it had come alone."),
        )
    },
];

fn any(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    true.into()
}
