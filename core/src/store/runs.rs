//! The row of a run.

use crate::engine::run::{Failure, RunPhase, Stop};
use crate::engine::{Run, RunStatus};
use std::sync::Arc;

use crate::ids::{RunId, SessionId, TenantId, Version, WorkflowName};
use crate::planted::{self, Bug};
use crate::time::Duration;

use super::StoreError;
use super::columns::{Columns, json_cell};
use super::database::{Batch, Cell, Expect, Row, Statement};
use super::history;

/// The columns of a run, in the order that [`read_run`] takes.
macro_rules! columns {
    () => {
        "tenant, id, workflow, version, revision, commit_id, status, stopping, input, output, failure, vars, \
         attributes, tags, session_id, rerun_of, priority, seed, created_at, start_at, started_at, \
         finished_at, updated_at, execution_timeout, deadline, counts, last_seq, signals_received, \
         signals_buffered, fair_order"
    };
}

/// The columns, for lists.
pub(crate) const COLUMNS: &str = columns!();

/// The run of this id.
pub(crate) fn by_id(tenant: &TenantId, id: &RunId) -> Statement {
    const SQL: &str = concat!("SELECT ", columns!(), " FROM runs WHERE tenant = ?1 AND id = ?2");
    Statement::new(SQL, vec![tenant.text().into(), id.text().into()])
}

/// The runs whose tasks are at the head of a lane.
pub(crate) fn of_heads(tenant: &TenantId, lane: &Arc<str>, heads: usize) -> Statement {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM runs WHERE tenant = ?1 AND id IN (SELECT run_id FROM tasks WHERE tenant = ?1 AND lane = ?2 AND \
         status = 'ready' AND parked = 0 ORDER BY priority DESC, fair_order LIMIT ?3)"
    );
    let params = vec![tenant.text().into(), Cell::Text(lane.clone()), Cell::Integer(heads as i64)];
    Statement::new(SQL, params)
}

/// Reads a row of [`COLUMNS`].
pub(crate) fn read_run(row: Row) -> Result<Run, StoreError> {
    let mut columns = Columns::of(row, "runs");
    let c = &mut columns;
    Ok(Run {
        tenant: TenantId::trusted(c.text()?),
        id: RunId::trusted(c.text()?),
        workflow: WorkflowName::trusted(c.text()?),
        version: Version::trusted(c.text()?),
        revision: c.int()? as u64,
        commit: c.int()?,
        phase: read_phase(c)?,
        input: c.payload()?,
        output: c.payload_or_null()?,
        failure: c.json_or_null::<Failure>()?,
        vars: c.payload()?,
        attributes: c.payload()?,
        tags: c.json()?,
        session_id: c.text_or_null()?.map(SessionId::trusted),
        rerun_of: c.text_or_null()?.map(RunId::trusted),
        priority: c.int()? as i32,
        seed: c.int()? as u64,
        created_at: c.time()?,
        start_at: c.time_or_null()?,
        started_at: c.time_or_null()?,
        finished_at: c.time_or_null()?,
        updated_at: c.time()?,
        execution_timeout: c.int_or_null()?.map(|millis| Duration::from_millis(millis as u64)),
        deadline: c.time_or_null()?,
        counts: c.json()?,
        last_seq: c.int()? as u64,
        signals_received: c.int()? as u64,
        signals_buffered: c.small()?,
        fair_order: c.int()?,
    })
}

fn read_phase(columns: &mut Columns) -> Result<RunPhase, StoreError> {
    let status = columns.text()?;
    let stopping = columns.json_or_null::<Stop>()?;
    if let Some(stop) = stopping {
        return Ok(RunPhase::Stopping(stop));
    }
    match &*status {
        "pending" => Ok(RunPhase::Pending),
        "running" => Ok(RunPhase::Running),
        "paused" => Ok(RunPhase::Paused),
        "completed" => Ok(RunPhase::Completed),
        "failed" => Ok(RunPhase::Failed),
        "cancelled" => Ok(RunPhase::Cancelled),
        "timed_out" => Ok(RunPhase::TimedOut),
        other => Err(columns.corrupt(&format!("no run has the status {other:?}"))),
    }
}

