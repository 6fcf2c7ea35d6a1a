//! Core as a WebAssembly module: every entry point of `App` over a database and a platform that do nothing.
//!
//! It is built and inspected, never run. `App` is generic, so only a concrete database and platform make the compiler
//! emit the code behind it; the exports keep the linker from dropping that code again.

use std::convert::Infallible;
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use selvedge::app::{App, Budget, OpenError, Settings};
use selvedge::platform::{Encoding, FetchError, Platform};
use selvedge::store::database::{Batch, Database, DatabaseError, Outcome, Row, Statement};
use selvedge::time::{Duration, Timestamp};

/// A request in, the length of the answer out.
///
/// # Safety
///
/// `body` is to point at `length` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn handle(body: *const u8, length: usize) -> usize {
    // SAFETY: what the caller promises.
    let body = unsafe { std::slice::from_raw_parts(body, length) };
    poll_once(async {
        let app = open().await.ok()?;
        let request = Request::post("/api/v1/runs").body(Full::<Bytes>::from(body.to_vec())).ok()?;
        let answer: Result<_, Infallible> = app.handle(request).await.into_body().collect().await;
        answer.ok().map(|collected| collected.to_bytes().len())
    })
    .flatten()
    .unwrap_or(0)
}

/// Everything that a host calls beside `handle`.
#[unsafe(no_mangle)]
pub extern "C" fn drive() {
    black_box(poll_once(async {
        if let Ok(app) = open().await {
            app.drive(black_box(Budget::Idle)).await;
            app.woken().await;
            app.close().await;
        }
    }));
}

async fn open() -> Result<App<Nowhere, Nothing>, OpenError> {
    App::open(Nowhere, Nothing, Settings::default()).await
}

fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// A database that has no rows and takes every write. `black_box` hides that from the optimiser.
struct Nowhere;

impl Database for Nowhere {
    async fn read(&self, reads: Vec<Statement>) -> Result<Vec<Vec<Row>>, DatabaseError> {
        Ok(black_box(vec![Vec::new(); reads.len()]))
    }

    async fn write(&self, batches: Vec<Batch>) -> Result<Vec<Outcome>, DatabaseError> {
        Ok(black_box(vec![Outcome::Committed; batches.len()]))
    }
}

/// A platform whose clock stands still and that reaches nobody.
struct Nothing;

impl Platform for Nothing {
    fn now(&self) -> Timestamp {
        black_box(Timestamp::from_millis(0))
    }

    fn random(&self, bytes: &mut [u8]) {
        black_box(bytes);
    }

    async fn sleep(&self, duration: Duration) {
        black_box(duration);
    }

    async fn fetch(
        &self,
        request: Request<Bytes>,
        body_bytes_max: usize,
    ) -> Result<Response<Bytes>, FetchError> {
        black_box(request);
        Err(FetchError::TooLong(body_bytes_max))
    }

    fn encodings(&self) -> &'static [Encoding] {
        black_box(&[])
    }
}
