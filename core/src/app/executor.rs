//! The executors of this server's host: workers inside the server, under the same leases as any other.
//!
//! What they have in common is here: claiming, extending the lease while the work goes on, and reporting. What
//! the work is stands in a file of its own for each.

mod http;
mod wasm;

use std::sync::Arc;

use futures_util::future::{Either, select};

use crate::engine::RetryWish;
use crate::engine::run::{Category, Failure};
use crate::http::problem::Slug;
use crate::platform::Platform;
use crate::store::database::Database;
use crate::store::tasks::{HTTP_QUEUE, WASM_QUEUE};
use crate::time::Duration;

use super::App;
use super::claim::{Asked, Granted};
use super::fault::Fault;
use super::leases::{Ending, Wanted};
use super::shapes::ClaimedTask;

/// The ttl of the executors' leases; they are extended at a third of it.
const LEASE_TTL: Duration = Duration::from_secs(30);
/// How many tasks are claimed at once.
const CLAIM_MAX: usize = 64;

/// What this server can run itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Executor {
    /// Requests to others.
    Http,
    /// Modules of WebAssembly.
    Wasm,
}

/// How many tasks of each executor are under way.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Busy {
    http: usize,
    wasm: usize,
}

impl Executor {
    /// All of them.
    pub(super) const ALL: [Executor; 2] = [Executor::Http, Executor::Wasm];

    /// The kind of task that it runs.
    pub(super) fn word(self) -> &'static str {
        match self {
            Executor::Http => "http",
            Executor::Wasm => "wasm",
        }
    }

    fn queue(self) -> &'static str {
        match self {
            Executor::Http => HTTP_QUEUE,
            Executor::Wasm => WASM_QUEUE,
        }
    }
}

impl Busy {
    /// How many more tasks an executor with room for `max` may begin.
    fn free(self, executor: Executor, max: usize) -> usize {
        max.saturating_sub(match executor {
            Executor::Http => self.http,
            Executor::Wasm => self.wasm,
        })
    }

    /// Notes tasks that begin.
    pub(super) fn begun(&mut self, executor: Executor, count: usize) {
        *self.of(executor) += count;
    }

    /// Notes one that has ended.
    pub(super) fn ended(&mut self, executor: Executor) {
        *self.of(executor) -= 1;
    }

    fn of(&mut self, executor: Executor) -> &mut usize {
        match executor {
            Executor::Http => &mut self.http,
            Executor::Wasm => &mut self.wasm,
        }
    }
}

impl<D: Database, P: Platform> App<D, P> {
    /// How many tasks of an executor this server may run at once; none where its host cannot.
    pub(super) fn room(&self, executor: Executor) -> usize {
        match executor {
            Executor::Http => self.settings.http_concurrency,
            Executor::Wasm if self.platform.runs_modules() => self.settings.wasm_concurrency,
            Executor::Wasm => 0,
        }
    }

    /// Claims tasks for this server to run.
    pub(super) async fn claim_own(&self, executor: Executor, busy: Busy) -> Result<Vec<ClaimedTask>, Fault> {
        let free = busy.free(executor, self.room(executor));
        if free == 0 || (executor == Executor::Http && !self.platform.is_online()) {
            return Ok(Vec::new());
        }
        let asked = Asked {
            tenant: &self.tenant,
            worker: &self.executor,
            queues: vec![Arc::from(executor.queue())],
            labels: Vec::new(),
            max_tasks: free.min(CLAIM_MAX),
            lease_ttl: LEASE_TTL,
            claim_id: None,
            note: None,
        };
        match self.claim_now(&asked, None).await? {
            Granted::Tasks(tasks) => Ok(tasks),
            Granted::Draining => Ok(Vec::new()),
        }
    }

    /// Runs one task to its end, or until its lease is lost or its run is stopped.
    pub(super) async fn run_own(&self, executor: Executor, task: ClaimedTask) -> Executor {
        let ending = {
            let work = std::pin::pin!(async {
                match executor {
                    Executor::Http => Some(self.fetch(&task).await),
                    Executor::Wasm => self.call_module(&task).await,
                }
            });
            let watch = std::pin::pin!(self.watch(&task));
            match select(work, watch).await {
                Either::Left((ending, _)) | Either::Right((ending, _)) => ending,
            }
        };
        if let Some(ending) = ending
            && let Err(problem) = self.end_lease(&task.lease_id, ending, None, Wanted::Minimal).await
            && problem.slug != Slug::LeaseLost
        {
            let lease = &task.lease_id;
            self.platform
                .log("warn", format_args!("lease {lease} could not be reported: {}", problem.detail));
        }
        executor
    }

    /// Extends the lease for as long as it is wanted. What comes back says how the attempt ends instead:
    /// with a failure if its run is being stopped, with nothing to report if the lease is lost.
    async fn watch(&self, task: &ClaimedTask) -> Option<Ending> {
        loop {
            self.platform.sleep(Duration::from_millis(LEASE_TTL.as_millis() / 3)).await;
            match self.extend(&task.lease_id).await {
                Ok(heartbeat) if heartbeat.cancel_requested => {
                    let message = "the run was stopped while the task was under way".to_owned();
                    return Some(failed(Category::Cancelled, "cancelled", message, RetryWish::Never));
                }
                Ok(_) => {}
                Err(problem) if problem.slug == Slug::Unavailable => {}
                Err(_) => return None,
            }
        }
    }
}

fn failed(category: Category, code: &str, message: String, wish: RetryWish) -> Ending {
    Ending::Fail(Failure::new(category, code, message), wish)
}
