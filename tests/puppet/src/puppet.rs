//! A server that takes a test's orders by requests.
//!
//! Orders lie below `/.puppet/`, under whatever the host mounts the server at:
//!
//! | order | what it does |
//! | --- | --- |
//! | `POST reset?base_path=/x` | a new server on an empty database |
//! | `POST drive` | what is due now |
//! | `POST advance?ms=30000` | moves the clock, then as `drive` |
//! | `POST database?mode=fail` | the database behaves so from now on, see [`Mode`] |
//! | `GET waits` | two numbers: how often anybody has begun to wait, and how many requests are under way |
//!
//! An order is answered 200 with text, a wrong one 400 with what is wrong.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http::{Request, Response};
use selvedge::Settings;
use selvedge::http::body::Body;
use selvedge::store::database::Database;
use selvedge::time::Duration;

use crate::faulty::Mode;
use crate::ground::Ground;
use crate::platform::VirtualPlatform;

/// What the paths of orders contain.
pub const ORDERS: &str = "/.puppet/";

/// A server on strings. `open` makes the empty database and the settings of each new server.
pub struct Puppet<D, O> {
    open: O,
    platform: fn() -> VirtualPlatform,
    ground: Mutex<Option<Arc<Ground<D>>>>,
    under_way: AtomicUsize,
}

/// One request that is being answered.
struct Mark<'a>(&'a AtomicUsize);

impl<D: Database, O: AsyncFn() -> (D, Settings)> Puppet<D, O> {
    /// A puppet without a server: the first order must be `reset`.
    pub fn new(open: O, platform: fn() -> VirtualPlatform) -> Self {
        Self { open, platform, ground: Mutex::default(), under_way: AtomicUsize::new(0) }
    }

    /// Answers a request, or carries out an order.
    pub async fn handle<B: http_body::Body>(&self, request: Request<B>) -> Response<Body> {
        let uri = request.uri().clone();
        if let Some((_, order)) = uri.path().split_once(ORDERS) {
            return match self.obey(order, uri.query().unwrap_or_default()).await {
                Ok(text) => Response::new(Body::full(text)),
                Err(fault) => refusal(fault),
            };
        }
        let Some(ground) = self.ground() else { return refusal("the first order must be reset".to_owned()) };
        self.under_way.fetch_add(1, Ordering::SeqCst);
        let _mark = Mark(&self.under_way);
        ground.server.handle(request).await
    }

    async fn obey(&self, order: &str, query: &str) -> Result<String, String> {
        if order == "reset" {
            self.reset(argument(query, "base_path").unwrap_or_default()).await;
            return Ok(String::new());
        }
        let ground = self.ground().ok_or("the first order must be reset")?;
        match order {
            "drive" => ground.drive().await,
            "advance" => {
                let ms = argument(query, "ms").and_then(|ms| ms.parse().ok());
                ground.advance(Duration::from_millis(ms.ok_or("expected ?ms=<milliseconds>")?)).await;
            }
            "database" => {
                let word = argument(query, "mode").unwrap_or_default();
                let mode = Mode::WORDS.iter().find(|(known, _)| *known == word);
                let (_, mode) = mode.ok_or_else(|| format!("no mode {word:?}"))?;
                ground.set_database(*mode).await;
            }
            "waits" => {
                return Ok(format!("{} {}", ground.waits_begun(), self.under_way.load(Ordering::SeqCst)));
            }
            _ => return Err(format!("no order {order:?}")),
        }
        Ok(String::new())
    }

    async fn reset(&self, base_path: String) {
        let before = self.lock().take();
        if let Some(ground) = before {
            // Whoever still waits there is to be gone before the database is made anew.
            ground.set_database(Mode::Whole).await;
            ground.server.end_waits();
        }
        let (database, settings) = (self.open)().await;
        let settings = Settings { base_path, ..settings };
        let ground = Ground::new(database, settings, (self.platform)()).await;
        *self.lock() = Some(Arc::new(ground));
    }

    fn ground(&self) -> Option<Arc<Ground<D>>> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Ground<D>>>> {
        self.ground.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Mark<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn argument(query: &str, name: &str) -> Option<String> {
    let pair = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    Some(percent_encoding::percent_decode_str(pair).decode_utf8_lossy().into_owned())
}

fn refusal(fault: String) -> Response<Body> {
    let mut response = Response::new(Body::full(fault));
    *response.status_mut() = http::StatusCode::BAD_REQUEST;
    response
}