/// What a new run's version must be for the run to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Basis {
    /// Any: the version was asked for, or read for this request.
    #[default]
    Any,
    /// Still the newest of its workflow: it was only remembered.
    Newest,
}

macro_rules! insert {
    ($values:literal) => {
        concat!(
            "INSERT INTO runs (tenant, id, workflow, version, revision, commit_id, status, stopping, input, \
             output, failure, failure_category, vars, attributes, tags, session_id, rerun_of, priority, seed, \
             created_at, start_at, started_at, finished_at, updated_at, execution_timeout, deadline, counts, \
             last_seq, signals_received, signals_buffered, fair_order, wake_at) ",
            $values
        )
    };
}

/// Adds a new run, with its tags and attributes. The primary key refuses a second one of the same id.
pub(crate) fn insert(batch: &mut Batch, run: &Run, basis: Basis) {
    const ANY: &str = insert!(
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, \
         ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32)"
    );
    const NEWEST: &str = insert!(
        "SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, \
         ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32 WHERE ?4 = (SELECT version FROM workflows \
         WHERE tenant = ?1 AND name = ?3 ORDER BY number DESC LIMIT 1)"
    );
    let sql = match basis {
        Basis::Any => ANY,
        Basis::Newest => NEWEST,
    };
    batch.expect(
        1,
        Statement::new(
            sql,
            vec![
                run.tenant.text().into(),
                run.id.text().into(),
                run.workflow.text().into(),
                run.version.text().into(),
                Cell::Integer(run.revision as i64),
                run.commit.into(),
                run.status().word().into(),
                stopping(run),
                (&run.input).into(),
                run.output.as_ref().into(),
                failure(run),
                category(run),
                (&run.vars).into(),
                (&run.attributes).into(),
                json_cell(&run.tags),
                run.session_id.as_ref().map(SessionId::text).into(),
                run.rerun_of.as_ref().map(RunId::text).into(),
                Cell::Integer(i64::from(run.priority)),
                Cell::Integer(run.seed as i64),
                run.created_at.into(),
                run.start_at.into(),
                run.started_at.into(),
                run.finished_at.into(),
                run.updated_at.into(),
                run.execution_timeout.into(),
                run.deadline.into(),
                json_cell(&run.counts),
                Cell::Integer(run.last_seq as i64),
                Cell::Integer(run.signals_received as i64),
                run.signals_buffered.into(),
                run.fair_order.into(),
                run.wake_at().into(),
            ],
        ),
    );
    for tag in &run.tags {
        const TAG: &str = "INSERT INTO run_tags (tenant, tag, created_at, run_id) VALUES (?1, ?2, ?3, ?4)";
        let params =
            vec![run.tenant.text().into(), tag.text().into(), run.created_at.into(), run.id.text().into()];
        batch.push(Statement::new(TAG, params));
    }
    insert_attributes(batch, run);
}

fn insert_attributes(batch: &mut Batch, run: &Run) {
    const SQL: &str =
        "INSERT OR IGNORE INTO run_attributes (tenant, name, value, run_id) VALUES (?1, ?2, ?3, ?4)";
    let attributes = run.attributes.to_value();
    for (name, value) in attributes.as_object().into_iter().flatten() {
        let values = value.as_array().unwrap_or(std::slice::from_ref(value));
        for cell in values.iter().filter_map(attribute_cell) {
            let params = vec![run.tenant.text().into(), name.as_str().into(), cell, run.id.text().into()];
            batch.push(Statement::new(SQL, params));
        }
    }
}

