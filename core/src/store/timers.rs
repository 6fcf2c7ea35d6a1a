//! Timers: rows whose `wake_at` has come.

use crate::ids::{RunId, TenantId};
use crate::time::Timestamp;

use super::StoreError;
use super::columns::Columns;
use super::database::{Row, Statement};
use super::tasks::RowKey;

/// The runs whose own timer is due, the longest due first.
pub(crate) fn due_runs(tenant: &TenantId, now: Timestamp, limit: u32) -> Statement {
    const SQL: &str = "SELECT id FROM runs WHERE tenant = ?1 AND wake_at <= ?2 ORDER BY wake_at LIMIT ?3";
    Statement::new(SQL, vec![tenant.text().into(), now.into(), limit.into()])
}

/// The instances of which a timer is due, the longest due first.
pub(crate) fn due_tasks(tenant: &TenantId, now: Timestamp, limit: u32) -> Statement {
    const SQL: &str = "SELECT run_id, task, idx, wake_at FROM tasks WHERE tenant = ?1 AND wake_at <= ?2 AND \
        parked = 0 AND status <> 'running' UNION ALL SELECT run_id, task, idx, wake_at FROM tasks WHERE \
        tenant = ?1 AND wake_at <= ?2 AND status = 'running' ORDER BY wake_at LIMIT ?3";
    Statement::new(SQL, vec![tenant.text().into(), now.into(), limit.into()])
}

/// The earliest timers of a tenant, of runs, of instances, and of those under a lease: three statements of one cell each.
pub(crate) fn next(tenant: &TenantId) -> [Statement; 3] {
    const RUNS: &str = "SELECT min(wake_at) FROM runs WHERE tenant = ?1 AND wake_at IS NOT NULL";
    const TASKS: &str = "SELECT min(wake_at) FROM tasks WHERE tenant = ?1 AND wake_at IS NOT NULL AND \
        parked = 0 AND status <> 'running'";
    const LEASED: &str = "SELECT min(wake_at) FROM tasks WHERE tenant = ?1 AND wake_at IS NOT NULL AND \
        status = 'running'";
    [RUNS, TASKS, LEASED].map(|sql| Statement::new(sql, vec![tenant.text().into()]))
}

/// Every tenant of the database.
pub(crate) fn tenants() -> Statement {
    Statement::new("SELECT tenant FROM tenants", Vec::new())
}

/// Reads a row of [`due_runs`].
pub(crate) fn read_run(row: Row) -> Result<RunId, StoreError> {
    Ok(RunId::trusted(Columns::of(row, "runs").text()?))
}

/// Reads a row of [`due_tasks`].
pub(crate) fn read_task(row: Row) -> Result<(RunId, RowKey), StoreError> {
    let mut c = Columns::of(row, "tasks");
    Ok((RunId::trusted(c.text()?), RowKey::read(&mut c)?))
}

/// Reads the single row of one of [`next`].
pub(crate) fn read_next(rows: Vec<Row>) -> Result<Option<Timestamp>, StoreError> {
    match rows.into_iter().next() {
        Some(row) => Columns::of(row, "tasks").time_or_null(),
        None => Ok(None),
    }
}

/// Reads a row of [`tenants`].
pub(crate) fn read_tenant(row: Row) -> Result<TenantId, StoreError> {
    Ok(TenantId::trusted(Columns::of(row, "tenants").text()?))
}
