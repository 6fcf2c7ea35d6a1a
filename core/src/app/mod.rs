//! The async ring: load, decide, commit, answer.

use http::{Request, Response};

use crate::http::body::Body;
use crate::platform::Platform;
use crate::store::database::{Database, DatabaseError};
use crate::time::{Duration, Timestamp};

/// What a host sets once. Everything has a default.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The path under which the server is mounted, without a trailing slash: `""` or `/x/y`.
    pub base_path: String,
    /// The longest request body, in bytes.
    pub body_bytes_max: usize,
    /// The host's word in `/api/v1/info`: `daemon`, `lambda`, `service-worker`, `embedded`.
    pub host: &'static str,
    /// What a 2xx answer promises: `fsync` or `server`.
    pub durability: &'static str,
    /// How many `http` tasks this server runs at once; 0 leaves them to other servers.
    pub http_concurrency: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            base_path: String::new(),
            body_bytes_max: 4 << 20,
            host: "embedded",
            durability: "fsync",
            http_concurrency: 64,
        }
    }
}

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database does not answer or does not take writes.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A newer program has migrated this database.
    #[error(
        "the database is of version {found}, and this program knows versions up to {known}: \
         use a newer selvedge, or another database"
    )]
    Newer {
        /// The database's version.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
}

/// How far [`App::drive`] may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// Until nothing is due and nothing is running.
    Idle,
    /// As `Idle`, but no longer than this.
    For(Duration),
}

/// A durable workflow server over one database on one host.
pub struct App<D, P> {
    database: D,
    platform: P,
    settings: Settings,
}

impl<D: Database, P: Platform> App<D, P> {
    /// Migrates the database to this program's version and makes the server.
    pub async fn open(database: D, platform: P, settings: Settings) -> Result<Self, OpenError> {
        Ok(Self { database, platform, settings })
    }

    /// Answers one request. Never fails and never panics: every fault is a problem document.
    pub async fn handle<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body,
        B::Data: Send,
    {
        let _ = (request, &self.database, &self.platform, &self.settings);
        Response::new(Body::full("not yet"))
    }

    /// Fires due timers and runs `http` tasks until there is nothing to do now or the budget is spent, and
    /// says when the next timer is due. It is to be called again then, or when [`App::woken`] comes back,
    /// whichever is first.
    pub async fn drive(&self, budget: Budget) -> Option<Timestamp> {
        let _ = budget;
        None
    }

    /// Comes back when there may be something for [`App::drive`] to do that was not there before.
    pub async fn woken(&self) {
        std::future::pending().await
    }

    /// Gives the leases that this server's own executors hold back to their queues, without spending an
    /// attempt, and lets long polls end with what they have. For a graceful shutdown: no `drive` may be
    /// running. `handle` still answers.
    pub async fn close(&self) {}
}
