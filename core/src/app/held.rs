//! Which run and task the leases that this server granted are of, so that a report on one needs no look-up.
//!
//! What is here is a hint: the decision on the report checks the lease in the run itself.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::engine::Key;
use crate::ids::{LeaseId, RunId};

/// How many leases are remembered. Beyond that all are forgotten and looked up again.
const HELD_MAX: usize = 100_000;

/// Leases that were granted here and have not been reported on.
#[derive(Debug, Default)]
pub(super) struct Held(Mutex<HashMap<LeaseId, (RunId, Key)>>);

impl Held {
    /// A lease was granted.
    pub(super) fn remember(&self, lease: LeaseId, run: RunId, key: Key) {
        let mut held = self.lock();
        if held.len() >= HELD_MAX {
            held.clear();
        }
        held.insert(lease, (run, key));
    }

    /// What a lease is of, if it was granted here.
    pub(super) fn find(&self, lease: &LeaseId) -> Option<(RunId, Key)> {
        self.lock().get(lease).cloned()
    }

    /// A lease has ended, or is not what it was thought to be.
    pub(super) fn forget(&self, lease: &LeaseId) {
        self.lock().remove(lease);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<LeaseId, (RunId, Key)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
