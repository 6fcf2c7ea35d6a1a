//! One run as a database would hold it, and a driver that decides on it as `app` does.
//!
//! Rows are written as the store writes them: what an event touches, and every open row when the run is
//! stopped. A decision gets nothing but what it asks for. After every step all that must hold is checked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::engine::slice::Missing;
use crate::engine::*;
use crate::ids::{LeaseId, RequestKey, SignalName};
use crate::time::Timestamp;
use crate::value::{Payload, Value};
use crate::workflow::model::{Kind, TaskIx, Workflow};
use crate::workflow::parse::parse;

/// The first instant of every test.
pub(super) const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// A signal as its row says.
#[derive(Debug, Clone)]
struct Signal {
    name: SignalName,
    buffered: Buffered,
    consumed: bool,
}

/// A run, its rows and its history.
pub(super) struct Stored {
    pub(super) workflow: Arc<Workflow>,
    pub(super) run: Run,
    pub(super) rows: BTreeMap<Key, Instance>,
    pub(super) history: Vec<Event>,
    pub(super) now: Timestamp,
    /// What the last decision asked for.
    pub(super) asked: BTreeSet<Need>,
    skipped: u64,
    signals: Vec<Signal>,
    signal_ids: BTreeSet<RequestKey>,
    replayed: Slice,
    held: BTreeMap<LeaseId, Key>,
    leases: BTreeSet<LeaseId>,
}

/// A workflow of a document in YAML, JSON included.
pub(super) fn compiled(document: &str) -> Arc<Workflow> {
    let value = Value::from_yaml(document).expect("the test's own YAML");
    Arc::new(parse(&value).unwrap_or_else(|faults| panic!("{faults:#?} in {document}")))
}

/// What a run of a workflow is created with.
pub(super) fn created(workflow: &Workflow, input: &Value) -> Created {
    Created {
        workflow: workflow.name.clone(),
        version: workflow.version.clone(),
        input: Payload::from(input),
        vars: Payload::from(&Value::Object(workflow.vars.clone())),
        attributes: Payload::from(&Value::Object(BTreeMap::new())),
        tags: Vec::new(),
        session_id: None,
        rerun_of: None,
        priority: 0,
        seed: 7,
        start_at: None,
        execution_timeout: workflow.execution_timeout,
    }
}

impl Stored {
    /// Starts a run at [`START`].
    pub(super) fn start(workflow: Arc<Workflow>, created: Created, reused: Vec<Reused>) -> Self {
        let new = NewRun {
            tenant: "default".parse().expect("a tenant"),
            id: "r".parse().expect("a run id"),
            created,
            reused,
        };
        let decided = start(new, workflow.clone(), START);
        let blank = Run {
            phase: RunPhase::Pending,
            output: None,
            failure: None,
            started_at: None,
            finished_at: None,
            updated_at: START,
            deadline: None,
            counts: Counts::all_pending(workflow.tasks.len() as u32),
            last_seq: 0,
            signals_received: 0,
            signals_buffered: 0,
            ..decided.after.run.clone()
        };
        let mut stored = Self {
            run: blank.clone(),
            rows: BTreeMap::new(),
            history: Vec::new(),
            now: START,
            asked: BTreeSet::new(),
            skipped: 0,
            signals: Vec::new(),
            signal_ids: BTreeSet::new(),
            replayed: Slice::new(blank, workflow.clone()),
            held: BTreeMap::new(),
            leases: BTreeSet::new(),
            workflow,
        };
        for key in stored.keys() {
            stored.replayed.load(key, None);
        }
        stored.commit(decided);
        stored
    }

    /// Decides, answering whatever is missing, commits, and checks all that must hold.
    pub(super) fn command(&mut self, command: &Command) -> Result<Vec<Event>, Refusal> {
        let mut slice = Slice::new(self.run.clone(), self.workflow.clone());
        let due = match command {
            Command::WakeTasks(keys) => self.due().iter().any(|key| keys.contains(key)),
            Command::WakeRun => self.run.wake_at().is_some_and(|at| at <= self.now),
            _ => false,
        };
        self.asked.clear();
        let mut needs = prefetch(&self.workflow, command);
        loop {
            for need in needs {
                self.put(&mut slice, &need);
                self.asked.insert(need);
            }
            match decide(&slice, command, self.now) {
                Ok(decided) => {
                    let again = decide(&slice, command, self.now).expect("the same decision");
                    assert_eq!(decided.events, again.events, "deciding twice gives the same");
                    let events = decided.events.clone();
                    assert!(!due || !events.is_empty(), "{command:?}: a timer is due and leads to nothing");
                    self.commit(decided);
                    return Ok(events);
                }
                Err(Undecided::Refused(refusal)) => return Err(refusal),
                Err(Undecided::Missing(Missing(missing))) => {
                    let asked_again = missing.iter().find(|need| self.asked.contains(need));
                    assert_eq!(asked_again, None, "{command:?} asks twice for the same");
                    needs = missing;
                }
            }
        }
    }

