//! Bugs that a test plants, one at a time, to see that the simulation finds them.
//!
//! Each is one of a class that servers of this kind are known for, and each is asked at the one place where
//! the server is careful about it. Without the feature `planted` the question is answered `false` when the
//! program is compiled, and neither the switch nor the bugs are in it.

/// A mistake that the server does not make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(
    not(feature = "planted"),
    allow(dead_code, unreachable_pub, reason = "the names are asked for, the list is not")
)]
pub enum Bug {
    /// A commit does not ask whether the run is still as the decision found it.
    Unguarded,
    /// An answer leaves before its commit is durable.
    AnswersEarly,
    /// A lost reply is taken for a failure: the command is decided again and nobody looks for the first commit.
    LostMeansFailed,
    /// A refusal is answered from a state that has not landed, or may have been moved on since it was read.
    RefusesStale,
    /// A report counts after its lease has expired.
    ExpiredCounts,
    /// A lease that was extended meanwhile expires all the same.
    ExtendedExpires,
    /// Another report on a lease that has ended is answered as if it were the one that ended it.
    SecondReport,
    /// What a task needs is met, and nobody begins it, if it has more than one need.
    DependentForgotten,
    /// Nobody tells the drive of a new timer.
    TimerForgotten,
    /// Nobody tells those who wait of a task that has become ready.
    BellForgotten,
    /// The attempts spent are forgotten when an instance is read from its row.
    AttemptsForgotten,
    /// A drive does not let its own tasks go on while it does something else, and one of them may hold a lock
    /// that it needs.
    DriveAlone,
    /// The answer of a keyed request is kept after its effect, not with it.
    KeptLater,
}

#[cfg(feature = "planted")]
pub use switch::{current, plant};

/// Whether this bug is planted on this thread.
#[cfg(not(feature = "planted"))]
pub(crate) const fn is(_: Bug) -> bool {
    false
}

#[cfg(feature = "planted")]
pub(crate) use switch::is;

#[cfg(feature = "planted")]
mod switch {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// From now on, servers that this thread runs have this bug, or none.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    /// The bug that is planted on this thread.
    pub fn current() -> Option<Bug> {
        PLANTED.get()
    }

    pub(crate) fn is(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }

    impl Bug {
        /// All of them with their words.
        pub const ALL: [(Bug, &'static str); 13] = [
            (Bug::Unguarded, "unguarded"),
            (Bug::AnswersEarly, "answers-early"),
            (Bug::LostMeansFailed, "lost-means-failed"),
            (Bug::RefusesStale, "refuses-stale"),
            (Bug::ExpiredCounts, "expired-counts"),
            (Bug::ExtendedExpires, "extended-expires"),
            (Bug::SecondReport, "second-report"),
            (Bug::DependentForgotten, "dependent-forgotten"),
            (Bug::TimerForgotten, "timer-forgotten"),
            (Bug::BellForgotten, "bell-forgotten"),
            (Bug::AttemptsForgotten, "attempts-forgotten"),
            (Bug::DriveAlone, "drive-alone"),
            (Bug::KeptLater, "kept-later"),
        ];

        /// The bug's word on command lines.
        pub fn word(self) -> &'static str {
            Self::ALL.iter().find(|(bug, _)| *bug == self).map_or("", |(_, word)| word)
        }
    }
}
