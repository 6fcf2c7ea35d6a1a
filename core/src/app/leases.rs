//! Reports of those who hold leases: heartbeats, outputs, failures, releases; single and many at once.

use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::engine::event::LeaseEnd;
use crate::engine::run::{Category, Failure};
use crate::engine::{Command, Decided, Key, RetryWish, RunPhase};
use crate::http::answer::{Answer, AnswerBody};
use crate::http::call::Call;
use crate::http::problem::{FieldError, Problem, Slug};
use crate::ids::{LeaseId, RunId};
use crate::planted::{self, Bug};
use crate::platform::Platform;
use crate::store::database::{Database, Outcome};
use crate::store::leases::{self, LeaseRow, Subject};
use crate::store::{runs, tasks};
use crate::time::Duration;
use crate::value::{Payload, Value};

use super::App;
use super::commit::ROWS_READ_ALONG;
use super::fault::Fault;
use super::hot::{HotRun, Kept};
use super::request::{Ask, Keep, digest};
use super::runs::payload;
use super::shapes::{Heartbeat, TaskShape};

/// One batch may hold at most this many reports.
pub(crate) const REPORTS_MAX: usize = 1000;
/// The longest message of a failure, in characters.
const MESSAGE_CHARS_MAX: usize = 4096;
/// The longest code of a failure, in characters.
const CODE_CHARS_MAX: usize = 128;

/// What `POST /leases/{lease_id}/complete` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Complete {
    /// What the task answers; null unless it is given.
    #[serde(default)]
    output: Value,
}

/// What `POST /leases/{lease_id}/fail` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fail {
    /// Why it failed.
    error: TaskError,
    /// Whether another attempt makes sense.
    #[serde(default = "yes")]
    retryable: bool,
    /// Not before this has passed; instead of the policy's delay.
    #[serde(default)]
    retry_after: Option<Duration>,
}

/// Why a task failed, in the worker's words.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TaskError {
    /// For a person.
    #[serde(deserialize_with = "message")]
    #[schemars(length(max = 4096))]
    message: String,
    /// For a program.
    #[serde(default, deserialize_with = "code")]
    #[schemars(length(max = 128))]
    code: Option<String>,
    /// Anything else.
    #[serde(default)]
    details: Value,
}

fn yes() -> bool {
    true
}

/// What `POST /leases/batch` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reports {
    /// The reports; each has an outcome of its own.
    #[schemars(length(min = 1, max = 1000))]
    items: Vec<Report>,
    /// What is told of a report that was taken.
    #[serde(default, rename = "return")]
    wanted: Wanted,
}

/// What is told of a report that was taken, in the words of RFC 7240's `Prefer: return=…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Wanted {
    /// The task as it is then, or the lease's new end.
    #[default]
    Representation,
    /// Its status alone, except for a heartbeat.
    Minimal,
}

/// One report.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Report {
    /// Extends the lease.
    Heartbeat {
        /// The lease.
        lease_id: LeaseId,
    },
    /// The task is done.
    Complete {
        /// The lease.
        lease_id: LeaseId,
        /// What it answers.
        #[serde(default)]
        output: Value,
    },
    /// The attempt failed.
    Fail {
        /// The lease.
        lease_id: LeaseId,
        /// Why.
        error: TaskError,
        /// Whether another attempt makes sense.
        #[serde(default = "yes")]
        retryable: bool,
        /// Not before this has passed.
        #[serde(default)]
        retry_after: Option<Duration>,
    },
    /// The task goes back to its queue.
    Release {
        /// The lease.
        lease_id: LeaseId,
    },
}

/// The outcomes of a batch, in the order of its reports.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outcomes {
    items: Vec<ReportOutcome>,
}

/// What became of one report.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ReportOutcome {
    /// The lease.
    lease_id: LeaseId,
    /// The status that the report would have had alone.
    status: u16,
    /// The answer, of a report that was taken.
    body: Option<Payload>,
    /// The problem's type, of one that was not.
    problem: Option<String>,
    /// The problem's words.
    detail: Option<String>,
}

/// A report that ends a lease.
pub(super) enum Ending {
    /// With this output.
    Complete(Payload),
    /// With this failure.
    Fail(Failure, RetryWish),
    /// Without counting.
    Release,
}

impl<D: Database, P: Platform> App<D, P> {
    pub(super) async fn heartbeat_lease(&self, call: &Call<'_>) -> Result<Answer, Problem> {
        Ok(Answer::json(200, &self.extend(&call.path("lease_id")?).await?))
    }

    pub(super) async fn complete_lease(
        &self,
        call: &Call<'_>,
        keep: Option<&Keep>,
    ) -> Result<Answer, Problem> {
        let body: Complete = call.body()?;
        let output = payload(&body.output, "/output")?;
        self.end_lease(&call.path("lease_id")?, Ending::Complete(output), keep, Wanted::Representation).await
    }

