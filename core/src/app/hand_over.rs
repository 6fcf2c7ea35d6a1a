//! From a task that has become ready straight to a claim that waits for it, within one decision.

use std::collections::BTreeSet;

use crate::engine::{Command, Decided, Grant, Key, RunPhase, TaskPhase, Undecided, What, decide, prefetch};
use crate::ids::LeaseId;
use crate::platform::Platform;
use crate::store::database::Database;
use crate::workflow::model::{Kind, Task};

use super::App;
use super::desks::Seat;
use super::fault::Fault;
use super::hot::HotRun;

impl<D: Database, P: Platform> App<D, P> {
    /// Adds to a decision the leases of those that wait for what it makes ready. `hot` has the rest of the run,
    /// if not everything is in the decision's slice.
    pub(super) async fn hand_over(
        &self,
        hot: Option<&mut HotRun>,
        decided: Decided,
    ) -> Result<(Decided, Vec<Seat<'_>>), Fault> {
        if decided.after.run.phase != RunPhase::Running || self.desks.is_empty() {
            return Ok((decided, Vec::new()));
        }
        let (mut grants, mut seats) = (Vec::new(), Vec::new());
        for key in ready(&decided) {
            let Some(seat) = self.seat(&decided, key) else { continue };
            let (worker, ttl) = seat.holder();
            grants.push((key, Grant { id: seat.lease().clone(), worker: worker.clone(), ttl }));
            seats.push(seat);
        }
        if grants.is_empty() {
            return Ok((decided, seats));
        }
        self.grant_along(hot, decided, Command::Grant(grants), seats).await
    }

    /// Serves those whose leases are in the database now.
    pub(super) async fn serve(&self, mut seats: Vec<Seat<'_>>, decided: &Decided) {
        if seats.is_empty() {
            return;
        }
        // Only an attempt after the first can find what an earlier one has remembered.
        let again = decided.after.touched().filter(|(_, instance)| instance.attempt > 1);
        let with_checkpoints: BTreeSet<Key> = again.map(|(key, _)| key).collect();
        let tasks = match self.claimed(decided, &with_checkpoints).await {
            Ok(tasks) => tasks,
            Err(fault) => {
                // The leases go back when the seats are dropped.
                let _ = self.fault(fault, decided.after.run.id.as_str());
                return;
            }
        };
        for task in tasks {
            if let Some(at) = seats.iter().position(|seat| *seat.lease() == task.lease_id) {
                seats.swap_remove(at).serve(task);
            }
        }
    }

    fn seat(&self, decided: &Decided, key: Key) -> Option<Seat<'_>> {
        let task = decided.after.task(key);
        let Kind::Worker { queue, .. } = &task.kind else { return None };
        let lease = LeaseId::of(&decided.after.run.id, task.name.as_str(), key.index, self.random_u64());
        let queue = (decided.after.run.tenant.clone(), queue.text());
        self.desks.seat(&self.alarm, &queue, |carried| fits(task, carried), lease)
    }

    /// Carries out the grants on what the decision has left.
    async fn grant_along<'a>(
        &self,
        mut hot: Option<&mut HotRun>,
        decided: Decided,
        grants: Command,
        seats: Vec<Seat<'a>>,
    ) -> Result<(Decided, Vec<Seat<'a>>), Fault> {
        let Decided { mut events, after: mut slice, repeated } = decided;
        let mut needs = prefetch(&slice.workflow, &grants);
        loop {
            if let Some(hot) = hot.as_deref_mut() {
                // What the decision has touched is ahead of everything that could be loaded.
                let missing = needs.into_iter().filter(|need| !slice.holds(need)).collect();
                self.load(hot, &mut slice, missing).await?;
            }
            match decide(&slice, &grants, self.now()) {
                Ok(granted) => {
                    events.extend(granted.events);
                    return Ok((Decided { events, after: granted.after, repeated }, seats));
                }
                Err(Undecided::Missing(missing)) => needs = missing.0,
                Err(Undecided::Refused(_)) => {
                    seats.into_iter().for_each(Seat::give_up);
                    return Ok((Decided { events, after: slice, repeated }, Vec::new()));
                }
            }
        }
    }
}

/// What a decision has made ready and left so.
fn ready(decided: &Decided) -> impl Iterator<Item = Key> {
    let keys = decided.events.iter().filter_map(|event| match &event.what {
        What::TaskReady { task, .. } => Some(task.key(&decided.after.workflow)),
        _ => None,
    });
    keys.filter(|key| {
        let instance = decided.after.get(*key);
        instance.is_some_and(|instance| matches!(instance.phase, TaskPhase::Ready { .. }))
    })
}

/// Whether a worker that carries these labels may run a task.
fn fits(task: &Task, carried: &[String]) -> bool {
    task.labels.iter().all(|label| carried.iter().any(|own| own == label.as_str()))
}
