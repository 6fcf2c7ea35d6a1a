//! Runs: start, read, steer, remove.

use std::collections::BTreeSet;
use std::sync::Arc;

use event_listener::EventListener;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::engine::{
    Command, Created as CreatedEvent, Decided, Force, Key, NewRun, Reused, Run, RunPhase, TaskPhase, start,
};
use crate::http::answer::Answer;
use crate::http::call::Call;
use crate::http::problem::{FieldError, Problem, Slug};
use crate::ids::{RunId, SessionId, Tag, TaskName, TenantId, Version, WorkflowName, uuid_v7};
use crate::platform::Platform;
use crate::store::database::Database;
use crate::store::runs::Basis;
use crate::store::{runs as rows, tasks, workflows};
use crate::time::{Duration, Timestamp};
use crate::value::{Object, Payload, Pointer, Value};
use crate::workflow::model::{TaskIx, Workflow};

use super::bells::{Listening, Topic};
use super::commit::{Along, Created};
use super::fault::{Fault, stored};
use super::request::{Ask, Keep};
use super::shapes::{RunOutput, RunResult, RunShape};
use super::{App, lock};

/// An input, output, signal or expression may be at most this long, as JSON text in bytes.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// The longest wait for a result.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(60);
/// How long a result is waited for unless the request says otherwise.
const RESULT_WAIT_DEFAULT: Duration = Duration::from_secs(30);
/// A run may have at most this many tags.
const TAGS_MAX: usize = 64;
/// A run may have at most this many attributes.
const ATTRIBUTES_MAX: usize = 64;

/// What `POST /runs` takes: a workflow by name, or a document.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend(
    "oneOf" = [
        { "required": ["workflow"], "properties": { "workflow": { "type": "string" }, "document": { "type": "null" } } },
        {
            "required": ["document"],
            "properties": {
                "document": { "type": "object" },
                "workflow": { "type": "null" },
                "version": { "type": "null" }
            }
        }
    ],
    "not" = {
        "required": ["start_at", "start_after"],
        "properties": { "start_at": { "type": "string" }, "start_after": { "type": "string" } }
    }
))]
pub(crate) struct StartRun {
    /// The name of a saved workflow.
    #[serde(default)]
    workflow: Option<WorkflowName>,
    /// The version; the newest, unless it is given.
    #[serde(default)]
    version: Option<Version>,
    /// A workflow document, instead of a saved one.
    #[serde(default)]
    document: Option<Value>,
    /// What the run is given; `{}` unless it is given.
    #[serde(default)]
    input: Option<Value>,
    /// The caller's own choice of id.
    #[serde(default)]
    id: Option<RunId>,
    /// The session it belongs to.
    #[serde(default)]
    session_id: Option<SessionId>,
    /// Typed keys and values by which it can be found.
    #[serde(default)]
    #[schemars(extend(
        "maxProperties" = 64,
        "propertyNames" = { "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,63}$" },
        "additionalProperties" = {
            "type": ["string", "number", "boolean", "array"],
            "items": { "type": "string" },
            "maximum": 9_223_372_036_854_774_784_i64,
            "minimum": -9_223_372_036_854_774_784_i64
        }
    ))]
    attributes: Object,
    /// A set of words by which it can be found.
    #[serde(default)]
    #[schemars(with = "Vec<Tag>", length(max = 64))]
    tags: BTreeSet<Tag>,
    /// Not before this.
    #[serde(default)]
    start_at: Option<Timestamp>,
    /// Not before this has passed.
    #[serde(default)]
    start_after: Option<Duration>,
    /// How long it may take; the document's, unless it is given.
    #[serde(default)]
    execution_timeout: Option<Duration>,
    /// For tasks that name none; higher goes first.
    #[serde(default)]
    #[schemars(range(min = -1000, max = 1000))]
    priority: i32,
}

/// The query of `POST /runs`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartQuery {
    /// How long to wait for the run to end before answering; at most 60 s.
    #[serde(default)]
    #[schemars(schema_with = "wait_schema")]
    wait: Duration,
}

/// The query of `GET /runs/{id}/result`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResultQuery {
    /// How long to wait for the run to end; 30 s unless it is given, at most 60 s.
    #[serde(default)]
    #[schemars(schema_with = "wait_schema")]
    timeout: Option<Duration>,
}