    pub(super) async fn fail_lease(&self, call: &Call<'_>, keep: Option<&Keep>) -> Result<Answer, Problem> {
        let ending = call.body::<Fail>()?.ending()?;
        self.end_lease(&call.path("lease_id")?, ending, keep, Wanted::Representation).await
    }

    pub(super) async fn release_lease(
        &self,
        call: &Call<'_>,
        keep: Option<&Keep>,
    ) -> Result<Answer, Problem> {
        self.end_lease(&call.path("lease_id")?, Ending::Release, keep, Wanted::Representation).await
    }

    pub(super) async fn lease_batch(&self, call: &Call<'_>) -> Result<Answer, Problem> {
        let Reports { items, wanted } = call.body()?;
        if items.is_empty() || items.len() > REPORTS_MAX {
            let message = format!("expected 1 to {REPORTS_MAX} reports, found {}", items.len());
            return Err(Problem::with_errors(
                Slug::MalformedRequest,
                vec![FieldError::new("/items", message)],
            ));
        }
        let items = join_all(items.into_iter().map(|report| Box::pin(self.report(report, wanted)))).await;
        Ok(Answer::json(200, &Outcomes { items }))
    }

    async fn report(&self, report: Report, wanted: Wanted) -> ReportOutcome {
        let (lease_id, ending) = match report {
            Report::Heartbeat { lease_id } => {
                let answer = self.extend(&lease_id).await.map(|heartbeat| Answer::json(200, &heartbeat));
                return outcome(lease_id, answer);
            }
            Report::Complete { lease_id, output } => {
                (lease_id, payload(&output, "/output").map(Ending::Complete))
            }
            Report::Fail { lease_id, error, retryable, retry_after } => {
                (lease_id, failed(error, retryable, retry_after))
            }
            Report::Release { lease_id } => (lease_id, Ok(Ending::Release)),
        };
        let answer = match ending {
            Ok(ending) => self.end_lease(&lease_id, ending, None, wanted).await,
            Err(problem) => Err(problem),
        };
        outcome(lease_id, answer)
    }

    /// Ends a lease; the same report again gets the same answer.
    pub(super) async fn end_lease(
        &self,
        id: &LeaseId,
        ending: Ending,
        keep: Option<&Keep>,
        wanted: Wanted,
    ) -> Result<Answer, Problem> {
        let digest = ending.digest();
        let (run, key, read) = match self.held(id).await {
            Some((run, key)) => (run, key, None),
            None => {
                let (row, read) = Box::pin(self.look_up(id)).await?;
                if row.ended.is_some() {
                    return Box::pin(self.ended_before(&row, &digest, wanted)).await;
                }
                let key = row.of.key.key(&read.workflow).map_err(|error| self.problem(&error))?;
                (row.of.run, key, Some(read))
            }
        };
        let answer = |decided: &Decided| task_answer(decided, key);
        let along = Ask { if_match: None, keep, digest: Some(&digest), answer };
        let command = ending.command(key, id.clone());
        let ended = self.command_on(&self.tenant, &run, &command, &along, read).await;
        match ended {
            Ok(_) if wanted == Wanted::Minimal => Ok(taken()),
            Ok(decided) => Ok(task_answer(&decided, key)),
            Err(Fault::Refused(refusal)) => {
                // The first of two equal reports may have been committed since.
                let row = Box::pin(self.lease(id)).await?;
                if row.ended.is_some() {
                    return Box::pin(self.ended_before(&row, &digest, wanted)).await;
                }
                Err(self.fault(refusal.into(), run.as_str()))
            }
            Err(Fault::NoRun) => Err(Problem::not_found("lease", id)),
            Err(fault) => Err(self.fault(fault, run.as_str())),
        }
    }

    /// What a lease is of that is held in a run kept here: then nothing need be read for a report on it. A hint, since
    /// the decision checks the lease.
    async fn held(&self, id: &LeaseId) -> Option<(RunId, Key)> {
        let (run, task, index) = id.names()?;
        let slot = self.hot.find(&self.tenant, &run)?;
        let place = slot.lock().await;
        let hot = place.as_ref()?;
        let key = Key { task: hot.workflow.index(task)?, index };
        match hot.instance(key) {
            Kept::Instance(instance) if instance.lease().is_some_and(|lease| lease.id == *id) => {
                Some((run, key))
            }
            _ => None,
        }
    }

