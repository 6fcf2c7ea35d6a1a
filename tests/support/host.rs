//! Where conformance cases run: a server with a clock that only the test moves.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use selvedge::time::Duration;
use selvedge::{App, Budget, Settings};
use selvedge_libsql::Local;

use crate::faulty::{Faulty, Switch};
use crate::world::VirtualPlatform;

/// The server of every host here: on a database in memory that can be made to fail.
pub type Server = App<Faulty<Local>, VirtualPlatform>;

/// One server, reached in one way.
pub trait Host {
    /// Sends a request. Dropping the future is hanging up.
    async fn send(&self, request: Request<Bytes>) -> Response<Bytes>;

    /// What the host stands on.
    fn ground(&self) -> &Ground;

    /// Comes back when the server has noticed that clients went away, and answers only this many requests.
    async fn notices(&self, under_way: usize) {
        let _ = under_way;
    }

    /// Does what is due now, as a host does whenever it is woken.
    async fn drive(&self) {
        if !self.ground().switch.holds() {
            self.ground().server.drive(Budget::Idle).await;
        }
    }

    /// Moves the clock and does what has become due.
    async fn advance(&self, duration: Duration) {
        self.ground().platform.advance(duration);
        self.drive().await;
    }
}

/// The parts of a host that do not depend on how requests reach it.
pub struct Ground {
    /// The server itself.
    pub server: Arc<Server>,
    /// Its platform.
    pub platform: VirtualPlatform,
    /// The switch of its database.
    pub switch: Switch,
}

impl Ground {
    /// A server on an empty database in memory.
    pub async fn new(settings: Settings, platform: VirtualPlatform) -> Self {
        let switch = Switch::default();
        let database = Faulty::new(Local::memory().expect("a database in memory opens"), switch.clone());
        let server = App::open(database, platform.clone(), settings).await.expect("it migrates");
        Self { server: Arc::new(server), platform, switch }
    }

    /// How often anybody has begun to wait: for time to pass, or for a database that holds answers back.
    pub fn waits_begun(&self) -> usize {
        self.platform.sleeps_begun() + self.switch.held()
    }
}

/// Requests are function calls.
pub struct InProcess(pub Ground);

impl Host for InProcess {
    async fn send(&self, request: Request<Bytes>) -> Response<Bytes> {
        let response = self.0.server.handle(request.map(Full::new)).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("bodies cannot fail").to_bytes();
        Response::from_parts(parts, body)
    }

    fn ground(&self) -> &Ground {
        &self.0
    }
}
