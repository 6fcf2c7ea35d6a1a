//! The server as a value: opened, driven in the background, and ended gracefully.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Method, Request, Response};
use selvedge::http::base_path;
use selvedge::http::body::Body;
use selvedge::{App, Settings};
use selvedge_libsql::{Libsql, Place, Token};
use selvedge_tokio::TokioPlatform;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::call::{CallError, call};
use crate::service::{Handler, Service};

/// The server behind everything here, as core knows it.
pub type Embedded = App<Libsql, TokioPlatform>;

const HTTP_CONCURRENCY_DEFAULT: usize = 64;

/// How a server is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the state is: memory, a file of this process alone, or a libsql server.
    pub database: Place,
    /// What a libsql server asks for.
    pub token: Option<Token>,
    /// The path under which clients reach the server: empty, or `/x/y`.
    pub base_path: String,
    /// How many `http` tasks run at once; 0 leaves them to other servers on the database.
    pub http_concurrency: usize,
}

impl Options {
    /// State in memory, gone with the server.
    pub fn memory() -> Self {
        Self::at(Place::Memory)
    }

    /// State in a file, made when it is missing.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::at(Place::File(path.into()))
    }

    /// State wherever `"selvedge.db"`, `":memory:"` or `"libsql://…"` says, once parsed.
    pub fn at(database: Place) -> Self {
        Self { database, token: None, base_path: String::new(), http_concurrency: HTTP_CONCURRENCY_DEFAULT }
    }

    /// Below this path.
    #[must_use]
    pub fn below(self, base_path: impl Into<String>) -> Self {
        Self { base_path: base_path.into(), ..self }
    }
}

/// Why a server was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The base path is none.
    #[error("base_path: {0}")]
    BasePath(String),
    /// The database cannot be had; the driver names it.
    #[error(transparent)]
    Driver(#[from] selvedge_libsql::OpenError),
    /// The database is there and cannot be used.
    #[error(transparent)]
    Database(#[from] selvedge::OpenError),
}

/// A server in this process, driven in the background. Clones are the same server. When the last one goes without
/// [`Server::shutdown`], everything stops as in a crash: leases end by their time, nothing is lost.
#[derive(Clone)]
pub struct Server {
    inner: Arc<Inner>,
}

/// Its tasks end when it is dropped.
struct Inner {
    app: Arc<Embedded>,
    base_path: String,
    driver: Mutex<JoinSet<()>>,
    workers: Mutex<JoinSet<()>>,
    /// When attempts that are under way are cut; none while the server runs.
    stop: watch::Sender<Option<Instant>>,
}

impl Server {
    /// Opens the database and begins to drive. To be called within a tokio runtime, which the server lives in.
    ///
    /// # Errors
    /// When the options are wrong or the database cannot be used.
    pub async fn open(options: Options) -> Result<Self, OpenError> {
        selvedge_tokio::install_tls();
        let base_path = base_path::read(&options.base_path).map_err(OpenError::BasePath)?;
        let database = Libsql::open(&options.database, options.token).await?;
        let settings = Settings {
            base_path: base_path.clone(),
            host: "embedded",
            durability: database.durability(),
            shared: database.is_shared(),
            http_concurrency: options.http_concurrency,
            ..Settings::default()
        };
        let app = Arc::new(App::open(database, TokioPlatform::default(), settings).await?);
        let driven = app.clone();
        let mut driver = JoinSet::new();
        driver.spawn(async move { match selvedge_tokio::drive(&driven).await {} });
        let inner = Inner {
            app,
            base_path,
            driver: Mutex::new(driver),
            workers: Mutex::default(),
            stop: watch::Sender::new(None),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The API for a router that passes paths on as they are.
    pub fn service(&self) -> Service<Server> {
        Service::new(Arc::new(self.clone()))
    }

    /// The API for a router that takes the base path off, such as axum's `nest_service`.
    pub fn nested_service(&self) -> Service<Server> {
        Service::nested(Arc::new(self.clone()), &self.inner.base_path)
    }

    /// The server itself, to be asked with requests of any format.
    pub fn app(&self) -> &Arc<Embedded> {
        &self.inner.app
    }

    /// One request in JSON, below the base path: `/api/v1/runs`. Sent like any other, without a socket.
    ///
    /// # Errors
    /// Whatever is answered with a status of 400 or more.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, CallError> {
        call(&self.inner.app, method, &format!("{}{path}", self.inner.base_path), body).await
    }

    /// Ends gracefully: workers take no more tasks, those under way may end within the grace and then go back to
    /// their queues without spending an attempt, long polls end, and so does the driver. The API still answers.
    pub async fn shutdown(&self, grace: Duration) {
        self.inner.stop.send_replace(Some(Instant::now() + grace));
        let mut workers = std::mem::take(&mut *lock(&self.inner.workers));
        while workers.join_next().await.is_some() {}
        let mut driver = std::mem::take(&mut *lock(&self.inner.driver));
        driver.shutdown().await;
        self.inner.app.close().await;
    }

    pub(crate) fn base_path(&self) -> &str {
        &self.inner.base_path
    }

    pub(crate) fn stop(&self) -> watch::Receiver<Option<Instant>> {
        self.inner.stop.subscribe()
    }

    /// Runs a worker beside the server until one of them ends.
    pub(crate) fn spawn_worker(&self, worker: impl Future<Output = ()> + Send + 'static) {
        lock(&self.inner.workers).spawn(worker);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Handler for Server {
    fn handle<B>(&self, request: Request<B>) -> impl Future<Output = Response<Body>> + Send
    where
        B: http_body::Body<Data: Send, Error: Send> + Send + 'static,
    {
        self.inner.app.handle(request)
    }
}
