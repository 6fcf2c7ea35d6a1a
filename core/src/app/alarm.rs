//! When the drive is needed next, and the bell that says that it is needed now.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use event_listener::Event;

use crate::time::Timestamp;

/// What the drive has to be told.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    next: Mutex<Option<Timestamp>>,
    /// There is something to do now.
    needed: AtomicBool,
    /// The next time is earlier than the drive last knew.
    moved: AtomicBool,
    late: AtomicBool,
    /// The time at which the drive last came by, in milliseconds.
    came_by: AtomicI64,
    bell: Event,
}

/// Held while a commit is on its way. A caller that goes away before it has landed, or is not told whether
/// it has, cannot announce it: then the drive does.
pub(super) struct Late<'a>(Option<&'a Alarm>);

impl Alarm {
    /// The drive is needed at this time, unless it comes by earlier anyway. It is told the time and need not look:
    /// most timers, such as the ends of leases, are gone again before they are due.
    pub(super) fn at(&self, time: Timestamp) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if next.is_none_or(|next| time < next) {
            *next = Some(time);
            self.moved.store(true, Ordering::SeqCst);
            drop(next);
            self.bell.notify(usize::MAX);
        }
    }

    /// Whether the drive has to look now; then it begins to. It has to when the clock was set back: what it knows is
    /// by a clock that no longer goes, and on a shared database by one that never went.
    pub(super) fn begin(&self, now: Timestamp) -> bool {
        self.moved.store(false, Ordering::SeqCst);
        let is_set_back = self.came_by.swap(now.as_millis(), Ordering::SeqCst) > now.as_millis();
        let is_due = self.next().is_some_and(|next| next <= now);
        if !is_due && !is_set_back && !self.is_needed() {
            return false;
        }
        self.take();
        true
    }

    /// When the drive comes by, as far as it knows.
    pub(super) fn next(&self) -> Option<Timestamp> {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The drive is needed now.
    pub(super) fn now(&self) {
        self.needed.store(true, Ordering::SeqCst);
        self.bell.notify(usize::MAX);
    }

    /// The drive has looked and found this next time. Earlier ones that were set meanwhile stay: it may have looked
    /// already where that timer stands.
    pub(super) fn found(&self, found: Option<Timestamp>) -> Option<Timestamp> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next = [*next, found].into_iter().flatten().min();
        *next
    }

    /// The drive begins to look, for whatever it has been told so far.
    pub(super) fn take(&self) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.needed.store(false, Ordering::SeqCst);
    }

    /// Whether the drive is needed now.
    pub(super) fn is_needed(&self) -> bool {
        self.needed.load(Ordering::SeqCst)
    }

    /// Comes back when the drive is needed now, or earlier than it knew.
    pub(super) async fn wait(&self) {
        loop {
            let ear = self.bell.listen();
            if self.needed.load(Ordering::SeqCst) || self.moved.load(Ordering::SeqCst) {
                return;
            }
            ear.await;
        }
    }

    /// Watches over a commit that is on its way.
    pub(super) fn late(&self) -> Late<'_> {
        Late(Some(self))
    }

    /// Takes the word that a commit has landed, or will, which nobody announces.
    pub(super) fn take_late(&self) -> bool {
        self.late.swap(false, Ordering::SeqCst)
    }
}

impl Late<'_> {
    /// The caller is still there.
    pub(super) fn done(mut self) {
        self.0 = None;
    }

    /// The drive cannot tell now. It looks again when it comes by, and is not called back for it at once: the
    /// database that did not answer would be asked without a pause.
    pub(super) fn postpone(mut self) {
        if let Some(alarm) = self.0.take() {
            alarm.late.store(true, Ordering::SeqCst);
        }
    }
}

impl Drop for Late<'_> {
    fn drop(&mut self) {
        if let Some(alarm) = self.0 {
            alarm.late.store(true, Ordering::SeqCst);
            alarm.now();
        }
    }
}
