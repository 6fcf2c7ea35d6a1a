//! History: one row for each commit, its events as a JSON array.

use crate::engine::{Event, Run};
use crate::ids::{RunId, TenantId};

use super::StoreError;
use super::columns::{Columns, json_cell};
use super::database::{Batch, Cell, Row, Statement};

/// The last cursor that was taken, by an event or by a log chunk: what counts events is history itself, so that a
/// commit changes no counter.
macro_rules! last_cursor {
    () => {
        "max((SELECT value FROM counters WHERE name = 'cursor'), coalesce((SELECT cursor + last_seq - seq FROM \
         history WHERE cursor > 0 ORDER BY cursor DESC LIMIT 1), 0))"
    };
}

/// Adds the events of one commit. The run's `last_seq` counts them already.
pub(crate) fn append(batch: &mut Batch, run: &Run, events: &[Event]) {
    if events.is_empty() {
        return;
    }
    const SQL: &str = concat!(
        "INSERT INTO history (tenant, run_id, seq, last_seq, cursor, events) VALUES (?1, ?2, ?3, ?4, ",
        last_cursor!(),
        " + 1, ?5)"
    );
    let count = events.len() as i64;
    let last = run.last_seq as i64;
    let params = vec![
        run.tenant.text().into(),
        run.id.text().into(),
        Cell::Integer(last - count + 1),
        Cell::Integer(last),
        json_cell(events),
    ];
    batch.push(Statement::new(SQL, params));
}

/// Takes the next `count` cursors of the database for what is not history; the counter is the last of them. With
/// none, it keeps those that were taken from being taken again when the end of history is removed.
pub(crate) fn take_cursors(batch: &mut Batch, count: i64) {
    const SQL: &str = concat!("UPDATE counters SET value = ", last_cursor!(), " + ?1 WHERE name = 'cursor'");
    batch.push(Statement::new(SQL, vec![Cell::Integer(count)]));
}

/// The last cursor of the database: it moves on with every commit that has an event.
pub(crate) fn cursor() -> Statement {
    Statement::new(concat!("SELECT ", last_cursor!()), Vec::new())
}

/// Reads the row of [`cursor`].
pub(crate) fn read_cursor(row: Row) -> Result<i64, StoreError> {
    Columns::of(row, "counters").int()
}

/// What a commit has written that ended a run's history at `run.last_seq` with these events, if it was made.
pub(crate) fn of_commit(run: &Run, events: &[Event]) -> Statement {
    const SQL: &str = "SELECT 1 FROM history WHERE tenant = ?1 AND run_id = ?2 AND seq = ?3 AND events = ?4";
    let first = run.last_seq as i64 - events.len() as i64 + 1;
    let params = vec![run.tenant.text().into(), run.id.text().into(), first.into(), json_cell(events)];
    Statement::new(SQL, params)
}

/// One event as stored, with its place.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    /// Its number within the run, from 1.
    pub(crate) seq: u64,
    /// Its number within the database.
    pub(crate) cursor: i64,
    /// What happened.
    pub(crate) event: Event,
}

/// The commits of a run that hold events after `seq`, at most `limit` of them, oldest first.
pub(crate) fn after(tenant: &TenantId, run: &RunId, seq: u64, limit: u32) -> Statement {
    const SQL: &str = "SELECT seq, cursor, events FROM history WHERE tenant = ?1 AND run_id = ?2 AND \
        seq >= coalesce((SELECT max(seq) FROM history WHERE tenant = ?1 AND run_id = ?2 AND seq <= ?3 + 1), 0) \
        ORDER BY seq LIMIT ?4";
    let params = vec![tenant.text().into(), run.text().into(), Cell::Integer(seq as i64), Cell::from(limit)];
    Statement::new(SQL, params)
}

/// The commits of a run that hold events before `seq`, newest first.
pub(crate) fn before(tenant: &TenantId, run: &RunId, seq: u64, limit: u32) -> Statement {
    const SQL: &str = "SELECT seq, cursor, events FROM history WHERE tenant = ?1 AND run_id = ?2 AND seq < ?3 \
        ORDER BY seq DESC LIMIT ?4";
    let seq = i64::try_from(seq).unwrap_or(i64::MAX);
    let params = vec![tenant.text().into(), run.text().into(), Cell::Integer(seq), Cell::from(limit)];
    Statement::new(SQL, params)
}

/// Reads a row of [`after`] or [`before`]: its events, oldest first.
pub(crate) fn read(row: Row) -> Result<Vec<Recorded>, StoreError> {
    let mut columns = Columns::of(row, "history");
    let (seq, cursor) = (columns.int()? as u64, columns.int()?);
    let events: Vec<Event> = columns.json()?;
    let numbered = events.into_iter().enumerate();
    Ok(numbered
        .map(|(index, event)| Recorded { seq: seq + index as u64, cursor: cursor + index as i64, event })
        .collect())
}
