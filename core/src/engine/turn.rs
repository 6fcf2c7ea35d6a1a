//! One decision under way: a copy of the slice that every event is applied to at once, so that what comes
//! next in the same decision sees it.

use std::collections::VecDeque;

use crate::time::Timestamp;

use super::apply::apply;
use super::command::{Decided, Repeated};
use super::event::{Event, TaskRef, What};
use super::slice::Slice;
use super::task::Key;

/// A decision under way.
pub(super) struct Turn {
    /// As the events so far have left it.
    pub(super) slice: Slice,
    /// The time of the decision.
    pub(super) now: Timestamp,
    /// Instances whose end has not been followed up yet.
    pub(super) ended: VecDeque<Key>,
    /// `value` tasks carried out so far.
    pub(super) cascaded: usize,
    events: Vec<Event>,
}

impl Turn {
    pub(super) fn new(slice: Slice, now: Timestamp) -> Self {
        Self { slice, now, ended: VecDeque::new(), cascaded: 0, events: Vec::new() }
    }

    /// Records an event and applies it.
    pub(super) fn emit(&mut self, what: What) {
        let event = Event { at: self.now, what };
        apply(&mut self.slice, &event);
        self.events.push(event);
    }

    /// How events name an instance of this run.
    pub(super) fn task_ref(&self, key: Key) -> TaskRef {
        TaskRef::new(&self.slice.workflow, key)
    }

    pub(super) fn done(self) -> Decided {
        Decided { events: self.events, after: self.slice, repeated: Repeated::No }
    }
}
