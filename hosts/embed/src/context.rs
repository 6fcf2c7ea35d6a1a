//! What a closure is told of its task, and what it can say meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::call::{CallError, call, send};
use crate::error::TaskError;
use crate::server::Embedded;

/// A task that was claimed, as the server words it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Claimed {
    pub(crate) lease_id: String,
    run_id: String,
    workflow: String,
    task: String,
    index: Option<u32>,
    attempt: u32,
    pub(crate) input: Value,
    upstream: BTreeMap<String, Value>,
    checkpoints: BTreeMap<String, Value>,
    pub(crate) grace: selvedge::time::Duration,
}

/// What the server wants of an attempt. It only ever grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wish {
    /// Go on.
    Work,
    /// Stop, and say so.
    Cancel,
    /// The task is not ours any more.
    Lost,
}

/// One attempt at a task, as its closure sees it. Clones are the same attempt.
#[derive(Clone)]
pub struct Context(Arc<Attempt>);

struct Attempt {
    app: Arc<Embedded>,
    /// Where the lease's operations lie.
    path: String,
    claimed: Claimed,
    checkpoints: Mutex<BTreeMap<String, Value>>,
    wish: watch::Sender<Wish>,
}

impl Context {
    pub(crate) fn new(app: Arc<Embedded>, base_path: &str, claimed: Claimed) -> Self {
        Self(Arc::new(Attempt {
            app,
            path: format!("{base_path}/api/v1/leases/{}", claimed.lease_id),
            checkpoints: Mutex::new(claimed.checkpoints.clone()),
            claimed,
            wish: watch::Sender::new(Wish::Work),
        }))
    }

    /// The run.
    pub fn run_id(&self) -> &str {
        &self.0.claimed.run_id
    }

    /// The workflow's name.
    pub fn workflow(&self) -> &str {
        &self.0.claimed.workflow
    }

    /// The task's name.
    pub fn task(&self) -> &str {
        &self.0.claimed.task
    }

    /// The element under `for_each`.
    pub fn index(&self) -> Option<u32> {
        self.0.claimed.index
    }

    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.0.claimed.attempt
    }

    /// The output of a task that this one needs.
    pub fn upstream(&self, task: &str) -> Option<&Value> {
        self.0.claimed.upstream.get(task)
    }

    /// Computes a value once for all attempts of the task: where an earlier one has remembered a value under this
    /// key, that is the answer and `compute` is not called. Otherwise what it gives is durable when this comes
    /// back. A crash in between calls it again, so what it does to others should be idempotent.
    ///
    /// Keys are letters, digits and `._~:-`, at most 128 of them.
    ///
    /// # Errors
    /// That of `compute`; or the value cannot be stored or read.
    pub async fn checkpoint<T, F>(&self, key: &str, compute: F) -> Result<T, TaskError>
    where
        T: Serialize + DeserializeOwned,
        F: AsyncFnOnce() -> Result<T, TaskError>,
    {
        let known = self.checkpoints().get(key).cloned();
        if let Some(value) = known {
            return read(key, value);
        }
        let value = serde_json::to_value(compute().await?)?;
        let body = json!({ "value": value });
        let stored = self.tell(Method::PUT, &format!("checkpoints/{key}"), Some(&body)).await;
        let stored = stored.map_err(|fault| {
            let error =
                TaskError::new(format!("the checkpoint {key:?} was not stored: {fault}")).code("checkpoint");
            if fault.status < 500 { error.fatal() } else { error }
        })?;
        let value = stored.get("value").cloned().unwrap_or_default();
        self.checkpoints().insert(key.to_owned(), value.clone());
        read(key, value)
    }

    /// Adds to the attempt's log.
    ///
    /// # Errors
    /// When the server does not take it.
    pub async fn log(&self, text: &str) -> Result<(), TaskError> {
        let chunks = json!({ "chunks": [{ "stream": "stdout", "text": text }] });
        self.tell(Method::POST, "logs", Some(&chunks)).await?;
        Ok(())
    }

    /// Whether the task is to stop: its run was cancelled, or its time is up. What the closure then answers ends
    /// the attempt; if it does not within the task's `grace`, it is dropped.
    pub fn is_cancelled(&self) -> bool {
        *self.0.wish.borrow() >= Wish::Cancel
    }

    /// Comes back when the task is to stop.
    pub async fn cancelled(&self) {
        self.wished(Wish::Cancel).await;
    }

    pub(crate) async fn wished(&self, wish: Wish) {
        let mut wishes = self.0.wish.subscribe();
        let wished = wishes.wait_for(|now| *now >= wish).await;
        drop(wished.expect("the sender lives as long as self"));
    }

    pub(crate) fn wish(&self, wish: Wish) {
        self.0.wish.send_modify(|now| *now = wish.max(*now));
    }

    /// An operation of the lease. One that is refused for good loses it.
    pub(crate) async fn tell(
        &self,
        method: Method,
        operation: &str,
        body: Option<&Value>,
    ) -> Result<Value, CallError> {
        let path = format!("{}/{operation}", self.0.path);
        let told = call(&self.0.app, method, &path, body).await;
        self.heed(told.as_ref().err());
        told
    }

    /// An operation of the lease whose answer says nothing new.
    pub(crate) async fn report(
        &self,
        operation: &str,
        body: Option<&impl Serialize>,
    ) -> Result<(), CallError> {
        let path = format!("{}/{operation}", self.0.path);
        let told = send(&self.0.app, Method::POST, &path, body).await;
        self.heed(told.as_ref().err());
        told.map(drop)
    }

    fn heed(&self, fault: Option<&CallError>) {
        if fault.is_some_and(|fault| fault.kind == "lease-lost" || fault.status == 404) {
            self.wish(Wish::Lost);
        }
    }

    pub(crate) fn claimed(&self) -> &Claimed {
        &self.0.claimed
    }

    fn checkpoints(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Value>> {
        self.0.checkpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read<T: DeserializeOwned>(key: &str, value: Value) -> Result<T, TaskError> {
    serde_json::from_value(value).map_err(|fault| {
        let message = format!("the checkpoint {key:?} holds something else than is expected: {fault}");
        TaskError::new(message).code("checkpoint").fatal()
    })
}
