//! The table of leases: who was given what, and how it ended.
//!
//! That an attempt is complete says the row of its instance, and with which output: nothing is written here for it.

use std::sync::Arc;

use crate::engine::event::LeaseEnd;
use crate::engine::{Event, Slice, What};
use crate::ids::{LeaseId, RequestKey, RunId, TenantId, WorkerId};
use crate::value::Payload;

use super::StoreError;
use super::columns::Columns;
use super::database::{Batch, Cell, Row, Statement};
use super::projection::Extras;
use super::tasks::RowKey;

/// A lease as stored.
#[derive(Debug, Clone)]
pub(crate) struct LeaseRow {
    pub(crate) id: LeaseId,
    pub(crate) run: RunId,
    pub(crate) key: RowKey,
    pub(crate) attempt: u32,
    /// How it ended; `None` while it is held.
    pub(crate) ended: Option<Arc<str>>,
    /// Of the report that ended it, unless that has completed the task.
    pub(crate) digest: Option<Arc<str>>,
    pub(crate) log_bytes: i64,
    /// What the task was completed with, under this lease.
    pub(crate) output: Option<Payload>,
}

macro_rules! columns {
    () => {
        "l.lease_id, l.run_id, l.task, l.idx, l.attempt, \
         coalesce(l.ended, CASE WHEN t.status = 'running' AND t.lease_id = l.lease_id THEN NULL ELSE 'completed' END), \
         l.digest, l.log_bytes, CASE WHEN l.ended IS NULL AND t.status = 'completed' THEN t.output END \
         FROM leases l JOIN tasks t ON t.tenant = l.tenant AND t.run_id = l.run_id AND t.task = l.task AND \
         t.idx = l.idx"
    };
}

/// Adds a lease that the event grants; marks one that it ends.
pub(crate) fn project(batch: &mut Batch, slice: &Slice, event: &Event, extras: &Extras<'_>) {
    const INSERT: &str = "INSERT INTO leases (tenant, lease_id, run_id, task, idx, attempt, worker_id, \
        claim_id, granted_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    const END: &str = "UPDATE leases SET ended = ?3, digest = ?4 WHERE tenant = ?1 AND lease_id = ?2";
    if let What::TaskStarted { task, attempt, lease } = &event.what {
        let claim = extras.claims.iter().find(|(granted, _)| *granted == lease.id);
        let params = vec![
            slice.run.tenant.text().into(),
            lease.id.text().into(),
            slice.run.id.text().into(),
            task.task.text().into(),
            Cell::Integer(task.index.map_or(-1, i64::from)),
            Cell::from(*attempt),
            lease.worker.text().into(),
            claim.map(|(_, claim)| claim.text()).into(),
            lease.granted_at.into(),
        ];
        batch.expect(1, Statement::new(INSERT, params));
    }
    if let Some((lease, end)) = event.what.lease_ended().filter(|(_, end)| *end != LeaseEnd::Completed) {
        let params = vec![
            slice.run.tenant.text().into(),
            lease.text().into(),
            end.word().into(),
            extras.digest.into(),
        ];
        batch.push(Statement::new(END, params));
    }
}

/// The lease of this id.
pub(crate) fn by_id(tenant: &TenantId, lease: &LeaseId) -> Statement {
    const SQL: &str = concat!("SELECT ", columns!(), " WHERE l.tenant = ?1 AND l.lease_id = ?2");
    Statement::new(SQL, vec![tenant.text().into(), lease.text().into()])
}

/// The leases that a claim was answered with.
pub(crate) fn of_claim(tenant: &TenantId, worker: &WorkerId, claim: &RequestKey) -> Statement {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " WHERE l.tenant = ?1 AND l.worker_id = ?2 AND l.claim_id = ?3 ORDER BY l.lease_id"
    );
    Statement::new(SQL, vec![tenant.text().into(), worker.text().into(), claim.text().into()])
}

/// The leases that a worker holds now.
pub(crate) fn held_by(tenant: &TenantId, worker: &str) -> Statement {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " WHERE l.tenant = ?1 AND l.lease_id IN (SELECT lease_id FROM tasks WHERE tenant = ?1 AND \
         worker_id = ?2 AND status = 'running')"
    );
    Statement::new(SQL, vec![tenant.text().into(), worker.into()])
}

/// Reads a row of these.
pub(crate) fn read(row: Row) -> Result<LeaseRow, StoreError> {
    let mut c = Columns::of(row, "leases");
    Ok(LeaseRow {
        id: LeaseId::trusted(c.text()?),
        run: RunId::trusted(c.text()?),
        key: RowKey::read(&mut c)?,
        attempt: c.small()?,
        ended: c.text_or_null()?,
        digest: c.text_or_null()?,
        log_bytes: c.int()?,
        output: c.payload_or_null()?,
    })
}