    /// Says that the run had this many events before those that are known here.
    pub(super) fn skip_to(&mut self, seq: u64) {
        self.skipped = seq - self.run.last_seq;
        self.run.last_seq = seq;
        self.replayed.run.last_seq = seq;
    }

    /// Every instance that the run may have.
    pub(super) fn keys(&self) -> Vec<Key> {
        (0..self.workflow.tasks.len()).map(|ix| Key::of(TaskIx(ix as u32))).collect()
    }

    /// An instance: its row, or what its absence means.
    pub(super) fn instance(&self, key: Key) -> Instance {
        let mut slice = Slice::new(self.run.clone(), self.workflow.clone());
        slice.load(key, self.rows.get(&key).cloned());
        slice.get(key).expect("it was just loaded").clone()
    }

    /// When the next timer is due, of the run and of its instances; what is parked has none.
    pub(super) fn next_timer(&self) -> Option<Timestamp> {
        let of_tasks = self.keys().into_iter().filter_map(|key| self.wake_at(key));
        of_tasks.chain(self.run.wake_at()).min()
    }

    /// The instances whose timer is due.
    pub(super) fn due(&self) -> Vec<Key> {
        let due = |key: &Key| self.wake_at(*key).is_some_and(|at| at <= self.now);
        self.keys().into_iter().filter(due).collect()
    }

    fn wake_at(&self, key: Key) -> Option<Timestamp> {
        let instance = self.rows.get(&key)?;
        let idle = matches!(instance.phase, TaskPhase::Ready { .. } | TaskPhase::Waiting(_));
        if self.run.phase == RunPhase::Paused && idle {
            return None;
        }
        instance.wake_at(&self.run, self.workflow.task(key.task))
    }

    fn put(&self, slice: &mut Slice, need: &Need) {
        match need {
            Need::Instance(key) => slice.load(*key, self.rows.get(key).cloned()),
            Need::Running => self.put_set(slice, need, |phase| matches!(phase, TaskPhase::Running(_))),
            Need::Unsuccessful => self.put_set(slice, need, |phase| {
                matches!(phase, TaskPhase::Failed | TaskPhase::Skipped(_) | TaskPhase::Cancelled)
            }),
            Need::Signals(name) => {
                let waits = |kind: &Kind| matches!(kind, Kind::Signal { name: own, .. } if own == name);
                let limit = self.workflow.tasks.iter().filter(|task| waits(&task.kind)).count();
                let unconsumed = self.signals.iter().filter(|s| s.name == *name && !s.consumed);
                let signals = unconsumed.take(limit).map(|s| s.buffered.clone()).collect();
                slice.load_signals(name.clone(), signals);
            }
            Need::SignalId(id) => {
                let seen = if self.signal_ids.contains(id) { Seen::Before } else { Seen::New };
                slice.load_signal_id(id.clone(), seen);
            }
        }
    }

    fn put_set(&self, slice: &mut Slice, need: &Need, belongs: impl Fn(&TaskPhase) -> bool) {
        for (key, instance) in self.rows.iter().filter(|(_, instance)| belongs(&instance.phase)) {
            slice.load(*key, Some(instance.clone()));
        }
        slice.mark_loaded(need.clone());
    }

