//! What attempts have remembered for the later attempts of their task instance.
//!
//! The row of the instance guards a write: it names the lease that is held, and counts what is stored. The
//! run's revision is left alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ids::{CheckpointKey, LeaseId, RunId, TenantId};
use crate::time::Timestamp;
use crate::value::Payload;

use super::StoreError;
use super::columns::{Columns, element_cell};
use super::database::{Batch, Cell, Row, Statement};
use super::leases::{Subject, ended};
use super::tasks::RowKey;

/// One checkpoint as stored.
#[derive(Debug, Clone)]
pub(crate) struct CheckpointRow {
    pub(crate) value: Payload,
    /// Which attempt wrote it.
    pub(crate) attempt: u32,
    pub(crate) created_at: Timestamp,
}

/// Where a lease stands, and what is stored under one key of its instance.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) of: Subject,
    pub(crate) attempt: u32,
    /// How the lease ended, where it has.
    pub(crate) ended: Option<Arc<str>>,
    /// Whether the lease is the instance's own and has not expired.
    pub(crate) held: bool,
    /// How many checkpoints the instance has.
    pub(crate) count: i64,
    /// How long their values are together.
    pub(crate) bytes: i64,
    /// The checkpoint of the key that was asked for.
    pub(crate) stored: Option<CheckpointRow>,
}

/// How many checkpoints an instance may have, and how long they may be together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) count_max: i64,
    pub(crate) bytes_max: i64,
}

/// Looks at a lease and at one key of the instance that it is of.
pub(crate) fn place(
    tenant: &TenantId,
    lease: &LeaseId,
    of: &Subject,
    key: &CheckpointKey,
    now: Timestamp,
) -> Statement {
    const SQL: &str = concat!(
        "SELECT t.run_id, t.task, t.idx, coalesce(l.attempt, t.attempt), ",
        ended!(),
        ", t.status = 'running' AND t.lease_id IS ?2 AND t.lease_expires_at > max(?4, run.updated_at), t.checkpoints, \
         t.checkpoint_bytes, c.value, c.attempt, c.created_at FROM tasks t JOIN runs run ON run.tenant = t.tenant AND \
         run.id = t.run_id LEFT JOIN leases l ON l.tenant = ?1 AND l.lease_id = ?2 LEFT JOIN checkpoints c ON \
         c.tenant = t.tenant AND c.run_id = t.run_id AND c.task = t.task AND c.idx = t.idx AND c.key = ?3 WHERE \
         t.tenant = ?1 AND t.run_id = ?5 AND t.task = ?6 AND t.idx = ?7 AND (t.lease_id = ?2 OR l.lease_id IS NOT \
         NULL)"
    );
    let mut params = vec![tenant.text().into(), lease.text().into(), key.text().into(), now.into()];
    params.extend(of.cells());
    Statement::new(SQL, params)
}

/// Reads a row of [`place`].
pub(crate) fn read_place(row: Row) -> Result<Place, StoreError> {
    let mut c = Columns::of(row, "checkpoints");
    let of = Subject { run: RunId::trusted(c.text()?), key: RowKey::read(&mut c)? };
    let (attempt, ended, held) = (c.small()?, c.text_or_null()?, c.int_or_null()? == Some(1));
    let (count, bytes) = (c.int()?, c.int()?);
    let stored = match c.payload_or_null()? {
        Some(value) => Some(CheckpointRow { value, attempt: c.small()?, created_at: c.time()? }),
        None => None,
    };
    Ok(Place { of, attempt, ended, held, count, bytes, stored })
}

/// Adds a checkpoint under a lease; refused when the lease is not held any more, when the key is there
/// already, or when there is no room for it.
pub(crate) fn insert(
    tenant: &TenantId,
    lease: &LeaseId,
    place: &Place,
    key: &CheckpointKey,
    value: &Payload,
    room: Room,
    now: Timestamp,
) -> Batch {
    const GUARD: &str = "UPDATE tasks SET checkpoints = checkpoints + 1, \
        checkpoint_bytes = checkpoint_bytes + ?7 WHERE tenant = ?1 AND run_id = ?2 AND task = ?3 AND \
        idx = ?4 AND lease_id = ?5 AND status = 'running' AND lease_expires_at > max(?6, (SELECT updated_at \
        FROM runs WHERE tenant = ?1 AND id = ?2)) AND checkpoints < ?8 AND checkpoint_bytes + ?7 <= ?9";
    const INSERT: &str = "INSERT INTO checkpoints (tenant, run_id, task, idx, key, attempt, created_at, value) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let instance = || -> Vec<Cell> {
        let [run, task, element] = place.of.cells();
        vec![tenant.text().into(), run, task, element]
    };
    let mut guard = instance();
    guard.extend([
        lease.text().into(),
        now.into(),
        Cell::Integer(value.byte_len() as i64),
        Cell::Integer(room.count_max),
        Cell::Integer(room.bytes_max),
    ]);
    let mut row = instance();
    row.extend([key.text().into(), place.attempt.into(), now.into(), value.into()]);
    let mut batch = Batch::default();
    batch.expect(1, Statement::new(GUARD, guard));
    batch.expect(1, Statement::new(INSERT, row));
    batch
}

/// The checkpoints of an instance, by key.
pub(crate) fn of_instance(tenant: &TenantId, run: &RunId, task: &str, index: Option<u32>) -> Statement {
    const SQL: &str = "SELECT key, value FROM checkpoints WHERE tenant = ?1 AND run_id = ?2 AND task = ?3 AND \
        idx = ?4 ORDER BY key";
    let index = element_cell(index);
    Statement::new(SQL, vec![tenant.text().into(), run.text().into(), task.into(), index])
}

/// Reads the rows of [`of_instance`].
pub(crate) fn read_all(rows: Vec<Row>) -> Result<BTreeMap<String, Payload>, StoreError> {
    let read = |row: Row| {
        let mut c = Columns::of(row, "checkpoints");
        Ok((c.text()?.to_string(), c.payload()?))
    };
    rows.into_iter().map(read).collect()
}
