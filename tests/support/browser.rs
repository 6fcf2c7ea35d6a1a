//! The server in a Service Worker of Chromium, reached by `fetch` from a page: `tests/browser/bridge.mjs` holds
//! the browser, and requests go to it as lines of JSON.
//!
//! Starting a browser takes seconds, so one serves the whole process. It has a few seats, origins with a
//! worker of their own, and a case takes one of them.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::Bytes;
use futures_channel::oneshot;
use http::{Request, Response};
use serde_json::{Value, json};

use crate::host::{Strung, Wire};

/// How many cases run in the browser at once.
const SEATS: usize = 4;

/// A seat in the browser, taken until this is dropped.
pub struct Seat {
    bridge: Arc<Bridge>,
    number: usize,
}

/// The browser's process and who waits for its answers.
struct Bridge {
    input: Mutex<ChildStdin>,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Value>>>,
    next: AtomicU64,
    free: Mutex<Vec<usize>>,
    freed: Condvar,
    /// Killed by the end of its input, with this process.
    _child: Child,
}

/// A request that is under way; dropping it hangs up.
struct Sent<'a> {
    seat: &'a Seat,
    id: u64,
}

/// A new server in a Service Worker, with its settings mounted at `base_path`. It waits for a free seat.
pub async fn service_worker(base_path: &str) -> Strung<Seat> {
    Strung::new(Seat::take(), "", base_path).await
}

/// What `wasm/service-worker/build puppet` has built.
fn puppet_site() -> PathBuf {
    match std::env::var_os("SELVEDGE_PUPPET_SITE") {
        Some(path) => path.into(),
        None => {
            let target = std::env::var_os("CARGO_TARGET_DIR");
            let target =
                target.map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
            target.join("service-worker/puppet/site")
        }
    }
}

impl Seat {
    /// Waits for a free seat. The browser starts with the first.
    fn take() -> Self {
        static BRIDGE: OnceLock<Arc<Bridge>> = OnceLock::new();
        let bridge = BRIDGE.get_or_init(Bridge::start).clone();
        let mut free = lock(&bridge.free);
        let number = loop {
            match free.pop() {
                Some(number) => break number,
                None => free = bridge.freed.wait(free).unwrap_or_else(PoisonError::into_inner),
            }
        };
        drop(free);
        Seat { bridge, number }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        lock(&self.bridge.free).push(self.number);
        self.bridge.freed.notify_one();
    }
}

impl Wire for Seat {
    async fn send(&self, request: Request<Bytes>) -> Response<Bytes> {
        let (head, body) = request.into_parts();
        let headers = head.headers.iter().map(|(name, value)| {
            json!([name.as_str(), value.to_str().expect("cases have headers of visible letters")])
        });
        let (reply, answer) = oneshot::channel();
        let id = self.bridge.next.fetch_add(1, Ordering::Relaxed);
        lock(&self.bridge.waiting).insert(id, reply);
        let sent = Sent { seat: self, id };
        self.bridge.say(&json!({
            "id": id,
            "seat": self.number,
            "method": head.method.as_str(),
            "path": head.uri.to_string(),
            "headers": headers.collect::<Vec<_>>(),
            "body": BASE64_STANDARD.encode(&body),
        }));
        let answer = answer.await.expect("the browser lives as long as this process");
        drop(sent);
        response(&answer).unwrap_or_else(|| panic!("{} {}: {answer}", head.method, head.uri))
    }
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        if lock(&self.seat.bridge.waiting).remove(&self.id).is_some() {
            self.seat.bridge.say(&json!({ "abort": self.id, "seat": self.seat.number }));
        }
    }
}

impl Bridge {
    fn start() -> Arc<Self> {
        let browser = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
        for path in [browser.join("node_modules/playwright-core"), puppet_site().join("selvedge.wasm")] {
            assert!(path.exists(), "{} is not there: run scripts/prepare-browser", path.display());
        }
        let script = browser.join("bridge.mjs");
        let mut child = Command::new("node")
            .arg(script)
            .arg(SEATS.to_string())
            .env("SELVEDGE_PUPPET_SITE", puppet_site())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node starts: scripts/setup node");
        let input = Mutex::new(child.stdin.take().expect("it is piped"));
        let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut first = String::new();
        output.read_line(&mut first).expect("the bridge says how many seats it has");
        assert!(first.contains("seats"), "the browser does not start, see above: {first:?}");
        let bridge = Arc::new(Self {
            input,
            waiting: Mutex::default(),
            next: AtomicU64::new(0),
            free: Mutex::new((0..SEATS).collect()),
            freed: Condvar::new(),
            _child: child,
        });
        let answering = bridge.clone();
        thread::spawn(move || answering.listen(output));
        bridge
    }

    /// Hands answers to those who wait for them.
    fn listen(&self, output: BufReader<ChildStdout>) {
        for line in output.lines().map_while(Result::ok) {
            let answer: Value = serde_json::from_str(&line).expect("the bridge speaks JSON");
            let id = answer["id"].as_u64().expect("every answer has an id");
            if let Some(reply) = lock(&self.waiting).remove(&id) {
                // Who hung up meanwhile needs no answer.
                let _ = reply.send(answer);
            }
        }
        lock(&self.waiting).clear();
    }

    fn say(&self, message: &Value) {
        let mut input = lock(&self.input);
        writeln!(input, "{message}").and_then(|()| input.flush()).expect("the bridge listens");
    }
}

/// The answer, unless the browser could not send the request.
fn response(answer: &Value) -> Option<Response<Bytes>> {
    let status = u16::try_from(answer["status"].as_u64()?).ok()?;
    let body = BASE64_STANDARD.decode(answer["body"].as_str()?).ok()?;
    let mut response = Response::builder().status(status);
    for pair in answer["headers"].as_array()? {
        response = response.header(pair[0].as_str()?, pair[1].as_str()?);
    }
    response.body(body.into()).ok()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
