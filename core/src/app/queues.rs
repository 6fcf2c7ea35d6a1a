//! What this server remembers of queues: how far each has come, and what is just being claimed.
//!
//! Fairness between runs is start-time fair queueing: a task that becomes ready takes the place
//! `max(the queue's virtual time, its run's last place + 1)`, and the queue's virtual time is the place of
//! what was claimed last. So a run with a thousand ready tasks does not keep another from its first. The
//! virtual time is this server's own; it is read from the queue's head when the server starts, and again
//! with each claim.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use event_listener::{Event, EventListener};

use crate::ids::{RunId, TenantId};
use crate::store::claims::{Candidate, Lane};

/// Of how many sets of labels it is remembered that a queue was drained.
const LABELS_MAX: usize = 64;

/// A queue of a tenant.
type Queue = (TenantId, Arc<str>);

/// One instance that is being claimed.
type Claimed = (TenantId, RunId, String, Option<u32>);

/// The queues of this server.
#[derive(Debug, Default)]
pub(super) struct Queues {
    virtual_times: Mutex<HashMap<(TenantId, String), i64>>,
    /// The lanes that are registered, as far as this server knows.
    lanes: Mutex<HashMap<Queue, Vec<Lane>>>,
    in_flight: Mutex<HashSet<Claimed>>,
    freed: Event,
    backlog: Mutex<Backlog>,
}

/// Whether anything is left in queues, as far as this server knows.
#[derive(Debug, Default)]
struct Backlog {
    /// How often something was left ready, by queue.
    left: HashMap<Queue, u64>,
    /// What that number was when somebody who carries these labels took all there was.
    drained: HashMap<Queue, HashMap<Vec<String>, u64>>,
}

/// Instances that a claim under way has taken for itself among the claims of this server.
pub(super) struct Reserved<'a> {
    queues: &'a Queues,
    claimed: Vec<Claimed>,
}

impl Queues {
    /// The place of an instance that becomes ready, after its run's last place.
    pub(super) fn place(&self, tenant: &TenantId, queue: &str, last: i64) -> i64 {
        let times = lock(&self.virtual_times);
        let time = times.get(&(tenant.clone(), queue.to_owned())).copied().unwrap_or(0);
        time.max(last + 1)
    }

    /// A queue has come at least this far.
    pub(super) fn advance(&self, tenant: &TenantId, queue: &str, place: i64) {
        let mut times = lock(&self.virtual_times);
        let time = times.entry((tenant.clone(), queue.to_owned())).or_default();
        *time = place.max(*time);
    }

    /// Whether this server knows that a lane is registered.
    pub(super) fn knows(&self, tenant: &TenantId, queue: &str, lane: &str) -> bool {
        let lanes = lock(&self.lanes);
        let of_queue = lanes.get(&(tenant.clone(), Arc::from(queue)));
        of_queue.is_some_and(|lanes| lanes.iter().any(|known| *known.lane == *lane))
    }

    /// The lanes of a queue that this server knows.
    pub(super) fn lanes(&self, tenant: &TenantId, queue: &Arc<str>) -> Vec<Lane> {
        lock(&self.lanes).get(&(tenant.clone(), queue.clone())).cloned().unwrap_or_default()
    }

    /// This lane is registered.
    pub(super) fn learn(&self, tenant: &TenantId, queue: &Arc<str>, lane: Lane) {
        let mut lanes = lock(&self.lanes);
        let of_queue = lanes.entry((tenant.clone(), queue.clone())).or_default();
        if !of_queue.iter().any(|known| known.lane == lane.lane) {
            of_queue.push(lane);
        }
    }

    /// Something is left ready in a queue.
    pub(super) fn leave(&self, tenant: &TenantId, queue: &Arc<str>) {
        *lock(&self.backlog).left.entry((tenant.clone(), queue.clone())).or_default() += 1;
    }

    /// Nobody knows any more what is left.
    pub(super) fn leave_all(&self) {
        lock(&self.backlog).drained.clear();
    }