/// The query of `POST /runs/{id}/cancel`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CancelQuery {
    /// Cut running tasks at once instead of giving them their grace.
    #[serde(default)]
    force: bool,
}

/// What `POST /runs/{id}/rerun` takes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rerun {
    /// Run this task and what lies downstream of it; take over the results of what lies upstream.
    #[serde(default)]
    from: Option<TaskName>,
    /// What the new run is given; the first run's input, unless it is given.
    #[serde(default)]
    input: Option<Value>,
    /// The caller's own choice of id for the new run.
    #[serde(default)]
    id: Option<RunId>,
}

/// Of how many workflows the newest version is remembered.
const NEWEST_MAX: usize = 1000;

/// A run to be, checked.
struct Prepared {
    id: RunId,
    workflow: Arc<Workflow>,
    created: CreatedEvent,
    reused: Vec<Reused>,
    basis: Basis,
}

/// Whether the newest version of a workflow may be one that was remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Newest {
    Remembered,
    Read,
}

impl<D: Database, P: Platform> App<D, P> {
    pub(super) async fn start_run(&self, call: &Call<'_>, keep: Option<&Keep>) -> Result<Answer, Problem> {
        let query: StartQuery = call.query()?;
        let wait = bounded(query.wait, "/query/wait")?;
        let mut prepared = self.prepare(call.body()?, Newest::Remembered).await?;
        // Listens before there is a run, so that no end is missed and nothing has to be read.
        let listens = |id: &RunId| {
            let topic = Topic::Run(self.tenant.clone(), id.clone());
            let listening = (wait > Duration::ZERO).then(|| self.bells.listen(vec![topic]));
            listening.map(|listening| (listening.ears(), listening))
        };
        let mut listening = listens(&prepared.id);
        let created = match self.create_prepared(prepared, keep).await? {
            Some(run) => run,
            None => {
                prepared = self.prepare(call.body()?, Newest::Read).await?;
                listening = listens(&prepared.id);
                self.create_prepared(prepared, keep).await?.ok_or_else(Problem::internal)?
            }
        };
        let at = location(&created.id);
        let run = match listening {
            Some((ears, listening)) if !created.is_terminal() => {
                self.hear_end(created, ears, &listening, wait).await?
            }
            _ => created,
        };
        Ok(run_answer(201, &run).at(at))
    }

    /// The new run; none if its version turned out not to be the newest.
    async fn create_prepared(&self, prepared: Prepared, keep: Option<&Keep>) -> Result<Option<Run>, Problem> {
        let Prepared { id, workflow, created, reused, basis } = prepared;
        let new = NewRun { tenant: self.tenant.clone(), id: id.clone(), created, reused };
        let decided = start(new, workflow, self.now());
        let along = Ask {
            if_match: None,
            keep,
            digest: None,
            answer: |decided: &Decided| {
                run_answer(201, &decided.after.run).at(location(&decided.after.run.id))
            },
        };
        match self.create(decided, &along, basis).await.map_err(|fault| fault.of_run(id.as_str()))? {
            Created::New(decided) => Ok(Some(decided.after.run)),
            Created::Outdated => Ok(None),
            Created::Exists => Err(Problem::new(Slug::RunExists, format!("there is a run {id} already"))),
        }
    }

