//! Claims: a worker asks on its queues and gets leases, at once or as soon as there is something.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, join_all, select};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::{Command, Decided, Grant, Key, What};
use crate::http::answer::Answer;
use crate::http::call::Call;
use crate::http::problem::{FieldError, Problem, Slug};
use crate::ids::{Label, LeaseId, QueueName, RequestKey, RunId, TenantId, WorkerId};
use crate::platform::Platform;
use crate::store::claims::Candidate;
use crate::store::database::{Batch, Database};
use crate::store::leases::{self, LeaseRow};
use crate::store::projection::Extras;
use crate::store::{StoreError, checkpoints, tasks};
use crate::time::{Duration, Timestamp};
use crate::value::Payload;
use crate::workflow::model::TaskIx;

use super::App;
use super::bells::Topic;
use super::commit::Along;
use super::desks::Waiting;
use super::fault::Fault;
use super::hot::HotRun;
use super::look::{Claimant, Note};
use super::runs::{bounded, wait_schema};
use super::shapes::ClaimedTask;

/// One claim grants at most this many leases.
pub(crate) const CLAIM_TASKS_MAX: u32 = 1000;
/// A lease lasts at least this long without a heartbeat.
pub(crate) const LEASE_TTL_MIN: Duration = Duration::from_secs(1);
/// A lease lasts at most this long without a heartbeat.
pub(crate) const LEASE_TTL_MAX: Duration = Duration::from_secs(3600);
/// A claim may name at most this many queues.
const QUEUES_MAX: usize = 64;

/// What `POST /tasks/claim` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Claim {
    /// Who asks.
    worker_id: WorkerId,
    /// On which queues.
    #[schemars(length(min = 1, max = 64))]
    queues: Vec<QueueName>,
    /// What the worker carries: it gets only tasks whose labels are all among these.
    #[serde(default)]
    labels: Vec<Label>,
    /// How many leases it takes at the most.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    max_tasks: u32,
    /// How long to wait for something to become ready; at most 60 s.
    #[serde(default)]
    #[schemars(schema_with = "wait_schema")]
    wait: Duration,
    /// How long a lease lasts without a heartbeat: 1 s to 1 h.
    #[serde(default = "thirty_seconds")]
    #[schemars(schema_with = "ttl_schema")]
    lease_ttl: Duration,
    /// The caller's id of this claim: the same again gives the same leases.
    #[serde(default)]
    claim_id: Option<RequestKey>,
}

/// What a claim is answered with.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Claimed {
    /// The leases; empty when the wait is over.
    tasks: Vec<ClaimedTask>,
}

fn one() -> u32 {
    1
}

fn ttl_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "string",
        "pattern": "^([1-9][0-9]{0,2}s|[1-9][0-9]{3,5}ms|[1-5]?[1-9]m|1h|PT[1-5]?[1-9][SM])$",
        "default": "30s",
        "description": "How long a lease lasts without a heartbeat: 1 s to 1 h.",
    })
}

fn thirty_seconds() -> Duration {
    Duration::from_secs(30)
}

/// A claim after its checks, also that of an executor of this server.
pub(super) struct Asked<'a> {
    pub(super) tenant: &'a TenantId,
    pub(super) worker: &'a WorkerId,
    pub(super) queues: Vec<Arc<str>>,
    pub(super) labels: Vec<String>,
    pub(super) max_tasks: usize,
    pub(super) lease_ttl: Duration,
    pub(super) claim_id: Option<&'a RequestKey>,
    /// What is to be written down of the worker; nothing of an executor of this server.
    pub(super) note: Option<Note<'a>>,
}

/// What goes along with the grants of a claim.
struct Claiming {
    claims: Vec<(LeaseId, RequestKey)>,
    presence: Option<Batch>,
}

impl Along for Claiming {
    fn add(&self, _: &Decided, batch: &mut Batch) {
        batch.writes.extend(self.presence.iter().flat_map(|presence| presence.writes.clone()));
    }

    fn extras(&self) -> Extras<'_> {
        Extras { claims: &self.claims, ..Extras::default() }
    }
}

/// What a claim comes to.
pub(super) enum Granted {
    /// These leases, none if nothing is ready.
    Tasks(Vec<ClaimedTask>),
    /// The worker is to get no more.
    Draining,
}

