//! The heart of the async ring: load a slice, decide, commit, and decide again when somebody was quicker.

use std::sync::Arc;

use crate::engine::{Command, Decided, Need, Run, Seen, Slice, TaskPhase, Undecided, What, decide, prefetch};
use crate::ids::{LeaseId, RequestKey, RunId, TenantId};
use crate::planted::{self, Bug};
use crate::platform::Platform;
use crate::store::claims::Lane;
use crate::store::database::{Batch, Database, DatabaseError, Outcome, Row, Statement};
use crate::store::projection::{self, Extras};
use crate::store::runs::{Basis, Guard};
use crate::store::tasks::FairOrders;
use crate::store::{StoreError, history, runs, signals, tasks, workflows};
use crate::time::Duration;
use crate::value::Value;
use crate::workflow::model::{Kind, Workflow};

use super::App;
use super::bells::Topic;
use super::desks::Seat;
use super::fault::Fault;
use super::hot::{Doubt, HotRun, Kept, Slot};

/// How often a decision is taken again after a lost race before the caller is told to come back.
const TRIES_MAX: u32 = 8;
/// The same where other servers use the database, whose commits may come first again and again.
const TRIES_SHARED_MAX: u32 = 32;
/// How many of these follow each other without a pause.
const TRIES_AT_ONCE: u32 = 3;
/// The longest pause before another try.
const PAUSE_MAX: Duration = Duration::from_millis(100);
/// How often a new run is written when nobody says whether it was.
const CREATE_TRIES_MAX: u32 = 3;

/// How many rows of a run are read along with its header: a smaller run is known whole after one read.
pub(super) const ROWS_READ_ALONG: usize = 64;

/// Whether a run's state was read within this request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fresh {
    Yes,
    No,
}

/// What a commit takes along besides the decision: conditions and records of the request itself.
pub(super) trait Along {
    /// Looks at the run as it is before the decision; refuses the request if its own condition fails.
    fn check(&self, run: &Run) -> Result<(), Fault> {
        let _ = run;
        Ok(())
    }

    /// Adds statements that commit together with the decision.
    fn add(&self, decided: &Decided, batch: &mut Batch) {
        let _ = (decided, batch);
    }

    /// What the projection writes of the request.
    fn extras(&self) -> Extras<'_> {
        Extras::default()
    }
}

/// Nothing besides the decision.
pub(super) struct Nothing;

impl Along for Nothing {}

impl<D: Database, P: Platform> App<D, P> {
    /// Carries out a command on a run: 2xx of everything that changes a run comes through here.
    pub(super) async fn command(
        &self,
        tenant: &TenantId,
        id: &RunId,
        command: &Command,
        along: &impl Along,
    ) -> Result<Decided, Fault> {
        self.command_on(tenant, id, command, along, None).await
    }

