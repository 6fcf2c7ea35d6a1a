//! Closures as workers: claims by the same leases as any worker has, without a socket between.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, join_all};
use http::Method;
use selvedge::ids::QueueName;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, sleep};

use crate::attempt::attempt;
use crate::call::{CallError, send};
use crate::context::{Claimed, Context};
use crate::error::TaskError;
use crate::server::{Embedded, Server};

/// How long a claim waits for a task: an idle worker asks once in this time.
const CLAIM_WAIT: Duration = Duration::from_secs(60);
/// The pause after a claim that failed.
const FAULT_PAUSE: Duration = Duration::from_secs(1);
/// A third of the time after which an unseen worker counts as offline.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(20);
const LEASE_TTL_MIN: Duration = Duration::from_secs(1);
const LEASE_TTL_MAX: Duration = Duration::from_secs(3600);
const CONCURRENCY_MAX: usize = 1000;
/// Claims that wait at once: while what one was given begins, the other one is there for what becomes ready.
const CLAIMS: usize = 4;

/// How a worker works.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// How many tasks at once, 1 to 1,000.
    pub concurrency: usize,
    /// What it carries: it gets only tasks whose labels are all among these.
    pub labels: Vec<String>,
    /// After how long without a sign of life a task counts as lost, 1 s to 1 h. Signs are given by themselves.
    pub lease_ttl: Duration,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self { concurrency: 16, labels: Vec::new(), lease_ttl: Duration::from_secs(30) }
    }
}

/// Why a worker was not started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkerError {
    /// The queue's name is none.
    #[error("queue: {0}")]
    Queue(String),
    /// An option is out of its bounds.
    #[error("{0}")]
    Option(String),
}

/// A closure without its types.
pub(crate) type Run = Arc<dyn Fn(Context) -> BoxFuture<'static, Result<Value, TaskError>> + Send + Sync>;

impl Server {
    /// Lets a closure work for a queue, with the usual options. It is given each task's input, read as `I`, and
    /// the task's [`Context`]; what it answers is the task's output. One that panics has failed, no more.
    ///
    /// # Errors
    /// When the queue's name is none.
    pub fn worker<I, O, F, W>(&self, queue: &str, work: W) -> Result<(), WorkerError>
    where
        I: DeserializeOwned + Send,
        O: Serialize,
        F: Future<Output = Result<O, TaskError>> + Send + 'static,
        W: Fn(I, Context) -> F + Send + Sync + 'static,
    {
        self.worker_with(queue, WorkerOptions::default(), work)
    }

    /// The same with options.
    ///
    /// # Errors
    /// When the queue's name is none, or an option is out of its bounds.
    pub fn worker_with<I, O, F, W>(
        &self,
        queue: &str,
        options: WorkerOptions,
        work: W,
    ) -> Result<(), WorkerError>
    where
        I: DeserializeOwned + Send,
        O: Serialize,
        F: Future<Output = Result<O, TaskError>> + Send + 'static,
        W: Fn(I, Context) -> F + Send + Sync + 'static,
    {
        queue.parse::<QueueName>().map_err(|fault| WorkerError::Queue(fault.to_string()))?;
        check(&options)?;
        let worker = Worker {
            app: self.app().clone(),
            base_path: self.base_path().to_owned(),
            id: format!("embedded-{}", random()),
            queue: queue.to_owned(),
            options,
            run: untyped(work),
            stop: self.stop(),
        };
        self.spawn_worker(worker.work());
        Ok(())
    }
}

struct Worker {
    app: Arc<Embedded>,
    base_path: String,
    id: String,
    queue: String,
    options: WorkerOptions,
    run: Run,
    stop: watch::Receiver<Option<Instant>>,
}

#[derive(Debug, Deserialize)]
struct Granted {
    tasks: Vec<Claimed>,
}

impl Worker {
    /// Claims and works until the stop, and then until every attempt has ended.
    async fn work(self) {
        let concurrency = self.options.concurrency;
        join_all((0..CLAIMS.min(concurrency)).map(|claim| {
            // Each has its part of the slots, the first ones what is left over.
            let slots = concurrency / CLAIMS + usize::from(claim < concurrency % CLAIMS);
            self.work_on(slots)
        }))
        .await;
    }

    async fn work_on(&self, slots: usize) {
        let mut attempts = JoinSet::new();
        let slots = Arc::new(Semaphore::new(slots));
        let mut stop = self.stop.clone();
        tokio::select! {
            _ = stop.wait_for(Option::is_some) => {}
            () = self.claim_all(&slots, &mut attempts) => {}
        }
        while attempts.join_next().await.is_some() {}
    }

