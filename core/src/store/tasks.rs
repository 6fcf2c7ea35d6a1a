//! The row of a task instance.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::engine::{Event, Instance, Key, Lease, Run, RunPhase, Skip, Slice, TaskPhase, Wait, What};
use crate::ids::{LeaseId, RunId, TenantId, WorkerId};
use crate::planted::{self, Bug};
use crate::time::{Duration, Timestamp};
use crate::workflow::model::{Kind, Task, Workflow};

use super::StoreError;
use super::columns::{Columns, element_cell, json_cell};
use super::database::{Batch, Cell, Row, Statement};
use super::leases::Subject;

/// The columns of an instance, in the order that [`read_instance`] takes, after `task` and `idx`.
macro_rules! columns {
    () => {
        "task, idx, status, unmet, attempt, attempts_before, input, output, failure, detail, lease_id, \
         worker_id, lease_ttl, granted_at, lease_expires_at, since, ready_at, started_at, finished_at"
    };
}

/// The columns, for lists.
pub(crate) const COLUMNS: &str = columns!();

/// Payloads longer than this are not read along with the rows of a whole run.
const FEW_PAYLOAD_BYTES_MAX: i64 = 16 << 10;

/// The same columns without long payloads, and whether any was left out.
macro_rules! few_columns {
    () => {
        "task, idx, status, unmet, attempt, attempts_before, \
         CASE WHEN octet_length(input) <= ?3 THEN input END, \
         CASE WHEN octet_length(output) <= ?3 THEN output END, failure, detail, lease_id, worker_id, \
         lease_ttl, granted_at, lease_expires_at, since, ready_at, started_at, finished_at, \
         coalesce(octet_length(input) > ?3, 0) OR coalesce(octet_length(output) > ?3, 0)"
    };
}

/// The first instances of a run, as many as `limit`.
pub(crate) fn few(tenant: &TenantId, run: &RunId, limit: usize) -> Statement {
    const SQL: &str = concat!(
        "SELECT ",
        few_columns!(),
        " FROM tasks WHERE tenant = ?1 AND run_id = ?2 ORDER BY task, idx LIMIT ?4"
    );
    Statement::new(SQL, few_params(tenant, run.text().into(), limit))
}

/// The first instances of the runs whose tasks are at the head of a lane, by run, each row after its run's
/// id: `limit` rows of the runs of `heads` tasks.
pub(crate) fn few_of_heads(tenant: &TenantId, lane: &Arc<str>, heads: usize, limit: usize) -> Statement {
    const SQL: &str = concat!(
        "SELECT run_id, ",
        few_columns!(),
        " FROM tasks WHERE tenant = ?1 AND run_id IN (SELECT run_id FROM tasks WHERE tenant = ?1 AND \
         lane = ?2 AND status = 'ready' AND parked = 0 ORDER BY priority DESC, fair_order LIMIT ?5) \
         ORDER BY run_id, task, idx LIMIT ?4"
    );
    let mut params = few_params(tenant, Cell::Text(lane.clone()), limit);
    params.push(Cell::Integer(heads as i64));
    Statement::new(SQL, params)
}

fn few_params(tenant: &TenantId, of: Cell, limit: usize) -> Vec<Cell> {
    vec![tenant.text().into(), of, FEW_PAYLOAD_BYTES_MAX.into(), Cell::Integer(limit as i64)]
}

/// Reads a row of [`few`]; nothing if its payloads are too long to be read along.
pub(crate) fn read_few(row: Row) -> Result<Option<(RowKey, Instance)>, StoreError> {
    let mut row = row;
    let is_cut = row.pop().and_then(|cell| cell.as_i64()) != Some(0);
    if is_cut { Ok(None) } else { read_instance(row).map(Some) }
}

/// The instance that a lease is of.
pub(crate) fn of_lease(tenant: &TenantId, of: &Subject) -> Statement {
    let [run, task, index] = of.cells();
    Statement::new(BY_KEY, vec![tenant.text().into(), run, task, index])
}

