//! One invocation: the request and, while there is time, what the server has to do besides.
//!
//! Lambda runs one invocation at a time and freezes the environment between two. So nothing may be left
//! running: an invocation carries the drive of timers and inline tasks itself, beside the request (a long poll
//! is worth little if nothing happens meanwhile) and after its answer, until nothing is due or the time is up.
//! Leases of inline tasks that are not through by then go back to their queues.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{Either, LocalBoxFuture, select};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use selvedge::http::body::Body;
use selvedge::http::problem::{Problem, Slug};
use selvedge::http::reply::X_REQUEST_ID;
use selvedge::store::database::Database;
use selvedge::time::Timestamp;
use selvedge::{App, Budget};
use selvedge_tokio::TokioPlatform;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::{OnceCell, oneshot};
use tokio::time::{Instant, sleep_until};

use crate::answer;
use crate::event::{Event, EventError, Origin};

/// Time that is kept back of every invocation, for giving leases back and for the answer's way.
pub const TIME_MARGIN: Duration = Duration::from_millis(500);

/// The server behind a function.
pub trait Server {
    /// Answers one request.
    fn handle(&self, request: Request<Bytes>) -> impl Future<Output = Response<Body>>;

    /// Does what is due within this time, and says when something is due next.
    fn drive(&self, within: Duration) -> impl Future<Output = Option<Timestamp>>;

    /// Comes back when there is something to drive that was not there before.
    fn woken(&self) -> impl Future<Output = ()>;

    /// The time now.
    fn now(&self) -> Timestamp;
}

/// When the server drives what happens without a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drive {
    /// Beside the request and after its answer has been sent. Lambda lets an environment run until it asks for
    /// the next event; the client has its answer meanwhile.
    After,
    /// After the request and before its answer is sent, for at most this long.
    Before(Duration),
    /// Only when a schedule says so.
    Never,
}

/// A function: how its server is had, and the server once there is one.
pub struct Function<S, O> {
    open: O,
    server: OnceCell<Rc<S>>,
    base_path: String,
    drive: Drive,
    /// When the server is next to be driven though nothing has woken it.
    next: Rc<Cell<Option<Timestamp>>>,
}

/// An invocation that failed: nobody waits for an answer that could say so.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The event is not for this function.
    #[error(transparent)]
    Event(#[from] EventError),
    /// There is no server.
    #[error("the database cannot be used: {0}")]
    Database(String),
}

/// What is left to do of an invocation after its answer was sent.
pub type Rest = LocalBoxFuture<'static, ()>;

impl<S, O> Function<S, O>
where
    S: Server + 'static,
    O: AsyncFn() -> Result<S, String>,
{
    /// A function whose server is made by `open`, at the first event and, where that fails, at the next one.
    pub fn new(open: O, base_path: String, drive: Drive) -> Self {
        Self { open, server: OnceCell::new(), base_path, drive, next: Rc::default() }
    }

    /// Does what an event asks for, within this time: the answer in JSON, and what is to be awaited once it is
    /// sent.
    ///
    /// # Errors
    /// When the event cannot be taken, or timers cannot be driven for want of a database.
    pub async fn invoke(
        &self,
        event: &str,
        within: Duration,
    ) -> Result<(Box<RawValue>, Option<Rest>), Failure> {
        let ends = Instant::now() + within.saturating_sub(TIME_MARGIN);
        let event = Event::read(event, &self.base_path)?;
        let server = self.server.get_or_try_init(|| async { (self.open)().await.map(Rc::new) }).await;
        match (event, server) {
            (Event::Tick, Err(fault)) => Err(Failure::Database(fault)),
            (Event::Tick, Ok(server)) => {
                let next = server.drive(left(ends)).await;
                self.next.set(next);
                Ok((written(&json!({ "next_timer_at": next.map(|at| at.to_string()) })), None))
            }
            (Event::Request(origin, request), Err(fault)) => {
                tracing::error!("the database cannot be used: {fault}");
                let detail = "the database cannot be used at the moment; the function's log says why";
                let problem = Problem::unavailable(detail);
                let response = self.problem(problem, &request_id(&request));
                Ok((written(&answer::write(origin, response).await), None))
            }
            (Event::Request(origin, request), Ok(server)) => {
                Ok(self.answer(server.clone(), origin, request, ends).await)
            }
        }
    }

    async fn answer(
        &self,
        server: Rc<S>,
        origin: Origin,
        request: Request<Bytes>,
        ends: Instant,
    ) -> (Box<RawValue>, Option<Rest>) {
        let id = request_id(&request);
        let handled = pin!(server.handle(request));
        let timed = async {
            match select(handled, pin!(sleep_until(ends))).await {
                Either::Left((response, _)) => response,
                Either::Right(_) => {
                    self.problem(Problem::unavailable("the function's time is up; ask again"), &id)
                }
            }
        };
        let (response, rest) = match self.drive {
            Drive::Never => (timed.await, None),
            Drive::Before(budget) => {
                let response = timed.await;
                drive_needed(&*server, &self.next, ends.min(Instant::now() + budget)).await;
                (response, None)
            }
            Drive::After => {
                let (answered, told) = oneshot::channel();
                let driving = drive_beside(server.clone(), self.next.clone(), told, ends).boxed_local();
                let (response, rest) = match select(pin!(timed), driving).await {
                    Either::Left((response, driving)) => (response, Some(driving)),
                    Either::Right(((), timed)) => (timed.await, None),
                };
                // Nobody listens if the time is up.
                let _ = answered.send(());
                (response, rest)
            }
        };
        let mut answer = written(&answer::write(origin, response).await);
        let (found, max) = (answer.get().len(), origin.answer_bytes_max());
        if found > max {
            let detail = format!(
                "the answer has {found} bytes in the form that AWS takes, which is at most {max}: ask for fewer \
                 items (limit), or for a compressed answer (Accept-Encoding)"
            );
            let response = self.problem(Problem::new(Slug::PayloadTooLarge, detail), &id);
            answer = written(&answer::write(origin, response).await);
        }
        (answer, rest)
    }

    /// A problem that is answered in front of the server, in JSON.
    fn problem(&self, problem: Problem, request_id: &str) -> Response<Body> {
        let (status, retry_after) = (problem.status(), problem.retry_after);
        let document = problem.into_document(&self.base_path, request_id);
        let body = serde_json::to_vec(&document).expect("a problem document is plain data");
        let mut response = Response::new(Body::full(body));
        *response.status_mut() =
            StatusCode::from_u16(status).expect("problems have a status of three digits");
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(wait) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_millis().div_ceil(1000)));
        }
        let id = HeaderValue::from_str(request_id).expect("it came in a header, or is hexadecimal");
        headers.insert(X_REQUEST_ID, id);
        response
    }
}

