//! What the JavaScript calls: one server over one database.

use std::cell::RefCell;

use bytes::Bytes;
use futures_util::future::{Either, select};
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use js_sys::{Promise, Uint8Array};
use selvedge::http::body::Body;
use selvedge::time::Duration;
use selvedge::{App, Budget, Settings};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::database::{PageStore, Paged};
use crate::platform::{Browser, Host, MODULE_MEMORY_BYTES_MAX};

/// How many `http` tasks run at once: browsers send six requests at a time to one host.
const HTTP_CONCURRENCY: usize = 6;

/// How many instructions a call of a module may carry out: it keeps the browser's one thread for some seconds.
const MODULE_FUEL: u64 = 5_000_000_000;

/// A server and its database.
#[wasm_bindgen]
pub struct Server {
    app: App<Paged, Browser>,
    database: Paged,
}

/// What a request is answered with.
#[wasm_bindgen]
pub struct Answer {
    status: u16,
    headers: Vec<String>,
    bytes: Option<Uint8Array>,
    body: RefCell<Option<Body>>,
}

/// What runs when the module is instantiated.
#[wasm_bindgen(start)]
pub(crate) fn start() {
    #[wasm_bindgen]
    extern "C" {
        #[wasm_bindgen(js_namespace = console, js_name = error)]
        fn console_error(text: &str);
    }
    // A panic ends the instance by a trap; this is the only word of its cause.
    std::panic::set_hook(Box::new(|panic| console_error(&format!("selvedge: {panic}"))));
}

#[wasm_bindgen]
impl Server {
    /// Opens the database and brings it to this program's version. It rejects with an error whose message is
    /// for clients.
    pub async fn open(store: PageStore, host: Host, base_path: String) -> Result<Server, JsError> {
        let database = Paged::open(store).await.map_err(|error| JsError::new(&error.to_string()))?;
        let settings = Settings {
            base_path,
            host: "service-worker",
            http_concurrency: HTTP_CONCURRENCY,
            wasm_concurrency: 1,
            wasm_memory_bytes_max: MODULE_MEMORY_BYTES_MAX,
            wasm_fuel: MODULE_FUEL,
            ..Settings::default()
        };
        let app = App::open(database.clone(), Browser(host), settings);
        let app = app.await.map_err(|error| JsError::new(&error.to_string()))?;
        Ok(Server { app, database })
    }

    /// Answers a request, or nothing when the client hangs up before: when `hangup` resolves. `target` is the
    /// path with the query, `headers` a flat list of names and values.
    pub async fn handle(
        &self,
        method: String,
        target: String,
        headers: Vec<String>,
        body: Vec<u8>,
        hangup: Promise,
    ) -> Result<Option<Answer>, JsError> {
        let request = request(&method, &target, &headers, body)?;
        Ok(unless(hangup, self.app.handle(request)).await)
    }

    /// Fires due timers and runs `http` tasks until nothing is due, for at most so long, or until `stop`
    /// resolves; and says when the next timer is due, in milliseconds since the epoch.
    pub async fn drive(&self, millis_max: f64, stop: Promise) -> Option<f64> {
        let budget = Budget::For(Duration::from_millis(millis_max as u64));
        let drive = std::pin::pin!(self.app.drive(budget));
        match select(drive, JsFuture::from(stop)).await {
            Either::Left((next, _)) => next.map(|next| next.as_millis() as f64),
            Either::Right(_) => None,
        }
    }

    /// Lets long polls, now and from now on, end at once with what they have.
    pub fn end_waits(&self) {
        self.app.end_waits();
    }

    /// Gives back the leases of this server's own executors. No drive may be under way.
    pub async fn close(&self) {
        self.app.close().await;
    }

    /// The place where the database lies is gone: from here on nothing is answered but these words.
    pub fn fail(&self, words: String) {
        self.database.fail(words);
        self.app.end_waits();
    }

    /// Why this server can answer nothing any more, in its log's words.
    pub fn failure(&self) -> Option<String> {
        self.database.failure().map(|error| error.to_string())
    }
}

#[wasm_bindgen]
impl Answer {
    /// The HTTP status.
    #[wasm_bindgen(getter)]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// A flat list of names and values.
    #[wasm_bindgen(getter)]
    pub fn headers(&self) -> Vec<String> {
        self.headers.clone()
    }

    /// The whole body, if it was there at once.
    #[wasm_bindgen(getter)]
    pub fn bytes(&self) -> Option<Uint8Array> {
        self.bytes.clone()
    }

    /// The next piece of a body that is pulled; nothing at its end. One piece is asked for at a time.
    pub async fn next(&self) -> Option<Uint8Array> {
        let mut body = self.body.borrow_mut().take()?;
        while let Some(Ok(frame)) = body.frame().await {
            if let Ok(data) = frame.into_data() {
                *self.body.borrow_mut() = Some(body);
                return Some(Uint8Array::from(&data[..]));
            }
        }
        None
    }
}

impl Answer {
    pub(crate) async fn of(response: Response<Body>) -> Self {
        let (head, body) = response.into_parts();
        let headers = head.headers.iter().flat_map(|(name, value)| {
            [name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()]
        });
        let mut answer = Answer {
            status: head.status.as_u16(),
            headers: headers.collect(),
            bytes: None,
            body: RefCell::new(None),
        };
        if http_body::Body::size_hint(&body).exact().is_some() {
            let Ok(whole) = body.collect().await;
            answer.bytes = Some(Uint8Array::from(&whole.to_bytes()[..]));
        } else {
            answer.body = RefCell::new(Some(body));
        }
        answer
    }
}

/// The answer, unless the promise resolves before it is there.
pub(crate) async fn unless(
    hangup: Promise,
    response: impl Future<Output = Response<Body>>,
) -> Option<Answer> {
    match select(std::pin::pin!(response), JsFuture::from(hangup)).await {
        Either::Left((response, _)) => Some(Answer::of(response).await),
        Either::Right(_) => None,
    }
}

/// A request from what the browser's says.
pub(crate) fn request(
    method: &str,
    target: &str,
    headers: &[String],
    body: Vec<u8>,
) -> Result<Request<Full<Bytes>>, JsError> {
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = Method::try_from(method)?;
    *request.uri_mut() = Uri::try_from(target)?;
    for pair in headers.chunks_exact(2) {
        request.headers_mut().append(HeaderName::try_from(&pair[0])?, HeaderValue::try_from(&pair[1])?);
    }
    Ok(request)
}
