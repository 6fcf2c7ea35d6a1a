//! Connections: HTTP/1.1 and HTTP/2 with prior knowledge on one port, bounded in number and in patience.
//!
//! A handler that panics answers 500; a client that sends nothing, sends slowly or has gone is let go.

mod body;

use std::convert::Infallible;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::stop::{Phase, Stop};
use body::{Download, Flight, Traffic};

pub use body::Upload;

/// How long a connection may have no request at all, at least; at most twice as long, and once more if the head
/// of one is under way by then.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a silent HTTP/2 client is asked whether it is there, and how long it may take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// What the head of a request may take. Of headers there may be as many as hyper takes by itself, which is what
/// the core takes, too: room for another number would be made anew for each request.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Requests at once within one HTTP/2 connection.
const STREAMS_MAX: u32 = 250;
/// The pause after the system refused a connection, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Answers requests.
pub trait Handler: Send + Sync + 'static {
    /// The body of its answers.
    type Body: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static;

    /// Answers one request.
    fn handle(&self, request: Request<Upload>) -> impl Future<Output = Response<Self::Body>> + Send;
}

/// Takes connections until it is told to stop, and returns those that are still open. They finish what they
/// have and close by themselves; dropping the set cuts them.
pub async fn accept<H: Handler>(
    listener: TcpListener,
    handler: Arc<H>,
    connections_max: usize,
    stop: Stop,
) -> JoinSet<()> {
    let slots = Arc::new(Semaphore::new(connections_max));
    let mut connections = JoinSet::new();
    loop {
        let slot = tokio::select! {
            () = stop.reached(Phase::Stopping) => return connections,
            slot = slots.clone().acquire_owned() => slot.expect("the semaphore is never closed"),
        };
        let stream = tokio::select! {
            () = stop.reached(Phase::Stopping) => return connections,
            stream = next_stream(&listener) => stream,
        };
        while connections.try_join_next().is_some() {}
        let (handler, stop) = (handler.clone(), stop.clone());
        connections.spawn(async move {
            connection(stream, handler, stop).await;
            drop(slot);
        });
    }
}

