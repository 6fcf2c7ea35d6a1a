//! The time by which this server decides.
//!
//! Alone on its database it goes by the host's clock. On a shared one it goes by the database's, so that
//! servers whose clocks differ agree on when a lease has expired: it learns how far the host's clock is off
//! and adds that to each reading.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::platform::Platform;
use crate::store::database::Database;
use crate::store::{StoreError, clock};
use crate::time::{Duration, Timestamp};

use super::App;

/// How long a reading is good for: clocks drift by less than a millisecond in that time.
const LEARN_EVERY: Duration = Duration::from_secs(5);

/// What is known of the database's clock.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// How far it is ahead of the host's, in milliseconds; 0 until it is learnt.
    ahead: AtomicI64,
    /// When it was last read, in milliseconds of the host's clock.
    learnt_at: AtomicI64,
}

impl Clock {
    /// The time to decide by, at a time of the host's clock.
    fn of_host(&self, at: Timestamp) -> Timestamp {
        Timestamp::from_millis(at.as_millis() + self.ahead.load(Ordering::Relaxed))
    }

    /// Whether the last reading is too old, or the host's clock was set back behind it.
    fn is_stale(&self, at: Timestamp) -> bool {
        let age = at.as_millis() - self.learnt_at.load(Ordering::Relaxed);
        !(0..LEARN_EVERY.as_millis() as i64).contains(&age)
    }

    /// When the host's clock shows this time.
    pub(super) fn to_host(&self, at: Timestamp) -> Timestamp {
        Timestamp::from_millis(at.as_millis() - self.ahead.load(Ordering::Relaxed))
    }

    /// Takes a reading of the database's clock that was asked for and answered at these times of the
    /// host's: it was taken half-way (Cristian's algorithm, 1989).
    fn learn(&self, asked: Timestamp, answered: Timestamp, reading: Timestamp) {
        let half_way = asked.as_millis() + (answered.as_millis() - asked.as_millis()) / 2;
        self.ahead.store(reading.as_millis() - half_way, Ordering::Relaxed);
        self.learnt_at.store(answered.as_millis(), Ordering::Relaxed);
    }
}

impl<D: Database, P: Platform> App<D, P> {
    /// The time now, by which everything here decides.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.of_host(self.platform.now())
    }

    /// On a shared database: asks it for the time, unless that was only just now.
    pub(super) async fn learn_time(&self) -> Result<(), StoreError> {
        let asked = self.platform.now();
        if !self.settings.shared || !self.clock.is_stale(asked) {
            return Ok(());
        }
        let rows = self.database.read(vec![clock::now()]).await?;
        let answered = self.platform.now();
        if let Some(row) = rows.into_iter().flatten().next() {
            self.clock.learn(asked, answered, clock::read(row)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_is_that_of_the_middle_of_the_round_trip() {
        let at = Timestamp::from_millis;
        let clock = Clock::default();
        assert_eq!(clock.of_host(at(1000)), at(1000));
        for (asked, answered, reading, ahead) in [
            (1000, 1000, 1000, 0),
            (1000, 1100, 1050, 0),
            (1000, 1100, 6050, 5000),
            (9000, 9000, 4000, -5000),
        ] {
            clock.learn(at(asked), at(answered), at(reading));
            assert_eq!(clock.of_host(at(20_000)), at(20_000 + ahead));
            assert_eq!(clock.to_host(clock.of_host(at(7000))), at(7000));
            assert!(!clock.is_stale(at(answered)) && !clock.is_stale(at(answered + 4999)));
            assert!(clock.is_stale(at(answered + 5000)) && clock.is_stale(at(answered - 1)));
        }
    }
}
