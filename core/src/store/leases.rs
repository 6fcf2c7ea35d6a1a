//! Leases: who was given what, and how it ended.
//!
//! The row of the instance has the lease that is held, and keeps it when the attempt is complete. The table has what
//! that row cannot tell: leases that have ended in another way, those that a claim may be answered with again, and how
//! much was printed under them.
//!
//! | the lease           | `tasks`                                 | `leases`                    |
//! |---------------------|-----------------------------------------|-----------------------------|
//! | held                | `status` is running, `lease_id` is this | a row where it has a claim's id or a log |
//! | complete            | `status` is completed, `lease_id` is this | the same                  |
//! | failed, released, … | another lease or none                   | a row, `ended` says how     |

use std::sync::Arc;

use crate::engine::event::LeaseEnd;
use crate::engine::{Event, Slice, What};
use crate::ids::{LeaseId, RequestKey, RunId, TenantId, WorkerId};
use crate::value::Payload;

use super::StoreError;
use super::columns::{Columns, element_cell};
use super::database::{Batch, Cell, Row, Statement};
use super::projection::Extras;
use super::tasks::{self, RowKey};

/// A lease as stored.
#[derive(Debug, Clone)]
pub(crate) struct LeaseRow {
    pub(crate) id: LeaseId,
    pub(crate) of: Subject,
    pub(crate) attempt: u32,
    /// How it ended; `None` while it is held.
    pub(crate) ended: Option<Arc<str>>,
    /// Of the report that ended it, unless that has completed the task.
    pub(crate) digest: Option<Arc<str>>,
    pub(crate) log_bytes: i64,
    /// What the task was completed with, under this lease.
    pub(crate) output: Option<Payload>,
}

/// The task instance that a lease is of.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) run: RunId,
    pub(crate) key: RowKey,
}

impl Subject {
    /// As the lease's id says.
    pub(crate) fn named(lease: &LeaseId) -> Option<Self> {
        let (run, task, index) = lease.names()?;
        Some(Self { run, key: RowKey { task: task.into(), index } })
    }

    /// The cells of `run_id`, `task` and `idx`.
    pub(crate) fn cells(&self) -> [Cell; 3] {
        [self.run.text().into(), Cell::Text(self.key.task.clone()), element_cell(self.key.index)]
    }
}

/// How the lease of a row of `tasks t` and perhaps one of `leases l` has ended; NULL while it is held.
macro_rules! ended {
    () => {
        "CASE WHEN l.ended IS NOT NULL THEN l.ended WHEN t.status = 'running' AND coalesce(l.lease_id, t.lease_id) = \
         t.lease_id THEN NULL ELSE 'completed' END"
    };
}
pub(crate) use ended;

macro_rules! columns {
    () => {
        concat!(
            "coalesce(l.lease_id, t.lease_id), t.run_id, t.task, t.idx, coalesce(l.attempt, t.attempt), ",
            ended!(),
            ", l.digest, coalesce(l.log_bytes, 0), CASE WHEN l.ended IS NULL AND t.status = 'completed' THEN \
             t.output END"
        )
    };
}