impl<D: Database> Server for App<D, TokioPlatform> {
    async fn handle(&self, request: Request<Bytes>) -> Response<Body> {
        App::handle(self, request.map(Full::new)).await
    }

    async fn drive(&self, within: Duration) -> Option<Timestamp> {
        let within =
            selvedge::time::Duration::from_millis(u64::try_from(within.as_millis()).unwrap_or(u64::MAX));
        App::drive(self, Budget::For(within)).await
    }

    async fn woken(&self) {
        App::woken(self).await;
    }

    fn now(&self) -> Timestamp {
        selvedge_tokio::now()
    }
}

/// Drives whenever there is something to drive, until the request is answered; and then until there is nothing.
async fn drive_beside<S: Server>(
    server: Rc<S>,
    next: Rc<Cell<Option<Timestamp>>>,
    mut answered: oneshot::Receiver<()>,
    ends: Instant,
) {
    loop {
        let needed = pin!(is_needed(&*server, next.get()));
        let over = pin!(sleep_until(ends));
        match select(&mut answered, select(needed, over)).await {
            Either::Left(_) => break,
            Either::Right((Either::Right(_), _)) => return,
            Either::Right((Either::Left(_), _)) => next.set(server.drive(left(ends)).await),
        }
    }
    drive_needed(&*server, &next, ends).await;
}

/// Drives as long as there is something to drive now and time for it.
async fn drive_needed<S: Server>(server: &S, next: &Cell<Option<Timestamp>>, ends: Instant) {
    while left(ends) > Duration::ZERO && is_needed(server, next.get()).now_or_never().is_some() {
        next.set(server.drive(left(ends)).await);
    }
}

/// Comes back when something is to be driven.
async fn is_needed<S: Server>(server: &S, next: Option<Timestamp>) {
    let due = async {
        match next {
            Some(at) if at > server.now() => tokio::time::sleep(at.since(server.now()).into()).await,
            Some(_) => {}
            None => std::future::pending().await,
        }
    };
    select(pin!(server.woken()), pin!(due)).await;
}

fn written(value: &Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect("a value is JSON")
}

fn left(ends: Instant) -> Duration {
    ends.saturating_duration_since(Instant::now())
}

/// The request's own id, or a new one.
fn request_id(request: &Request<Bytes>) -> String {
    let theirs = request.headers().get(X_REQUEST_ID).and_then(|id| id.to_str().ok());
    theirs.map(str::to_owned).unwrap_or_else(|| {
        let mut bytes = [0; 16];
        selvedge_tokio::random(&mut bytes);
        format!("{:032x}", u128::from_be_bytes(bytes))
    })
}
