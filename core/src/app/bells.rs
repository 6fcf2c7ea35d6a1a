//! Waking those who wait: a bell for each thing that may change.
//!
//! Whoever waits listens first and looks second, so that nothing that happens in between is missed. The bell of
//! a run that has ended here brings the run along, so that those who wait for it need not read it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use event_listener::{Event, EventListener};

use crate::engine::Run;
use crate::ids::{RunId, TenantId};

/// What a bell is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Topic {
    /// A task has become ready on this queue.
    Queue(TenantId, Arc<str>),
    /// The run has ended.
    Run(TenantId, RunId),
}

/// The bells that somebody listens to.
#[derive(Debug, Default)]
pub(super) struct Bells {
    bells: Mutex<HashMap<Topic, Arc<Bell>>>,
}

#[derive(Debug, Default)]
struct Bell {
    event: Event,
    /// The run of the last ring, if it was about one.
    ended: Mutex<Option<Arc<Run>>>,
}

/// Someone who waits for several bells.
pub(super) struct Listening<'a> {
    bells: &'a Bells,
    topics: Vec<Topic>,
}

impl Bells {
    /// Listens to these bells for as long as the answer lives.
    pub(super) fn listen(&self, topics: Vec<Topic>) -> Listening<'_> {
        let mut bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        for topic in &topics {
            bells.entry(topic.clone()).or_default();
        }
        drop(bells);
        Listening { bells: self, topics }
    }

    /// Wakes everybody who listens to this bell now.
    pub(super) fn ring(&self, topic: &Topic) {
        let bell = self.bells.lock().unwrap_or_else(PoisonError::into_inner).get(topic).cloned();
        if let Some(bell) = bell {
            bell.event.notify(usize::MAX);
        }
    }

    /// Wakes everybody who waits for the end of this run, and tells them of it.
    pub(super) fn ring_end(&self, run: &Run) {
        let topic = Topic::Run(run.tenant.clone(), run.id.clone());
        let bell = self.bells.lock().unwrap_or_else(PoisonError::into_inner).get(&topic).cloned();
        if let Some(bell) = bell {
            *bell.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(run.clone()));
            bell.event.notify(usize::MAX);
        }
    }

    /// Wakes everybody.
    pub(super) fn ring_all(&self) {
        let bells: Vec<Arc<Bell>> =
            self.bells.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        for bell in bells {
            bell.event.notify(usize::MAX);
        }
    }
}

impl Listening<'_> {
    /// One future for each bell; each comes back when its bell rings after this call.
    pub(super) fn ears(&self) -> Vec<EventListener> {
        let mut bells = self.bells.bells.lock().unwrap_or_else(PoisonError::into_inner);
        self.topics.iter().map(|topic| bells.entry(topic.clone()).or_default().event.listen()).collect()
    }

    /// A run that has rung with its end since somebody first listened; it may have gone on again since.
    pub(super) fn ended(&self) -> Option<Arc<Run>> {
        let bells = self.bells.bells.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bells = self.topics.iter().filter_map(|topic| bells.get(topic));
        bells.find_map(|bell| bell.ended.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        let mut bells = self.bells.bells.lock().unwrap_or_else(PoisonError::into_inner);
        for topic in &self.topics {
            if bells.get(topic).is_some_and(|bell| bell.event.total_listeners() == 0) {
                bells.remove(topic);
            }
        }
    }
}