/// Leases that were granted and have not reached anybody: they go back when this is dropped.
struct Undelivered<'a> {
    desks: &'a super::desks::Desks,
    alarm: &'a super::alarm::Alarm,
    leases: Vec<LeaseId>,
}

impl Drop for Undelivered<'_> {
    fn drop(&mut self) {
        self.desks.orphan(self.alarm, self.leases.drain(..));
    }
}

impl<D: Database, P: Platform> App<D, P> {
    pub(super) async fn claim_tasks(&self, call: &Call<'_>) -> Result<Answer, Problem> {
        let body: Claim = call.body()?;
        check(&body)?;
        let wait = bounded(body.wait, "/wait")?;
        if let Some(claim_id) = &body.claim_id {
            let tasks = self.granted_before(&body.worker_id, claim_id).await?;
            if !tasks.is_empty() {
                return Ok(Answer::json(200, &Claimed { tasks }));
            }
        }
        let asked = Asked {
            tenant: &self.tenant,
            worker: &body.worker_id,
            queues: body.queues.iter().map(QueueName::text).collect(),
            labels: body.labels.iter().map(Label::to_string).collect(),
            max_tasks: body.max_tasks as usize,
            lease_ttl: body.lease_ttl,
            claim_id: body.claim_id.as_ref(),
            note: Some(Note { queues: &body.queues, labels: &body.labels, capacity: body.max_tasks }),
        };
        let tasks = self.claim_within(&asked, wait).await?;
        Ok(Answer::json(200, &Claimed { tasks }))
    }

    /// Claims, and waits for something to claim.
    async fn claim_within(&self, asked: &Asked<'_>, wait: Duration) -> Result<Vec<ClaimedTask>, Problem> {
        let topic = |queue: &Arc<str>| Topic::Queue(asked.tenant.clone(), queue.clone());
        let listening = self.bells.listen(asked.queues.iter().map(topic).collect());
        let mut over = std::pin::pin!(self.wait_over(wait));
        loop {
            let ears = listening.ears();
            let early = self.open_early(asked, wait);
            let granted = self.claim_now(asked, early.as_ref()).await;
            let mut tasks = match granted.map_err(|fault| self.fault(fault, ""))? {
                Granted::Tasks(tasks) => tasks,
                Granted::Draining => return Ok(close(early).await),
            };
            if !tasks.is_empty() || wait == Duration::ZERO {
                tasks.extend(close(early).await);
                return Ok(tasks);
            }
            // What became ready after the look and before the desk was open has rung.
            let desk = early.unwrap_or_else(|| self.desks.open(&self.alarm, asked, asked.max_tasks));
            let rings = match select(pin!(desk.served()), pin!(self.any_rings(ears, over.as_mut()))).await {
                Either::Left(_) => true,
                Either::Right((rings, _)) => rings,
            };
            let tasks = desk.close().await;
            if !tasks.is_empty() || !rings {
                return Ok(tasks);
            }
        }
    }

