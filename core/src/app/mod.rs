//! The async ring: load, decide, commit, answer.
//!
//! One request: `http` makes a typed call of it; `App::dispatch` picks the handler; the handler reads what
//! it needs or hands a command to `commit`; there a slice of the run is loaded, the engine decides, and
//! the decision is committed in one batch, guarded by the run's revision. Only then is the answer sent, and
//! whoever waits for what happened is woken.

mod alarm;
mod bells;
pub(crate) mod checkpoints;
pub(crate) mod claim;
mod clock;
mod commit;
mod desks;
mod dispatch;
pub(crate) mod documents;
mod drive;
pub(crate) mod events;
mod executor;
mod fault;
mod hand_over;
mod hot;
pub(crate) mod leases;
pub(crate) mod lists;
pub(crate) mod logs;
mod look;
pub(crate) mod metrics;
pub(crate) mod modules;
mod polls;
mod queues;
mod request;
pub(crate) mod runs;
pub(crate) mod shapes;
pub(crate) mod signals;
pub(crate) mod system;
pub(crate) mod tasks;
pub(crate) mod workers;
pub(crate) mod workflows;

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use event_listener::EventListener;
use futures_util::future::{Either, select, select_all};
use http::{Request, Response};

use crate::engine::Run;
use crate::http::body::Body;
use crate::http::exchange::{Exchange, Opened};
use crate::http::operations::OPERATIONS;
use crate::http::problem::Problem;
use crate::http::reply;
use crate::ids::{TenantId, Version};
use crate::platform::Platform;
use crate::store::database::{Batch, Database, DatabaseError, Outcome, Row, Statement};
use crate::store::migrations::{self, Migrated};
use crate::store::{StoreError, claims, modules as module_rows, timers, workflows as workflow_rows};
use crate::time::{Duration, Timestamp};
use crate::workflow::model::Workflow;

