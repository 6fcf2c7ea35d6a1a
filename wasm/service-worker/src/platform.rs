//! The browser as core sees it: its clock, randomness and timers, and `fetch` outwards.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue};
use js_sys::{Function, Promise, Reflect, Uint8Array};
use selvedge::module::{ModuleCall, ModuleFailure};
use selvedge::platform::{FetchError, Platform};
use selvedge::time::{Duration, Timestamp};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::modules::{self, Modules};

/// How large the memory of a module may become, in bytes.
pub(crate) const MODULE_MEMORY_BYTES_MAX: usize = 64 << 20;

/// The longest time that a timer of the browser's can wait, in milliseconds; a longer one fires at once.
const TIMER_MILLIS_MAX: u64 = i32::MAX as u64;

#[wasm_bindgen]
extern "C" {
    /// What the JavaScript around the server does for it; `npm/src/host.js`.
    #[derive(Clone)]
    pub type Host;

    /// Sends a request and reads the whole answer: `{status, headers, body}`, headers a flat list of names and
    /// values. It rejects with an error whose `kind` is `network`, `request` or `too-long`.
    #[wasm_bindgen(method)]
    fn fetch(
        this: &Host,
        method: &str,
        url: &str,
        headers: Vec<String>,
        body: Option<Uint8Array>,
        body_bytes_max: f64,
        signal: &JsValue,
    ) -> Promise;

    /// The engine of `wasm` tasks.
    #[wasm_bindgen(method, getter)]
    fn modules(this: &Host) -> Modules;

    /// Whether the browser believes that there is a network.
    #[wasm_bindgen(method)]
    fn is_online(this: &Host) -> bool;

    /// One line of the log.
    #[wasm_bindgen(method)]
    fn log(this: &Host, level: &str, message: &str);

    #[wasm_bindgen(js_namespace = Date, js_name = now)]
    fn date_now() -> f64;

    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn get_random_values(bytes: &mut [u8]);

    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(call: &Function, millis: f64) -> f64;

    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(timer: f64);

    type AbortController;

    #[wasm_bindgen(constructor)]
    fn new() -> AbortController;

    #[wasm_bindgen(method, getter)]
    fn signal(this: &AbortController) -> JsValue;

    #[wasm_bindgen(method)]
    fn abort(this: &AbortController);
}

/// The host of an `App` in a browser.
pub(crate) struct Browser(pub(crate) Host);

impl Platform for Browser {
    fn now(&self) -> Timestamp {
        now()
    }

    fn random(&self, bytes: &mut [u8]) {
        random(bytes);
    }

    async fn sleep(&self, duration: Duration) {
        let mut left = duration.as_millis();
        while left > 0 {
            let millis = left.min(TIMER_MILLIS_MAX);
            Timer::new(millis).await;
            left -= millis;
        }
    }

    async fn fetch(
        &self,
        request: http::Request<Bytes>,
        body_bytes_max: usize,
    ) -> Result<http::Response<Bytes>, FetchError> {
        let (head, body) = request.into_parts();
        let mut headers = Vec::with_capacity(2 * head.headers.len());
        for (name, value) in &head.headers {
            let text = value.to_str().map_err(|_| {
                FetchError::Request(format!("the header {name} has a value that no browser sends"))
            })?;
            headers.extend([name.as_str().to_owned(), text.to_owned()]);
        }
        let body = (!body.is_empty()).then(|| Uint8Array::from(&body[..]));
        let guard = Abort(AbortController::new());
        let sent = self.0.fetch(
            head.method.as_str(),
            &head.uri.to_string(),
            headers,
            body,
            body_bytes_max as f64,
            &guard.0.signal(),
        );
        let answer = JsFuture::from(sent).await;
        drop(guard);
        response(answer, body_bytes_max)
    }

    fn is_online(&self) -> bool {
        self.0.is_online()
    }

    fn runs_modules(&self) -> bool {
        true
    }

    async fn check_module(&self, bytes: &Bytes) -> Result<(), String> {
        modules::check(&self.0.modules(), bytes, MODULE_MEMORY_BYTES_MAX).await
    }

    async fn run_module(&self, call: ModuleCall, bytes: Option<Bytes>) -> Result<Bytes, ModuleFailure> {
        modules::run(&self.0.modules(), call, bytes).await
    }

    fn log(&self, level: &'static str, message: std::fmt::Arguments<'_>) {
        self.0.log(level, &message.to_string());
    }
}

/// The clock of the machine.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_millis(date_now() as i64)
}

/// Fills `bytes` from the browser's cryptographic random source.
pub(crate) fn random(bytes: &mut [u8]) {
    get_random_values(bytes);
}

/// A timer of the browser's that is cleared when nobody waits for it any more.
struct Timer {
    id: Rc<RefCell<Option<f64>>>,
    fired: JsFuture,
}

impl Timer {
    fn new(millis: u64) -> Self {
        let id = Rc::new(RefCell::new(None));
        let promise = Promise::new(&mut |resolve, _| {
            *id.borrow_mut() = Some(set_timeout(&resolve, millis as f64));
        });
        Self { id, fired: JsFuture::from(promise) }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        self.fired.poll_unpin(context).map(drop)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(id) = self.id.borrow_mut().take() {
            clear_timeout(id);
        }
    }
}

/// Ends a request that nobody waits for any more. One that has ended does not mind.
struct Abort(AbortController);

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn response(
    answer: Result<JsValue, JsValue>,
    body_bytes_max: usize,
) -> Result<http::Response<Bytes>, FetchError> {
    let member = |object: &JsValue, name: &str| Reflect::get(object, &name.into()).unwrap_or_default();
    let answer = answer.map_err(|error| {
        let message = member(&error, "message").as_string().unwrap_or_else(|| format!("{error:?}"));
        match member(&error, "kind").as_string().as_deref() {
            Some("request") => FetchError::Request(message),
            Some("too-long") => FetchError::TooLong(body_bytes_max),
            _ => FetchError::Network(message),
        }
    })?;
    let mut response = http::Response::new(Bytes::from(Uint8Array::new(&member(&answer, "body")).to_vec()));
    let status = member(&answer, "status").as_f64().unwrap_or_default() as u16;
    *response.status_mut() = http::StatusCode::from_u16(status)
        .map_err(|_| FetchError::Network(format!("the answer has the status {status}")))?;
    let headers = js_sys::Array::from(&member(&answer, "headers"));
    let texts: Vec<String> = headers.iter().filter_map(|text| text.as_string()).collect();
    for pair in texts.chunks_exact(2) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(&pair[0]), HeaderValue::try_from(&pair[1])) {
            response.headers_mut().append(name, value);
        }
    }
    Ok(response)
}