    /// The same on a run that has been read within this request already.
    pub(super) async fn command_on(
        &self,
        tenant: &TenantId,
        id: &RunId,
        command: &Command,
        along: &impl Along,
        mut read: Option<Box<HotRun>>,
    ) -> Result<Decided, Fault> {
        // Commits of which nobody knows whether they were made.
        let mut lost: Vec<Lost<'_>> = Vec::new();
        for tried in 0..self.tries_max() {
            self.pause_before(tried).await;
            let slot = self.hot.slot(tenant, id);
            let pending = {
                let mut place = slot.lock().await;
                let mut fresh = Fresh::No;
                match place.as_ref().map_or(Doubt::None, HotRun::doubt) {
                    Doubt::None => {}
                    Doubt::Refused => *place = None,
                    Doubt::Lost => {
                        *place = None;
                        self.settle().await?;
                    }
                }
                if let Some(read) = read.take() {
                    match place.as_ref() {
                        Some(hot) if hot.is_ahead() || hot.run.revision > read.run.revision => {}
                        _ => {
                            *place = Some(*read);
                            fresh = Fresh::Yes;
                        }
                    }
                }
                if place.is_none() || !lost.is_empty() {
                    // Boxed, like all that is rare: a batch of reports moves the futures of each.
                    let hot = Box::pin(self.load_run(tenant, id)).await?;
                    fresh = Fresh::Yes;
                    let landed = Box::pin(self.landed(&hot.run, &mut lost)).await?;
                    if let Some(Lost { decided, seats, .. }) = landed {
                        *place = Some(hot);
                        drop(place);
                        Box::pin(self.serve(seats, &decided)).await;
                        self.announce(&decided);
                        return Ok(decided);
                    }
                    *place = Some(hot);
                }
                let hot = place.as_mut().expect("it was put there when there was none");
                let taken = match along.check(&hot.run) {
                    Ok(()) => self.decide(hot, command).await,
                    Err(fault) => Err(fault),
                };
                if commits_nothing(&taken) {
                    let is_sure = !hot.is_ahead() && hot.doubt() == Doubt::None;
                    if !is_sure && !planted::is(Bug::RefusesStale) {
                        // The answer rests on a commit that may still fail, or has while this was decided: look
                        // again once it has landed.
                        *place = None;
                        drop(place);
                        self.settle().await?;
                        continue;
                    }
                    if fresh == Fresh::No && !planted::is(Bug::RefusesStale) {
                        // Another server may have moved the run on, or a commit that was on its way when this
                        // state was read; no guard would tell.
                        *place = None;
                        continue;
                    }
                }
                let taken = match taken {
                    Ok(decided) => self.hand_over(Some(&mut *hot), decided).await,
                    Err(fault) => Err(fault),
                };
                if matches!(taken, Err(Fault::Contended)) {
                    // What was read on the way is of a later state than the one that was decided on.
                    *place = None;
                    continue;
                }
                let (mut decided, mut seats) = taken?;
                let mut batch = Batch::default();
                if !decided.events.is_empty() {
                    self.stamp(&mut decided.after.run);
                    let claims = claims_of(&seats);
                    let extras = along.extras();
                    let claims = if claims.is_empty() { extras.claims } else { &claims };
                    batch = self.project(&mut decided, Some(&hot.run), &Extras { claims, ..extras });
                }
                let own = batch.writes.len();
                along.add(&decided, &mut batch);
                if batch.writes.is_empty() {
                    return Ok(decided);
                }
                hot.absorb(&decided);
                // Put in line while the lock is held: the order of commits is the order of decisions.
                let flight = hot.take_off();
                seats.iter_mut().for_each(Seat::take_off);
                (self.database.write(vec![batch]), flight, decided, seats, own)
            };
            let (commit, flight, decided, seats, own) = pending;
            if planted::is(Bug::AnswersEarly) {
                return Ok(decided);
            }
            let late = self.alarm.late();
            let outcome = match commit.await {
                Ok(outcome) => outcome,
                Err(error) if error.is_indeterminate() => {
                    lost.push(Lost { decided, seats, error });
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            late.done();
            match outcome.first() {
                Some(Outcome::Committed) => {
                    flight.land();
                    // A run that has ended is forgotten only if nobody holds its place.
                    drop(slot);
                    self.serve(seats, &decided).await;
                    self.announce(&decided);
                    return Ok(decided);
                }
                Some(Outcome::Refused(index)) => {
                    flight.refuse();
                    seats.into_iter().for_each(Seat::give_up);
                    if *index >= own {
                        return Err(Fault::Repeated);
                    }
                }
                None => return Err(no_outcome()),
            }
        }
        Err(lost.pop().map_or(Fault::Contended, |lost| lost.error.into()))
    }

    fn tries_max(&self) -> u32 {
        if self.settings.shared { TRIES_SHARED_MAX } else { TRIES_MAX }
    }

    /// On a shared database: lets another server's commits through, the longer the more races were lost.
    async fn pause_before(&self, tried: u32) {
        if self.settings.shared && tried > TRIES_AT_ONCE {
            let most = PAUSE_MAX.as_millis().min(1 << tried.min(16));
            self.platform.sleep(Duration::from_millis(1 + self.random_u64() % most)).await;
        }
    }

    /// The commit among those lost that is in the database after all. `run` was read after they were lost.
    async fn landed<'a>(&self, run: &Run, lost: &mut Vec<Lost<'a>>) -> Result<Option<Lost<'a>>, Fault> {
        for index in 0..lost.len() {
            let decided = &lost[index].decided;
            let own = Guard::of(&decided.after.run);
            let made = match Guard::of(run) {
                _ if planted::is(Bug::LostMeansFailed) => false,
                now if now == own => true,
                // Others have committed since: then the history tells.
                now if now.revision > own.revision && !decided.events.is_empty() => {
                    let read = history::of_commit(&decided.after.run, &decided.events);
                    self.database.read(vec![read]).await?.into_iter().flatten().next().is_some()
                }
                _ => false,
            };
            if made && !decided.events.is_empty() {
                return Ok(Some(lost.swap_remove(index)));
            }
        }
        Ok(None)
    }