use alarm::Alarm;
use bells::Bells;
use clock::Clock;
use desks::Desks;
use hot::HotRuns;
use metrics::Requests;
use polls::Polls;
use queues::Queues;

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
    /// Whether other servers may use the same database at the same time.
    pub shared: bool,
    /// How many `wasm` tasks this server runs at once, if its host runs modules; 0 leaves them to others.
    pub wasm_concurrency: usize,
    /// How large the memory of one call of a module may become, in bytes.
    pub wasm_memory_bytes_max: usize,
    /// How many instructions one call of a module may carry out, where the host counts them.
    pub wasm_fuel: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            base_path: String::new(),
            body_bytes_max: 4 << 20,
            host: "embedded",
            durability: "fsync",
            http_concurrency: 64,
            shared: false,
            wasm_concurrency: 4,
            wasm_memory_bytes_max: 64 << 20,
            wasm_fuel: 100_000_000_000,
        }
    }
}

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database does not answer, does not take writes, or is not one of ours.
    #[error(transparent)]
    Store(#[from] StoreError),
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

impl From<DatabaseError> for OpenError {
    fn from(error: DatabaseError) -> Self {
        OpenError::Store(error.into())
    }
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
    exchange: Exchange,
    tenant: TenantId,
    executor: crate::ids::WorkerId,
    started_at: Timestamp,
    clock: Clock,
    polls: Polls,
    hot: HotRuns,
    compiled: Mutex<HashMap<(TenantId, Version), Arc<Workflow>>>,
    /// The newest version of workflows as last read; a run that is started on it checks that it still is.
    newest: Mutex<HashMap<crate::ids::WorkflowName, Version>>,
    queues: Queues,
    bells: Bells,
    alarm: Alarm,
    desks: Desks,
    /// Idempotency scopes whose first request is under way.
    under_way: Mutex<HashSet<String>>,
    requests: Requests,
    closing: std::sync::atomic::AtomicBool,
}

/// How many compiled workflows are kept.
const COMPILED_MAX: usize = 256;

impl<D: Database, P: Platform> App<D, P> {
    /// Migrates the database to this program's version and makes the server.
    pub async fn open(database: D, platform: P, settings: Settings) -> Result<Self, OpenError> {
        let now = platform.now();
        if let Migrated::Newer(found) = migrations::migrate(&database, now).await? {
            return Err(OpenError::Newer { found, known: migrations::NEWEST });
        }
        let exchange = Exchange::new(OPERATIONS, &settings.base_path, settings.body_bytes_max);
        let mut random = [0; 10];
        platform.random(&mut random);
        let executor = format!("selvedge-{}", crate::ids::uuid_v7(now.as_millis(), random));
        let app = Self {
            database,
            platform,
            settings,
            exchange,
            tenant: "default".parse().expect("it is a valid tenant"),
            executor: executor.parse().expect("a UUID makes a valid worker id"),
            started_at: now,
            clock: Clock::default(),
            polls: Polls::default(),
            hot: HotRuns::default(),
            compiled: Mutex::default(),
            newest: Mutex::default(),
            queues: Queues::default(),
            bells: Bells::default(),
            alarm: Alarm::default(),
            desks: Desks::default(),
            under_way: Mutex::default(),
            requests: Requests::default(),
            closing: false.into(),
        };
        app.learn_time().await?;
        app.read_virtual_times().await?;
        app.alarm.now();
        Ok(app)
    }

    /// Answers one request. Never fails: every fault is a problem document.
    pub async fn handle<B: http_body::Body>(&self, request: Request<B>) -> Response<Body> {
        let mut random = [0; 16];
        self.platform.random(&mut random);
        match self.exchange.open(request, random).await {
            Opened::Done(response) => {
                self.requests.refused(response.status().as_u16());
                response
            }
            Opened::Call(call) => {
                let answer = self.answer(&call).await;
                let response = reply::close(&call, answer, &self.platform);
                self.requests.answered(call.operation.id, response.status().as_u16());
                response
            }
        }
    }

    /// Fires due timers and runs `http` tasks until there is nothing to do now or the budget is spent, and
    /// says when the next timer is due, by the host's clock. It is to be called again then, or when
    /// [`App::woken`] comes back, whichever is first.
    pub async fn drive(&self, budget: Budget) -> Option<Timestamp> {
        self.drive_on(budget).await.map(|next| self.clock.to_host(next))
    }

    /// Comes back when there may be something for [`App::drive`] to do that was not there before.
    pub async fn woken(&self) {
        self.alarm.wait().await;
    }

    /// Lets long polls end with what they have, and gives the leases that this server's own executors hold
    /// back to their queues, without spending an attempt. For a graceful shutdown: no `drive` may be running.
    /// `handle` still answers.
    pub async fn close(&self) {
        self.end_waits();
        self.release_own().await;
    }

    /// Lets long polls, now and from now on, end at once with what they have.
    pub fn end_waits(&self) {
        self.closing.store(true, std::sync::atomic::Ordering::SeqCst);
        self.bells.ring_all();
    }

    /// Each queue has come as far as the head of its lanes.
    async fn read_virtual_times(&self) -> Result<(), StoreError> {
        let rows = self.database.read(vec![claims::every_lane(&self.tenant)]).await?;
        for row in rows.into_iter().flatten() {
            let (queue, lane) = claims::read_every_lane(row)?;
            let heads = self.database.read(vec![claims::head(&self.tenant, &lane, 1)]).await?;
            for head in heads.into_iter().flatten() {
                self.queues.advance(&self.tenant, &queue, claims::read_candidate(head)?.fair_order);
            }
        }
        Ok(())
    }

    /// A stored version, compiled once.
    async fn compiled(&self, tenant: &TenantId, version: &Version) -> Result<Arc<Workflow>, StoreError> {
        let key = (tenant.clone(), version.clone());
        if let Some(workflow) = lock(&self.compiled).get(&key) {
            return Ok(workflow.clone());
        }
        let reads = vec![workflow_rows::document(tenant, version), module_rows::pins_of(tenant, version)];
        let mut answers = self.database.read(reads).await?.into_iter();
        let row = answers.next().into_iter().flatten().next();
        let pins = module_rows::read_pins(answers.next().unwrap_or_default())?;
        let row = row.ok_or_else(|| StoreError::Corrupt(format!("table documents: no version {version}")))?;
        let document = workflow_rows::read_document(row)?.to_value();
        let workflow = crate::workflow::parse::parse(&document).map_err(|faults| {
            let first = faults.first().map_or(String::new(), |fault| fault.message.clone());
            StoreError::Corrupt(format!("table documents: version {version} does not compile: {first}"))
        })?;
        let workflow = Arc::new(Workflow { modules: pins, ..workflow });
        self.remember_compiled(key, workflow.clone());
        Ok(workflow)
    }

    fn remember_compiled(&self, key: (TenantId, Version), workflow: Arc<Workflow>) {
        let mut compiled = lock(&self.compiled);
        if compiled.len() >= COMPILED_MAX {
            compiled.clear();
        }
        compiled.insert(key, workflow);
    }

    /// One batch of reads, its failure a problem.
    async fn read(&self, reads: Vec<Statement>) -> Result<Vec<Vec<Row>>, Problem> {
        self.database.read(reads).await.map_err(|error| self.problem(&error.into()))
    }

    /// The first row of one statement.
    async fn first_row(&self, read: Statement) -> Result<Option<Row>, Problem> {
        Ok(self.read(vec![read]).await?.into_iter().flatten().next())
    }

    /// Commits one batch; false if it was refused.
    async fn write(&self, batch: Batch) -> Result<bool, Problem> {
        let outcomes = self.database.write(vec![batch]).await.map_err(|error| self.problem(&error.into()))?;
        Ok(outcomes.first() == Some(&Outcome::Committed))
    }

    /// Waits until one of these bells rings: true; or the wait is over: false.
    async fn any_rings<F: Future<Output = ()>>(
        &self,
        ears: Vec<EventListener>,
        mut over: Pin<&mut F>,
    ) -> bool {
        if self.is_closing() {
            return false;
        }
        let mut rings = select_all(ears);
        loop {
            let poll = std::pin::pin!(self.poll_is_due());
            match select(&mut rings, select(&mut over, poll)).await {
                Either::Left(_) => return true,
                Either::Right((Either::Left(_), _)) => return false,
                // What others have committed rings the bells.
                Either::Right((Either::Right(_), _)) => self.poll().await,
            }
        }
    }

    async fn wait_over(&self, wait: Duration) {
        if wait > Duration::ZERO {
            self.platform.sleep(wait).await;
        }
    }

    fn is_closing(&self) -> bool {
        self.closing.load(std::sync::atomic::Ordering::SeqCst)
    }

    /// The problem of a run that was asked for by a client and is not there.
    async fn require_run(&self, id: &crate::ids::RunId) -> Result<Run, Problem> {
        self.run(id).await
    }

    /// Every tenant of the database.
    async fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        let rows = self.database.read(vec![timers::tenants()]).await?;
        rows.into_iter().flatten().map(timers::read_tenant).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
