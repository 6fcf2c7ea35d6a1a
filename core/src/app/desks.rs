//! Claims that wait: what becomes ready is leased to one of them in the very commit that makes it ready.
//!
//! A claim that finds nothing opens a *desk*: who asks, what it carries, how much it takes. A decision that
//! makes a task ready takes a *seat* at a desk that fits, grants the lease in the same decision, and serves
//! the desk once the commit has landed. So a task that somebody waits for costs one commit less, and no look
//! at the queue.
//!
//! ```text
//! claim:     look ── nothing ── open ─────────────────────── served ── close ── answer
//! decision:             TaskReady ── seat ── TaskStarted ── commit ── serve
//! ```
//!
//! A claim that takes all there is keeps a desk open, too, while its grants are on their way.
//!
//! A claim that was served closes its desk and waits for the other seats that are taken: their commits are under
//! way. What is served to a claimant that has gone, or is not served because nobody knows of its commit, is an
//! orphan and goes back to its queue.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use event_listener::Event;

use crate::ids::{LeaseId, RequestKey, TenantId, WorkerId};
use crate::time::Duration;

use super::alarm::Alarm;
use super::claim::Asked;
use super::shapes::ClaimedTask;

/// A queue of a tenant.
type Queue = (TenantId, Arc<str>);

/// The desks that are open, by queue, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Desks {
    open: Mutex<HashMap<Queue, Vec<Arc<Desk>>>>,
    orphans: Mutex<Vec<LeaseId>>,
}

/// What a claim that waits asks for.
#[derive(Debug)]
struct Desk {
    worker: WorkerId,
    labels: Vec<String>,
    lease_ttl: Duration,
    claim_id: Option<RequestKey>,
    state: Mutex<State>,
    /// Rings whenever the state has changed in a way that the claim waits for.
    bell: Event,
}

#[derive(Debug)]
struct State {
    /// How many more tasks may be promised.
    room: usize,
    /// Seats that are taken and neither served nor given up.
    promised: usize,
    tasks: Vec<ClaimedTask>,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Nothing more is promised.
    Closed,
    /// The claimant is not there any more.
    Gone,
}

/// The claim's side of a desk. Dropping it closes the desk and gives back what was served.
pub(super) struct Waiting<'a> {
    desks: &'a Desks,
    alarm: &'a Alarm,
    queues: Vec<Queue>,
    desk: Arc<Desk>,
}

/// The decision's side: the promise of one lease.
pub(super) struct Seat<'a> {
    desks: &'a Desks,
    alarm: &'a Alarm,
    desk: Arc<Desk>,
    lease: LeaseId,
    promise: Promise,
}

/// How far a promised lease has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Promise {
    /// There is no lease.
    Given,
    /// It may be in the database.
    UnderWay,
    /// The claim has it.
    Kept,
}

impl Desks {
    /// Opens a desk for a claim that takes so many tasks more.
    pub(super) fn open<'a>(&'a self, alarm: &'a Alarm, asked: &Asked<'_>, room: usize) -> Waiting<'a> {
        let desk = Arc::new(Desk {
            worker: asked.worker.clone(),
            labels: asked.labels.clone(),
            lease_ttl: asked.lease_ttl,
            claim_id: asked.claim_id.cloned(),
            state: Mutex::new(State { room, promised: 0, tasks: Vec::new(), phase: Phase::Open }),
            bell: Event::new(),
        });
        let queues: Vec<Queue> =
            asked.queues.iter().map(|queue| (asked.tenant.clone(), queue.clone())).collect();
        let mut open = lock(&self.open);
        for queue in &queues {
            open.entry(queue.clone()).or_default().push(desk.clone());
        }
        drop(open);
        Waiting { desks: self, alarm, queues, desk }
    }

    /// Whether any claim waits at all.
    pub(super) fn is_empty(&self) -> bool {
        lock(&self.open).is_empty()
    }

    /// A seat at the oldest desk that carries these labels and has room, for a lease of this id.
    pub(super) fn seat<'a>(
        &'a self,
        alarm: &'a Alarm,
        queue: &Queue,
        labels: impl Fn(&[String]) -> bool,
        lease: LeaseId,
    ) -> Option<Seat<'a>> {
        let open = lock(&self.open);
        let desk = open.get(queue)?.iter().find(|desk| labels(&desk.labels) && desk.promise())?.clone();
        Some(Seat { desks: self, alarm, desk, lease, promise: Promise::Given })
    }

    /// Closes the desks of a worker that is to get nothing more.
    pub(super) fn dismiss(&self, tenant: &TenantId, worker: &WorkerId) {
        for ((_, _), desks) in lock(&self.open).iter().filter(|((owner, _), _)| owner == tenant) {
            for desk in desks.iter().filter(|desk| desk.worker == *worker) {
                desk.close();
                desk.bell.notify(usize::MAX);
            }
        }
    }

    /// Leases that were granted and have reached nobody, or may have been.
    pub(super) fn orphan(&self, alarm: &Alarm, leases: impl IntoIterator<Item = LeaseId>) {
        let mut orphans = lock(&self.orphans);
        let before = orphans.len();
        orphans.extend(leases);
        let is_new = orphans.len() > before;
        drop(orphans);
        if is_new {
            alarm.now();
        }
    }

    /// Takes them, to give them back.
    pub(super) fn take_orphans(&self) -> Vec<LeaseId> {
        std::mem::take(&mut *lock(&self.orphans))
    }

    /// Whether there are any.
    pub(super) fn any_orphans(&self) -> bool {
        !lock(&self.orphans).is_empty()
    }
}