/// One instance.
pub(crate) fn by_key(run: &Run, workflow: &Workflow, key: Key) -> Statement {
    let mut params = vec![run.tenant.text().into(), run.id.text().into()];
    params.extend(key_cells(workflow, key));
    Statement::new(BY_KEY, params)
}

const BY_KEY: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM tasks WHERE tenant = ?1 AND run_id = ?2 AND task = ?3 AND idx = ?4"
);

/// Every instance of a run that is under a lease.
pub(crate) fn running(run: &Run) -> Statement {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM tasks WHERE tenant = ?1 AND run_id = ?2 AND status = 'running'"
    );
    Statement::new(SQL, vec![run.tenant.text().into(), run.id.text().into()])
}

/// Every instance of a run that has ended without completing.
pub(crate) fn unsuccessful(run: &Run) -> Statement {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM tasks WHERE tenant = ?1 AND run_id = ?2 AND status IN ('failed', 'skipped', 'cancelled')"
    );
    Statement::new(SQL, vec![run.tenant.text().into(), run.id.text().into()])
}

/// Which instance of its run a row is about.
#[derive(Debug, Clone)]
pub(crate) struct RowKey {
    /// The task's name.
    pub(crate) task: Arc<str>,
    /// The element.
    pub(crate) index: Option<u32>,
}

impl RowKey {
    pub(crate) fn read(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(Self { task: columns.text()?, index: u32::try_from(columns.int()?).ok() })
    }

    /// The instance in the run's version of the workflow.
    pub(crate) fn key(&self, workflow: &Workflow) -> Result<Key, StoreError> {
        let task = workflow.index(&self.task).ok_or_else(|| {
            StoreError::Corrupt(format!(
                "table tasks: version {} has no task {:?}",
                workflow.version, self.task
            ))
        })?;
        Ok(Key { task, index: self.index })
    }
}

/// Reads a row of [`COLUMNS`].
pub(crate) fn read_instance(row: Row) -> Result<(RowKey, Instance), StoreError> {
    let mut columns = Columns::of(row, "tasks");
    let c = &mut columns;
    let key = RowKey::read(c)?;
    let status = c.text()?;
    let (unmet, attempt, attempts_before) = (c.small()?, c.small()?, c.small()?);
    let attempts_before = if planted::is(Bug::AttemptsForgotten) { attempt } else { attempts_before };
    let (input, output, failure) = (c.payload_or_null()?, c.payload_or_null()?, c.json_or_null()?);
    let detail = c.text_or_null()?;
    let lease = read_lease(c)?;
    let since = c.time_or_null()?;
    let (ready_at, started_at, finished_at) = (c.time_or_null()?, c.time_or_null()?, c.time_or_null()?);
    let phase = read_phase(c, &status, detail.as_deref(), lease, since)?;
    let instance = Instance {
        phase,
        unmet,
        attempt,
        attempts_before,
        input,
        output,
        failure,
        ready_at,
        started_at,
        finished_at,
    };
    Ok((key, instance))
}

fn read_lease(c: &mut Columns) -> Result<Option<Lease>, StoreError> {
    let (id, worker) = (c.text_or_null()?, c.text_or_null()?);
    let (ttl, granted_at, expires_at) = (c.int_or_null()?, c.time_or_null()?, c.time_or_null()?);
    let (Some(id), Some(worker), Some(ttl), Some(granted_at), Some(expires_at)) =
        (id, worker, ttl, granted_at, expires_at)
    else {
        return Ok(None);
    };
    let (id, worker) = (LeaseId::trusted(id), WorkerId::trusted(worker));
    Ok(Some(Lease { id, worker, granted_at, ttl: Duration::from_millis(ttl as u64), expires_at }))
}