    async fn prepare(&self, body: StartRun, newest: Newest) -> Result<Prepared, Problem> {
        let (workflow, basis) = self.requested_workflow(&body, newest).await?;
        let input = body.input.unwrap_or_else(|| Value::Object(Object::new()));
        check_input(&workflow, &input)?;
        let now = self.now();
        let mut errors = attribute_faults(&body.attributes);
        if body.tags.len() > TAGS_MAX {
            errors.push(FieldError::new("/tags", format!("expected at most {TAGS_MAX} tags")));
        }
        if !(-1000..=1000).contains(&body.priority) {
            errors.push(FieldError::new("/priority", "expected a priority from -1000 to 1000"));
        }
        if body.start_at.is_some() && body.start_after.is_some() {
            errors.push(FieldError::new(
                "/start_after",
                "expected one of start_at and start_after, found both",
            ));
        }
        if !errors.is_empty() {
            return Err(Problem::with_errors(Slug::MalformedRequest, errors));
        }
        let created = CreatedEvent {
            workflow: workflow.name.clone(),
            version: workflow.version.clone(),
            input: payload(&input, "/input")?,
            vars: Payload::from(&Value::Object(workflow.vars.clone())),
            attributes: payload(&Value::Object(body.attributes), "/attributes")?,
            tags: body.tags.into_iter().collect(),
            session_id: body.session_id,
            rerun_of: None,
            priority: body.priority,
            seed: self.random_u64(),
            start_at: body.start_at.or_else(|| body.start_after.map(|after| now.plus(after))),
            execution_timeout: body.execution_timeout.or(workflow.execution_timeout),
        };
        let id = body.id.unwrap_or_else(|| self.new_run_id(now));
        Ok(Prepared { id, workflow, created, reused: Vec::new(), basis })
    }

    async fn requested_workflow(
        &self,
        body: &StartRun,
        newest: Newest,
    ) -> Result<(Arc<Workflow>, Basis), Problem> {
        let tenant = &self.tenant;
        match (&body.workflow, &body.document) {
            (Some(name), None) => {
                let remembered = lock(&self.newest).get(name).cloned();
                if let (None, Newest::Remembered, Some(version)) = (&body.version, newest, remembered) {
                    let workflow =
                        self.compiled(tenant, &version).await.map_err(|error| self.problem(&error))?;
                    return Ok((workflow, Basis::Newest));
                }
                let statement = match &body.version {
                    Some(version) => workflows::by_version(tenant, name, version),
                    None => workflows::newest(tenant, name),
                };
                let row = self.first_row(statement).await?.ok_or_else(|| match &body.version {
                    Some(version) => Problem::not_found("workflow", format!("{name} of version {version}")),
                    None => Problem::not_found("workflow", name),
                })?;
                let row = workflows::read(row).map_err(|error| self.problem(&error))?;
                if body.version.is_none() {
                    self.remember_newest(name, &row.version);
                }
                let workflow = self.compiled(tenant, &row.version).await;
                Ok((workflow.map_err(|error| self.problem(&error))?, Basis::Any))
            }
            (None, Some(document)) => {
                if body.version.is_some() {
                    let message = "a version goes with a workflow's name, not with a document";
                    return Err(one_fault("/version", message));
                }
                let at = Pointer::from("/document");
                let mut workflow = self.compile(document, &at, None)?;
                self.pin(&mut workflow, &at, None).await?;
                Ok((Arc::new(workflow), Basis::Any))
            }
            (None, None) => {
                Err(one_fault("", "expected workflow (a saved workflow's name) or document, found neither"))
            }
            (Some(_), Some(_)) => {
                Err(one_fault("/document", "expected one of workflow and document, found both"))
            }
        }
    }

    fn remember_newest(&self, name: &WorkflowName, version: &Version) {
        let mut newest = lock(&self.newest);
        if newest.len() >= NEWEST_MAX {
            newest.clear();
        }
        newest.insert(name.clone(), version.clone());
    }

    pub(super) async fn get_run(&self, call: &Call<'_>) -> Result<Answer, Problem> {
        let run = self.run(&call.path("id")?).await?;
        Ok(run_answer(200, &run))
    }

    /// A run as the database has it.
    pub(super) async fn run(&self, id: &RunId) -> Result<Run, Problem> {
        let row = self.first_row(rows::by_id(&self.tenant, id)).await?;
        let row = row.ok_or_else(|| Problem::not_found("run", id))?;
        rows::read_run(row).map_err(|error| self.problem(&error))
    }

    pub(super) async fn run_output(&self, call: &Call<'_>) -> Result<Answer, Problem> {
        let run = self.run(&call.path("id")?).await?;
        Ok(Answer::json(200, &RunOutput { status: run.status(), output: run.output }))
    }

