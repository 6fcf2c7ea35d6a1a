//! What tasks print.

use std::sync::Arc;

use crate::ids::{LeaseId, RunId, TenantId};
use crate::time::Timestamp;

use super::StoreError;
use super::columns::{Columns, element_cell};
use super::database::{Batch, Cell, Row, Statement};
use super::history::take_cursors;
use super::leases::LeaseRow;

/// A chunk to be stored.
#[derive(Debug, Clone)]
pub(crate) struct NewChunk {
    pub(crate) seq: Option<i64>,
    pub(crate) stream: String,
    pub(crate) text: String,
    pub(crate) at: Timestamp,
}

/// Adds chunks to the attempt of a lease that is held; refused when it is not. A chunk whose `seq` is there
/// already is ignored.
pub(crate) fn append(tenant: &TenantId, lease: &LeaseRow, chunks: &[NewChunk], bytes: i64) -> Batch {
    const GUARD: &str = "INSERT INTO leases (tenant, lease_id, run_id, task, idx, attempt, worker_id, granted_at, \
        log_bytes) SELECT tenant, lease_id, run_id, task, idx, attempt, worker_id, granted_at, ?3 FROM tasks WHERE \
        tenant = ?1 AND run_id = ?4 AND task = ?5 AND idx = ?6 AND status = 'running' AND lease_id = ?2 \
        ON CONFLICT (tenant, lease_id) DO UPDATE SET log_bytes = log_bytes + excluded.log_bytes";
    const INSERT: &str = "INSERT INTO logs (tenant, run_id, cursor, task, idx, attempt, lease_id, seq, stream, \
        text, at) VALUES (?1, ?2, (SELECT value FROM counters WHERE name = 'cursor') - ?3, ?4, ?5, ?6, ?7, \
        ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING";
    let mut batch = Batch::default();
    let [run, task, element] = lease.of.cells();
    let mut guard = vec![tenant.text().into(), lease.id.text().into(), Cell::Integer(bytes)];
    guard.extend([run.clone(), task.clone(), element.clone()]);
    batch.expect(1, Statement::new(GUARD, guard));
    take_cursors(&mut batch, chunks.len() as i64);
    for (index, chunk) in chunks.iter().enumerate() {
        let params = vec![
            tenant.text().into(),
            run.clone(),
            Cell::Integer((chunks.len() - 1 - index) as i64),
            task.clone(),
            element.clone(),
            lease.attempt.into(),
            lease.id.text().into(),
            chunk.seq.into(),
            chunk.stream.as_str().into(),
            chunk.text.as_str().into(),
            chunk.at.into(),
        ];
        batch.push(Statement::new(INSERT, params));
    }
    batch
}

/// Which of a lease's sequence numbers from `from` to `to` are stored.
pub(crate) fn stored_seqs(tenant: &TenantId, lease: &LeaseId, from: i64, to: i64) -> Statement {
    const SQL: &str = "SELECT seq FROM logs WHERE tenant = ?1 AND lease_id = ?2 AND seq BETWEEN ?3 AND ?4";
    Statement::new(SQL, vec![tenant.text().into(), lease.text().into(), from.into(), to.into()])
}

/// Reads a row of [`stored_seqs`].
pub(crate) fn read_seq(row: Row) -> Result<i64, StoreError> {
    Columns::of(row, "logs").int()
}

/// Which chunks of a run are wanted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    pub(crate) task: Option<(Arc<str>, Option<u32>)>,
    pub(crate) stream: Option<String>,
    pub(crate) attempt: Option<u32>,
}

/// How long the texts of one page may be together; one more chunk may reach beyond it.
pub(crate) const PAGE_BYTES_MAX: i64 = 4 << 20;

/// The chunks of a run after a cursor, oldest first: as many as `limit`, and until [`PAGE_BYTES_MAX`].
pub(crate) fn after(tenant: &TenantId, run: &RunId, wanted: &Wanted, cursor: i64, limit: u32) -> Statement {
    let mut sql = String::from(
        "SELECT cursor, task, idx, attempt, stream, text, at FROM (SELECT *, sum(octet_length(text)) OVER \
         (ORDER BY cursor) - octet_length(text) AS before FROM (SELECT * FROM logs WHERE tenant = ?1 AND \
         run_id = ?2 AND cursor > ?3",
    );
    let mut params: Vec<Cell> = vec![tenant.text().into(), run.text().into(), cursor.into()];
    if let Some((task, index)) = &wanted.task {
        sql += " AND task = ?4 AND idx = ?5";
        params.extend([Cell::Text(task.clone()), element_cell(*index)]);
    }
    if let Some(stream) = &wanted.stream {
        params.push(stream.as_str().into());
        sql += &format!(" AND stream = ?{}", params.len());
    }
    if let Some(attempt) = wanted.attempt {
        params.push(attempt.into());
        sql += &format!(" AND attempt = ?{}", params.len());
    }
    params.extend([limit.into(), PAGE_BYTES_MAX.into()]);
    let (limit, bytes) = (params.len() - 1, params.len());
    sql += &format!(" ORDER BY cursor LIMIT ?{limit})) WHERE before < ?{bytes}");
    Statement::new(sql, params)
}

/// A chunk as stored.
#[derive(Debug)]
pub(crate) struct ChunkRow {
    pub(crate) cursor: i64,
    pub(crate) task: Arc<str>,
    pub(crate) index: Option<u32>,
    pub(crate) attempt: u32,
    pub(crate) stream: Arc<str>,
    pub(crate) text: Arc<str>,
    pub(crate) at: Timestamp,
}

/// Reads a row of [`after`].
pub(crate) fn read(row: Row) -> Result<ChunkRow, StoreError> {
    let mut c = Columns::of(row, "logs");
    Ok(ChunkRow {
        cursor: c.int()?,
        task: c.text()?,
        index: u32::try_from(c.int()?).ok(),
        attempt: c.small()?,
        stream: c.text()?,
        text: c.text()?,
        at: c.time()?,
    })
}