fn read_phase(
    columns: &Columns,
    status: &str,
    detail: Option<&str>,
    lease: Option<Lease>,
    since: Option<Timestamp>,
) -> Result<TaskPhase, StoreError> {
    let wrong = || columns.corrupt(&format!("a task with the status {status:?} and the detail {detail:?}"));
    match status {
        "pending" => Ok(TaskPhase::Pending),
        "ready" => Ok(TaskPhase::Ready { since: since.ok_or_else(wrong)? }),
        "running" => Ok(TaskPhase::Running(lease.ok_or_else(wrong)?)),
        "waiting" => {
            let wait: Wait = serde_json::from_str(detail.ok_or_else(wrong)?).map_err(|_| wrong())?;
            Ok(TaskPhase::Waiting(wait))
        }
        "completed" => Ok(TaskPhase::Completed),
        "failed" => Ok(TaskPhase::Failed),
        "skipped" => {
            let skip: Skip = serde_json::from_str(detail.ok_or_else(wrong)?).map_err(|_| wrong())?;
            Ok(TaskPhase::Skipped(skip))
        }
        "cancelled" => Ok(TaskPhase::Cancelled),
        _ => Err(wrong()),
    }
}

/// The place in its queue of each instance that becomes ready; one that was ready before keeps its own.
pub(crate) type FairOrders = BTreeMap<Key, i64>;

/// Writes every instance that the slice's events have touched, as it is now.
pub(crate) fn upsert_touched(batch: &mut Batch, slice: &Slice, events: &[Event], orders: &FairOrders) {
    let workflow = &slice.workflow;
    let complete: BTreeSet<Key> =
        events.iter().filter_map(|event| completed(&event.what, workflow)).collect();
    let payloads = events.iter().filter_map(|event| match &event.what {
        What::TaskReady { task, input: Some(_) } | What::TaskWaiting { task, input: Some(_), .. } => {
            Some((task.key(workflow), Payloads::INPUT))
        }
        What::TaskCompleted { task, .. } => Some((task.key(workflow), Payloads::OUTPUT)),
        _ => None,
    });
    let mut changed: BTreeMap<Key, Payloads> = BTreeMap::new();
    for (key, payload) in payloads {
        changed.entry(key).or_default().add(payload);
    }
    for (key, instance) in slice.touched() {
        let order = orders.get(&key).copied();
        if complete.contains(&key) {
            complete_leased(batch, slice, key, instance);
        } else if slice.is_stored(key) {
            update(batch, slice, key, instance, order, changed.remove(&key).unwrap_or_default());
        } else {
            upsert(batch, slice, key, instance, order);
        }
    }
}

/// The instance that an event completes under a lease.
fn completed(what: &What, workflow: &Workflow) -> Option<Key> {
    match what {
        What::TaskCompleted { task, lease_id: Some(_), .. } => Some(task.key(workflow)),
        _ => None,
    }
}

/// Writes that an instance is complete which was under a lease. The row keeps the lease, by which the same report is
/// known when it comes again; of the rest nothing else has changed since the lease was granted.
///
/// Refused if the lease has expired: an extension that the decision rests on may have been refused or lost, and
/// changes no revision.
fn complete_leased(batch: &mut Batch, slice: &Slice, key: Key, instance: &Instance) {
    const SQL: &str = "UPDATE tasks SET status = 'completed', output = ?5, finished_at = ?6, failure = NULL, \
        wake_at = NULL WHERE tenant = ?1 AND run_id = ?2 AND task = ?3 AND idx = ?4 AND lease_expires_at > ?7";
    let mut params: Vec<Cell> = Vec::with_capacity(7);
    params.extend([slice.run.tenant.text().into(), slice.run.id.text().into()]);
    params.extend(key_cells(&slice.workflow, key));
    params.extend([instance.output.as_ref().into(), instance.finished_at.into()]);
    params.push(lasting(instance.finished_at.unwrap_or(slice.run.updated_at)));
    batch.expect(1, Statement::new(SQL, params));
}

/// What a lease's end must be beyond for a report at this time to count.
pub(crate) fn lasting(at: Timestamp) -> Cell {
    if planted::is(Bug::ExpiredCounts) { i64::MIN.into() } else { at.into() }
}

