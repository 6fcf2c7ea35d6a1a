//! On a shared database: whether other servers have committed anything, for those who wait here.
//!
//! Bells ring for what this server commits. What others commit is found by a poll of one number, the
//! database's cursor, which every commit with an event moves on: at most once a second, by whoever waits
//! first, and never while nobody waits.

use futures_util::lock::Mutex;

use crate::platform::Platform;
use crate::store::database::Database;
use crate::store::history;
use crate::time::{Duration, Timestamp};

use super::App;

/// How often others' commits are looked for at the most.
pub(super) const POLL_EVERY: Duration = Duration::from_secs(1);

/// What the last poll found.
#[derive(Debug, Default)]
pub(super) struct Polls(Mutex<Option<(Timestamp, i64)>>);

impl<D: Database, P: Platform> App<D, P> {
    /// Wakes everybody who waits if something was committed since the last poll, unless that was only just
    /// now. A database that does not answer is asked again the next time.
    pub(super) async fn poll(&self) {
        let mut last = self.polls.0.lock().await;
        let now = self.now();
        if last.is_some_and(|(at, _)| now < at.plus(POLL_EVERY) && at <= now) {
            return;
        }
        let read = self.database.read(vec![history::cursor()]).await;
        let Ok(rows) = read else { return };
        let Some(cursor) = rows.into_iter().flatten().next().and_then(|row| history::read_cursor(row).ok())
        else {
            return;
        };
        if last.replace((now, cursor)).is_none_or(|(_, before)| before != cursor) {
            self.bells.ring_all();
        }
    }

    /// Comes back when it is time to look for others' commits; never where there are no others.
    pub(super) async fn poll_is_due(&self) {
        if self.settings.shared {
            self.platform.sleep(POLL_EVERY).await;
        } else {
            std::future::pending::<()>().await;
        }
    }
}
