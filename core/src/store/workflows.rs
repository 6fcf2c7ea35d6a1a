//! Workflows and the documents of their versions.

use crate::ids::{TenantId, Version, WorkflowName};
use crate::time::Timestamp;
use crate::value::Payload;
use crate::workflow::model::Workflow;

use super::StoreError;
use super::columns::Columns;
use super::database::{Batch, Cell, Row, Statement};
use super::modules::{self, Pins};

/// One version of a workflow as stored.
#[derive(Debug, Clone)]
pub(crate) struct WorkflowRow {
    pub(crate) name: WorkflowName,
    pub(crate) number: i64,
    pub(crate) version: Version,
    pub(crate) created_at: Timestamp,
    pub(crate) document: Payload,
    pub(crate) modules: Pins,
}

macro_rules! select {
    () => {
        "SELECT w.name, w.number, w.version, w.created_at, d.body, p.modules FROM workflows w JOIN documents d \
         ON d.tenant = w.tenant AND d.version = w.version LEFT JOIN module_pins p ON p.tenant = w.tenant AND \
         p.version = w.version WHERE w.tenant = ?1 "
    };
}

/// The newest version of a workflow.
pub(crate) fn newest(tenant: &TenantId, name: &WorkflowName) -> Statement {
    const SQL: &str = concat!(select!(), "AND w.name = ?2 ORDER BY w.number DESC LIMIT 1");
    Statement::new(SQL, vec![tenant.text().into(), name.text().into()])
}

/// One version of a workflow.
pub(crate) fn by_version(tenant: &TenantId, name: &WorkflowName, version: &Version) -> Statement {
    const SQL: &str = concat!(select!(), "AND w.name = ?2 AND w.version = ?3");
    Statement::new(SQL, vec![tenant.text().into(), name.text().into(), version.text().into()])
}

/// The versions of a workflow before a number, newest first.
pub(crate) fn versions(tenant: &TenantId, name: &WorkflowName, before: i64, limit: u32) -> Statement {
    const SQL: &str = concat!(select!(), "AND w.name = ?2 AND w.number < ?3 ORDER BY w.number DESC LIMIT ?4");
    Statement::new(SQL, vec![tenant.text().into(), name.text().into(), before.into(), limit.into()])
}

/// The newest version of each workflow whose name comes after `after`, by name.
pub(crate) fn list(tenant: &TenantId, after: &str, limit: u32) -> Statement {
    const SQL: &str = concat!(
        select!(),
        "AND w.name > ?2 AND w.number = (SELECT max(n.number) FROM workflows n WHERE n.tenant = w.tenant \
         AND n.name = w.name) ORDER BY w.name LIMIT ?3"
    );
    Statement::new(SQL, vec![tenant.text().into(), after.into(), limit.into()])
}

/// Reads a row of these.
pub(crate) fn read(row: Row) -> Result<WorkflowRow, StoreError> {
    let mut c = Columns::of(row, "workflows");
    Ok(WorkflowRow {
        name: WorkflowName::trusted(c.text()?),
        number: c.int()?,
        version: Version::trusted(c.text()?),
        created_at: c.time()?,
        document: c.payload()?,
        modules: c.json_or_null()?.unwrap_or_default(),
    })
}

/// The document of a version, whether or not its workflow still exists.
pub(crate) fn document(tenant: &TenantId, version: &Version) -> Statement {
    const SQL: &str = "SELECT body FROM documents WHERE tenant = ?1 AND version = ?2";
    Statement::new(SQL, vec![tenant.text().into(), version.text().into()])
}

/// Reads a row of [`document`].
pub(crate) fn read_document(row: Row) -> Result<Payload, StoreError> {
    Columns::of(row, "documents").payload()
}

/// Keeps a document and what it is pinned to.
pub(crate) fn keep_document(batch: &mut Batch, tenant: &TenantId, workflow: &Workflow) {
    const SQL: &str = "INSERT OR IGNORE INTO documents (tenant, version, body) VALUES (?1, ?2, ?3)";
    let (version, body) = (workflow.version.text(), &*workflow.canonical);
    batch.push(Statement::new(SQL, vec![tenant.text().into(), version.into(), body.into()]));
    modules::pin(batch, tenant, workflow);
}

/// Makes a version the newest of its workflow: a new row, or a row of the past moved to the front. Refused
/// when `newest` is not the highest number any more.
pub(crate) fn save(tenant: &TenantId, workflow: &Workflow, newest: i64, now: Timestamp) -> Batch {
    const SQL: &str = "INSERT INTO workflows (tenant, name, number, version, created_at) SELECT ?1, ?2, ?3 + 1, \
        ?4, ?5 WHERE ?3 = (SELECT coalesce(max(number), 0) FROM workflows WHERE tenant = ?1 AND name = ?2) \
        ON CONFLICT (tenant, name, version) DO UPDATE SET number = ?3 + 1, created_at = ?5";
    let mut batch = Batch::default();
    let params = vec![
        tenant.text().into(),
        workflow.name.text().into(),
        Cell::Integer(newest),
        workflow.version.text().into(),
        now.into(),
    ];
    batch.expect(1, Statement::new(SQL, params));
    keep_document(&mut batch, tenant, workflow);
    batch
}

/// Forgets a workflow; refused when its newest version is not this one any more. Documents stay for runs.
pub(crate) fn delete(tenant: &TenantId, name: &WorkflowName, newest: i64) -> Batch {
    const GUARD: &str = "DELETE FROM workflows WHERE tenant = ?1 AND name = ?2 AND number = ?3 AND ?3 = \
        (SELECT max(number) FROM workflows WHERE tenant = ?1 AND name = ?2)";
    const REST: &str = "DELETE FROM workflows WHERE tenant = ?1 AND name = ?2";
    let mut batch = Batch::default();
    let params = vec![tenant.text().into(), name.text().into(), Cell::Integer(newest)];
    batch.expect(1, Statement::new(GUARD, params));
    batch.push(Statement::new(REST, vec![tenant.text().into(), name.text().into()]));
    batch
}
