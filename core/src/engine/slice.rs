//! The part of a run that a decision looks at.
//!
//! A slice holds the run's header and as many task instances and signals as somebody has loaded. A decision
//! that needs more says so ([`Missing`]) instead of guessing: the caller loads it and asks again. So the
//! cost of a decision is that of what it touches, never that of the run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::ids::{RequestKey, SignalName};
use crate::value::Payload;
use crate::workflow::model::{Task, Workflow};

use super::run::Run;
use super::task::{Instance, Key};

/// One thing that a decision needs and the slice does not hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// One instance. One without a row is fresh, or has ended with its run.
    Instance(Key),
    /// Every instance that is under a lease.
    Running,
    /// Every instance that has failed, was skipped or was cancelled.
    Unsuccessful,
    /// The oldest signals of this name that nobody has consumed, as many as tasks of the workflow wait for it.
    Signals(SignalName),
    /// Whether a signal with this id was received before.
    SignalId(RequestKey),
}

/// What must be loaded before the decision can be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing(pub BTreeSet<Need>);

/// A stored signal that nobody has consumed.
#[derive(Debug, Clone, PartialEq)]
pub struct Buffered {
    /// Its number within the run.
    pub number: u64,
    /// What it carries.
    pub payload: Payload,
}

/// The loaded part of a run.
#[derive(Debug, Clone)]
pub struct Slice {
    /// The header.
    pub run: Run,
    /// The version that the run keeps.
    pub workflow: Arc<Workflow>,
    instances: BTreeMap<Key, Instance>,
    signals: BTreeMap<SignalName, Vec<Buffered>>,
    signal_ids: BTreeMap<RequestKey, Seen>,
    loaded: BTreeSet<Need>,
    touched: BTreeSet<Key>,
    /// Those of the instances that are known to be stored.
    stored: BTreeSet<Key>,
}

/// Whether a signal id was received before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It is new.
    New,
    /// It is a repetition.
    Before,
}

impl Slice {
    /// A slice with the header only.
    pub fn new(run: Run, workflow: Arc<Workflow>) -> Self {
        Self {
            run,
            workflow,
            instances: BTreeMap::new(),
            signals: BTreeMap::new(),
            signal_ids: BTreeMap::new(),
            loaded: BTreeSet::new(),
            touched: BTreeSet::new(),
            stored: BTreeSet::new(),
        }
    }

    /// The document's part of an instance.
    pub fn task(&self, key: Key) -> &Task {
        self.workflow.task(key.task)
    }

    /// Puts in an instance as stored; `None` where it has no row.
    pub fn load(&mut self, key: Key, stored: Option<Instance>) {
        if stored.is_some() {
            self.stored.insert(key);
        }
        let instance = stored.unwrap_or_else(|| Instance::absent(self.task(key), &self.run));
        self.instances.insert(key, instance);
    }

    /// Puts in the unconsumed signals of a name, oldest first.
    pub fn load_signals(&mut self, name: SignalName, signals: Vec<Buffered>) {
        self.signals.insert(name, signals);
    }

    /// Puts in whether a signal id was received before.
    pub fn load_signal_id(&mut self, id: RequestKey, seen: Seen) {
        self.signal_ids.insert(id, seen);
    }

    /// Says that every instance of a set ([`Need::Running`], [`Need::Unsuccessful`]) has been put in.
    pub fn mark_loaded(&mut self, need: Need) {
        self.loaded.insert(need);
    }

    /// The instance, if it has been loaded.
    pub fn get(&self, key: Key) -> Option<&Instance> {
        self.instances.get(&key)
    }

    /// Whether this has been loaded.
    pub fn holds(&self, need: &Need) -> bool {
        match need {
            Need::Instance(key) => self.instances.contains_key(key),
            Need::Running | Need::Unsuccessful => self.loaded.contains(need),
            Need::Signals(name) => self.signals.contains_key(name),
            Need::SignalId(id) => self.signal_ids.contains_key(id),
        }
    }

    /// Everything loaded, by key.
    pub fn instances(&self) -> impl Iterator<Item = (Key, &Instance)> {
        self.instances.iter().map(|(key, instance)| (*key, instance))
    }

    /// The instances that events have changed since the slice was made.
    pub fn touched(&self) -> impl Iterator<Item = (Key, &Instance)> {
        self.touched.iter().map(|key| (*key, &self.instances[key]))
    }

    /// Whether an instance was loaded as it was stored. One that was not may be stored all the same.
    pub fn is_stored(&self, key: Key) -> bool {
        self.stored.contains(&key)
    }

    /// The instance, or what is missing.
    pub(super) fn instance(&self, key: Key) -> Result<&Instance, Missing> {
        self.instances.get(&key).ok_or_else(|| Missing(BTreeSet::from([Need::Instance(key)])))
    }

    /// That all these instances are loaded.
    pub(super) fn require(&self, keys: impl Iterator<Item = Key>) -> Result<(), Missing> {
        let missing: BTreeSet<Need> =
            keys.filter(|key| !self.instances.contains_key(key)).map(Need::Instance).collect();
        if missing.is_empty() { Ok(()) } else { Err(Missing(missing)) }
    }

    /// That a set of instances is loaded.
    pub(super) fn require_set(&self, need: Need) -> Result<(), Missing> {
        if self.loaded.contains(&need) { Ok(()) } else { Err(Missing(BTreeSet::from([need]))) }
    }

    /// The oldest unconsumed signal of a name.
    pub(super) fn oldest_signal(&self, name: &SignalName) -> Result<Option<&Buffered>, Missing> {
        if self.run.signals_buffered == 0 {
            return Ok(None);
        }
        match self.signals.get(name) {
            Some(signals) => Ok(signals.first()),
            None => Err(Missing(BTreeSet::from([Need::Signals(name.clone())]))),
        }
    }

    /// Whether a signal id was received before.
    pub(super) fn signal_id(&self, id: &RequestKey) -> Result<Seen, Missing> {
        self.signal_ids.get(id).copied().ok_or_else(|| Missing(BTreeSet::from([Need::SignalId(id.clone())])))
    }

    /// The instance, to be changed by an event.
    pub(super) fn touch(&mut self, key: Key) -> &mut Instance {
        self.touched.insert(key);
        let workflow = &self.workflow;
        self.instances.entry(key).or_insert_with(|| Instance::fresh(workflow.task(key.task)))
    }

    /// All loaded instances, to be changed by an event about the whole run.
    pub(super) fn touch_where(&mut self, mut change: impl FnMut(&Task, &mut Instance) -> Touched) {
        for (key, instance) in &mut self.instances {
            if change(self.workflow.task(key.task), instance) == Touched::Yes {
                self.touched.insert(*key);
            }
        }
    }

    /// The signals of a name that are loaded, to be changed by an event.
    pub(super) fn signals_mut(&mut self, name: &SignalName) -> Option<&mut Vec<Buffered>> {
        self.signals.get_mut(name)
    }
}

/// Whether an instance was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Touched {
    Yes,
    No,
}
