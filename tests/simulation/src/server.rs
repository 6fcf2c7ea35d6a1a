//! One server process: its machine, its way to the database, and the futures that are its life.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use futures_util::future::select;
use http_body_util::{BodyExt, Full};
use selvedge::platform::Platform;
use selvedge::time::Duration;
use selvedge::{App, Budget, Settings};
use serde_json::Value;

use crate::clock::Clock;
use crate::dice::Dice;
use crate::host::Host;
use crate::link::Link;
use crate::plan;
use crate::store::Store;
use crate::street::{Call, Reply};

/// The server itself.
pub type Served = Rc<App<Link, Host>>;

/// One process, or what it will be when it is started again.
pub struct Server {
    /// Its machine, which outlives it.
    pub host: Host,
    /// Its way to the database.
    pub link: Link,
    /// The server, once it has opened the database.
    pub app: Rc<RefCell<Option<Served>>>,
    /// Until when its writes stand still, in the world's milliseconds.
    pub slow_until: u64,
    budget: Budget,
    shared: bool,
}

impl Server {
    /// A process that has not been started.
    pub fn new(store: Store, clock: Clock, plan: &plan::Server, shared: bool, seed: u64) -> Self {
        Self {
            host: Host::new(clock.clone(), plan.ahead, Dice::of(seed, u64::from(plan.part))),
            link: Link::new(store, clock),
            app: Rc::default(),
            slow_until: 0,
            budget: if plan.short_turns { Budget::For(Duration::from_secs(2)) } else { Budget::Idle },
            shared,
        }
    }

    /// Whether it takes requests.
    pub fn is_up(&self) -> bool {
        self.app.borrow().is_some()
    }

    /// The life of a process that begins after so many milliseconds: it opens the database, again if need be,
    /// and drives itself from then on.
    pub fn life(&self, down: u64) -> impl Future<Output = ()> + 'static {
        let (link, host, place) = (self.link.clone(), self.host.clone(), self.app.clone());
        let settings = Settings { shared: self.shared, ..Settings::default() };
        let budget = self.budget;
        async move {
            host.sleep(Duration::from_millis(down)).await;
            let app = loop {
                match App::open(link.clone(), host.clone(), settings.clone()).await {
                    Ok(app) => break Rc::new(app),
                    Err(_) => host.sleep(Duration::from_secs(1)).await,
                }
            };
            place.replace(Some(app.clone()));
            loop {
                let next = app.drive(budget).await;
                let woken = std::pin::pin!(app.woken());
                let changed = std::pin::pin!(host.changed());
                let woken = select(woken, changed);
                match next {
                    None => {
                        woken.await;
                    }
                    Some(next) => {
                        let wait = std::pin::pin!(host.sleep(next.since(host.now())));
                        select(woken, wait).await;
                    }
                }
            }
        }
    }
}

/// Answers one request.
pub async fn answer(app: Served, call: &Call) -> (Reply, Bytes) {
    let mut request = http::Request::builder().method(call.method).uri(&call.path);
    let body = call.body.as_ref().map(|body| Bytes::from(body.to_string()));
    if body.is_some() {
        request = request.header("content-type", "application/json");
    }
    if let Some(key) = &call.key {
        request = request.header("idempotency-key", format!("\"{key}\""));
    }
    if let Some(condition) = &call.if_match {
        request = request.header("if-match", condition);
    }
    let request = request.body(Full::new(body.unwrap_or_default())).expect("a valid request");
    let response = app.handle(request).await;
    let status = response.status().as_u16();
    let etag = response.headers().get("etag").and_then(|etag| etag.to_str().ok()).map(str::to_owned);
    let revision = etag.as_deref().and_then(|etag| etag.trim_matches('"').split('-').next()?.parse().ok());
    let bytes = response.into_body().collect().await.expect("bodies cannot fail").to_bytes();
    let body = match bytes.is_empty() {
        true => Value::Null,
        false => serde_json::from_slice(&bytes).expect("answers are JSON"),
    };
    (Reply { status, body: Rc::new(body), etag, revision }, bytes)
}
