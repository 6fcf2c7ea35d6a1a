//! What a decision changes in the tables: one batch, guarded by the run's revision.

use crate::engine::run::End;
use crate::engine::{Decided, Run, Slice, What};
use crate::ids::{LeaseId, RequestKey};
use crate::planted::{self, Bug};

use super::database::{Batch, Cell, Statement};
use super::runs::Basis;
use super::tasks::{FairOrders, Stopped};
use super::{history, leases, runs, signals, tasks};

/// What a commit writes besides what its events say.
#[derive(Default)]
pub(crate) struct Extras<'a> {
    /// The claims that grants answer, where those have an id.
    pub(crate) claims: &'a [(LeaseId, RequestKey)],
    /// The digest of the report that ends a lease.
    pub(crate) digest: Option<&'a str>,
    /// What the version of a new run must be.
    pub(crate) basis: Basis,
}

/// The writes of a decision taken on a run as it was `before`; `None` for a new run.
///
/// The slice after the events must carry the next revision and a commit number of its own.
pub(crate) fn project(
    decided: &Decided,
    before: Option<&Run>,
    extras: &Extras<'_>,
    orders: &FairOrders,
) -> Batch {
    let slice = &decided.after;
    let mut batch = Batch::default();
    match before {
        Some(before) => runs::update(&mut batch, &slice.run, before),
        None => runs::insert(&mut batch, &slice.run, extras.basis),
    }
    for event in &decided.events {
        guard_expiry(&mut batch, slice, &event.what, event.at);
    }
    for event in &decided.events {
        stop_or_park(&mut batch, slice, &event.what);
    }
    for event in &decided.events {
        leases::project(&mut batch, slice, event, extras);
    }
    tasks::upsert_touched(&mut batch, slice, &decided.events, orders);
    for event in &decided.events {
        signals::project(&mut batch, slice, event);
    }
    history::append(&mut batch, &slice.run, &decided.events);
    batch
}

fn guard_expiry(batch: &mut Batch, slice: &Slice, what: &What, at: crate::time::Timestamp) {
    let (task, lease, failure) = match what {
        What::AttemptFailed { task, lease_id, failure, .. }
        | What::TaskCancelled { task, lease_id, failure } => (task, lease_id, failure),
        What::TaskFailed { task, lease_id: Some(lease_id), failure, .. } => (task, lease_id, failure),
        _ => return,
    };
    if failure.code.as_deref() == Some(LEASE_EXPIRED) && !planted::is(Bug::ExtendedExpires) {
        tasks::expect_expired(batch, slice, task.key(&slice.workflow), lease, at);
    }
}

const LEASE_EXPIRED: &str = "lease_expired";

fn stop_or_park(batch: &mut Batch, slice: &Slice, what: &What) {
    match what {
        What::RunStopping { end, .. } => {
            let stopped = match end {
                End::Cancelled => Stopped::Cancelled,
                End::Failed | End::TimedOut => Stopped::Skipped,
            };
            let grace = slice.workflow.tasks.iter().map(|task| task.grace).min().unwrap_or_default();
            tasks::stop_open(batch, &slice.run, stopped, slice.run.updated_at.plus(grace));
        }
        What::RunPaused {} => tasks::park(batch, &slice.run),
        What::RunResumed {} => tasks::unpark(batch, &slice.run),
        _ => {}
    }
}

/// Registers the lanes that instances have become ready in, so that claims find them.
pub(crate) fn add_lane(batch: &mut Batch, run: &Run, queue: &str, labels: &str, lane: &str) {
    const SQL: &str = "INSERT OR IGNORE INTO lanes (tenant, queue, labels, lane) VALUES (?1, ?2, ?3, ?4)";
    let params = vec![run.tenant.text().into(), Cell::from(queue), Cell::from(labels), Cell::from(lane)];
    batch.push(Statement::new(SQL, params));
}
