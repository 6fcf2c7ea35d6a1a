//! The loop that lets a server do what happens without a request, for as long as its process runs.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use selvedge::platform::Platform;
use selvedge::store::database::Database;
use selvedge::{App, Budget};
use tokio::time::sleep;

/// The pause after the driver panicked.
const DEFECT_PAUSE: Duration = Duration::from_secs(1);
/// The least pause between two drives, so that a timer which cannot fire never makes a busy loop.
const DRIVE_PAUSE_MIN: Duration = Duration::from_millis(2);

/// Fires timers and runs the server's own tasks whenever there are any. Dropping this drops what is under way
/// at an await, as a crash would; the leases go back when the server is closed.
pub async fn drive<D: Database, P: Platform>(server: &App<D, P>) -> Infallible {
    loop {
        // The panic itself is in the log, by the process's hook.
        let Ok(next) = AssertUnwindSafe(server.drive(Budget::Idle)).catch_unwind().await else {
            sleep(DEFECT_PAUSE).await;
            continue;
        };
        let next = async {
            match next {
                Some(at) => sleep(Duration::from(at.since(crate::now())).max(DRIVE_PAUSE_MIN)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = server.woken() => {}
            () = next => {}
        }
    }
}