    /// Writes what a decision has changed, as the store does.
    fn commit(&mut self, decided: Decided) {
        for event in &decided.events {
            assert!(event.at >= self.run.updated_at, "the run's time goes back at {event:?}");
            let text = serde_json::to_string(event).expect("plain data");
            let read: Event = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e} in {text}"));
            assert_eq!(read, *event, "stored as {text}");
            if let What::RunStopping { end, .. } = &event.what {
                self.stop_rows(*end, event.at);
            }
            self.note_signal(&event.what);
            self.note_lease(event);
            apply(&mut self.replayed, event);
        }
        for (key, instance) in decided.after.touched() {
            self.rows.insert(key, instance.clone());
        }
        self.history.extend(decided.events);
        self.run = decided.after.run;
        self.check();
    }

    fn stop_rows(&mut self, end: run::End, at: Timestamp) {
        let open = |phase: &TaskPhase| {
            matches!(phase, TaskPhase::Pending | TaskPhase::Ready { .. } | TaskPhase::Waiting(_))
        };
        for instance in self.rows.values_mut().filter(|instance| open(&instance.phase)) {
            instance.phase = match end {
                run::End::Cancelled => TaskPhase::Cancelled,
                run::End::Failed | run::End::TimedOut => TaskPhase::Skipped(Skip::RunEnded),
            };
            instance.finished_at = Some(at);
        }
    }

    fn note_signal(&mut self, what: &What) {
        match what {
            What::SignalReceived { name, number, signal_id, payload } => {
                let buffered = Buffered { number: *number, payload: payload.clone() };
                self.signals.push(Signal { name: name.clone(), buffered, consumed: false });
                if let Some(id) = signal_id {
                    assert!(self.signal_ids.insert(id.clone()), "signal id {id} counts twice");
                }
            }
            What::SignalConsumed { number, name, .. } => {
                let signal = self.signals.iter_mut().find(|s| !s.consumed && s.name == *name);
                let signal = signal.expect("only a stored signal is consumed");
                assert_eq!(signal.buffered.number, *number, "signals of a name are first in, first out");
                signal.consumed = true;
            }
            _ => {}
        }
    }

    /// A lease is granted once, ends once, and no other is held on its instance meanwhile.
    fn note_lease(&mut self, event: &Event) {
        if let What::TaskStarted { task, lease, .. } = &event.what {
            let key = task.key(&self.workflow);
            assert!(self.leases.insert(lease.id.clone()), "lease {} is granted twice", lease.id);
            assert!(!self.held.values().any(|held| *held == key), "two leases are held on {task:?}");
            self.held.insert(lease.id.clone(), key);
        }
        if let Some((lease, _)) = event.what.lease_ended() {
            assert!(self.held.remove(lease).is_some(), "lease {lease} ends without being held");
        }
    }

    /// All that holds after every commit.
    fn check(&self) {
        let trail = || -> Vec<String> {
            self.history.iter().map(|event| format!("{} {:?}", event.at, event.what)).collect()
        };
        assert_eq!(
            self.run.last_seq,
            self.skipped + self.history.len() as u64,
            "numbers of events have a gap"
        );
        let mut counts = Counts { total: self.workflow.tasks.len() as u32, ..Counts::default() };
        for key in self.keys() {
            let (instance, name) = (self.instance(key), &self.workflow.task(key.task).name);
            *counts.of_mut(instance.status()) += 1;
            let mut replayed = self.replayed.get(key).expect("a replay has every instance").clone();
            if !self.rows.contains_key(&key) {
                // Without a row nobody knows when exactly it ended with its run.
                replayed.finished_at = instance.finished_at;
            }
            assert_eq!(replayed, instance, "the replay and the row of {name} differ: {:#?}", trail());
            let held: Vec<&LeaseId> =
                self.held.iter().filter(|(_, held)| **held == key).map(|(id, _)| id).collect();
            let lease: Vec<&LeaseId> = instance.lease().iter().map(|lease| &lease.id).collect();
            assert_eq!(held, lease, "leases of {name}: {:#?}", trail());
        }
        assert_eq!(self.run.counts, counts, "the counts and the rows differ: {:#?}", trail());
        let replayed = Run { fair_order: self.run.fair_order, ..self.replayed.run.clone() };
        assert_eq!(replayed, self.run, "the replay and the run differ: {:#?}", trail());
        let buffered = self.signals.iter().filter(|signal| !signal.consumed).count();
        assert_eq!(self.run.signals_buffered as usize, buffered);
        if self.run.is_terminal() {
            assert_eq!(self.run.counts.open(), 0, "an ended run has open tasks: {:#?}", trail());
            assert_eq!(self.next_timer(), None, "an ended run has a timer: {:#?}", trail());
        } else {
            assert!(self.moves_on(), "the run is stuck: {:#?} {:#?}", self.run, trail());
        }
    }

    /// Whether something that may still come moves the run on.
    fn moves_on(&self) -> bool {
        let waits_for_somebody = |key: &Key| match self.instance(*key).phase {
            TaskPhase::Ready { .. } => self.workflow.task(key.task).kind.is_leased(),
            TaskPhase::Running(_) | TaskPhase::Waiting(Wait::Signal { .. }) => true,
            _ => false,
        };
        self.run.phase == RunPhase::Paused
            || self.next_timer().is_some()
            || self.keys().iter().any(waits_for_somebody)
    }
}