    /// Commits a run that is new.
    pub(super) async fn create(
        &self,
        decided: Decided,
        along: &impl Along,
        basis: Basis,
    ) -> Result<Created, Fault> {
        let (mut decided, mut seats) = self.hand_over(None, decided).await?;
        self.stamp(&mut decided.after.run);
        let mut batch = Batch::default();
        if basis == Basis::Any {
            // That of a saved workflow is there.
            workflows::keep_document(&mut batch, &decided.after.run.tenant, &decided.after.workflow);
        }
        let kept = batch.writes.len();
        let extras = Extras { basis, claims: &claims_of(&seats), digest: None };
        batch.writes.extend(self.project(&mut decided, None, &extras).writes);
        let own = batch.writes.len();
        along.add(&decided, &mut batch);
        let mut lost = None;
        seats.iter_mut().for_each(Seat::take_off);
        for _ in 0..CREATE_TRIES_MAX {
            let (commit, flight) = {
                let slot = self.hot.slot(&decided.after.run.tenant, &decided.after.run.id);
                let mut place = slot.lock().await;
                // What comes next is decided on the run as it begins, unless somebody knows more of it.
                let is_known = place.as_ref().is_some_and(|hot| !hot.run.is_terminal());
                let hot = (!is_known).then(|| place.insert(HotRun::begun(&decided)));
                let flight = hot.map(|hot| hot.take_off());
                (self.database.write(vec![batch.clone()]), flight)
            };
            let late = self.alarm.late();
            let outcome = match commit.await {
                Ok(outcome) => outcome,
                Err(error) if error.is_indeterminate() => {
                    // The same again: the primary key keeps it from being done twice.
                    lost = Some(error);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            late.done();
            let made = match outcome.first() {
                Some(Outcome::Committed) => true,
                Some(Outcome::Refused(_)) if lost.is_some() && self.is_made(&decided.after.run).await? => {
                    true
                }
                Some(Outcome::Refused(index)) if *index >= own => return Err(Fault::Repeated),
                // What its document is pinned to has changed since it was read.
                Some(Outcome::Refused(index)) if *index < kept => return Err(Fault::Contended),
                Some(Outcome::Refused(_)) => false,
                None => return Err(no_outcome()),
            };
            match flight {
                Some(flight) if outcome.first() == Some(&Outcome::Committed) => flight.land(),
                // Made by an earlier try: others may have moved it on since, and it is not as it began any more.
                Some(flight) => flight.refuse(),
                None => {}
            }
            if !made {
                seats.into_iter().for_each(Seat::give_up);
                let is_there = basis == Basis::Any || self.is_there(&decided.after.run).await?;
                return Ok(if is_there { Created::Exists } else { Created::Outdated });
            }
            self.serve(seats, &decided).await;
            self.announce(&decided);
            return Ok(Created::New(Box::new(decided)));
        }
        Err(lost.map_or(Fault::Contended, Fault::from))
    }

    /// Whether there is a run of this id.
    async fn is_there(&self, run: &Run) -> Result<bool, Fault> {
        let rows = self.database.read(vec![runs::version_of(&run.tenant, &run.id)]).await?;
        Ok(rows.into_iter().flatten().next().is_some())
    }

    /// Whether the run of this id in the database is the one that was to be created: its seed is random.
    async fn is_made(&self, run: &Run) -> Result<bool, Fault> {
        let rows = self.database.read(vec![runs::by_id(&run.tenant, &run.id)]).await?;
        let stored = rows.into_iter().flatten().next().map(runs::read_run).transpose()?;
        Ok(stored.is_some_and(|stored| stored.seed == run.seed))
    }

    /// The run of an id, with its workflow.
    async fn load_run(&self, tenant: &TenantId, id: &RunId) -> Result<HotRun, Fault> {
        let reads = vec![runs::by_id(tenant, id), tasks::few(tenant, id, ROWS_READ_ALONG)];
        let mut answers = self.database.read(reads).await?.into_iter();
        let row = answers.next().and_then(|mut rows| rows.pop()).ok_or(Fault::NoRun)?;
        let run = runs::read_run(row)?;
        let workflow = self.workflow_of(&run).await?;
        Ok(HotRun::read(run, workflow, answers.next().unwrap_or_default(), ROWS_READ_ALONG)?)
    }

    /// The version that a run keeps, compiled.
    pub(super) async fn workflow_of(&self, run: &Run) -> Result<Arc<Workflow>, StoreError> {
        self.compiled(&run.tenant, &run.version).await
    }

    /// Decides, loading whatever the decision turns out to need.
    pub(super) async fn decide(&self, hot: &mut HotRun, command: &Command) -> Result<Decided, Fault> {
        let mut slice = Slice::new(hot.run.clone(), hot.workflow.clone());
        let mut needs = prefetch(&hot.workflow, command);
        loop {
            self.load(hot, &mut slice, needs.into_iter().collect()).await?;
            match decide(&slice, command, self.now()) {
                Ok(decided) => return Ok(decided),
                Err(Undecided::Refused(refusal)) => return Err(refusal.into()),
                Err(Undecided::Missing(missing)) => needs = missing.0,
            }
        }
    }

    /// Puts needs into the slice: from the hot run what it has, the rest by one batch of reads.
    pub(super) async fn load(
        &self,
        hot: &mut HotRun,
        slice: &mut Slice,
        needs: Vec<Need>,
    ) -> Result<(), Fault> {
        let mut asked = Vec::new();
        for need in needs {
            if let Need::Instance(key) = &need {
                match hot.instance(*key) {
                    Kept::Instance(instance) => {
                        slice.load(*key, Some(instance.clone()));
                        continue;
                    }
                    Kept::Absent => {
                        slice.load(*key, None);
                        continue;
                    }
                    Kept::Nothing => {}
                }
            }
            asked.push(need);
        }
        if asked.is_empty() {
            return Ok(());
        }
        Box::pin(self.load_rows(hot, slice, asked)).await
    }

    async fn load_rows(&self, hot: &mut HotRun, slice: &mut Slice, asked: Vec<Need>) -> Result<(), Fault> {
        let sets = |need: &Need| matches!(need, Need::Running | Need::Unsuccessful | Need::Signals(_));
        let settled = hot.is_ahead_of_rows || asked.iter().any(sets);
        if settled {
            self.settle().await?;
            hot.is_ahead_of_rows = false;
        }
        let mut reads: Vec<Statement> = asked.iter().map(|need| statement(slice, need)).collect();
        reads.push(runs::guard_of(&hot.run));
        let mut answers = self.database.read(reads).await?;
        let guard = answers.pop().and_then(|mut rows| rows.pop()).map(runs::read_guard).transpose()?;
        let own = Guard::of(&hot.run);
        // Somebody has moved the run on since its header was read. Or a commit that this state rests on was lost: it
        // may still land, with rows that these lack.
        let is_other = |guard: Guard| guard.is_beyond(own) || (settled && guard != own);
        if guard.is_none_or(is_other) {
            return Err(Fault::Contended);
        }
        for (need, rows) in asked.into_iter().zip(answers) {
            put(hot, slice, need, rows)?;
        }
        Ok(())
    }

    /// Comes back when everything that was put in line before is committed or refused, so that rows say
    /// what decisions have made of them.
    pub(super) async fn settle(&self) -> Result<(), Fault> {
        const SQL: &str = "UPDATE counters SET value = value WHERE name = 'cursor'";
        let mut batch = Batch::default();
        batch.push(Statement::new(SQL, Vec::new()));
        self.database.write(vec![batch]).await?;
        Ok(())
    }

    fn stamp(&self, run: &mut Run) {
        let mut bytes = [0; 8];
        self.platform.random(&mut bytes);
        run.revision += 1;
        run.commit = i64::from_be_bytes(bytes);
    }

    /// The writes of a decision, after giving what becomes ready its place in its queue.
    fn project(&self, decided: &mut Decided, before: Option<&Run>, extras: &Extras<'_>) -> Batch {
        let (mut orders, mut lanes) = (FairOrders::new(), Batch::default());
        let workflow = decided.after.workflow.clone();
        let run = &mut decided.after.run;
        for event in &decided.events {
            let What::TaskReady { task, .. } = &event.what else { continue };
            let key = task.key(&workflow);
            let task = workflow.task(key.task);
            let (Some(queue), Some(lane)) = (tasks::queue(task), tasks::lane(task)) else { continue };
            run.fair_order = self.queues.place(&run.tenant, queue, run.fair_order);
            orders.insert(key, run.fair_order);
            if !self.queues.knows(&run.tenant, queue, &lane) {
                let labels: Vec<Value> = task.labels.iter().map(|label| label.as_str().into()).collect();
                projection::add_lane(&mut lanes, run, queue, &Value::Array(labels).to_json(), &lane);
            }
        }
        let mut batch = projection::project(decided, before, extras, &orders);
        batch.writes.extend(lanes.writes);
        batch
    }

    /// Tells those who wait what has been committed.
    pub(super) fn announce(&self, decided: &Decided) {
        let (run, workflow) = (&decided.after.run, &decided.after.workflow);
        for event in &decided.events {
            match &event.what {
                What::TaskReady { task, .. } | What::TaskReleased { task, .. } => {
                    let task = workflow.task(task.key(workflow).task);
                    if let (Some(queue), Some(lane)) = (tasks::queue(task), tasks::lane(task)) {
                        let labels = task.labels.iter().map(|label| label.as_str().to_owned()).collect();
                        let lane = Lane { labels, lane: lane.into() };
                        self.queues.learn(&run.tenant, &Arc::from(queue), lane);
                        if is_ready(decided, &event.what) {
                            let queue: Arc<str> = queue.into();
                            self.queues.leave(&run.tenant, &queue);
                            if !planted::is(Bug::BellForgotten) {
                                self.bells.ring(&Topic::Queue(run.tenant.clone(), queue));
                            }
                        }
                        if tasks::is_own(queue) {
                            self.alarm.now();
                        }
                    }
                }
                What::RunResumed {} => {
                    self.queues.leave_all();
                    self.bells.ring_all();
                    self.alarm.now();
                }
                What::RunStopping { .. } => self.alarm.now(),
                _ => {}
            }
        }
        let timers = decided.after.touched().filter_map(|(key, instance)| {
            let parked = run.phase == crate::engine::RunPhase::Paused
                && !matches!(instance.phase, TaskPhase::Running(_));
            instance.wake_at(run, decided.after.task(key)).filter(|_| !parked)
        });
        if let Some(earliest) = timers.chain(run.wake_at()).min()
            && !planted::is(Bug::TimerForgotten)
        {
            self.alarm.at(earliest);
        }
        if run.is_terminal() {
            self.bells.ring_end(run);
            self.hot.forget(&run.tenant, &run.id);
        }
    }

    /// The slot of a run, for what changes a lease without changing the run.
    pub(super) fn slot(&self, tenant: &TenantId, id: &RunId) -> Slot {
        self.hot.slot(tenant, id)
    }
}

/// A decision of which nobody knows whether it was committed.
struct Lost<'a> {
    decided: Decided,
    seats: Vec<Seat<'a>>,
    error: DatabaseError,
}

/// What became of a run that was to be new.
#[derive(Debug)]
pub(super) enum Created {
    /// It is there.
    New(Box<Decided>),
    /// There was one of this id already.
    Exists,
    /// Its version is not the newest of the workflow any more.
    Outdated,
}

/// Whether a command was answered from the run's state alone.
fn commits_nothing(taken: &Result<Decided, Fault>) -> bool {
    match taken {
        Ok(decided) => decided.events.is_empty(),
        Err(Fault::Refused(_) | Fault::Condition(_)) => true,
        Err(Fault::NoRun | Fault::Contended | Fault::Repeated | Fault::Store(_)) => false,
    }
}

/// Whether the instance that became ready still is: none of those who wait was handed its lease.
fn is_ready(decided: &Decided, what: &What) -> bool {
    let key = what.task().map(|task| task.key(&decided.after.workflow));
    let instance = key.and_then(|key| decided.after.get(key));
    instance.is_some_and(|instance| matches!(instance.phase, TaskPhase::Ready { .. }))
}

fn claims_of(seats: &[Seat<'_>]) -> Vec<(LeaseId, RequestKey)> {
    seats.iter().filter_map(|seat| Some((seat.lease().clone(), seat.claim_id()?.clone()))).collect()
}

fn no_outcome() -> Fault {
    DatabaseError::Broken("the driver answered for no batch".to_owned()).into()
}

fn statement(slice: &Slice, need: &Need) -> Statement {
    match need {
        Need::Instance(key) => tasks::by_key(&slice.run, &slice.workflow, *key),
        Need::Running => tasks::running(&slice.run),
        Need::Unsuccessful => tasks::unsuccessful(&slice.run),
        Need::Signals(name) => {
            let waits = |kind: &Kind| matches!(kind, Kind::Signal { name: own, .. } if own == name);
            let waiting = slice.workflow.tasks.iter().filter(|task| waits(&task.kind)).count();
            signals::buffered(&slice.run, name, waiting as u32)
        }
        Need::SignalId(id) => signals::by_id(&slice.run, id),
    }
}

fn put(hot: &mut HotRun, slice: &mut Slice, need: Need, rows: Vec<Row>) -> Result<(), StoreError> {
    match need {
        Need::Instance(key) => {
            let stored = rows.into_iter().next().map(tasks::read_instance).transpose()?;
            let stored = stored.map(|(_, instance)| instance);
            if let Some(instance) = &stored {
                hot.keep(key, instance.clone());
            }
            slice.load(key, stored);
        }
        Need::Running | Need::Unsuccessful => {
            for row in rows {
                let (row_key, stored) = tasks::read_instance(row)?;
                let key = row_key.key(&slice.workflow)?;
                let instance = match hot.instance(key) {
                    Kept::Instance(instance) => instance.clone(),
                    Kept::Absent | Kept::Nothing => stored,
                };
                slice.load(key, Some(instance));
            }
            slice.mark_loaded(need);
        }
        Need::Signals(name) => {
            let buffered: Result<Vec<_>, StoreError> = rows.into_iter().map(signals::read_buffered).collect();
            slice.load_signals(name, buffered?);
        }
        Need::SignalId(id) => {
            slice.load_signal_id(id, if rows.is_empty() { Seen::New } else { Seen::Before });
        }
    }
    Ok(())
}
