//! The worker's loop: free slots, claims, and a graceful end.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::attempt::{self, Claimed};
use super::backoff::Backoff;
use super::{Settings, fresh_id};
use crate::client::{Call, ClientError, Prospect};
use crate::stop::{self, Phase, Stop, Stopper};

/// How long a claim waits at the server for a task.
const CLAIM_WAIT: Duration = Duration::from_secs(20);
/// The pause after a server that was to wait gave nothing at once, as one does that is shutting down.
const EMPTY_PAUSE: Duration = Duration::from_secs(1);
/// A third of the time after which an unseen worker counts as offline.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(20);

/// One wish for tasks. It keeps its id until it is answered, so that a lost answer strands no task.
#[derive(Debug)]
struct Claim {
    claim_id: String,
    max_tasks: usize,
}

#[derive(Debug, Deserialize)]
struct Granted {
    tasks: Vec<Claimed>,
}

/// Claims and runs tasks until the stop, or until the server has drained the worker. `Stopping` claims no more and lets tasks finish for the grace;
/// `Cut`, or the end of the grace, stops what runs and gives it back. Dropping this kills what runs.
///
/// # Errors
/// What no further try mends: the server refuses the worker, or is none. A server that cannot be reached is
/// waited for.
pub(crate) async fn work(settings: Settings, stop: Stop) -> Result<(), ClientError> {
    let settings = Arc::new(settings);
    let (stopper, attempts_stop) = stop::channel();
    let mut attempts = JoinSet::new();
    let claiming = claim_all(&settings, &attempts_stop, &mut attempts);
    let result = tokio::select! {
        result = claiming => result,
        result = heartbeats(&settings) => result,
        () = stop.reached(Phase::Stopping) => Ok(()),
    };
    finish(&settings, attempts, &stopper, &stop).await;
    result
}

async fn claim_all(
    settings: &Arc<Settings>,
    stop: &Stop,
    attempts: &mut JoinSet<()>,
) -> Result<(), ClientError> {
    register(settings).await?;
    let slots = Arc::new(Semaphore::new(settings.concurrency));
    loop {
        let free = slots.clone().acquire_owned().await.expect("the semaphore is never closed");
        while attempts.try_join_next().is_some() {}
        let claim = Claim { claim_id: fresh_id(), max_tasks: 1 + slots.available_permits() };
        drop(free);
        let asked = Instant::now();
        let granted = claim.answer(settings).await?.tasks;
        if granted.is_empty() && asked.elapsed() < EMPTY_PAUSE {
            sleep(EMPTY_PAUSE).await;
        }
        for claimed in granted {
            // The server may grant what an earlier claim of the same id did, but never more than asked.
            let slot = slots.clone().acquire_owned().await.expect("the semaphore is never closed");
            let (settings, stop) = (settings.clone(), stop.clone());
            attempts.spawn(async move {
                attempt::run(&settings, claimed, &stop).await;
                drop(slot);
            });
        }
    }
}

impl Claim {
    /// Asks until there is an answer.
    async fn answer(&self, settings: &Settings) -> Result<Granted, ClientError> {
        let body = json!({
            "worker_id": settings.worker_id,
            "queues": settings.queues,
            "labels": settings.labels,
            "max_tasks": self.max_tasks,
            "wait": format!("{}s", CLAIM_WAIT.as_secs()),
            "lease_ttl": format!("{}ms", settings.lease_ttl.as_millis()),
            "claim_id": self.claim_id,
        });
        let call = || Call::post(&["tasks", "claim"]).body(&body).waiting(CLAIM_WAIT);
        loop {
            match persist(settings, call).await {
                Ok(answer) => return granted(settings, answer),
                // Somebody removed this worker, or the server has another database than before.
                Err(fault) if fault.status() == Some(404) => register(settings).await?,
                Err(fault) => return Err(fault),
            }
        }
    }
}

fn granted(settings: &Settings, answer: Value) -> Result<Granted, ClientError> {
    serde_json::from_value(answer).map_err(|fault| {
        tracing::error!("the answer to a claim cannot be read: {fault}");
        ClientError::Foreign { server: settings.client.server().to_owned(), status: 200 }
    })
}

async fn register(settings: &Settings) -> Result<(), ClientError> {
    let body = json!({
        "worker_id": settings.worker_id,
        "queues": settings.queues,
        "labels": settings.labels,
        "capacity": settings.concurrency,
    });
    persist(settings, || Call::post(&["workers"]).body(&body)).await?;
    tracing::info!(
        worker_id = settings.worker_id,
        "working for {} on {}, {} at once",
        settings.client.server(),
        settings.queues.join(", "),
        settings.concurrency
    );
    Ok(())
}

/// Says that the worker is there, also while it is too busy to claim. Comes back when the server wants the
/// worker no more.
async fn heartbeats(settings: &Settings) -> Result<(), ClientError> {
    loop {
        sleep(HEARTBEAT_INTERVAL).await;
        let call = Call::post(&["workers", &settings.worker_id, "heartbeat"]);
        match settings.client.send(call).await {
            Ok(worker) if worker.get("status").and_then(Value::as_str) == Some("draining") => {
                tracing::info!("the server drains this worker");
                return Ok(());
            }
            // The server has another database than before.
            Err(fault) if fault.status() == Some(404) => register(settings).await?,
            Err(fault) if fault.prospect() == Prospect::Never => return Err(fault),
            Ok(_) | Err(_) => {}
        }
    }
}

/// Repeats a call until the server has answered it, and says once that it does not and once that it does.
async fn persist<'a>(settings: &Settings, call: impl Fn() -> Call<'a>) -> Result<Value, ClientError> {
    let mut backoff = Backoff::default();
    let mut silent = false;
    loop {
        match settings.client.send(call()).await {
            Err(fault) if fault.prospect() == Prospect::Later => {
                if !std::mem::replace(&mut silent, true) {
                    tracing::warn!("waiting for the server: {fault}");
                }
                backoff.pause(fault.retry_after()).await;
            }
            answer => {
                if silent {
                    tracing::info!("the server answers again");
                }
                return answer;
            }
        }
    }
}

/// Lets attempts finish for the grace, then has them stopped and given back.
async fn finish(settings: &Settings, mut attempts: JoinSet<()>, stopper: &Stopper, stop: &Stop) {
    while attempts.try_join_next().is_some() {}
    if !attempts.is_empty() {
        let grace = settings.shutdown_grace;
        tracing::info!("stopping: {} tasks may take {grace:?} to finish", attempts.len());
    }
    tokio::select! {
        () = all(&mut attempts) => return,
        () = sleep(settings.shutdown_grace) => {}
        () = stop.reached(Phase::Cut) => {}
    }
    stopper.move_to(Phase::Cut);
    all(&mut attempts).await;
}

async fn all(attempts: &mut JoinSet<()>) {
    while attempts.join_next().await.is_some() {}
}