/// Adds the lease of an event that grants it, if the claim has an id; notes how a lease has ended, unless it is
/// complete. To be written before the instance's own row changes.
pub(crate) fn project(batch: &mut Batch, slice: &Slice, event: &Event, extras: &Extras<'_>) {
    const INSERT: &str = "INSERT INTO leases (tenant, lease_id, run_id, task, idx, attempt, worker_id, \
        claim_id, granted_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    const END: &str = "INSERT INTO leases (tenant, lease_id, run_id, task, idx, attempt, worker_id, granted_at, \
        ended, digest) SELECT tenant, lease_id, run_id, task, idx, attempt, worker_id, granted_at, ?6, ?7 FROM tasks \
        WHERE tenant = ?1 AND run_id = ?3 AND task = ?4 AND idx = ?5 AND lease_id = ?2 AND \
        (?7 IS NULL OR lease_expires_at > ?8) ON CONFLICT (tenant, lease_id) DO UPDATE SET \
        ended = excluded.ended, digest = excluded.digest";
    let run = &slice.run;
    if let What::TaskStarted { task, attempt, lease } = &event.what
        && let Some((_, claim)) = extras.claims.iter().find(|(granted, _)| *granted == lease.id)
    {
        let params = vec![
            run.tenant.text().into(),
            lease.id.text().into(),
            run.id.text().into(),
            task.task.text().into(),
            element_cell(task.index),
            Cell::from(*attempt),
            lease.worker.text().into(),
            claim.text().into(),
            lease.granted_at.into(),
        ];
        batch.expect(1, Statement::new(INSERT, params));
    }
    if let Some((lease, end)) = event.what.lease_ended().filter(|(_, end)| *end != LeaseEnd::Completed)
        && let Some(task) = event.what.task()
    {
        let params = vec![
            run.tenant.text().into(),
            lease.text().into(),
            run.id.text().into(),
            task.task.text().into(),
            element_cell(task.index),
            end.word().into(),
            extras.digest.into(),
            // What ends with a report ends while the lease lasts.
            tasks::lasting(event.at),
        ];
        batch.expect(1, Statement::new(END, params));
    }
}

/// The lease of this id, which is of this instance.
pub(crate) fn by_id(tenant: &TenantId, lease: &LeaseId, of: &Subject) -> Statement {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM tasks t LEFT JOIN leases l ON l.tenant = ?1 AND l.lease_id = ?2 WHERE t.tenant = ?1 AND \
         t.run_id = ?3 AND t.task = ?4 AND t.idx = ?5 AND (t.lease_id = ?2 OR l.lease_id IS NOT NULL)"
    );
    let mut params = vec![tenant.text().into(), lease.text().into()];
    params.extend(of.cells());
    Statement::new(SQL, params)
}

/// What a lease is of whose id does not say so: such were granted by earlier versions, each with a row.
pub(crate) fn subject(tenant: &TenantId, lease: &LeaseId) -> Statement {
    const SQL: &str = "SELECT run_id, task, idx FROM leases WHERE tenant = ?1 AND lease_id = ?2";
    Statement::new(SQL, vec![tenant.text().into(), lease.text().into()])
}

/// Reads a row of [`subject`].
pub(crate) fn read_subject(row: Row) -> Result<Subject, StoreError> {
    let mut c = Columns::of(row, "leases");
    Ok(Subject { run: RunId::trusted(c.text()?), key: RowKey::read(&mut c)? })
}

/// The leases that a claim was answered with.
pub(crate) fn of_claim(tenant: &TenantId, worker: &WorkerId, claim: &RequestKey) -> Statement {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM leases l INDEXED BY leases_claim JOIN tasks t ON t.tenant = l.tenant AND t.run_id = l.run_id AND t.task = l.task AND \
         t.idx = l.idx WHERE l.tenant = ?1 AND l.worker_id = ?2 AND l.claim_id = ?3 ORDER BY l.lease_id"
    );
    Statement::new(SQL, vec![tenant.text().into(), worker.text().into(), claim.text().into()])
}

/// The leases that a worker holds now.
pub(crate) fn held_by(tenant: &TenantId, worker: &str) -> Statement {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM tasks t INDEXED BY tasks_leased LEFT JOIN leases l ON l.tenant = t.tenant AND \
         l.lease_id = t.lease_id WHERE t.tenant = ?1 AND t.worker_id = ?2 AND t.status = 'running'"
    );
    Statement::new(SQL, vec![tenant.text().into(), worker.into()])
}

/// Reads a row of these.
pub(crate) fn read(row: Row) -> Result<LeaseRow, StoreError> {
    let mut c = Columns::of(row, "leases");
    Ok(LeaseRow {
        id: LeaseId::trusted(c.text()?),
        of: Subject { run: RunId::trusted(c.text()?), key: RowKey::read(&mut c)? },
        attempt: c.small()?,
        ended: c.text_or_null()?,
        digest: c.text_or_null()?,
        log_bytes: c.int()?,
        output: c.payload_or_null()?,
    })
}