    async fn claim_all(&self, slots: &Arc<Semaphore>, attempts: &mut JoinSet<()>) {
        let mut known = false;
        loop {
            if !known {
                known = self.asked("workers", Some(&self.registration())).await.is_ok();
            }
            let mut held = vec![self.free_slot(slots).await];
            // What ends at the same moment is claimed for together.
            yield_now().await;
            while attempts.try_join_next().is_some() {}
            held.extend(std::iter::from_fn(|| slots.clone().try_acquire_owned().ok()));
            match self.asked("tasks/claim", Some(&self.claim(held.len()))).await {
                Ok(answer) => match serde_json::from_slice::<Granted>(&answer) {
                    Ok(Granted { tasks }) => self.begin(tasks, held, attempts),
                    Err(fault) => {
                        tracing::error!("the answer to a claim cannot be read: {fault}");
                        sleep(FAULT_PAUSE).await;
                    }
                },
                Err(fault) => {
                    // Somebody may have removed this worker.
                    known = fault.status != 404;
                    tracing::warn!(queue = self.queue, "no task was claimed: {fault}");
                    sleep(FAULT_PAUSE).await;
                }
            }
        }
    }

    fn begin(&self, tasks: Vec<Claimed>, slots: Vec<OwnedSemaphorePermit>, attempts: &mut JoinSet<()>) {
        for (claimed, slot) in tasks.into_iter().zip(slots) {
            let context = Context::new(self.app.clone(), &self.base_path, claimed);
            attempts.spawn(attempt(
                context,
                self.run.clone(),
                self.options.lease_ttl,
                self.stop.clone(),
                slot,
            ));
        }
    }

    /// A slot, and a sign of life for as long as there is none: without claims the worker would seem offline.
    async fn free_slot(&self, slots: &Arc<Semaphore>) -> OwnedSemaphorePermit {
        loop {
            tokio::select! {
                slot = slots.clone().acquire_owned() => return slot.expect("the semaphore is never closed"),
                () = sleep(HEARTBEAT_INTERVAL) => {
                    // The next claim says the same.
                    let _ = self.asked(&format!("workers/{}/heartbeat", self.id), None).await;
                }
            }
        }
    }

    fn registration(&self) -> Value {
        json!({
            "worker_id": self.id, "queues": [self.queue], "labels": self.options.labels,
            "capacity": self.options.concurrency,
        })
    }

    fn claim(&self, max_tasks: usize) -> Value {
        json!({
            "worker_id": self.id, "queues": [self.queue], "labels": self.options.labels,
            "max_tasks": max_tasks, "wait": format!("{}s", CLAIM_WAIT.as_secs()),
            "lease_ttl": format!("{}ms", self.options.lease_ttl.as_millis()),
        })
    }

    async fn asked(&self, operation: &str, body: Option<&Value>) -> Result<Bytes, CallError> {
        let path = format!("{}/api/v1/{operation}", self.base_path);
        send(&self.app, Method::POST, &path, body).await
    }
}

fn check(options: &WorkerOptions) -> Result<(), WorkerError> {
    if !(1..=CONCURRENCY_MAX).contains(&options.concurrency) {
        let found = options.concurrency;
        return Err(WorkerError::Option(format!(
            "concurrency: expected 1 to {CONCURRENCY_MAX}, found {found}"
        )));
    }
    if !(LEASE_TTL_MIN..=LEASE_TTL_MAX).contains(&options.lease_ttl) {
        let found = options.lease_ttl;
        return Err(WorkerError::Option(format!("lease_ttl: expected 1 s to 1 h, found {found:?}")));
    }
    for label in &options.labels {
        let label = label.parse::<selvedge::ids::Label>();
        label.map_err(|fault| WorkerError::Option(format!("labels: {fault}")))?;
    }
    Ok(())
}

/// The closure on values: an input of another type is a failure that no retry mends.
fn untyped<I, O, F, W>(work: W) -> Run
where
    I: DeserializeOwned + Send,
    O: Serialize,
    F: Future<Output = Result<O, TaskError>> + Send + 'static,
    W: Fn(I, Context) -> F + Send + Sync + 'static,
{
    Arc::new(move |context: Context| {
        let input = serde_json::from_value::<I>(context.claimed().input.clone());
        let work = input.map(|input| work(input, context)).map_err(|fault| {
            TaskError::new(format!("the input is not as the worker expects it: {fault}"))
                .code("bad_input")
                .fatal()
        });
        Box::pin(async move { Ok(serde_json::to_value(work?.await?)?) })
    })
}

fn random() -> String {
    let mut bytes = [0; 8];
    selvedge_tokio::random(&mut bytes);
    format!("{:016x}", u64::from_be_bytes(bytes))
}