/// Which payloads of an instance have changed: the others are not written again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Payloads {
    input: bool,
    output: bool,
}

impl Payloads {
    const INPUT: Self = Self { input: true, output: false };
    const OUTPUT: Self = Self { input: false, output: true };

    fn add(&mut self, other: Self) {
        *self = Self { input: self.input || other.input, output: self.output || other.output };
    }
}

macro_rules! update {
    ($payloads:literal) => {
        concat!(
            "UPDATE tasks SET status = ?5, parked = ?6, fair_order = coalesce(?7, fair_order), unmet = ?8, \
             attempt = ?9, attempts_before = ?10, failure = ?11, detail = ?12, lease_id = ?13, \
             worker_id = ?14, lease_ttl = ?15, granted_at = ?16, lease_expires_at = ?17, since = ?18, \
             ready_at = ?19, started_at = ?20, finished_at = ?21, wake_at = ?22",
            $payloads,
            " WHERE tenant = ?1 AND run_id = ?2 AND task = ?3 AND idx = ?4"
        )
    };
}

/// Writes an instance that has a row.
fn update(
    batch: &mut Batch,
    slice: &Slice,
    key: Key,
    instance: &Instance,
    order: Option<i64>,
    payloads: Payloads,
) {
    let (run, mut params) = (&slice.run, Vec::with_capacity(24));
    params.extend([run.tenant.text().into(), run.id.text().into()]);
    params.extend(key_cells(&slice.workflow, key));
    params.extend([
        instance.status().word().into(),
        Cell::from(parked(run, instance)),
        order.into(),
        instance.unmet.into(),
        instance.attempt.into(),
        instance.attempts_before.into(),
        instance.failure.as_ref().map_or(Cell::Null, json_cell),
        detail(&instance.phase),
    ]);
    params.extend(state_cells(slice, key, instance));
    let (input, output) = (instance.input.as_ref(), instance.output.as_ref());
    let sql = match payloads {
        Payloads { input: false, output: false } => update!(""),
        Payloads { input: true, output: false } => {
            params.push(input.into());
            update!(", input = ?23")
        }
        Payloads { input: false, output: true } => {
            params.push(output.into());
            update!(", output = ?23")
        }
        Payloads { input: true, output: true } => {
            params.extend([input.into(), output.into()]);
            update!(", input = ?23, output = ?24")
        }
    };
    batch.expect(1, Statement::new(sql, params));
}

/// Writes an instance that may have no row yet.
fn upsert(batch: &mut Batch, slice: &Slice, key: Key, instance: &Instance, order: Option<i64>) {
    const SQL: &str = "INSERT INTO tasks (tenant, run_id, task, idx, kind, queue, lane, status, parked, \
        priority, fair_order, unmet, attempt, attempts_before, input, output, failure, detail, lease_id, \
        worker_id, lease_ttl, granted_at, lease_expires_at, since, ready_at, started_at, finished_at, wake_at) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, coalesce(?11, 0), ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, \
        ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28) \
        ON CONFLICT (tenant, run_id, task, idx) DO UPDATE SET status = ?8, parked = ?9, \
        fair_order = coalesce(?11, fair_order), unmet = ?12, \
        attempt = ?13, attempts_before = ?14, input = ?15, output = ?16, failure = ?17, detail = ?18, \
        lease_id = ?19, worker_id = ?20, lease_ttl = ?21, granted_at = ?22, lease_expires_at = ?23, \
        since = ?24, ready_at = ?25, started_at = ?26, finished_at = ?27, wake_at = ?28";
    let (run, task) = (&slice.run, slice.task(key));
    let mut params: Vec<Cell> = Vec::with_capacity(28);
    params.extend([run.tenant.text().into(), run.id.text().into()]);
    params.extend(key_cells(&slice.workflow, key));
    params.extend([
        Cell::from(task.kind.word()),
        queue(task).into(),
        lane(task).into(),
        instance.status().word().into(),
        Cell::from(parked(run, instance)),
        Cell::Integer(i64::from(task.priority.unwrap_or(run.priority))),
        order.into(),
        instance.unmet.into(),
        instance.attempt.into(),
        instance.attempts_before.into(),
        instance.input.as_ref().into(),
        instance.output.as_ref().into(),
        instance.failure.as_ref().map_or(Cell::Null, json_cell),
        detail(&instance.phase),
    ]);
    params.extend(state_cells(slice, key, instance));
    batch.push(Statement::new(SQL, params));
}

