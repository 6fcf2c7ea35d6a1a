//! The loop with Lambda: next event, invocation, answer, and what is left to do before the next event is asked
//! for.
//!
//! Lambda passes the answer on as soon as it is posted and freezes the environment only when the runtime asks for
//! the next event. What runs in between costs time of the function and of no client, and needs no extension.

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use lambda_http::lambda_runtime::{Diagnostic, LambdaInvocation, Runtime};
use lambda_http::tower::{Layer, Service, service_fn};
use lambda_http::{Error, LambdaEvent};
use serde_json::value::RawValue;

use crate::function::{Failure, Function, Rest, Server};

/// What an invocation may take where the runtime API does not tell: emulators give a deadline long past.
const TIME_UNTOLD: Duration = Duration::from_secs(10);

/// Serves events until Lambda ends the process.
///
/// # Errors
/// When the runtime API cannot be reached.
pub async fn run<S, O>(function: Function<S, O>) -> Result<(), Error>
where
    S: Server + 'static,
    O: AsyncFn() -> Result<S, String> + 'static,
{
    started_at();
    let function = Rc::new(function);
    let rest = Slot::default();
    let slot = rest.clone();
    let service = service_fn(move |event: LambdaEvent<Box<RawValue>>| {
        let (function, slot) = (function.clone(), slot.clone());
        async move {
            let within = remaining(event.context.deadline, SystemTime::now());
            let (answer, rest) = function.invoke(event.payload.get(), within).await?;
            *slot.borrow_mut() = rest;
            Ok::<_, Failure>(answer)
        }
    });
    Runtime::new(service).layer(AfterLayer(rest)).run().await
}

/// The time until a deadline in milliseconds since 1970.
fn remaining(deadline: u64, now: SystemTime) -> Duration {
    let deadline = UNIX_EPOCH + Duration::from_millis(deadline);
    match deadline.duration_since(now) {
        Ok(remaining) => remaining,
        Err(_) if deadline < started_at() => TIME_UNTOLD,
        Err(_) => Duration::ZERO,
    }
}

/// When the process began, as far as it matters here.
fn started_at() -> SystemTime {
    static STARTED_AT: OnceLock<SystemTime> = OnceLock::new();
    *STARTED_AT.get_or_init(SystemTime::now)
}

/// Where an invocation leaves what it has still to do.
type Slot = Rc<RefCell<Option<Rest>>>;

/// Awaits what an invocation has left, once its answer has been posted.
struct AfterLayer(Slot);

#[derive(Clone)]
struct After<T> {
    inner: T,
    rest: Slot,
}

impl<T> Layer<T> for AfterLayer {
    type Service = After<T>;

    fn layer(&self, inner: T) -> After<T> {
        After { inner, rest: self.0.clone() }
    }
}

impl<T> Service<LambdaInvocation> for After<T>
where
    T: Service<LambdaInvocation, Response = (), Error = Error>,
    T::Future: 'static,
{
    type Response = ();
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<(), Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, invocation: LambdaInvocation) -> Self::Future {
        let posted = self.inner.call(invocation);
        let slot = self.rest.clone();
        Box::pin(async move {
            posted.await?;
            let rest = slot.borrow_mut().take();
            if let Some(rest) = rest {
                // The panic itself is in the log, by the process's hook.
                let _ = AssertUnwindSafe(rest).catch_unwind().await;
            }
            Ok(())
        })
    }
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        let error_type = match &failure {
            Failure::Event(_) => "Selvedge.Event",
            Failure::Database(_) => "Selvedge.Database",
        };
        Diagnostic { error_type: error_type.to_owned(), error_message: failure.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_from_before_the_process_is_none() {
        let now = started_at() + Duration::from_secs(60);
        let millis =
            |time: SystemTime| time.duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64;
        assert_eq!(remaining(600_000, now), TIME_UNTOLD);
        assert_eq!(remaining(millis(now - Duration::from_secs(1)), now), Duration::ZERO);
        let left = remaining(millis(now + Duration::from_secs(3)), now);
        assert!(left > Duration::from_millis(2_990) && left <= Duration::from_secs(3), "{left:?}");
    }
}
