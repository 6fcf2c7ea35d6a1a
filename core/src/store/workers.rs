//! The registered workers.

use crate::ids::{Label, QueueName, TenantId, WorkerId};
use crate::time::Timestamp;

use super::StoreError;
use super::columns::{Columns, json_cell};
use super::database::{Batch, Cell, Row, Statement};

/// A worker as stored.
#[derive(Debug, Clone)]
pub(crate) struct WorkerRow {
    pub(crate) id: WorkerId,
    pub(crate) queues: Vec<QueueName>,
    pub(crate) labels: Vec<Label>,
    pub(crate) capacity: u32,
    pub(crate) draining: bool,
    pub(crate) registered_at: Timestamp,
    pub(crate) last_seen_at: Timestamp,
    pub(crate) leases: u32,
}

/// The columns that [`read`] takes, with what counts a worker's leases: all that are held are looked through for it,
/// so that holding one costs no index of workers.
macro_rules! select {
    ($leases:literal) => {
        concat!(
            "SELECT worker_id, queues, labels, capacity, draining, registered_at, last_seen_at, ",
            $leases,
            " FROM workers "
        )
    };
}

/// What a claim needs to know of a worker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Presence {
    pub(crate) draining: bool,
    pub(crate) last_seen_at: Timestamp,
}

/// Whether a worker drains, and when it was last heard of.
pub(crate) fn presence(tenant: &TenantId, id: &WorkerId) -> Statement {
    const SQL: &str = "SELECT draining, last_seen_at FROM workers WHERE tenant = ?1 AND worker_id = ?2";
    Statement::new(SQL, vec![tenant.text().into(), id.text().into()])
}

/// Reads a row of [`presence`].
pub(crate) fn read_presence(row: Row) -> Result<Presence, StoreError> {
    let mut c = Columns::of(row, "workers");
    Ok(Presence { draining: c.int()? != 0, last_seen_at: c.time()? })
}

/// Adds a worker, or gives one that is there new particulars.
pub(crate) fn register(
    tenant: &TenantId,
    id: &WorkerId,
    queues: &[QueueName],
    labels: &[Label],
    capacity: u32,
    now: Timestamp,
) -> Batch {
    const SQL: &str = "INSERT INTO workers (tenant, worker_id, queues, labels, capacity, draining, \
        registered_at, last_seen_at) VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?6) ON CONFLICT (tenant, worker_id) \
        DO UPDATE SET queues = ?3, labels = ?4, capacity = ?5, draining = 0, last_seen_at = ?6";
    let mut batch = Batch::default();
    let params = vec![
        tenant.text().into(),
        id.text().into(),
        json_cell(queues),
        json_cell(labels),
        capacity.into(),
        now.into(),
    ];
    batch.push(Statement::new(SQL, params));
    batch
}

/// Notes that a worker was heard of; refused when it is not registered.
pub(crate) fn seen(tenant: &TenantId, id: &WorkerId, now: Timestamp) -> Batch {
    const SQL: &str = "UPDATE workers SET last_seen_at = ?3 WHERE tenant = ?1 AND worker_id = ?2";
    let mut batch = Batch::default();
    batch.expect(1, Statement::new(SQL, vec![tenant.text().into(), id.text().into(), now.into()]));
    batch
}

/// Marks a worker as draining; refused when it is not registered.
pub(crate) fn drain(tenant: &TenantId, id: &WorkerId) -> Batch {
    const SQL: &str = "UPDATE workers SET draining = 1 WHERE tenant = ?1 AND worker_id = ?2";
    let mut batch = Batch::default();
    batch.expect(1, Statement::new(SQL, vec![tenant.text().into(), id.text().into()]));
    batch
}

/// Forgets a draining worker that holds no lease any more.
pub(crate) fn forget(tenant: &TenantId, id: &WorkerId) -> Batch {
    const SQL: &str = "DELETE FROM workers WHERE tenant = ?1 AND worker_id = ?2 AND draining = 1 AND NOT \
        EXISTS (SELECT 1 FROM tasks INDEXED BY tasks_leased WHERE tenant = ?1 AND worker_id = ?2 AND \
        status = 'running')";
    let mut batch = Batch::default();
    batch.push(Statement::new(SQL, vec![tenant.text().into(), id.text().into()]));
    batch
}

/// The worker of this id.
pub(crate) fn by_id(tenant: &TenantId, id: &WorkerId) -> Statement {
    const SQL: &str = concat!(
        select!(
            "(SELECT count(*) FROM tasks INDEXED BY tasks_leased WHERE tenant = ?1 AND worker_id = ?2 AND \
             status = 'running')"
        ),
        "WHERE tenant = ?1 AND worker_id = ?2"
    );
    Statement::new(SQL, vec![tenant.text().into(), id.text().into()])
}

/// The workers registered before a place, newest first.
pub(crate) fn list(tenant: &TenantId, before: Option<(i64, &str)>, limit: u32) -> Statement {
    const SQL: &str = concat!(
        select!("coalesce(leases, 0)"),
        "LEFT JOIN (SELECT worker_id AS holder, count(*) AS leases FROM tasks \
         INDEXED BY tasks_leased WHERE tenant = ?1 AND status = 'running' GROUP BY worker_id) ON \
         holder = worker_id WHERE tenant = ?1 AND (registered_at, worker_id) < (?2, ?3) \
         ORDER BY registered_at DESC, worker_id DESC LIMIT ?4"
    );
    let (registered_at, id) = before.unwrap_or((i64::MAX, ""));
    Statement::new(SQL, vec![tenant.text().into(), Cell::Integer(registered_at), id.into(), limit.into()])
}

/// Reads a row of these.
pub(crate) fn read(row: Row) -> Result<WorkerRow, StoreError> {
    let mut c = Columns::of(row, "workers");
    Ok(WorkerRow {
        id: WorkerId::trusted(c.text()?),
        queues: c.json()?,
        labels: c.json()?,
        capacity: c.small()?,
        draining: c.int()? != 0,
        registered_at: c.time()?,
        last_seen_at: c.time()?,
        leases: c.small()?,
    })
}
