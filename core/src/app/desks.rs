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
//! A claim that was served closes its desk. Other seats there may be taken: their commits are under way. If the same
//! worker has another claim waiting that is like this one, they move to its desk, so that a worker with two claims gets
//! the leases of each commit as soon as that has landed; else the claim waits for them.
//!
//! Where nothing is left in the queues, a claim opens its desk before it looks, and takes room from it for what it finds.
//!
//! What is served to a claimant that has gone, or is not served because nobody knows of its commit, is an orphan and
//! goes back to its queue.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use event_listener::Event;

use crate::ids::{LeaseId, RequestKey, TenantId, WorkerId};
use crate::time::Duration;

use super::alarm::Alarm;
use super::claim::Asked;
use super::shapes::ClaimedTask;

/// How many workers are known to be welcome. Beyond that all are asked for again.
const WELCOME_MAX: usize = 10_000;

/// A queue of a tenant.
type Queue = (TenantId, Arc<str>);

/// The desks that are open, by queue, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Desks {
    open: Mutex<HashMap<Queue, Vec<Arc<Desk>>>>,
    /// Workers that were told to be welcome, and have not been dismissed since.
    welcome: Mutex<HashSet<(TenantId, WorkerId)>>,
    orphans: Mutex<Vec<LeaseId>>,
}

/// What a claim that waits asks for.
#[derive(Debug)]
struct Desk {
    queues: Vec<Queue>,
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
    /// Where the seats that were taken have moved to.
    successor: Option<Arc<Desk>>,
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
        let queues = asked.queues.iter().map(|queue| (asked.tenant.clone(), queue.clone())).collect();
        let state = State { room, promised: 0, tasks: Vec::new(), phase: Phase::Open, successor: None };
        let desk = Arc::new(Desk {
            queues,
            worker: asked.worker.clone(),
            labels: asked.labels.clone(),
            lease_ttl: asked.lease_ttl,
            claim_id: asked.claim_id.cloned(),
            state: Mutex::new(state),
            bell: Event::new(),
        });
        let mut open = lock(&self.open);
        for queue in &desk.queues {
            open.entry(queue.clone()).or_default().push(desk.clone());
        }
        drop(open);
        Waiting { desks: self, alarm, desk }
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

    /// A worker may be given tasks.
    pub(super) fn welcome(&self, tenant: &TenantId, worker: &WorkerId) {
        let mut welcome = lock(&self.welcome);
        if welcome.len() >= WELCOME_MAX {
            welcome.clear();
        }
        welcome.insert((tenant.clone(), worker.clone()));
    }

    /// Whether it is known that a worker may be given tasks. To be asked after its desk is open: it is dismissed
    /// first, and then its desks are closed.
    pub(super) fn is_welcome(&self, tenant: &TenantId, worker: &WorkerId) -> bool {
        lock(&self.welcome).contains(&(tenant.clone(), worker.clone()))
    }

