//! Finding what a worker may claim: the heads of its lanes.

use std::sync::Arc;

use crate::ids::{RunId, TenantId};

use super::StoreError;
use super::columns::Columns;
use super::database::{Cell, Row, Statement};
use super::tasks::RowKey;

/// A queue together with one set of labels that its tasks ask for.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    pub(crate) labels: Vec<String>,
    pub(crate) lane: Arc<str>,
}

/// The lanes of a queue.
pub(crate) fn lanes(tenant: &TenantId, queue: &str) -> Statement {
    const SQL: &str = "SELECT labels, lane FROM lanes WHERE tenant = ?1 AND queue = ?2";
    Statement::new(SQL, vec![tenant.text().into(), queue.into()])
}

/// Reads a row of [`lanes`].
pub(crate) fn read_lane(row: Row) -> Result<Lane, StoreError> {
    let mut c = Columns::of(row, "lanes");
    Ok(Lane { labels: c.json()?, lane: c.text()? })
}

/// The head of a lane: what is to be claimed next.
pub(crate) fn head(tenant: &TenantId, lane: &Arc<str>, limit: usize) -> Statement {
    const SQL: &str = "SELECT run_id, task, idx, priority, fair_order, checkpoints FROM tasks WHERE tenant = ?1 AND \
        lane = ?2 AND status = 'ready' AND parked = 0 ORDER BY priority DESC, fair_order LIMIT ?3";
    let params = vec![tenant.text().into(), Cell::Text(lane.clone()), Cell::Integer(limit as i64)];
    Statement::new(SQL, params)
}

/// One claimable instance and its place.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) run: RunId,
    pub(crate) key: RowKey,
    pub(crate) priority: i64,
    pub(crate) fair_order: i64,
    /// How many checkpoints its attempts have left.
    pub(crate) checkpoints: i64,
}

/// Reads a row of [`head`].
pub(crate) fn read_candidate(row: Row) -> Result<Candidate, StoreError> {
    let mut c = Columns::of(row, "tasks");
    Ok(Candidate {
        run: RunId::trusted(c.text()?),
        key: RowKey::read(&mut c)?,
        priority: c.int()?,
        fair_order: c.int()?,
        checkpoints: c.int()?,
    })
}

/// Every lane of a tenant, with its queue.
pub(crate) fn every_lane(tenant: &TenantId) -> Statement {
    Statement::new("SELECT queue, lane FROM lanes WHERE tenant = ?1", vec![tenant.text().into()])
}

/// Reads a row of [`every_lane`].
pub(crate) fn read_every_lane(row: Row) -> Result<(String, Arc<str>), StoreError> {
    let mut c = Columns::of(row, "lanes");
    Ok((c.text()?.to_string(), c.text()?))
}
