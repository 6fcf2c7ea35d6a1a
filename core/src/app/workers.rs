//! Workers: register, hear from, list, drain.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::http::answer::Answer;
use crate::http::call::Call;
use crate::http::page::{Cursor, FilterHash, Page};
use crate::http::problem::{FieldError, Problem, Slug};
use crate::ids::{Label, QueueName, WorkerId};
use crate::platform::Platform;
use crate::store::database::{Database, Row};
use crate::store::workers::{self, WorkerRow};
use crate::value::Value;

use super::App;
use super::request::{Keep, Stored};
use super::shapes::{OFFLINE_AFTER, WorkerShape};
use super::workflows::{ListQuery, cut};

/// A worker may name at most this many queues or labels.
const NAMES_MAX: usize = 64;

/// What `POST /workers` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Register {
    /// The worker's own choice; the same again keeps its leases.
    worker_id: WorkerId,
    /// The queues it asks on.
    #[schemars(length(min = 1, max = 64))]
    queues: Vec<QueueName>,
    /// What it carries.
    #[serde(default)]
    #[schemars(length(max = 64))]
    labels: Vec<Label>,
    /// How many tasks it runs at once.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100_000))]
    capacity: u32,
}

fn one() -> u32 {
    1
}

impl<D: Database, P: Platform> App<D, P> {
    pub(super) async fn register_worker(
        &self,
        call: &Call<'_>,
        keep: Option<&Keep>,
    ) -> Result<Answer, Problem> {
        let body: Register = call.body()?;
        check(&body)?;
        let now = self.now();
        let before = self.worker(&body.worker_id).await?;
        let row = WorkerRow {
            id: body.worker_id.clone(),
            queues: body.queues.clone(),
            labels: body.labels.clone(),
            capacity: body.capacity,
            draining: false,
            registered_at: before.as_ref().map_or(now, |row| row.registered_at),
            last_seen_at: now,
            leases: before.as_ref().map_or(0, |row| row.leases),
        };
        let status = if before.is_some() { 200 } else { 201 };
        let at = format!("/api/v1/workers/{}", body.worker_id);
        let answer = Answer::json(status, &WorkerShape::new(row, now)).at(at);
        let mut batch =
            workers::register(&self.tenant, &body.worker_id, &body.queues, &body.labels, body.capacity, now);
        if let Some(keep) = keep {
            keep.add(&mut batch, &Stored::of(&answer));
        }
        if self.write(batch).await? {
            return Ok(answer);
        }
        Err(Problem::new(Slug::IdempotencyInProgress, "the same request has just been answered; repeat it"))
    }

    pub(super) async fn get_worker(&self, call: &Call<'_>) -> Result<Answer, Problem> {
        let id: WorkerId = call.path("worker_id")?;
        let row = self.worker(&id).await?.ok_or_else(|| Problem::not_found("worker", &id))?;
        Ok(Answer::json(200, &WorkerShape::new(row, self.now())))
    }

    pub(super) async fn list_workers(&self, call: &Call<'_>) -> Result<Answer, Problem> {
        let query: ListQuery = call.query()?;
        let filters = FilterHash::of("workers");
        let before = match &query.cursor {
            None => None,
            Some(cursor) => match Cursor::decode(cursor, filters)?.as_slice() {
                [Value::Int(registered_at), Value::String(id)] => Some((*registered_at, id.clone())),
                _ => return Err(Cursor::malformed()),
            },
        };
        let before = before.as_ref().map(|(at, id)| (*at, id.as_str()));
        let limit = query.limit.get();
        let rows = self.read(vec![workers::list(&self.tenant, before, limit + 1)]).await?;
        let rows: Result<Vec<WorkerRow>, Problem> =
            rows.into_iter().flatten().map(|row| self.worker_row(row)).collect();
        let key = |row: &WorkerRow| [Value::Int(row.registered_at.as_millis()), Value::from(row.id.as_str())];
        let (rows, next) = cut(rows?, limit, |row| Cursor::encode(filters, &key(row)));
        let now = self.now();
        Ok(Answer::json(
            200,
            &Page::new(rows.into_iter().map(|row| WorkerShape::new(row, now)).collect(), next),
        ))
    }

    pub(super) async fn heartbeat_worker(&self, call: &Call<'_>) -> Result<Answer, Problem> {
        let id: WorkerId = call.path("worker_id")?;
        if !self.write(workers::seen(&self.tenant, &id, self.now())).await? {
            return Err(Problem::not_found("worker", &id));
        }
        self.get_worker(call).await
    }

    /// Gives a worker no more tasks. One that was draining already, or is offline, is forgotten once it holds
    /// no lease: any other would come back with its next claim.
    pub(super) async fn drain_worker(&self, call: &Call<'_>) -> Result<Answer, Problem> {
        let id: WorkerId = call.path("worker_id")?;
        let row = self.worker(&id).await?.ok_or_else(|| Problem::not_found("worker", &id))?;
        let gone = row.draining || self.is_past(row.last_seen_at.plus(OFFLINE_AFTER));
        self.write(workers::drain(&self.tenant, &id)).await?;
        // A claim of this worker that waits ends with nothing.
        self.desks.dismiss(&self.tenant, &id);
        self.bells.ring_all();
        if gone {
            self.write(workers::forget(&self.tenant, &id)).await?;
        }
        Ok(Answer::empty())
    }

    async fn worker(&self, id: &WorkerId) -> Result<Option<WorkerRow>, Problem> {
        let row = self.first_row(workers::by_id(&self.tenant, id)).await?;
        row.map(|row| self.worker_row(row)).transpose()
    }

    fn worker_row(&self, row: Row) -> Result<WorkerRow, Problem> {
        workers::read(row).map_err(|error| self.problem(&error))
    }
}

fn check(body: &Register) -> Result<(), Problem> {
    let mut errors = Vec::new();
    if body.queues.is_empty() || body.queues.len() > NAMES_MAX {
        let message = format!("expected 1 to {NAMES_MAX} queues, found {}", body.queues.len());
        errors.push(FieldError::new("/queues", message));
    }
    if body.labels.len() > NAMES_MAX {
        let message = format!("expected at most {NAMES_MAX} labels, found {}", body.labels.len());
        errors.push(FieldError::new("/labels", message));
    }
    if !(1..=100_000).contains(&body.capacity) {
        let message = format!("expected 1 to 100000, found {}", body.capacity);
        errors.push(FieldError::new("/capacity", message));
    }
    if errors.is_empty() { Ok(()) } else { Err(Problem::with_errors(Slug::MalformedRequest, errors)) }
}
