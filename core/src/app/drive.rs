//! `drive`: what happens without a request. Timers that are due, the host's own tasks, leases that nobody got.
//!
//! Timers are rows. A drive reads those that are due, hands each to the engine, and asks for the next one
//! when none is left; between drives nothing runs.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use futures_util::future::{Either, join_all, select};
use futures_util::stream::FuturesUnordered;

use crate::engine::{Command, Key};
use crate::http::problem::Slug;
use crate::ids::{RunId, TenantId};
use crate::planted::{self, Bug};
use crate::platform::Platform;
use crate::store::database::{Database, DatabaseError, Outcome};
use crate::store::{StoreError, leases, tasks, timers};
use crate::time::{Duration, Timestamp};

use super::commit::Nothing;
use super::executor::{Busy, Executor};
use super::fault::Fault;
use super::leases::{Ending, Wanted};
use super::{App, Budget};

/// How many due timers one round takes.
const DUE_MAX: u32 = 512;
/// On a shared database: how often a drive looks for timers that other servers have set.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long a drive waits before it tries again after the database did not answer.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl<D: Database, P: Platform> App<D, P> {
    pub(super) async fn drive_on(&self, budget: Budget) -> Option<Timestamp> {
        let ends = match budget {
            Budget::Idle => None,
            Budget::For(duration) => Some(self.now().plus(duration)),
        };
        let mut running = FuturesUnordered::new();
        let mut busy = Busy::default();
        loop {
            let mut failed = false;
            let mut next;
            if self.alarm.begin(self.now()) {
                let round = self.beside(&mut running, &mut busy, self.round()).await;
                let found = round.unwrap_or_else(|error| {
                    self.platform.log("error", format_args!("the drive stops for a moment: {error}"));
                    // Whatever it is needed for waits for the database, too.
                    self.alarm.take();
                    failed = true;
                    Some(self.now().plus(RETRY_AFTER))
                });
                next = self.alarm.found(found);
            } else {
                next = self.alarm.next();
            }
            let over = ends.is_some_and(|ends| self.is_past(ends));
            if !over && !self.is_closing() {
                let claims = Executor::ALL.map(|executor| Box::pin(self.claim_own(executor, busy)));
                let claimed = self.beside(&mut running, &mut busy, join_all(claims)).await;
                for (executor, claimed) in Executor::ALL.into_iter().zip(claimed) {
                    match claimed {
                        Ok(claimed) => {
                            busy.begun(executor, claimed.len());
                            running.extend(claimed.into_iter().map(|task| self.run_own(executor, task)));
                        }
                        Err(error) => {
                            let kind = executor.word();
                            self.platform.log("error", format_args!("no {kind} task was claimed: {error}"));
                            self.alarm.take();
                            let again = self.now().plus(RETRY_AFTER);
                            next = self.alarm.found([next, Some(again)].into_iter().flatten().min());
                        }
                    }
                }
            }
            if running.is_empty() && (over || failed || !self.alarm.is_needed()) {
                return next;
            }
            if over {
                // What is under way loses its lease unless another drive goes on with it: give it back.
                drop(running);
                self.release_own().await;
                return next;
            }
            if !running.is_empty() {
                let until = [next, ends].into_iter().flatten().min();
                let wait = async {
                    match until {
                        Some(until) => self.platform.sleep(until.since(self.now())).await,
                        None => std::future::pending().await,
                    }
                };
                let wait = std::pin::pin!(wait);
                let woken = std::pin::pin!(self.alarm.wait());
                if let Either::Left((Some(executor), _)) = select(running.next(), select(wait, woken)).await {
                    busy.ended(executor);
                }
            }
        }
    }

    /// Lets tasks under way go on while something else is done: one of them may hold the lock of a run that
    /// the other needs. One that ends makes room for another, so that the drive looks again.
    async fn beside<T>(
        &self,
        running: &mut FuturesUnordered<impl Future<Output = Executor>>,
        busy: &mut Busy,
        work: impl Future<Output = T>,
    ) -> T {
        let mut work = std::pin::pin!(work);
        while !running.is_empty() && !planted::is(Bug::DriveAlone) {
            match select(&mut work, running.next()).await {
                Either::Left((done, _)) => return done,
                Either::Right((ended, _)) => {
                    ended.into_iter().for_each(|executor| busy.ended(executor));
                    self.alarm.now();
                }
            }
        }
        work.await
    }

    /// Does what is due now, of every tenant, and says when the next timer is due.
    async fn round(&self) -> Result<Option<Timestamp>, Fault> {
        if self.alarm.take_late() {
            let late = self.alarm.late();
            if let Err(fault) = self.settle().await {
                late.postpone();
                return Err(fault);
            }
            late.done();
            self.bells.ring_all();
        }
        let released = self.release_orphans().await;
        let mut next = None;
        for tenant in self.tenants().await? {
            while self.fire(&tenant).await? {}
            let earliest = self.next_timer(&tenant).await?;
            next = [next, earliest].into_iter().flatten().min();
        }
        if self.settings.shared {
            // A timer that another server has set and does not live to fire is found by then.
            let look = self.now().plus(LOOK_EVERY);
            next = Some(next.map_or(look, |next| next.min(look)));
            self.learn_time().await?;
        }
        released.map(|()| next)
    }

    /// Fires a round of due timers of a tenant; false if none was due.
    async fn fire(&self, tenant: &TenantId) -> Result<bool, Fault> {
        let now = self.now();
        let reads = vec![timers::due_runs(tenant, now, DUE_MAX), timers::due_tasks(tenant, now, DUE_MAX)];
        let mut answers = self.database.read(reads).await?.into_iter();
        let runs: Result<Vec<RunId>, StoreError> =
            answers.next().unwrap_or_default().into_iter().map(timers::read_run).collect();
        let runs = runs?;
        let mut by_run: BTreeMap<RunId, Vec<tasks::RowKey>> = BTreeMap::new();
        for row in answers.next().unwrap_or_default() {
            let (run, key) = timers::read_task(row)?;
            by_run.entry(run).or_default().push(key);
        }
        if runs.is_empty() && by_run.is_empty() {
            return Ok(false);
        }
        let of_runs = join_all(runs.iter().map(|run| Box::pin(self.wake_run(tenant, run)))).await;
        let of_tasks = by_run.into_iter().map(|(run, keys)| Box::pin(self.wake_tasks(tenant, run, keys)));
        let of_tasks = join_all(of_tasks).await;
        for outcome in of_runs.into_iter().chain(of_tasks) {
            match outcome {
                // A run that is gone, or that somebody else has just moved on, needs nothing from us.
                Ok(()) | Err(Fault::NoRun | Fault::Refused(_) | Fault::Contended) => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(true)
    }

    async fn wake_run(&self, tenant: &TenantId, run: &RunId) -> Result<(), Fault> {
        self.command(tenant, run, &Command::WakeRun, &Nothing).await.map(drop)
    }

    async fn wake_tasks(&self, tenant: &TenantId, run: RunId, keys: Vec<tasks::RowKey>) -> Result<(), Fault> {
        let rows = self.database.read(vec![crate::store::runs::version_of(tenant, &run)]).await?;
        let row = rows.into_iter().flatten().next().ok_or(Fault::NoRun)?;
        let workflow = self.compiled(tenant, &crate::store::runs::read_version(row)?).await?;
        let keys: Result<Vec<Key>, StoreError> = keys.iter().map(|key| key.key(&workflow)).collect();
        let keys = keys?;
        let decided = self.command(tenant, &run, &Command::WakeTasks(keys.clone()), &Nothing).await?;
        // A timer that came too early (its lease was extended, say) is set anew.
        let touched: Vec<Key> = decided.after.touched().map(|(key, _)| key).collect();
        let early = keys.into_iter().filter(|key| !touched.contains(key));
        let batches: Vec<_> = early.filter_map(|key| tasks::rearm(&decided.after, key)).collect();
        if !batches.is_empty() {
            let outcomes = self.database.write(batches).await?;
            if outcomes.iter().any(|outcome| *outcome != Outcome::Committed) {
                // The run is not what it was taken for: the next look, which comes at once, is at its rows.
                *self.slot(tenant, &run).lock().await = None;
            }
        }
        Ok(())
    }

    async fn next_timer(&self, tenant: &TenantId) -> Result<Option<Timestamp>, Fault> {
        let answers = self.database.read(timers::next(tenant).into()).await?;
        let mut next = None;
        for rows in answers {
            next = [next, timers::read_next(rows)?].into_iter().flatten().min();
        }
        Ok(next)
    }

    /// Gives back what was granted to claimants that went away. What the database did not take is left for
    /// the next round.
    async fn release_orphans(&self) -> Result<(), Fault> {
        if !self.desks.any_orphans() {
            return Ok(());
        }
        self.settle().await?;
        let orphans = self.desks.take_orphans();
        let mut kept = Vec::new();
        for lease in orphans {
            // One that was never granted, or has ended, has nothing to give back.
            if let Err(problem) = self.end_lease(&lease, Ending::Release, None, Wanted::Minimal).await
                && problem.slug == Slug::Unavailable
            {
                kept.push(lease);
            }
        }
        if kept.is_empty() {
            return Ok(());
        }
        self.desks.orphan(&self.alarm, kept);
        let message = "a lease of a claimant that went away could not be given back".to_owned();
        Err(DatabaseError::Unavailable { message, indeterminate: false }.into())
    }

    /// Gives back what this server's own executors hold.
    pub(super) async fn release_own(&self) {
        let rows = self.database.read(vec![leases::held_by(&self.tenant, self.executor.as_str())]).await;
        let held: Vec<_> =
            rows.into_iter().flatten().flatten().filter_map(|row| leases::read(row).ok()).collect();
        for lease in held {
            let _ = self.end_lease(&lease.id, Ending::Release, None, Wanted::Minimal).await;
        }
    }
}