/// The lease and the times of an instance, from `lease_id` to `wake_at`.
fn state_cells(slice: &Slice, key: Key, instance: &Instance) -> [Cell; 10] {
    let since = match &instance.phase {
        TaskPhase::Ready { since } => Some(*since),
        _ => None,
    };
    let lease = instance.lease();
    [
        lease.map(|lease| lease.id.text()).into(),
        lease.map(|lease| lease.worker.text()).into(),
        lease.map(|lease| lease.ttl).into(),
        lease.map(|lease| lease.granted_at).into(),
        lease.map(|lease| lease.expires_at).into(),
        since.into(),
        instance.ready_at.into(),
        instance.started_at.into(),
        instance.finished_at.into(),
        instance.wake_at(&slice.run, slice.task(key)).into(),
    ]
}

/// The queue that an instance of this task is ready in. The host's own executors ask under a name that no
/// document can write.
pub(crate) fn queue(task: &Task) -> Option<&str> {
    match &task.kind {
        Kind::Worker { queue, .. } => Some(queue.as_str()),
        Kind::Http { .. } => Some(HTTP_QUEUE),
        Kind::Wasm { .. } => Some(WASM_QUEUE),
        Kind::Value { .. } | Kind::Sleep { .. } | Kind::Signal { .. } => None,
    }
}

/// The queue of `http` tasks.
pub(crate) const HTTP_QUEUE: &str = "@http";
/// The queue of `wasm` tasks.
pub(crate) const WASM_QUEUE: &str = "@wasm";

/// Whether a queue is that of an executor of the host.
pub(crate) fn is_own(queue: &str) -> bool {
    queue.starts_with('@')
}

/// The queue and the labels in one text, which the index of ready tasks leads with.
pub(crate) fn lane(task: &Task) -> Option<String> {
    let queue = queue(task)?;
    Some(task.labels.iter().fold(queue.to_owned(), |lane, label| lane + " " + label.as_str()))
}

fn parked(run: &Run, instance: &Instance) -> bool {
    run.phase == RunPhase::Paused && matches!(instance.phase, TaskPhase::Ready { .. } | TaskPhase::Waiting(_))
}

fn detail(phase: &TaskPhase) -> Cell {
    match phase {
        TaskPhase::Waiting(wait) => json_cell(wait),
        TaskPhase::Skipped(skip) => json_cell(skip),
        _ => Cell::Null,
    }
}

fn key_cells(workflow: &Workflow, key: Key) -> [Cell; 2] {
    [workflow.task(key.task).name.text().into(), element_cell(key.index)]
}

/// Takes the instances of a paused run out of the queues and the timers.
pub(crate) fn park(batch: &mut Batch, run: &Run) {
    const SQL: &str =
        "UPDATE tasks SET parked = 1 WHERE tenant = ?1 AND run_id = ?2 AND status IN ('ready', 'waiting')";
    batch.push(Statement::new(SQL, vec![run.tenant.text().into(), run.id.text().into()]));
}

/// Puts them back.
pub(crate) fn unpark(batch: &mut Batch, run: &Run) {
    const SQL: &str = "UPDATE tasks SET parked = 0 WHERE tenant = ?1 AND run_id = ?2 AND parked = 1";
    batch.push(Statement::new(SQL, vec![run.tenant.text().into(), run.id.text().into()]));
}