    /// Opens a desk before the look at the queues, where nothing is left in them: what becomes ready meanwhile is
    /// nobody else's turn.
    fn open_early(&self, asked: &Asked<'_>, wait: Duration) -> Option<Waiting<'_>> {
        let may = wait > Duration::ZERO
            && !self.settings.shared
            && self.queues.are_drained(asked.tenant, &asked.queues, &asked.labels);
        let desk = may.then(|| self.desks.open(&self.alarm, asked, asked.max_tasks));
        desk.filter(|_| self.desks.is_welcome(asked.tenant, asked.worker))
    }

    /// Grants what is ready now. With a desk that is open already, within its room.
    pub(super) async fn claim_now(
        &self,
        asked: &Asked<'_>,
        early: Option<&Waiting<'_>>,
    ) -> Result<Granted, Fault> {
        loop {
            let freed = self.queues.freed();
            let left = self.queues.left(asked.tenant, &asked.queues);
            let looked = self.look(asked).await?;
            let mut presence = match looked.claimant {
                Claimant::Draining => return Ok(Granted::Draining),
                Claimant::Welcome(presence) => {
                    self.desks.welcome(asked.tenant, asked.worker);
                    presence
                }
                Claimant::Own => None,
            };
            let room = match early {
                Some(desk) => desk.take_room(looked.candidates.len()),
                None => asked.max_tasks,
            };
            if looked.is_all && looked.candidates.len() <= room {
                self.queues.drain(asked.tenant, &asked.queues, &asked.labels, left);
            }
            if let (Some(desk), 0) = (early, room)
                && !looked.candidates.is_empty()
                && !desk.settled().await
            {
                // All that was promised was given up: there may be more than this look has found.
                continue;
            }
            if !looked.candidates.is_empty() && room > 0 {
                // A claim that takes all there is takes what becomes ready meanwhile, too: otherwise a worker
                // that is always a little late would never be waited on.
                let more = asked.max_tasks.saturating_sub(looked.candidates.len());
                let opens = asked.note.is_some() && early.is_none() && more > 0;
                let desk = opens.then(|| self.desks.open(&self.alarm, asked, more));
                let (taken, _reserved) = self.queues.reserve(asked.tenant, looked.candidates, room);
                if let Some(desk) = early {
                    desk.give_room(room - taken.len());
                }
                let (is_late, wanted) = (taken.is_empty(), taken.len());
                let mut tasks = match is_late {
                    true => Vec::new(),
                    false => self.grant(asked, taken, looked.runs, presence.take()).await?,
                };
                if let Some(desk) = early {
                    // What was lost to a race is looked for again.
                    desk.give_room(wanted - tasks.len());
                }
                tasks.extend(close(desk).await);
                if tasks.is_empty() && is_late {
                    // Other claims are taking all of these: there may be more behind them, and no bell rings
                    // for what they leave.
                    freed.await;
                }
                if tasks.is_empty() {
                    continue;
                }
                return Ok(Granted::Tasks(tasks));
            }
            if let Some(presence) = presence {
                self.database.write(vec![presence]).await?;
            }
            return Ok(Granted::Tasks(Vec::new()));
        }
    }

    /// Grants leases for these, one commit for each run; what was lost to a race drops out.
    async fn grant(
        &self,
        asked: &Asked<'_>,
        taken: Vec<Candidate>,
        mut read: HashMap<RunId, HotRun>,
        mut presence: Option<Batch>,
    ) -> Result<Vec<ClaimedTask>, Fault> {
        let mut by_run: BTreeMap<RunId, Vec<Candidate>> = BTreeMap::new();
        for candidate in taken {
            by_run.entry(candidate.run.clone()).or_default().push(candidate);
        }
        let mut undelivered = Undelivered { desks: &self.desks, alarm: &self.alarm, leases: Vec::new() };
        let mut grants = Vec::new();
        for (run, candidates) in by_run {
            let lease = |of: &Candidate| LeaseId::of(&run, &of.key.task, of.key.index, self.random_u64());
            let leases: Vec<LeaseId> = candidates.iter().map(lease).collect();
            undelivered.leases.extend(leases.iter().cloned());
            let claims =
                asked.claim_id.map(|claim| leases.iter().map(|lease| (lease.clone(), claim.clone())));
            let along =
                Claiming { claims: claims.into_iter().flatten().collect(), presence: presence.take() };
            let read = read.remove(&run).map(Box::new);
            // Boxed, as everything that is joined: a join moves its futures.
            grants.push(Box::pin(self.grant_in_run(asked, run, candidates, leases, read, along)));
        }
        let mut tasks: Vec<ClaimedTask> = Vec::new();
        let mut failed = None;
        for outcome in join_all(grants).await {
            match outcome {
                Ok((decided, checkpoints)) => tasks.extend(self.claimed(&decided, &checkpoints).await?),
                Err(
                    Fault::Refused(_)
                    | Fault::NoRun
                    | Fault::Contended
                    | Fault::Repeated
                    | Fault::Condition(_),
                ) => {}
                Err(error @ Fault::Store(_)) => failed = Some(error),
            }
        }
        // After a failure nobody knows what was granted. Whoever gave the claim an id asks for it again, but not
        // after an answer.
        let asks_again = asked.claim_id.is_some() && tasks.is_empty();
        let in_doubt = failed.is_some() && !asks_again;
        undelivered.leases.retain(|lease| in_doubt && !tasks.iter().any(|task| task.lease_id == *lease));
        match failed {
            Some(error) if tasks.is_empty() => Err(error),
            _ => Ok(tasks),
        }
    }

    async fn grant_in_run(
        &self,
        asked: &Asked<'_>,
        run: RunId,
        candidates: Vec<Candidate>,
        leases: Vec<LeaseId>,
        read: Option<Box<HotRun>>,
        along: Claiming,
    ) -> Result<(Decided, BTreeSet<Key>), Fault> {
        let workflow = match &read {
            Some(read) => read.workflow.clone(),
            None => self.workflow_of_run(asked.tenant, &run).await?,
        };
        let mut grants: Vec<(Key, Grant)> = Vec::new();
        let mut with_checkpoints = BTreeSet::new();
        for (candidate, id) in candidates.iter().zip(leases) {
            let grant = Grant { id, worker: asked.worker.clone(), ttl: asked.lease_ttl };
            let key = candidate.key.key(&workflow)?;
            if candidate.checkpoints > 0 {
                with_checkpoints.insert(key);
            }
            grants.push((key, grant));
        }
        let decided = self.command_on(asked.tenant, &run, &Command::Grant(grants), &along, read).await?;
        Ok((decided, with_checkpoints))
    }

    /// What the worker is told of the leases that a decision granted.
    pub(super) async fn claimed(
        &self,
        decided: &Decided,
        with_checkpoints: &BTreeSet<Key>,
    ) -> Result<Vec<ClaimedTask>, Fault> {
        let slice = &decided.after;
        let granted = decided.events.iter().filter_map(|event| match &event.what {
            What::TaskStarted { task, .. } => Some(task.key(&slice.workflow)),
            _ => None,
        });
        let mut claimed = Vec::new();
        for key in granted {
            let task = slice.task(key);
            let checkpoints = match with_checkpoints.contains(&key) {
                true => Box::pin(self.checkpoints_of(slice, key)).await?,
                false => BTreeMap::new(),
            };
            let Some(instance) = slice.get(key) else { continue };
            let Some(lease) = instance.lease() else { continue };
            let attempt_ends = task.timeout.map(|timeout| lease.granted_at.plus(timeout));
            claimed.push(ClaimedTask {
                lease_id: lease.id.clone(),
                run_id: slice.run.id.clone(),
                workflow: slice.run.workflow.clone(),
                task: task.name.to_string(),
                index: key.index,
                queue: tasks::queue(task).unwrap_or_default().to_owned(),
                attempt: instance.attempt,
                input: instance.input.clone().unwrap_or_else(Payload::null),
                upstream: upstream(slice, key),
                checkpoints,
                deadline: [attempt_ends, instance.total_deadline(task)].into_iter().flatten().min(),
                lease_expires_at: lease.expires_at,
                grace: task.grace,
            });
        }
        Ok(claimed)
    }

    /// What the attempts of an instance have remembered.
    async fn checkpoints_of(
        &self,
        slice: &crate::engine::Slice,
        key: Key,
    ) -> Result<BTreeMap<String, Payload>, Fault> {
        let (run, task) = (&slice.run, slice.task(key));
        let read = checkpoints::of_instance(&run.tenant, &run.id, task.name.as_str(), key.index);
        let rows = self.database.read(vec![read]).await?.into_iter().next();
        Ok(checkpoints::read_all(rows.unwrap_or_default())?)
    }

    /// The leases that an earlier claim of this id was answered with, as far as they are still held.
    async fn granted_before(
        &self,
        worker: &WorkerId,
        claim: &RequestKey,
    ) -> Result<Vec<ClaimedTask>, Problem> {
        let rows = self.read(vec![leases::of_claim(&self.tenant, worker, claim)]).await?;
        let rows: Result<Vec<LeaseRow>, StoreError> = rows.into_iter().flatten().map(leases::read).collect();
        let rows = rows.map_err(|error| self.problem(&error))?;
        let mut tasks = Vec::new();
        for row in rows.into_iter().filter(|row| row.ended.is_none()) {
            if let Some(task) = self.claimed_again(&row).await.map_err(|fault| self.fault(fault, ""))? {
                tasks.push(task);
            }
        }
        Ok(tasks)
    }

    async fn claimed_again(&self, row: &LeaseRow) -> Result<Option<ClaimedTask>, Fault> {
        let rows = self.database.read(vec![crate::store::runs::by_id(&self.tenant, &row.of.run)]).await?;
        let Some(run) = rows.into_iter().flatten().next() else { return Ok(None) };
        let run = crate::store::runs::read_run(run)?;
        let workflow = self.workflow_of(&run).await?;
        let key = row.of.key.key(&workflow)?;
        let rows = self.database.read(vec![tasks::by_key(&run, &workflow, key)]).await?;
        let Some(stored) = rows.into_iter().flatten().next() else { return Ok(None) };
        let (_, instance) = tasks::read_instance(stored)?;
        let Some(lease) = instance.lease().filter(|lease| lease.id == row.id).cloned() else {
            return Ok(None);
        };
        let at = instance.started_at.unwrap_or(lease.granted_at);
        let needs: Vec<Key> = workflow.task(key.task).needs.iter().map(|ix| Key::of(*ix)).collect();
        let reads = needs.iter().map(|need| tasks::by_key(&run, &workflow, *need)).collect();
        let answers = self.database.read(reads).await?;
        let mut slice = crate::engine::Slice::new(run, workflow);
        for (need, rows) in needs.into_iter().zip(answers) {
            let stored = rows.into_iter().next().map(tasks::read_instance).transpose()?;
            slice.load(need, stored.map(|(_, instance)| instance));
        }
        let task = crate::engine::TaskRef::new(&slice.workflow, key);
        let attempt = instance.attempt;
        slice.load(key, Some(instance));
        let events = vec![crate::engine::Event { at, what: What::TaskStarted { task, attempt, lease } }];
        let decided = Decided { events, after: slice, repeated: crate::engine::Repeated::Yes };
        Ok(self.claimed(&decided, &BTreeSet::from([key])).await?.pop())
    }

    pub(super) async fn workflow_of_run(
        &self,
        tenant: &TenantId,
        run: &RunId,
    ) -> Result<Arc<crate::workflow::model::Workflow>, Fault> {
        if let Some(hot) = self.slot(tenant, run).lock().await.as_ref() {
            return Ok(hot.workflow.clone());
        }
        let rows = self.database.read(vec![crate::store::runs::version_of(tenant, run)]).await?;
        let row = rows.into_iter().flatten().next().ok_or(Fault::NoRun)?;
        let version = crate::store::runs::read_version(row)?;
        Ok(self.compiled(tenant, &version).await?)
    }

    /// Whether this instant lies at or behind another.
    pub(super) fn is_past(&self, time: Timestamp) -> bool {
        time <= self.now()
    }
}

/// What a desk has been served by the time that it is closed.
async fn close(desk: Option<Waiting<'_>>) -> Vec<ClaimedTask> {
    match desk {
        Some(desk) => desk.close().await,
        None => Vec::new(),
    }
}

/// The outputs of the tasks that an instance needs, which are loaded with a grant.
fn upstream(slice: &crate::engine::Slice, key: Key) -> BTreeMap<String, Option<Payload>> {
    let needs = slice.task(key).needs.iter();
    let output = |ix: &TaskIx| slice.get(Key::of(*ix)).and_then(|instance| instance.output.clone());
    needs.map(|ix| (slice.workflow.task(*ix).name.to_string(), output(ix))).collect()
}

fn check(body: &Claim) -> Result<(), Problem> {
    let mut errors = Vec::new();
    if body.queues.is_empty() || body.queues.len() > QUEUES_MAX {
        errors.push(FieldError::new(
            "/queues",
            format!("expected 1 to {QUEUES_MAX} queues, found {}", body.queues.len()),
        ));
    }
    if !(1..=CLAIM_TASKS_MAX).contains(&body.max_tasks) {
        errors.push(FieldError::new(
            "/max_tasks",
            format!("expected 1 to {CLAIM_TASKS_MAX}, found {}", body.max_tasks),
        ));
    }
    if !(LEASE_TTL_MIN..=LEASE_TTL_MAX).contains(&body.lease_ttl) {
        let message = format!("expected {LEASE_TTL_MIN} to {LEASE_TTL_MAX}, found {}", body.lease_ttl);
        errors.push(FieldError::new("/lease_ttl", message));
    }
    if errors.is_empty() { Ok(()) } else { Err(Problem::with_errors(Slug::MalformedRequest, errors)) }
}