    /// Closes the desks of a worker that is to get nothing more.
    pub(super) fn dismiss(&self, tenant: &TenantId, worker: &WorkerId) {
        lock(&self.welcome).remove(&(tenant.clone(), worker.clone()));
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
    /// Takes room back for what the claim has found itself; as much as there is.
    pub(super) fn take_room(&self, wanted: usize) -> usize {
        let mut state = lock(&self.desk.state);
        let taken = wanted.min(state.room);
        state.room -= taken;
        taken
    }

    /// Gives back what was taken and not needed.
    pub(super) fn give_room(&self, room: usize) {
        lock(&self.desk.state).room += room;
    }

    /// Comes back when something was served, or nothing is promised any more; true if there is something, or the desk
    /// was closed.
    pub(super) async fn settled(&self) -> bool {
        self.until(|state| !state.tasks.is_empty() || state.promised == 0 || state.phase != Phase::Open)
            .await;
        let state = lock(&self.desk.state);
        !state.tasks.is_empty() || state.phase != Phase::Open
    }

    /// Comes back when something was served, or the desk was closed.
    pub(super) async fn served(&self) {
        self.until(|state| !state.tasks.is_empty() || state.phase != Phase::Open).await;
    }

    /// Closes the desk and returns what it was served, once every seat that was taken is served, given up or moved.
    pub(super) async fn close(self) -> Vec<ClaimedTask> {
        self.desk.close();
        self.leave();
        self.move_seats();
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

    /// Moves the seats that are taken to another desk of the worker, if this one has served something.
    fn move_seats(&self) {
        let open = lock(&self.desks.open);
        let others = self.desk.queues.first().and_then(|queue| open.get(queue));
        let Some(other) = others.into_iter().flatten().find(|other| self.desk.is_like(other)) else { return };
        // One desk after the other is closed, and out of the queues before: nobody holds these locks the other way
        // round.
        let mut state = lock(&self.desk.state);
        if state.tasks.is_empty() || state.promised == 0 {
            return;
        }
        let mut others = lock(&other.state);
        if others.phase == Phase::Open && others.room >= state.promised {
            others.room -= state.promised;
            others.promised += state.promised;
            state.promised = 0;
            state.successor = Some(other.clone());
        }
    }

    /// Takes the desk out of its queues.
    fn leave(&self) {
        let mut open = lock(&self.desks.open);
        for queue in &self.desk.queues {
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

    /// Whether what was promised here may be served there: the leases are the same, and no id ties them to a claim.
    fn is_like(&self, other: &Desk) -> bool {
        self.claim_id.is_none()
            && other.claim_id.is_none()
            && (&self.worker, self.lease_ttl) == (&other.worker, other.lease_ttl)
            && (&self.queues, &self.labels) == (&other.queues, &other.labels)
    }

    /// Works on the desk where the seats of this one are now, under its lock.
    fn with_seats(self: &Arc<Self>, work: impl FnOnce(&Desk, &mut State)) {
        let mut desk = self.clone();
        loop {
            let mut state = lock(&desk.state);
            let Some(next) = state.successor.clone() else { return work(&desk, &mut state) };
            drop(state);
            desk = next;
        }
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
        let promise = &mut self.promise;
        self.desk.with_seats(|_, state| {
            // Of a claimant that has gone the lease stays under way, and goes back.
            if state.phase != Phase::Gone {
                state.tasks.push(task);
                *promise = Promise::Kept;
            }
        });
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        if self.promise == Promise::UnderWay {
            self.desks.orphan(self.alarm, [self.lease.clone()]);
        }
        let given_up = usize::from(self.promise == Promise::Given);
        self.desk.with_seats(|desk, state| {
            state.promised -= 1;
            state.room += given_up;
            desk.bell.notify(usize::MAX);
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::value::Payload;

    #[test]
    fn seats_move_to_another_claim_of_the_worker() {
        let rows = [
            ("the same worker", "w", None, true),
            ("another worker", "v", None, false),
            ("a claim with an id", "w", Some("c"), false),
        ];
        for (what, worker, claim_id, moves) in rows {
            let (desks, alarm) = (Desks::default(), Alarm::default());
            let first = open(&desks, &alarm, "w", None);
            let (one, two) = (seat(&desks, &alarm, "1"), seat(&desks, &alarm, "2"));
            let second = open(&desks, &alarm, worker, claim_id);
            one.serve(task("1"));
            let mut closing = pin!(first.close());
            let closed = poll(closing.as_mut());
            assert_eq!(closed.is_ready(), moves, "{what}");
            two.serve(task("2"));
            let (of_first, of_second) = match closed {
                Poll::Ready(tasks) => (tasks, ready(second.close())),
                Poll::Pending => (ready(closing), ready(second.close())),
            };
            let ids = |tasks: Vec<ClaimedTask>| -> Vec<String> {
                tasks.iter().map(|task| task.lease_id.to_string()).collect()
            };
            let expected = if moves { (vec!["1"], vec!["2"]) } else { (vec!["1", "2"], vec![]) };
            assert_eq!((ids(of_first), ids(of_second)), (owned(expected.0), owned(expected.1)), "{what}");
            assert!(desks.is_empty() && !desks.any_orphans(), "{what}");
        }
    }

    #[test]
    fn a_desk_without_room_for_them_takes_no_seats() {
        let (desks, alarm) = (Desks::default(), Alarm::default());
        let first = open(&desks, &alarm, "w", None);
        let (one, two) = (seat(&desks, &alarm, "1"), seat(&desks, &alarm, "2"));
        let second = open(&desks, &alarm, "w", None);
        assert_eq!(second.take_room(100), 4, "all of it");
        one.serve(task("1"));
        let mut closing = pin!(first.close());
        assert!(poll(closing.as_mut()).is_pending());
        two.give_up();
        assert_eq!(ready(closing).len(), 1);
        second.give_room(4);
        assert!(ready(second.close()).is_empty());
    }

    #[test]
    fn a_seat_whose_claimant_has_gone_is_an_orphan() {
        let (desks, alarm) = (Desks::default(), Alarm::default());
        let first = open(&desks, &alarm, "w", None);
        let (one, mut two) = (seat(&desks, &alarm, "1"), seat(&desks, &alarm, "2"));
        let second = open(&desks, &alarm, "w", None);
        one.serve(task("1"));
        two.take_off();
        assert_eq!(ready(first.close()).len(), 1);
        drop(second);
        two.serve(task("2"));
        assert_eq!(desks.take_orphans(), ["2".parse().expect("a lease")]);
    }

    fn open<'a>(desks: &'a Desks, alarm: &'a Alarm, worker: &str, claim_id: Option<&str>) -> Waiting<'a> {
        let tenant = "t".parse().expect("a tenant");
        let worker = worker.parse().expect("a worker");
        let claim_id = claim_id.map(|id| id.parse().expect("an id"));
        let asked = Asked {
            tenant: &tenant,
            worker: &worker,
            queues: vec!["q".into()],
            labels: Vec::new(),
            max_tasks: 4,
            lease_ttl: Duration::from_secs(30),
            claim_id: claim_id.as_ref(),
            note: None,
        };
        desks.open(alarm, &asked, 4)
    }

    fn seat<'a>(desks: &'a Desks, alarm: &'a Alarm, lease: &str) -> Seat<'a> {
        let queue = ("t".parse().expect("a tenant"), "q".into());
        desks.seat(alarm, &queue, |_| true, lease.parse().expect("a lease")).expect("a desk is open")
    }

    fn task(lease: &str) -> ClaimedTask {
        ClaimedTask {
            lease_id: lease.parse().expect("a lease"),
            run_id: "r".parse().expect("a run"),
            workflow: "w".parse().expect("a workflow"),
            task: "a".into(),
            index: None,
            queue: "q".into(),
            attempt: 1,
            input: Payload::null(),
            upstream: Default::default(),
            checkpoints: Default::default(),
            deadline: None,
            lease_expires_at: crate::time::Timestamp::from_millis(0),
            grace: Duration::from_secs(30),
        }
    }

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn ready<T>(future: impl Future<Output = T>) -> T {
        match poll(pin!(future)) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("it waits"),
        }
    }

    fn owned(ids: Vec<&str>) -> Vec<String> {
        ids.into_iter().map(str::to_owned).collect()
    }
}
