//! One attempt: the closure, the heartbeats beside it, and the report at its end.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use http::Method;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::call::CallError;
use crate::context::{Context, Wish};
use crate::error::TaskError;
use crate::worker::Run;

/// Heartbeats go out at this share of the lease's time.
const BEAT_SHARE: u32 = 3;
/// Beats come at least this often, because they bring the wish to stop.
const BEAT_INTERVAL_MAX: Duration = Duration::from_secs(5);
/// The pause before a report is repeated that the server could not take.
const REPORT_PAUSE: Duration = Duration::from_millis(200);
/// The longest message of a failure, in characters.
const MESSAGE_CHARS_MAX: usize = 4096;

/// How the work on a lease came to an end.
enum End {
    /// The closure answered.
    Answer(Result<Value, TaskError>),
    /// The worker stops: the task goes back to its queue.
    Release,
    /// Somebody else has the task.
    Lost,
}

/// The body of a report.
#[derive(Serialize)]
#[serde(untagged)]
enum Report {
    Output {
        output: Value,
    },
    Error {
        error: Told,
        retryable: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after: Option<String>,
    },
}

/// An error as the server takes it.
#[derive(Serialize)]
struct Told {
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    details: Value,
}

/// Works on one lease until it is reported on, given back or lost. The slot is free once the work has ended: what
/// becomes ready by the report may be claimed for it in the same commit.
pub(crate) async fn attempt(
    context: Context,
    run: Run,
    lease_ttl: Duration,
    stop: watch::Receiver<Option<Instant>>,
    slot: OwnedSemaphorePermit,
) {
    // The closure is called within the future, so that a panic of either kind is caught.
    let work = AssertUnwindSafe(async { run(context.clone()).await }).catch_unwind();
    // In this order: work that is done at once needs no timer and no ear for a stop.
    let end = tokio::select! {
        biased;
        answer = work => End::Answer(answer.unwrap_or_else(|panic| Err(panicked(&*panic)))),
        () = beat(&context, lease_ttl) => End::Lost,
        () = cut(&context) => {
            let message = "it was to stop, and did not within its grace";
            End::Answer(Err(TaskError::new(message).code("cancelled").fatal()))
        }
        () = stopped(stop) => End::Release,
    };
    drop(slot);
    let (operation, body) = match end {
        End::Answer(Ok(output)) => ("complete", Some(Report::Output { output })),
        End::Answer(Err(error)) => ("fail", Some(failure(error))),
        End::Release => ("release", None),
        End::Lost => return,
    };
    report(&context, operation, body, lease_ttl).await;
}

/// Extends the lease for as long as it is held.
async fn beat(context: &Context, lease_ttl: Duration) {
    loop {
        sleep((lease_ttl / BEAT_SHARE).min(BEAT_INTERVAL_MAX)).await;
        // A database that cannot be reached is asked again; the lease is lost when the server says so.
        if let Ok(answer) = context.tell(Method::POST, "heartbeat", None).await
            && answer.get("cancel_requested") == Some(&Value::Bool(true))
        {
            context.wish(Wish::Cancel);
        }
        if context.wished(Wish::Lost).now_or_never().is_some() {
            return;
        }
    }
}

/// Comes back when a task that was to stop has had its grace.
async fn cut(context: &Context) {
    context.cancelled().await;
    sleep(context.claimed().grace.into()).await;
}

/// Comes back when the server has ended its own grace.
async fn stopped(mut stop: watch::Receiver<Option<Instant>>) {
    let at = match stop.wait_for(Option::is_some).await {
        Ok(at) => *at,
        // The server is gone, and this with it.
        Err(_) => None,
    };
    sleep_until(at.unwrap_or_else(Instant::now)).await;
}

/// Reports until the server has taken it, refuses it, or the lease has ended by itself.
async fn report(context: &Context, operation: &str, mut body: Option<Report>, lease_ttl: Duration) {
    let (mut operation, ends) = (operation, Instant::now() + lease_ttl);
    while let Err(fault) = context.report(operation, body.as_ref()).await {
        let lease_id = &context.claimed().lease_id;
        if fault.status >= 500 && Instant::now() < ends {
            sleep(REPORT_PAUSE).await;
        } else if operation == "complete" && is_of_the_output(&fault) {
            let error = TaskError::new(format!("the output was refused: {fault}")).code("bad_output");
            (operation, body) = ("fail", Some(failure(error.fatal())));
        } else {
            tracing::warn!(lease_id, "the report on a task was not taken: {fault}");
            return;
        }
    }
}

/// Whether another report under the same lease may still count.
fn is_of_the_output(fault: &CallError) -> bool {
    matches!(fault.status, 400 | 413 | 422)
}

fn failure(error: TaskError) -> Report {
    let TaskError { mut message, code, details, is_fatal, retry_after } = error;
    if let Some((at, _)) = message.char_indices().nth(MESSAGE_CHARS_MAX) {
        message.truncate(at);
    }
    Report::Error {
        error: Told { message, code, details },
        retryable: !is_fatal,
        retry_after: retry_after.map(|wait| format!("{}ms", wait.as_millis())),
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> TaskError {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    TaskError::new(format!("the worker panicked: {}", text.as_deref().unwrap_or("without a word")))
        .code("panic")
}
