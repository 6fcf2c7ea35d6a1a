//! Runs that were decided on lately, as the last decision left them.
//!
//! A hot run may be ahead of the database: the next decision is taken on it while its last commit is still
//! on its way to the disk, and the driver keeps the order. Every commit is guarded by the revision and the
//! commit number that it was decided on, so a hot run that turns out wrong costs a retry and nothing else.
//! What commits nothing (a refusal, a command for what is so already) has no such guard: it is answered only
//! from a state that has landed and was read within the request. Whatever clients read comes from the database.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};

use futures_util::lock::Mutex;

use crate::engine::{Decided, Instance, Key, Run, What};
use crate::ids::{LeaseId, RunId, TenantId};
use crate::store::database::Row;
use crate::store::{StoreError, tasks};
use crate::time::Timestamp;
use crate::workflow::model::Workflow;

/// How many runs are kept.
const RUNS_MAX: usize = 2048;
/// How many instances of one run are kept; beyond that those that have ended go. Few where bugs can be planted, so that
/// the runs of the simulation reach it.
const INSTANCES_MAX: usize = if cfg!(feature = "planted") { 4 } else { 4096 };

/// A run and the instances of it that decisions have seen.
#[derive(Debug)]
pub(super) struct HotRun {
    pub(super) run: Run,
    pub(super) workflow: Arc<Workflow>,
    /// Whether a commit that may still be on its way has changed rows that are not kept here.
    pub(super) is_ahead_of_rows: bool,
    flights: Arc<Flights>,
    instances: BTreeMap<Key, Instance>,
    /// Instances that were kept once: they have rows.
    gone: BTreeSet<Key>,
    /// Whether an instance that is neither kept nor gone has no row.
    is_whole: bool,
}

/// What is kept of one instance.
#[derive(Debug)]
pub(super) enum Kept<'a> {
    /// As the last decision left it.
    Instance(&'a Instance),
    /// It has no row.
    Absent,
    /// Nothing: the database knows.
    Nothing,
}

/// The commits that a hot run is ahead of the database by.
#[derive(Debug, Default)]
struct Flights {
    under_way: AtomicU32,
    any_lost: AtomicBool,
    any_refused: AtomicBool,
}

/// What is known of the commits that a hot run rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// None has failed.
    None,
    /// One was refused, and so will be all that rest on it.
    Refused,
    /// Of one nobody knows whether it has landed, or will.
    Lost,
}

/// A commit on its way. One that is dropped before it has landed is lost: nobody knows what became of it.
#[derive(Debug)]
pub(super) struct Flight {
    flights: Arc<Flights>,
    has_landed: bool,
}

/// The place of one run: whoever holds its lock decides.
pub(super) type Slot = Arc<Mutex<Option<HotRun>>>;

/// The runs that are kept.
#[derive(Debug, Default)]
pub(super) struct HotRuns {
    slots: SyncMutex<HashMap<(TenantId, RunId), Slot>>,
}

impl HotRuns {
    /// The place of a run, empty if it is not kept.
    pub(super) fn slot(&self, tenant: &TenantId, run: &RunId) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= RUNS_MAX {
            // A slot that somebody holds is the only proof of order for its run: it stays.
            let mut excess = slots.len() - RUNS_MAX / 2;
            slots.retain(|_, slot| {
                let keep = excess == 0 || Arc::strong_count(slot) > 1;
                excess -= usize::from(!keep);
                keep
            });
        }
        slots.entry((tenant.clone(), run.clone())).or_default().clone()
    }

    /// The place of a run, if it has one.
    pub(super) fn find(&self, tenant: &TenantId, run: &RunId) -> Option<Slot> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.get(&(tenant.clone(), run.clone())).cloned()
    }

    /// Forgets a run, such as one that has ended.
    pub(super) fn forget(&self, tenant: &TenantId, run: &RunId) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (tenant.clone(), run.clone());
        if slots.get(&key).is_some_and(|slot| Arc::strong_count(slot) == 1) {
            slots.remove(&key);
        }
    }
}