/// How an attribute's value stands in the index.
pub(crate) fn attribute_cell(value: &crate::value::Value) -> Option<Cell> {
    use crate::value::Value;
    match value {
        Value::Bool(truth) => Some(Cell::from(if *truth { "true" } else { "false" })),
        Value::Int(number) => Some(Cell::Integer(*number)),
        Value::Float(number) => Some(Cell::Real(*number)),
        Value::String(text) => Some(Cell::from(text.as_str())),
        Value::Null | Value::UInt(_) | Value::Bytes(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The commit that a decision was taken on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Guard {
    /// The run's revision.
    pub(crate) revision: u64,
    /// The commit's own number, which tells two commits of one revision apart when one of them failed.
    pub(crate) commit: i64,
}

impl Guard {
    /// The commit that made this state.
    pub(crate) fn of(run: &Run) -> Self {
        Self { revision: run.revision, commit: run.commit }
    }

    /// Whether rows of this commit belong to a state that was decided on after `state`, or beside it. Older
    /// rows are right: the commits between them and the state are on their way.
    pub(crate) fn is_beyond(self, state: Guard) -> bool {
        self.revision > state.revision || (self.revision == state.revision && self.commit != state.commit)
    }
}

/// The commit that a run's rows are of now.
pub(crate) fn guard_of(run: &Run) -> Statement {
    const SQL: &str = "SELECT revision, commit_id FROM runs WHERE tenant = ?1 AND id = ?2";
    Statement::new(SQL, vec![run.tenant.text().into(), run.id.text().into()])
}

/// Reads a row of [`guard_of`].
pub(crate) fn read_guard(row: Row) -> Result<Guard, StoreError> {
    let mut c = Columns::of(row, "runs");
    Ok(Guard { revision: c.int()? as u64, commit: c.int()? })
}

/// Rewrites what of a run has changed since the commit that the decision was taken on, if that is still its
/// last one.
pub(crate) fn update(batch: &mut Batch, run: &Run, before: &Run) {
    const SQL: &str = "UPDATE runs SET revision = ?4, commit_id = ?5, updated_at = ?6, counts = ?7, \
        last_seq = ?8, signals_received = ?9, signals_buffered = ?10, fair_order = ?11, status = ?12, \
        stopping = ?13, output = ?14, failure = ?15, failure_category = ?16, started_at = ?17, \
        finished_at = ?18, deadline = ?19, wake_at = ?20 \
        WHERE tenant = ?1 AND id = ?2 AND revision = ?3 AND commit_id = ?21";
    // Naming a column costs its index an entry less and an entry more, even where the value stays.
    const PROGRESS: &str = "UPDATE runs SET revision = ?4, commit_id = ?5, updated_at = ?6, counts = ?7, \
        last_seq = ?8, signals_received = ?9, signals_buffered = ?10, fair_order = ?11 \
        WHERE tenant = ?1 AND id = ?2 AND revision = ?3 AND commit_id = ?12";
    let expected = Guard::of(before);
    let mut params: Vec<Cell> = Vec::with_capacity(21);
    params.extend([
        run.tenant.text().into(),
        run.id.text().into(),
        Cell::Integer(expected.revision as i64),
        Cell::Integer(run.revision as i64),
        run.commit.into(),
        run.updated_at.into(),
        json_cell(&run.counts),
        Cell::Integer(run.last_seq as i64),
        Cell::Integer(run.signals_received as i64),
        run.signals_buffered.into(),
        run.fair_order.into(),
    ]);
    let sql = if has_only_progressed(run, before) {
        PROGRESS
    } else {
        params.extend([
            run.status().word().into(),
            stopping(run),
            run.output.as_ref().into(),
            failure(run),
            category(run),
            run.started_at.into(),
            run.finished_at.into(),
            run.deadline.into(),
            run.wake_at().into(),
        ]);
        SQL
    };
    params.push(expected.commit.into());
    batch.expect(1, Statement::new(sql, params));
    if planted::is(Bug::Unguarded)
        && let Some((_, expect)) = batch.writes.last_mut()
    {
        *expect = Expect::Any;
    }
}

/// Whether nothing but counts and times of a run has changed.
fn has_only_progressed(run: &Run, before: &Run) -> bool {
    run.phase == before.phase
        && run.output == before.output
        && run.failure == before.failure
        && run.started_at == before.started_at
        && run.finished_at == before.finished_at
        && run.deadline == before.deadline
        && run.wake_at() == before.wake_at()
}

fn stopping(run: &Run) -> Cell {
    match &run.phase {
        RunPhase::Stopping(stop) => json_cell(stop),
        _ => Cell::Null,
    }
}

fn failure(run: &Run) -> Cell {
    run.failure.as_ref().map_or(Cell::Null, json_cell)
}

fn category(run: &Run) -> Cell {
    run.failure.as_ref().map_or(Cell::Null, |failure| failure.category.word().into())
}

/// Removes a terminal run and everything that is only its own. The first statement refuses the batch if the
/// run has changed meanwhile.
pub(crate) fn delete(run: &Run) -> Batch {
    let mut batch = Batch::default();
    let params = || vec![run.tenant.text().into(), run.id.text().into()];
    let mut guarded = params();
    guarded.push(Cell::Integer(run.revision as i64));
    let sql = "DELETE FROM runs WHERE tenant = ?1 AND id = ?2 AND revision = ?3";
    batch.expect(1, Statement::new(sql, guarded));
    history::take_cursors(&mut batch, 0);
    for sql in [
        "DELETE FROM run_attributes WHERE tenant = ?1 AND run_id = ?2",
        "DELETE FROM tasks WHERE tenant = ?1 AND run_id = ?2",
        // An index by run would cost every lease more than this costs the one who deletes.
        "DELETE FROM leases WHERE tenant = ?1 AND lease_id IN (SELECT json_extract(event.value, \
         '$.data.lease.id') FROM history, json_each(history.events) AS event WHERE history.tenant = ?1 AND \
         history.run_id = ?2 AND json_extract(event.value, '$.type') = 'task_started')",
        "DELETE FROM signals WHERE tenant = ?1 AND run_id = ?2",
        "DELETE FROM history WHERE tenant = ?1 AND run_id = ?2",
        "DELETE FROM logs WHERE tenant = ?1 AND run_id = ?2",
        "DELETE FROM checkpoints WHERE tenant = ?1 AND run_id = ?2",
    ] {
        batch.push(Statement::new(sql, params()));
    }
    for tag in &run.tags {
        let sql = "DELETE FROM run_tags WHERE tenant = ?1 AND tag = ?2 AND created_at = ?3 AND run_id = ?4";
        let params =
            vec![run.tenant.text().into(), tag.text().into(), run.created_at.into(), run.id.text().into()];
        batch.push(Statement::new(sql, params));
    }
    batch
}

/// Whether any run of a workflow has not ended.
pub(crate) fn open_of_workflow(tenant: &TenantId, workflow: &WorkflowName) -> Statement {
    const SQL: &str = "SELECT 1 FROM runs WHERE tenant = ?1 AND workflow = ?2 AND status IN \
        ('pending', 'running', 'paused', 'cancelling') LIMIT 1";
    Statement::new(SQL, vec![tenant.text().into(), workflow.text().into()])
}

/// A status as the table spells it.
pub(crate) fn status_cell(status: RunStatus) -> Cell {
    status.word().into()
}

/// The version that a run keeps.
pub(crate) fn version_of(tenant: &TenantId, id: &RunId) -> Statement {
    const SQL: &str = "SELECT version FROM runs WHERE tenant = ?1 AND id = ?2";
    Statement::new(SQL, vec![tenant.text().into(), id.text().into()])
}

/// Reads a row of [`version_of`].
pub(crate) fn read_version(row: Row) -> Result<Version, StoreError> {
    Ok(Version::trusted(Columns::of(row, "runs").text()?))
}