    pub(super) async fn run_result(&self, call: &Call<'_>) -> Result<Answer, Problem> {
        let query: ResultQuery = call.query()?;
        let wait = bounded(query.timeout.unwrap_or(RESULT_WAIT_DEFAULT), "/query/timeout")?;
        let id: RunId = call.path("id")?;
        let run = self.wait_for_end(&self.tenant, &id, wait).await?;
        match run.phase {
            RunPhase::Completed => Ok(Answer::json(200, &RunResult { output: run.output })),
            RunPhase::Failed | RunPhase::Cancelled | RunPhase::TimedOut => Err(did_not_complete(&run)),
            RunPhase::Pending | RunPhase::Running | RunPhase::Paused | RunPhase::Stopping(_) => {
                let status = run.status().word();
                Err(Problem::new(Slug::NotFinished, format!("run {id} has not ended: it is {status}")))
            }
        }
    }

    /// The run once it has ended, or as it is when the wait is over.
    async fn wait_for_end(&self, tenant: &TenantId, id: &RunId, wait: Duration) -> Result<Run, Problem> {
        let listening = self.bells.listen(vec![Topic::Run(tenant.clone(), id.clone())]);
        let ears = listening.ears();
        let run = self.run(id).await?;
        if run.is_terminal() || wait == Duration::ZERO {
            return Ok(run);
        }
        self.hear_end(run, ears, &listening, wait).await
    }

    /// The same of a run that had not ended when somebody began to listen.
    async fn hear_end(
        &self,
        mut run: Run,
        mut ears: Vec<EventListener>,
        listening: &Listening<'_>,
        wait: Duration,
    ) -> Result<Run, Problem> {
        let mut over = std::pin::pin!(self.wait_over(wait));
        loop {
            if !self.any_rings(ears, over.as_mut()).await {
                return self.run(&run.id).await;
            }
            ears = listening.ears();
            // An end that was told late may be older than what was read.
            match listening.ended().filter(|ended| ended.revision > run.revision) {
                Some(ended) => return Ok(Run::clone(&ended)),
                None => run = self.run(&run.id).await?,
            }
            if run.is_terminal() {
                return Ok(run);
            }
        }
    }

    pub(super) async fn cancel_run(&self, call: &Call<'_>, keep: Option<&Keep>) -> Result<Answer, Problem> {
        let query: CancelQuery = call.query()?;
        let force = if query.force { Force::Now } else { Force::Graceful };
        self.steer(call, keep, Command::Cancel(force), 202).await
    }

    pub(super) async fn pause_run(&self, call: &Call<'_>, keep: Option<&Keep>) -> Result<Answer, Problem> {
        self.steer(call, keep, Command::Pause, 200).await
    }

    pub(super) async fn resume_run(&self, call: &Call<'_>, keep: Option<&Keep>) -> Result<Answer, Problem> {
        self.steer(call, keep, Command::Resume, 200).await
    }

    pub(super) async fn retry_run(&self, call: &Call<'_>, keep: Option<&Keep>) -> Result<Answer, Problem> {
        self.steer(call, keep, Command::Retry, 202).await
    }

    async fn steer(
        &self,
        call: &Call<'_>,
        keep: Option<&Keep>,
        command: Command,
        status: u16,
    ) -> Result<Answer, Problem> {
        let id: RunId = call.path("id")?;
        let answer = move |decided: &Decided| run_answer(status, &decided.after.run);
        let along = Ask { if_match: Some(call.if_match()?), keep, digest: None, answer };
        let decided = self.command(&self.tenant, &id, &command, &along).await;
        Ok(answer(&decided.map_err(|fault| self.fault(fault, id.as_str()))?))
    }

    pub(super) async fn rerun_run(&self, call: &Call<'_>, keep: Option<&Keep>) -> Result<Answer, Problem> {
        let id: RunId = call.path("id")?;
        let body: Rerun = call.body()?;
        let run = self.run(&id).await?;
        let workflow = self.workflow_of(&run).await.map_err(|error| self.problem(&error))?;
        let input = match &body.input {
            Some(input) => {
                check_input(&workflow, input)?;
                payload(input, "/input")?
            }
            None => run.input.clone(),
        };
        let reused = match &body.from {
            Some(from) => self.reused(&run, &workflow, from).await?,
            None => Vec::new(),
        };
        let created = CreatedEvent {
            workflow: run.workflow.clone(),
            version: run.version.clone(),
            input,
            vars: Payload::from(&Value::Object(workflow.vars.clone())),
            attributes: run.attributes.clone(),
            tags: run.tags.clone(),
            session_id: run.session_id.clone(),
            rerun_of: Some(run.id.clone()),
            priority: run.priority,
            seed: self.random_u64(),
            start_at: None,
            execution_timeout: run.execution_timeout,
        };
        let id = body.id.unwrap_or_else(|| self.new_run_id(self.now()));
        let prepared = Prepared { id, workflow, created, reused, basis: Basis::Any };
        let new = self.create_prepared(prepared, keep).await?.ok_or_else(Problem::internal)?;
        Ok(run_answer(201, &new).at(location(&new.id)))
    }