impl HotRun {
    /// A run as it was read with its first rows: all of them, if there are fewer than were asked for.
    pub(super) fn read(
        run: Run,
        workflow: Arc<Workflow>,
        rows: Vec<Row>,
        asked: usize,
    ) -> Result<Self, StoreError> {
        let mut hot = Self {
            is_whole: rows.len() < asked,
            run,
            workflow,
            is_ahead_of_rows: false,
            flights: Arc::default(),
            instances: BTreeMap::new(),
            gone: BTreeSet::new(),
        };
        for row in rows {
            match tasks::read_few(row)? {
                Some((key, instance)) => {
                    let key = key.key(&hot.workflow)?;
                    hot.instances.insert(key, instance);
                }
                None => hot.is_whole = false,
            }
        }
        Ok(hot)
    }

    /// A run as the decision that starts it has made it.
    pub(super) fn begun(decided: &Decided) -> Self {
        let slice = &decided.after;
        let instances: BTreeMap<Key, Instance> =
            slice.touched().take(INSTANCES_MAX + 1).map(|(key, instance)| (key, instance.clone())).collect();
        let is_whole = instances.len() <= INSTANCES_MAX;
        Self {
            run: slice.run.clone(),
            workflow: slice.workflow.clone(),
            is_ahead_of_rows: false,
            flights: Arc::default(),
            instances: if is_whole { instances } else { BTreeMap::new() },
            gone: BTreeSet::new(),
            is_whole,
        }
    }

    /// Notes that a commit has been put in line.
    pub(super) fn take_off(&self) -> Flight {
        self.flights.under_way.fetch_add(1, Ordering::SeqCst);
        Flight { flights: self.flights.clone(), has_landed: false }
    }

    /// Whether a commit that this state rests on has not landed yet.
    pub(super) fn is_ahead(&self) -> bool {
        self.flights.under_way.load(Ordering::SeqCst) > 0
    }

    /// Whether a commit that this state rests on has failed, or may have.
    pub(super) fn doubt(&self) -> Doubt {
        if self.flights.any_lost.load(Ordering::SeqCst) {
            Doubt::Lost
        } else if self.flights.any_refused.load(Ordering::SeqCst) {
            Doubt::Refused
        } else {
            Doubt::None
        }
    }

    /// An instance as the last decision left it.
    pub(super) fn instance(&self, key: Key) -> Kept<'_> {
        match self.instances.get(&key) {
            Some(instance) => Kept::Instance(instance),
            None if self.is_whole && !self.gone.contains(&key) => Kept::Absent,
            None => Kept::Nothing,
        }
    }

    /// Keeps an instance that was read.
    pub(super) fn keep(&mut self, key: Key, instance: Instance) {
        self.instances.insert(key, instance);
    }

    /// Takes over what a decision has made of the run.
    pub(super) fn absorb(&mut self, decided: &Decided) {
        self.run = decided.after.run.clone();
        let whole_run = |what: &What| matches!(what, What::RunStopping { .. } | What::RunRetried { .. });
        let sweeping = decided.events.iter().any(|event| whole_run(&event.what));
        if !sweeping && self.instances.len() > INSTANCES_MAX {
            self.let_ended_go();
        }
        if sweeping || self.instances.len() > INSTANCES_MAX {
            self.instances.clear();
            self.gone.clear();
            self.is_whole = false;
            self.is_ahead_of_rows = true;
        }
        for (key, instance) in decided.after.touched() {
            self.instances.insert(key, instance.clone());
        }
    }

    /// Forgets what has ended: few decisions ask for it again, and those read its row.
    fn let_ended_go(&mut self) {
        let gone = &mut self.gone;
        self.instances.retain(|key, instance| {
            let stays = instance.finished_at.is_none();
            if !stays {
                gone.insert(*key);
            }
            stays
        });
        self.is_ahead_of_rows = true;
    }

    /// Notes that a lease is being extended, unless it has expired: then the database refuses it.
    pub(super) fn extend(&mut self, key: Key, lease: &LeaseId, now: Timestamp, expires_at: Timestamp) {
        if let Some(instance) = self.instances.get_mut(&key)
            && let crate::engine::TaskPhase::Running(held) = &mut instance.phase
            && held.id == *lease
            && held.expires_at > now
        {
            held.expires_at = held.expires_at.max(expires_at);
        }
    }
}

impl Flight {
    /// The commit is in the database.
    pub(super) fn land(mut self) {
        self.has_landed = true;
    }

    /// The commit was refused.
    pub(super) fn refuse(mut self) {
        self.flights.any_refused.store(true, Ordering::SeqCst);
        self.has_landed = true;
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.has_landed {
            self.flights.any_lost.store(true, Ordering::SeqCst);
        }
        self.flights.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}