    /// How often something was left ready so far in each of these.
    pub(super) fn left(&self, tenant: &TenantId, queues: &[Arc<str>]) -> Vec<u64> {
        let backlog = lock(&self.backlog);
        let left = |queue: &Arc<str>| backlog.left.get(&(tenant.clone(), queue.clone())).copied();
        queues.iter().map(|queue| left(queue).unwrap_or_default()).collect()
    }

    /// Somebody who carries these labels has taken all that there was when so often something had been left.
    pub(super) fn drain(&self, tenant: &TenantId, queues: &[Arc<str>], labels: &[String], left: Vec<u64>) {
        let mut backlog = lock(&self.backlog);
        for (queue, left) in queues.iter().zip(left) {
            let drained = backlog.drained.entry((tenant.clone(), queue.clone())).or_default();
            if drained.len() >= LABELS_MAX {
                drained.clear();
            }
            drained.insert(labels.to_vec(), left);
        }
    }

    /// Whether nothing is left in any of these for somebody who carries these labels.
    pub(super) fn are_drained(&self, tenant: &TenantId, queues: &[Arc<str>], labels: &[String]) -> bool {
        let backlog = lock(&self.backlog);
        queues.iter().all(|queue| {
            let queue = (tenant.clone(), queue.clone());
            let drained = backlog.drained.get(&queue).and_then(|drained| drained.get(labels));
            drained.copied() == Some(backlog.left.get(&queue).copied().unwrap_or_default())
        })
    }

    /// How many instances are being claimed, which is how many heads of lanes a claim may have to pass by.
    pub(super) fn in_flight(&self) -> usize {
        lock(&self.in_flight).len()
    }

    /// Comes back when a claim that is under way after this call has ended.
    pub(super) fn freed(&self) -> EventListener {
        self.freed.listen()
    }

    /// Takes the first of these that no other claim is taking, at most `limit`.
    pub(super) fn reserve(
        &self,
        tenant: &TenantId,
        candidates: Vec<Candidate>,
        limit: usize,
    ) -> (Vec<Candidate>, Reserved<'_>) {
        let mut in_flight = lock(&self.in_flight);
        let mut reserved = Reserved { queues: self, claimed: Vec::new() };
        let mut taken = Vec::new();
        for candidate in candidates {
            if taken.len() == limit {
                break;
            }
            let claimed =
                (tenant.clone(), candidate.run.clone(), candidate.key.task.to_string(), candidate.key.index);
            if in_flight.insert(claimed.clone()) {
                reserved.claimed.push(claimed);
                taken.push(candidate);
            }
        }
        (taken, reserved)
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        let mut in_flight = lock(&self.queues.in_flight);
        for claimed in &self.claimed {
            in_flight.remove(claimed);
        }
        drop(in_flight);
        if !self.claimed.is_empty() {
            self.queues.freed.notify(usize::MAX);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_drained_until_something_is_left_in_it() {
        let (queues, tenant) = (Queues::default(), "t".parse::<TenantId>().expect("a tenant"));
        let (q, r): (Arc<str>, Arc<str>) = ("q".into(), "r".into());
        let (one, both) = ([q.clone()], [q.clone(), r.clone()]);
        let (bare, gpu) = (Vec::new(), vec!["gpu".to_owned()]);
        let drained = |asked: &[Arc<str>], labels: &[String]| queues.are_drained(&tenant, asked, labels);
        assert!(!drained(&one, &bare), "nobody has looked");
        queues.drain(&tenant, &both, &bare, queues.left(&tenant, &both));
        assert!(drained(&both, &bare) && drained(&one, &bare));
        assert!(!drained(&one, &gpu), "who carries more may have more");
        queues.leave(&tenant, &r);
        assert!(drained(&one, &bare) && !drained(&both, &bare));
        // Something is left while somebody looks.
        let left = queues.left(&tenant, &both);
        queues.leave(&tenant, &q);
        queues.drain(&tenant, &both, &bare, left);
        assert!(!drained(&one, &bare));
        queues.drain(&tenant, &one, &bare, queues.left(&tenant, &one));
        queues.leave_all();
        assert!(!drained(&one, &bare));
    }
}