impl Waiting<'_> {
    /// Comes back when something was served, or the desk was closed.
    pub(super) async fn served(&self) {
        self.until(|state| !state.tasks.is_empty() || state.phase != Phase::Open).await;
    }

    /// Closes the desk and returns what it was served, once every seat that was taken is served or given up.
    pub(super) async fn close(self) -> Vec<ClaimedTask> {
        self.desk.close();
        self.leave();
        self.until(|state| state.promised == 0).await;
        std::mem::take(&mut lock(&self.desk.state).tasks)
    }

    async fn until(&self, holds: impl Fn(&State) -> bool) {
        loop {
            let rings = self.desk.bell.listen();
            if holds(&lock(&self.desk.state)) {
                return;
            }
            rings.await;
        }
    }

    /// Takes the desk out of its queues.
    fn leave(&self) {
        let mut open = lock(&self.desks.open);
        for queue in &self.queues {
            if let Some(desks) = open.get_mut(queue) {
                desks.retain(|desk| !Arc::ptr_eq(desk, &self.desk));
                if desks.is_empty() {
                    open.remove(queue);
                }
            }
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.leave();
        let tasks = {
            let mut state = lock(&self.desk.state);
            state.phase = Phase::Gone;
            std::mem::take(&mut state.tasks)
        };
        self.desks.orphan(self.alarm, tasks.into_iter().map(|task| task.lease_id));
    }
}

impl Desk {
    /// Promises one lease, if there is room.
    fn promise(&self) -> bool {
        let mut state = lock(&self.state);
        let has_room = state.phase == Phase::Open && state.room > 0;
        if has_room {
            (state.room, state.promised) = (state.room - 1, state.promised + 1);
        }
        has_room
    }

    fn close(&self) {
        lock(&self.state).phase = Phase::Closed;
    }
}

impl Seat<'_> {
    /// Who gets the lease, and for how long at first.
    pub(super) fn holder(&self) -> (&WorkerId, Duration) {
        (&self.desk.worker, self.desk.lease_ttl)
    }

    /// The lease.
    pub(super) fn lease(&self) -> &LeaseId {
        &self.lease
    }

    /// The id of the claim.
    pub(super) fn claim_id(&self) -> Option<&RequestKey> {
        self.desk.claim_id.as_ref()
    }

    /// Notes that the commit with the lease has been put in line.
    pub(super) fn take_off(&mut self) {
        self.promise = Promise::UnderWay;
    }

    /// Notes that there will be no lease of this id: its commit was refused, or never made.
    pub(super) fn give_up(mut self) {
        self.promise = Promise::Given;
    }

    /// Hands over the task whose lease is in the database.
    pub(super) fn serve(mut self, task: ClaimedTask) {
        let mut state = lock(&self.desk.state);
        // Of a claimant that has gone the lease stays under way, and goes back.
        if state.phase != Phase::Gone {
            state.tasks.push(task);
            drop(state);
            self.promise = Promise::Kept;
        }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        if self.promise == Promise::UnderWay {
            self.desks.orphan(self.alarm, [self.lease.clone()]);
        }
        let mut state = lock(&self.desk.state);
        state.promised -= 1;
        state.room += usize::from(self.promise == Promise::Given);
        drop(state);
        self.desk.bell.notify(usize::MAX);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
