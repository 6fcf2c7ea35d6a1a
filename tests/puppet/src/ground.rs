//! A server with the means to control it.

use std::sync::Arc;

use selvedge::store::database::Database;
use selvedge::time::Duration;
use selvedge::{App, Budget, Settings};

use crate::faulty::{Faulty, Mode, Switch};
use crate::platform::VirtualPlatform;

/// A server on a database that can be made to fail, with a clock that only the test moves.
pub struct Ground<D> {
    /// The server itself.
    pub server: Arc<App<Faulty<D>, VirtualPlatform>>,
    platform: VirtualPlatform,
    switch: Switch,
}

impl<D: Database> Ground<D> {
    /// A server on this database, which is empty.
    pub async fn new(database: D, settings: Settings, platform: VirtualPlatform) -> Self {
        let switch = Switch::default();
        let database = Faulty::new(database, switch.clone(), platform.clone());
        let server = App::open(database, platform.clone(), settings).await.expect("it migrates");
        Self { server: Arc::new(server), platform, switch }
    }

    /// Does what is due now, as a host does whenever it is woken; nothing while the database holds answers
    /// back, which would hold the drive back.
    pub async fn drive(&self) {
        if !self.switch.holds() {
            self.server.drive(Budget::Idle).await;
        }
    }

    /// Moves the clock and does what has become due.
    pub async fn advance(&self, duration: Duration) {
        self.platform.advance(duration);
        self.drive().await;
    }

    /// Changes how the database behaves, and does what that allows.
    pub async fn set_database(&self, mode: Mode) {
        self.switch.set(mode);
        self.drive().await;
    }

    /// How often anybody has begun to wait: for time to pass, or for a database that holds answers back.
    pub fn waits_begun(&self) -> usize {
        self.platform.sleeps_begun() + self.switch.held()
    }
}