async fn next_stream(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(fault) => {
                tracing::warn!("a connection could not be taken: {fault}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection<H: Handler>(stream: TcpStream, handler: Arc<H>, stop: Stop) {
    if let Err(fault) = tune(&stream) {
        tracing::debug!("a connection ended before it began: {fault}");
        return;
    }
    let traffic = Arc::new(Traffic::default());
    let counted = traffic.clone();
    let service = service_fn(move |request| answer(handler.clone(), Flight::new(&counted), request));
    let builder = builder();
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut closing = false;
    loop {
        tokio::select! {
            result = connection.as_mut() => {
                if let Err(fault) = result {
                    tracing::debug!("a connection ended: {fault}");
                }
                return;
            }
            () = stop.reached(Phase::Stopping), if !closing => {}
            () = idle(&traffic) => if closing { return },
        }
        closing = true;
        connection.as_mut().graceful_shutdown();
    }
}

/// Answers are small and awaited: no Nagle. Peers that vanished without a word are found by keep-alive probes.
fn tune(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let probes = socket2::TcpKeepalive::new().with_time(PING_INTERVAL).with_interval(PING_TIMEOUT);
    socket2::SockRef::from(stream).set_tcp_keepalive(&probes)
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // No timer for each head: `idle` sees to those that do not come to their end. Head and body in one buffer: most
    // answers are short, and to gather two costs the system more than to copy one.
    builder.http1().header_read_timeout(None).max_buf_size(HEAD_BYTES_MAX).writev(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX as u32);
    builder
}

/// Comes back once there has been no request for a while: a look at the counts now and then costs less than a
/// timer for each request.
async fn idle(traffic: &Traffic) {
    loop {
        let before = traffic.begun();
        sleep(IDLE_TIMEOUT).await;
        if traffic.is_quiet() && traffic.begun() == before {
            return;
        }
    }
}

type Answer<B> = Response<Download<Either<B, Full<Bytes>>>>;

async fn answer<H: Handler>(
    handler: Arc<H>,
    flight: Flight,
    request: Request<Incoming>,
) -> Result<Answer<H::Body>, Infallible> {
    let request_id = request.headers().get(REQUEST_ID).cloned();
    let answered = AssertUnwindSafe(handler.handle(request.map(Upload::new))).catch_unwind().await;
    let response = match answered {
        Ok(response) => response.map(Either::Left),
        // The panic itself is in the log, by the process's hook.
        Err(_) => defect(request_id).map(Either::Right),
    };
    Ok(response.map(|body| Download::new(body, flight)))
}

/// What a client learns of a panic: that there was one.
fn defect(request_id: Option<HeaderValue>) -> Response<Full<Bytes>> {
    let id = request_id.unwrap_or_else(|| {
        let mut bytes = [0; 16];
        selvedge_tokio::random(&mut bytes);
        HeaderValue::from_str(&format!("{:032x}", u128::from_be_bytes(bytes))).expect("hexadecimal digits")
    });
    let problem = serde_json::json!({
        "type": "/problems/internal",
        "title": "Internal error",
        "status": 500,
        "detail": "the server has a defect; its log says more",
        "instance": String::from_utf8_lossy(id.as_bytes()),
    });
    tracing::error!(request_id = %String::from_utf8_lossy(id.as_bytes()), "a request ended in a defect");
    let mut response = Response::new(Full::from(problem.to_string()));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    let json = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http_body_util::BodyExt;

    use super::*;
    use crate::stop::{self, Stopper};

    /// Answers with the body it got; panics on `/panic`; on `/wait` says that it was reached and answers
    /// when it is let go.
    #[derive(Default)]
    struct Echo {
        reached: tokio::sync::Notify,
        go: tokio::sync::Notify,
        at_once: AtomicUsize,
        at_once_max: AtomicUsize,
    }

    impl Handler for Echo {
        type Body = Full<Bytes>;

        async fn handle(&self, request: Request<Upload>) -> Response<Full<Bytes>> {
            let at_once = self.at_once.fetch_add(1, Ordering::Relaxed) + 1;
            self.at_once_max.fetch_max(at_once, Ordering::Relaxed);
            match request.uri().path() {
                "/panic" => panic!("as asked"),
                "/wait" => {
                    self.reached.notify_one();
                    self.go.notified().await;
                }
                _ => {}
            }
            self.at_once.fetch_sub(1, Ordering::Relaxed);
            let body = request.into_body().collect().await.map(|body| body.to_bytes());
            Response::new(Full::new(body.unwrap_or_default()))
        }
    }

    struct Server {
        handler: Arc<Echo>,
        url: String,
        stopper: Stopper,
        accepting: tokio::task::JoinHandle<JoinSet<()>>,
    }

    async fn server(connections_max: usize) -> Server {
        selvedge_tokio::install_tls();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let handler = Arc::new(Echo::default());
        let (stopper, stop) = stop::channel();
        let accepting = tokio::spawn(accept(listener, handler.clone(), connections_max, stop));
        Server { handler, url, stopper, accepting }
    }

    #[tokio::test]
    async fn both_versions_of_http_share_the_port() {
        let server = server(10).await;
        let client = || reqwest::Client::builder().no_proxy();
        for (client, version) in [
            (client().http1_only(), http::Version::HTTP_11),
            (client().http2_prior_knowledge(), http::Version::HTTP_2),
        ] {
            let client = client.build().expect("a client");
            let answer = client.post(&server.url).body("hello").send().await.expect("an answer");
            assert_eq!(answer.version(), version);
            assert_eq!(answer.text().await.expect("a body"), "hello");
        }
    }

    #[tokio::test]
    async fn a_panic_is_an_answer_without_internals() {
        let server = server(10).await;
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let url = format!("{}/panic", server.url);
        let answer = client.get(url).header("x-request-id", "r-1").send().await.expect("an answer");
        assert_eq!(answer.status(), 500);
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        assert_eq!(answer.headers()["x-request-id"], "r-1");
        let problem: serde_json::Value =
            serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON");
        assert_eq!(problem["instance"], "r-1");
        assert!(!problem.to_string().contains("as asked"));
        assert_eq!(client.get(&server.url).send().await.expect("another answer").status(), 200);
    }

    #[tokio::test]
    async fn requests_finish_after_the_stop() {
        let server = server(10).await;
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let waiting = tokio::spawn(client.get(format!("{}/wait", server.url)).body("late").send());
        server.handler.reached.notified().await;
        server.stopper.move_to(Phase::Stopping);
        let mut connections = server.accepting.await.expect("no panic");
        assert!(client.get(&server.url).send().await.is_err(), "nothing new is taken");
        server.handler.go.notify_one();
        let answer = waiting.await.expect("no panic").expect("an answer");
        assert_eq!(answer.text().await.expect("a body"), "late");
        while connections.join_next().await.is_some() {}
    }

    #[tokio::test]
    async fn further_connections_wait_for_a_free_slot() {
        let server = server(1).await;
        let ask = |url: String| {
            tokio::spawn(async move {
                let client = reqwest::Client::builder().no_proxy().build().expect("a client");
                client.get(url).send().await.expect("an answer").status()
            })
        };
        let asked: Vec<_> = (0..3).map(|_| ask(format!("{}/wait", server.url))).collect();
        for _ in 0..3 {
            server.handler.reached.notified().await;
            server.handler.go.notify_one();
        }
        // Each client is dropped with its answer, which closes its connection and frees the slot.
        for answer in asked {
            assert_eq!(answer.await.expect("no panic"), 200);
        }
        assert_eq!(server.handler.at_once_max.load(Ordering::Relaxed), 1);
    }
}
