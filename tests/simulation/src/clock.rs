//! Time that passes only when the world says so, and those who wait for it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use selvedge::time::{Duration, Timestamp};

/// When every world begins: 2026-01-01T00:00:00Z.
pub const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// The world's own time. Clones are the same clock.
#[derive(Clone, Default)]
pub struct Clock(Rc<Inner>);

#[derive(Default)]
struct Inner {
    passed: Cell<u64>,
    sleeps: Cell<u64>,
    /// Who wakes at which millisecond, in the order in which they lay down.
    sleepers: RefCell<BTreeMap<(u64, u64), Waker>>,
}

impl Clock {
    /// Milliseconds since the world began.
    pub fn passed(&self) -> u64 {
        self.0.passed.get()
    }

    /// The time as a perfect clock would show it.
    pub fn now(&self) -> Timestamp {
        START.plus(Duration::from_millis(self.passed()))
    }

    /// When the next sleeper wakes.
    pub fn next(&self) -> Option<u64> {
        self.0.sleepers.borrow().keys().next().map(|(at, _)| *at)
    }

    /// Moves the time on to this millisecond and wakes whoever slept until then.
    pub fn advance_to(&self, passed: u64) {
        self.0.passed.set(passed.max(self.passed()));
        let mut sleepers = self.0.sleepers.borrow_mut();
        let later = sleepers.split_off(&(self.passed() + 1, 0));
        let due = std::mem::replace(&mut *sleepers, later);
        drop(sleepers);
        due.into_values().for_each(Waker::wake);
    }

    /// Comes back when this much time has passed.
    pub fn sleep(&self, millis: u64) -> Sleep {
        let number = self.0.sleeps.get();
        self.0.sleeps.set(number + 1);
        Sleep { clock: self.clone(), key: (self.passed() + millis, number) }
    }
}

/// Someone who waits for time to pass.
pub struct Sleep {
    clock: Clock,
    key: (u64, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.key.0 <= self.clock.passed() {
            return Poll::Ready(());
        }
        let waker = context.waker().clone();
        self.clock.0.sleepers.borrow_mut().insert(self.key, waker);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.clock.0.sleepers.borrow_mut().remove(&self.key);
    }
}