    /// The results of everything upstream of a task, which must all be there.
    async fn reused(&self, run: &Run, workflow: &Workflow, from: &TaskName) -> Result<Vec<Reused>, Problem> {
        let Some(from) = workflow.index(from.as_str()) else {
            return Err(one_fault("/from", &format!("workflow {} has no task {from}", workflow.name)));
        };
        let upstream = upstream(workflow, from);
        let reads = upstream.iter().map(|ix| tasks::by_key(run, workflow, Key::of(*ix))).collect();
        let answers = self.read(reads).await?;
        let mut reused = Vec::new();
        for (ix, rows) in upstream.into_iter().zip(answers) {
            let stored = rows.into_iter().next().map(tasks::read_instance).transpose();
            let instance = stored.map_err(|error| self.problem(&error))?.map(|(_, instance)| instance);
            match instance {
                Some(instance) if instance.phase == TaskPhase::Completed => {
                    let output = instance.output.unwrap_or_else(Payload::null);
                    reused.push(Reused { task: ix, output, from: run.id.clone() });
                }
                _ => {
                    let name = &workflow.task(ix).name;
                    let detail = format!(
                        "task {name} has no result to take over: it did not complete in run {}",
                        run.id
                    );
                    return Err(Problem::new(Slug::Conflict, detail));
                }
            }
        }
        Ok(reused)
    }

    pub(super) async fn delete_run(&self, call: &Call<'_>) -> Result<Answer, Problem> {
        let id: RunId = call.path("id")?;
        let run = self.run(&id).await?;
        call.if_match()?.require(Some(&run.revision.to_string()))?;
        if !run.is_terminal() {
            let detail = format!("run {id} is {}: cancel it before deleting it", run.status().word());
            return Err(Problem::new(Slug::RunNotFinished, detail));
        }
        if self.write(rows::delete(&run)).await? {
            self.hot.forget(&self.tenant, &id);
            return Ok(Answer::empty());
        }
        Err(Problem::unavailable(format!("run {id} changed while it was being deleted")))
    }

    fn new_run_id(&self, now: Timestamp) -> RunId {
        RunId::trusted(self.uuid(now).into())
    }

    /// A new UUID of version 7.
    pub(super) fn uuid(&self, now: Timestamp) -> String {
        let mut random = [0; 10];
        self.platform.random(&mut random);
        uuid_v7(now.as_millis(), random)
    }

    pub(super) fn random_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.platform.random(&mut bytes);
        u64::from_be_bytes(bytes)
    }

    /// The problem of a fault, its cause written to the log where clients may not see it.
    pub(super) fn fault(&self, fault: Fault, run: &str) -> Problem {
        if let Fault::Store(error) = &fault {
            return self.problem(error);
        }
        fault.of_run(run)
    }

    /// The problem of a store error, its cause written to the log.
    pub(super) fn problem(&self, error: &crate::store::StoreError) -> Problem {
        self.platform.log("error", format_args!("{error}"));
        stored(error)
    }
}

/// A run with its `ETag`.
pub(super) fn run_answer(status: u16, run: &Run) -> Answer {
    Answer::json(status, &RunShape::from(run)).of_version(run.revision.to_string())
}

fn location(id: &RunId) -> String {
    format!("/api/v1/runs/{id}")
}

/// One fault of a request body.
pub(super) fn one_fault(pointer: &str, message: &str) -> Problem {
    Problem::with_errors(Slug::MalformedRequest, vec![FieldError::new(pointer, message)])
}

