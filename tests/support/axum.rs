//! The server nested in a router of axum, beside another route, over TCP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use event_listener::Event;
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use selvedge::http::body::Body;
use selvedge::time::Duration;
use selvedge::{App, Settings};
use selvedge_embed::{Handler, Service};
use selvedge_puppet::faulty::{Faulty, Mode};
use selvedge_puppet::{Ground, VirtualPlatform};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::host::{Host, Storage};
use crate::tcp::CODINGS;

/// Requests come over TCP to a router, each on a connection of its own.
pub struct Axum {
    ground: Ground<Storage>,
    api: Arc<Api>,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

struct Api {
    server: Arc<App<Faulty<Storage>, VirtualPlatform>>,
    under_way: AtomicUsize,
    fell: Event,
}

/// One request that is being answered.
struct Mark<'a>(&'a Api);

impl Drop for Mark<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
        self.0.fell.notify(usize::MAX);
    }
}

impl Handler for Api {
    async fn handle<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data: Send, Error: Send> + Send + 'static,
    {
        self.under_way.fetch_add(1, Ordering::SeqCst);
        let _mark = Mark(self);
        self.server.handle(request).await
    }
}

impl Axum {
    /// A server on this empty database, nested at its base path where it has one.
    pub async fn new(database: Storage, settings: Settings) -> Self {
        let base_path = settings.base_path.clone();
        let ground = Ground::new(database, settings, VirtualPlatform::compressing(1, CODINGS)).await;
        let server = ground.server.clone();
        let api = Arc::new(Api { server, under_way: AtomicUsize::new(0), fell: Event::new() });
        let router = Router::new().route("/.beside", get(|| async { "another route" }));
        let router = match base_path.as_str() {
            "" => router,
            base => router.nest_service(base, Service::nested(api.clone(), base)),
        };
        // What lies outside is the server's to refuse, too.
        let router = router.fallback_service(Service::new(api.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
        let address = listener.local_addr().expect("it is bound");
        let serving =
            async move { axum::serve(listener, router).await.expect("axum serves until it is dropped") };
        Self { ground, api, address, serving: tokio::spawn(serving) }
    }
}

impl Drop for Axum {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Host for Axum {
    async fn send(&self, mut request: Request<Bytes>) -> Response<Bytes> {
        let host = HeaderValue::from_str(&self.address.to_string()).expect("an address is a header value");
        request.headers_mut().entry(header::HOST).or_insert(host);
        let stream = TcpStream::connect(self.address).await.expect("the listener takes connections");
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.expect("the listener speaks HTTP/1.1");
        // Ends with the sender: a dropped request hangs up.
        let cut = Cut(tokio::spawn(async move { drop(connection.await) }));
        let answer = sender.send_request(request.map(Full::new)).await;
        let (parts, body) = answer.unwrap_or_else(|error| panic!("no answer: {error:?}")).into_parts();
        let body = body.collect().await.expect("the answer is whole").to_bytes();
        drop(cut);
        Response::from_parts(parts, body)
    }

    async fn drive(&self) {
        self.ground.drive().await;
    }

    async fn advance(&self, duration: Duration) {
        self.ground.advance(duration).await;
    }

    async fn set_database(&self, mode: Mode) {
        self.ground.set_database(mode).await;
    }

    async fn waits_begun(&self) -> usize {
        self.ground.waits_begun()
    }

    async fn notices(&self, under_way: usize) {
        loop {
            let ear = self.api.fell.listen();
            if self.api.under_way.load(Ordering::SeqCst) <= under_way {
                return;
            }
            ear.await;
        }
    }
}

/// The task of a connection, which ends with the request that it was opened for.
struct Cut(JoinHandle<()>);

impl Drop for Cut {
    fn drop(&mut self) {
        self.0.abort();
    }
}