    /// A lease with the run that it is of, in one read.
    async fn look_up(&self, id: &LeaseId) -> Result<(LeaseRow, Box<HotRun>), Problem> {
        let tenant = &self.tenant;
        let of = self.subject(id).await?;
        let reads = vec![
            leases::by_id(tenant, id, &of),
            runs::by_id(tenant, &of.run),
            tasks::few(tenant, &of.run, ROWS_READ_ALONG),
        ];
        let mut answers = self.read(reads).await?.into_iter();
        let mut next = || answers.next().unwrap_or_default();
        let (Some(lease), Some(run)) = (next().pop(), next().pop()) else {
            return Err(Problem::not_found("lease", id));
        };
        let rows = next();
        let read = async {
            let run = runs::read_run(run)?;
            let workflow = self.workflow_of(&run).await?;
            let hot = HotRun::read(run, workflow, rows, ROWS_READ_ALONG)?;
            Ok((leases::read(lease)?, Box::new(hot)))
        };
        read.await.map_err(|error| self.problem(&error))
    }

    /// The answer to a report on a lease that has ended: that of the report that ended it, if it is the same.
    async fn ended_before(&self, row: &LeaseRow, digest: &str, wanted: Wanted) -> Result<Answer, Problem> {
        let completion = row.output.as_ref().map(|output| Ending::Complete(output.clone()).digest());
        let first = row.digest.as_deref().or(completion.as_deref());
        if first != Some(digest) && !planted::is(Bug::SecondReport) {
            return Err(ended(row.ended.as_deref()));
        }
        if wanted == Wanted::Minimal {
            return Ok(taken());
        }
        let task = self.task_shape(&row.of.run, &row.of.key).await?;
        Ok(Answer::json(200, &task))
    }

    /// Extends a lease by its own ttl.
    pub(super) async fn extend(&self, id: &LeaseId) -> Result<Heartbeat, Problem> {
        let tenant = &self.tenant;
        let of = self.subject(id).await?;
        let reads =
            vec![leases::by_id(tenant, id, &of), runs::by_id(tenant, &of.run), tasks::of_lease(tenant, &of)];
        let mut answers = self.read(reads).await?.into_iter();
        let mut next = || answers.next().unwrap_or_default().pop();
        let (Some(row), Some(run)) = (next(), next()) else {
            return Err(Problem::not_found("lease", id));
        };
        let row = leases::read(row).map_err(|error| self.problem(&error))?;
        let run = runs::read_run(run).map_err(|error| self.problem(&error))?;
        let workflow = self.workflow_of(&run).await.map_err(|error| self.problem(&error))?;
        let key = of.key.key(&workflow).map_err(|error| self.problem(&error))?;
        let instance = next().map(tasks::read_instance).transpose().map_err(|error| self.problem(&error))?;
        let lease = instance.as_ref().and_then(|(_, i)| i.lease()).filter(|lease| lease.id == *id);
        let Some(lease) = lease else {
            return Err(ended(row.ended.as_deref()));
        };
        if let Some(timeout) = workflow.task(key.task).timeout
            && self.is_past(lease.granted_at.plus(timeout))
        {
            return Err(lost("the attempt's timeout has passed"));
        }
        let slot = self.slot(&self.tenant, &run.id);
        let (commit, expires_at) = {
            let mut hot = slot.lock().await;
            // By the run's own time, which does not go back with the host's clock.
            let now = self.now().max(run.updated_at);
            let batch = tasks::extend(&self.tenant, &of, lease, now);
            let expires_at = now.plus(lease.ttl).max(lease.expires_at);
            if let Some(hot) = hot.as_mut() {
                hot.extend(key, id, now, expires_at);
            }
            (self.database.write(vec![batch]), expires_at)
        };
        let outcome = commit.await;
        if !matches!(outcome.as_deref(), Ok([Outcome::Committed])) {
            *slot.lock().await = None;
        }
        match outcome.map_err(|error| self.problem(&error.into()))?.first() {
            Some(Outcome::Committed) => Ok(Heartbeat {
                lease_expires_at: expires_at,
                cancel_requested: matches!(run.phase, RunPhase::Stopping(_)),
            }),
            _ => Err(lost("it has expired")),
        }
    }

    /// The lease of this id.
    pub(super) async fn lease(&self, id: &LeaseId) -> Result<LeaseRow, Problem> {
        let of = self.subject(id).await?;
        let row = self.first_row(leases::by_id(&self.tenant, id, &of)).await?;
        let row = row.ok_or_else(|| Problem::not_found("lease", id))?;
        leases::read(row).map_err(|error| self.problem(&error))
    }

    /// What a lease is of, as far as its id can be believed.
    pub(super) async fn subject(&self, id: &LeaseId) -> Result<Subject, Problem> {
        if let Some(of) = Subject::named(id) {
            return Ok(of);
        }
        let row = self.first_row(leases::subject(&self.tenant, id)).await?;
        let row = row.ok_or_else(|| Problem::not_found("lease", id))?;
        leases::read_subject(row).map_err(|error| self.problem(&error))
    }