/// A duration of at most [`WAIT_MAX`].
pub(super) fn bounded(wait: Duration, pointer: &str) -> Result<Duration, Problem> {
    if wait > WAIT_MAX {
        return Err(Problem::invalid_parameter(
            pointer,
            format!("expected at most {WAIT_MAX}, found {wait}"),
        ));
    }
    Ok(wait)
}

/// What schemas say of a duration of at most [`WAIT_MAX`].
pub(super) fn wait_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "string",
        "pattern": "^([0-5]?[0-9]s|60s|[0-5]?[0-9]{1,4}ms|[01]m|PT([0-5]?[0-9]|60)S)$",
        "description": "How long to wait, at most 60 s: `0s`, `500ms`, `10s`.",
    })
}

/// A value as it is stored, if it is not too long.
pub(super) fn payload(value: &Value, pointer: &str) -> Result<Payload, Problem> {
    let payload = Payload::from(value);
    if payload.byte_len() > PAYLOAD_BYTES_MAX {
        let detail = format!(
            "{pointer} has {} bytes as JSON, at most {PAYLOAD_BYTES_MAX} are taken",
            payload.byte_len()
        );
        return Err(Problem::new(Slug::PayloadTooLarge, detail));
    }
    Ok(payload)
}

fn check_input(workflow: &Workflow, input: &Value) -> Result<(), Problem> {
    let Some(schema) = &workflow.input else { return Ok(()) };
    let faults = schema.validate(input, &Pointer::from("/input"));
    if faults.is_empty() {
        return Ok(());
    }
    let errors =
        faults.into_iter().map(|fault| FieldError::new(fault.pointer.as_str(), fault.message)).collect();
    Err(Problem::with_errors(Slug::InvalidInput, errors))
}

fn attribute_faults(attributes: &Object) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if attributes.len() > ATTRIBUTES_MAX {
        errors.push(FieldError::new("/attributes", format!("expected at most {ATTRIBUTES_MAX} attributes")));
    }
    for (name, value) in attributes {
        let at = Pointer::from("/attributes").push(name);
        if !is_attribute_name(name) {
            errors.push(FieldError::new(
                at.as_str(),
                "an attribute's name must match ^[A-Za-z_][A-Za-z0-9_]{0,63}$",
            ));
        }
        let texts = |items: &[Value]| items.iter().all(|item| matches!(item, Value::String(_)));
        let fits = match value {
            Value::String(_) | Value::Int(_) | Value::Float(_) | Value::Bool(_) => true,
            Value::Array(items) => texts(items),
            Value::Null | Value::UInt(_) | Value::Bytes(_) | Value::Object(_) => false,
        };
        if !fits {
            let found = value.kind();
            let message = format!("expected a string, number, boolean or list of strings, found {found}");
            errors.push(FieldError::new(at.as_str(), message));
        }
    }
    errors
}

fn is_attribute_name(name: &str) -> bool {
    name.parse::<TaskName>().is_ok()
}

/// Everything that a task needs, directly or not, in document order.
fn upstream(workflow: &Workflow, task: TaskIx) -> Vec<TaskIx> {
    let mut seen = BTreeSet::new();
    let mut open = workflow.task(task).needs.clone();
    while let Some(ix) = open.pop() {
        if seen.insert(ix) {
            open.extend(&workflow.task(ix).needs);
        }
    }
    seen.into_iter().collect()
}

fn did_not_complete(run: &Run) -> Problem {
    let status = run.status().word();
    let failure = run.failure.as_ref();
    let why = failure.map_or(String::new(), |failure| format!(": {}", failure.message));
    let value = |failure| {
        let text = serde_json::to_vec(failure).expect("a failure is plain data");
        Value::from_json(&text).expect("our own JSON reads back")
    };
    Problem::new(Slug::RunFailed, format!("run {} is {status}{why}", run.id))
        .extra("run_status", status)
        .extra("failure", failure.map_or(Value::Null, value))
}

/// What a handler that has nothing of its own to add brings along.
pub(super) fn plain_ask<'a>(
    keep: Option<&'a Keep>,
    answer: impl Fn(&Decided) -> Answer + 'a,
) -> impl Along + 'a {
    Ask { if_match: None, keep, digest: None, answer }
}
