//! The signals of a run, consumed or not.

use std::sync::Arc;

use crate::engine::{Buffered, Event, Run, Slice, What};
use crate::ids::{RequestKey, RunId, SignalName, TenantId};
use crate::time::Timestamp;
use crate::value::Payload;

use super::StoreError;
use super::columns::Columns;
use super::database::{Batch, Cell, Row, Statement};

/// Adds a signal that the event received; marks one that it consumed.
pub(crate) fn project(batch: &mut Batch, slice: &Slice, event: &Event) {
    const INSERT: &str = "INSERT INTO signals (tenant, run_id, number, name, signal_id, payload, received_at) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    const CONSUME: &str =
        "UPDATE signals SET consumed_by = ?4 WHERE tenant = ?1 AND run_id = ?2 AND number = ?3";
    let ids = || vec![slice.run.tenant.text().into(), slice.run.id.text().into()];
    match &event.what {
        What::SignalReceived { name, number, signal_id, payload } => {
            let mut params: Vec<Cell> = ids();
            params.extend([
                Cell::Integer(*number as i64),
                name.text().into(),
                signal_id.as_ref().map(RequestKey::text).into(),
                payload.into(),
                event.at.into(),
            ]);
            batch.expect(1, Statement::new(INSERT, params));
        }
        What::SignalConsumed { number, task, .. } => {
            let by = match task.index {
                None => task.task.to_string(),
                Some(index) => format!("{}[{index}]", task.task),
            };
            let mut params: Vec<Cell> = ids();
            params.extend([Cell::Integer(*number as i64), by.into()]);
            batch.expect(1, Statement::new(CONSUME, params));
        }
        _ => {}
    }
}

/// The oldest unconsumed signals of a name.
pub(crate) fn buffered(run: &Run, name: &SignalName, limit: u32) -> Statement {
    const SQL: &str = "SELECT number, payload FROM signals WHERE tenant = ?1 AND run_id = ?2 AND name = ?3 AND \
        consumed_by IS NULL ORDER BY number LIMIT ?4";
    let params = vec![run.tenant.text().into(), run.id.text().into(), name.text().into(), limit.into()];
    Statement::new(SQL, params)
}

/// Reads a row of [`buffered`].
pub(crate) fn read_buffered(row: Row) -> Result<Buffered, StoreError> {
    let mut c = Columns::of(row, "signals");
    Ok(Buffered { number: c.int()? as u64, payload: c.payload()? })
}

/// Whether a signal with this id was received before.
pub(crate) fn by_id(run: &Run, id: &RequestKey) -> Statement {
    const SQL: &str = "SELECT 1 FROM signals WHERE tenant = ?1 AND run_id = ?2 AND signal_id = ?3";
    Statement::new(SQL, vec![run.tenant.text().into(), run.id.text().into(), id.text().into()])
}

/// A signal as stored.
#[derive(Debug)]
pub(crate) struct SignalRow {
    pub(crate) number: u64,
    pub(crate) name: Arc<str>,
    pub(crate) signal_id: Option<Arc<str>>,
    pub(crate) payload: Payload,
    pub(crate) received_at: Timestamp,
    pub(crate) consumed_by: Option<Arc<str>>,
}

/// The signals of a run before a number, newest first.
pub(crate) fn list(tenant: &TenantId, run: &RunId, before: u64, limit: u32) -> Statement {
    const SQL: &str = "SELECT number, name, signal_id, payload, received_at, consumed_by FROM signals WHERE \
        tenant = ?1 AND run_id = ?2 AND number < ?3 ORDER BY number DESC LIMIT ?4";
    let before = i64::try_from(before).unwrap_or(i64::MAX);
    Statement::new(SQL, vec![tenant.text().into(), run.text().into(), Cell::Integer(before), limit.into()])
}

/// Reads a row of [`list`].
pub(crate) fn read(row: Row) -> Result<SignalRow, StoreError> {
    let mut c = Columns::of(row, "signals");
    Ok(SignalRow {
        number: c.int()? as u64,
        name: c.text()?,
        signal_id: c.text_or_null()?,
        payload: c.payload()?,
        received_at: c.time()?,
        consumed_by: c.text_or_null()?,
    })
}