    /// A task instance as the database has it.
    pub(super) async fn task_shape(
        &self,
        run: &crate::ids::RunId,
        row_key: &tasks::RowKey,
    ) -> Result<TaskShape, Problem> {
        let row = self.first_row(runs::by_id(&self.tenant, run)).await?;
        let row = row.ok_or_else(|| Problem::not_found("run", run))?;
        let run = runs::read_run(row).map_err(|error| self.problem(&error))?;
        let workflow = self.workflow_of(&run).await.map_err(|error| self.problem(&error))?;
        let key = row_key.key(&workflow).map_err(|error| self.problem(&error))?;
        let stored = self.first_row(tasks::by_key(&run, &workflow, key)).await?;
        match stored.map(tasks::read_instance).transpose().map_err(|error| self.problem(&error))? {
            Some((_, instance)) => Ok(TaskShape::new(&run.id, workflow.task(key.task), key, &instance)),
            None => Ok(TaskShape::unreached(&run, &workflow, key)),
        }
    }
}

impl Fail {
    /// What a failure makes of its attempt.
    pub(super) fn ending(self) -> Result<Ending, Problem> {
        failed(self.error, self.retryable, self.retry_after)
    }
}

impl Ending {
    fn digest(&self) -> String {
        match self {
            Ending::Complete(output) => digest(&["complete", output.as_str()]),
            Ending::Fail(failure, wish) => {
                let failure = serde_json::to_string(failure).expect("a failure is plain data");
                digest(&["fail", &failure, &format!("{wish:?}")])
            }
            Ending::Release => digest(&["release"]),
        }
    }

    fn command(self, key: Key, lease: LeaseId) -> Command {
        match self {
            Ending::Complete(output) => Command::Complete { key, lease, output },
            Ending::Fail(failure, retry) => Command::Fail { key, lease, failure, retry },
            Ending::Release => Command::Release { key, lease },
        }
    }
}

/// The refusal of what a worker says on a lease that is lost.
pub(super) fn lost(why: &str) -> Problem {
    Problem::new(Slug::LeaseLost, format!("the lease is no longer held: {why}"))
}

/// The refusal where the lease has ended, by the word of its end.
pub(super) fn ended(word: Option<&str>) -> Problem {
    lost(match word.and_then(LeaseEnd::of_word) {
        Some(LeaseEnd::Completed) => "its attempt has completed",
        Some(LeaseEnd::Failed) => "its attempt has failed",
        Some(LeaseEnd::Released) => "it was released",
        Some(LeaseEnd::Cancelled) => "its run was stopped",
        None => "it has ended",
    })
}

fn message<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    short(String::deserialize(deserializer)?, MESSAGE_CHARS_MAX)
}

fn code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::<String>::deserialize(deserializer)?.map(|text| short(text, CODE_CHARS_MAX)).transpose()
}

fn short<E: de::Error>(text: String, chars_max: usize) -> Result<String, E> {
    match text.chars().count() {
        count if count > chars_max => {
            Err(E::custom(format!("expected at most {chars_max} characters, found {count}")))
        }
        _ => Ok(text),
    }
}

fn failed(error: TaskError, retryable: bool, retry_after: Option<Duration>) -> Result<Ending, Problem> {
    payload(&error.details, "/error/details")?;
    let TaskError { message, code, details } = error;
    let failure = Failure { category: Category::Application, message, code, task: None, details };
    let wish = match (retryable, retry_after) {
        (false, _) => RetryWish::Never,
        (true, Some(after)) => RetryWish::After(after),
        (true, None) => RetryWish::Policy,
    };
    Ok(Ending::Fail(failure, wish))
}

fn task_answer(decided: &Decided, key: Key) -> Answer {
    match TaskShape::of(&decided.after, key) {
        Some(task) => Answer::json(200, &task),
        None => Answer::empty(),
    }
}

/// That a report was taken, and no more.
fn taken() -> Answer {
    Answer { status: 200, ..Answer::empty() }
}

fn outcome(lease_id: LeaseId, answer: Result<Answer, Problem>) -> ReportOutcome {
    match answer {
        Ok(answer) => {
            let body = match answer.body {
                AnswerBody::Json(payload) => Some(payload),
                AnswerBody::Empty | AnswerBody::Text { .. } | AnswerBody::Bytes { .. } => None,
            };
            ReportOutcome { lease_id, status: answer.status, body, problem: None, detail: None }
        }
        Err(problem) => ReportOutcome {
            lease_id,
            status: problem.status(),
            body: None,
            problem: Some(format!("/problems/{}", problem.slug.slug())),
            detail: Some(problem.detail),
        },
    }
}