/// Ends every instance of a stopped run that is not under a lease, and sees to it that those under a lease
/// are looked at no later than `look_at`.
pub(crate) fn stop_open(batch: &mut Batch, run: &Run, stopped: Stopped, look_at: Timestamp) {
    const END: &str = "UPDATE tasks SET status = ?3, detail = ?4, parked = 0, wake_at = NULL, \
        finished_at = ?5 WHERE tenant = ?1 AND run_id = ?2 AND status IN ('pending', 'ready', 'waiting')";
    const LOOK: &str = "UPDATE tasks SET wake_at = min(wake_at, ?3) WHERE tenant = ?1 AND run_id = ?2 AND \
        status = 'running'";
    let (status, detail) = match stopped {
        Stopped::Cancelled => ("cancelled", Cell::Null),
        Stopped::Skipped => ("skipped", json_cell(&Skip::RunEnded)),
    };
    let ids = || vec![run.tenant.text().into(), run.id.text().into()];
    let mut params: Vec<Cell> = ids();
    params.extend([status.into(), detail, run.updated_at.into()]);
    batch.push(Statement::new(END, params));
    if run.counts.running > 0 {
        let mut params: Vec<Cell> = ids();
        params.push(look_at.into());
        batch.push(Statement::new(LOOK, params));
    }
}

/// What becomes of instances that had not begun when their run was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// The run was cancelled.
    Cancelled,
    /// It failed or timed out.
    Skipped,
}

/// Extends a lease that is still held; never shortens it.
pub(crate) fn extend(tenant: &TenantId, of: &Subject, lease: &Lease, now: Timestamp) -> Batch {
    const SQL: &str = "UPDATE tasks SET lease_expires_at = max(lease_expires_at, ?6) WHERE tenant = ?1 AND run_id = ?2 AND \
        task = ?3 AND idx = ?4 AND lease_id = ?5 AND status = 'running' AND lease_expires_at > ?7";
    let mut params = vec![tenant.text().into()];
    params.extend(of.cells());
    params.extend([lease.id.text().into(), now.plus(lease.ttl).into(), now.into()]);
    let mut batch = Batch::default();
    batch.expect(1, Statement::new(SQL, params));
    batch
}

/// Refuses the batch unless the lease has really expired: heartbeats do not change the run's revision.
pub(crate) fn expect_expired(batch: &mut Batch, slice: &Slice, key: Key, lease: &LeaseId, now: Timestamp) {
    const SQL: &str = "UPDATE tasks SET parked = parked WHERE tenant = ?1 AND run_id = ?2 AND task = ?3 AND \
        idx = ?4 AND lease_id = ?5 AND lease_expires_at <= ?6";
    let mut params: Vec<Cell> = vec![slice.run.tenant.text().into(), slice.run.id.text().into()];
    params.extend(key_cells(&slice.workflow, key));
    params.extend([lease.text().into(), now.into()]);
    batch.expect(1, Statement::new(SQL, params));
}

/// Sets the timer of an instance anew, after one came too early. Refused if the run or the lease is not as it
/// was found: a heartbeat that was refused later may have shown a lease that lasts longer than it does. Then the
/// timer stays due.
pub(crate) fn rearm(slice: &Slice, key: Key) -> Option<Batch> {
    const SQL: &str = "UPDATE tasks SET wake_at = ?5 WHERE tenant = ?1 AND run_id = ?2 AND task = ?3 AND \
        idx = ?4 AND status = ?6 AND lease_expires_at IS ?7 AND \
        EXISTS (SELECT 1 FROM runs WHERE tenant = ?1 AND id = ?2 AND revision = ?8)";
    let instance = slice.get(key)?;
    let mut params: Vec<Cell> = vec![slice.run.tenant.text().into(), slice.run.id.text().into()];
    params.extend(key_cells(&slice.workflow, key));
    params.extend([instance.wake_at(&slice.run, slice.task(key)).into(), instance.status().word().into()]);
    params
        .extend([instance.lease().map(|lease| lease.expires_at).into(), (slice.run.revision as i64).into()]);
    let mut batch = Batch::default();
    batch.expect(1, Statement::new(SQL, params));
    Some(batch)
}
