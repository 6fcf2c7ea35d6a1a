//! The server behind the daemon's own listener: what a client on the network meets.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::engine::running;
use bytes::Bytes;
use event_listener::Event;
use http::{Request, Response, Uri, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use selvedge::http::body::Body;
use selvedge::platform::{Encoding, Platform};
use selvedge::time::Duration;
use selvedge::{App, Settings};
use selvedge_daemon::listener::{self, Handler, Upload};
use selvedge_daemon::stop::{self, Stopper};
use selvedge_puppet::faulty::{Faulty, Mode};
use selvedge_puppet::{Codings, Ground, VirtualPlatform};
use selvedge_tokio::TokioPlatform;
use tokio::net::{TcpListener, TcpStream};

use crate::host::{Host, Storage};

/// As many connections as a case may have at once, and more.
const CONNECTIONS_MAX: usize = 100;

/// The daemon's content codings.
pub const CODINGS: Codings = Codings {
    offered: &[Encoding::Zstd, Encoding::Brotli, Encoding::Gzip],
    encode: |encoding, body| TokioPlatform::default().encode(encoding, body),
};

/// Requests come over TCP, each on a connection of its own.
pub struct Tcp {
    ground: Ground<Storage>,
    api: Arc<Api>,
    address: SocketAddr,
    version: Version,
    /// Cuts the connections when it is dropped.
    _stopper: Stopper,
}

/// The handler behind the listener.
struct Api {
    server: Arc<App<Faulty<Storage>, VirtualPlatform>>,
    under_way: Arc<UnderWay>,
}

#[derive(Default)]
struct UnderWay {
    count: AtomicUsize,
    fell: Event,
}

/// One request that is being answered.
struct Mark(Arc<UnderWay>);

impl Tcp {
    /// A server on this empty database, that listens on a port of its own and is asked by this version of
    /// HTTP.
    pub async fn new(database: Storage, settings: Settings, version: Version) -> Self {
        let ground = Ground::new(database, settings, running(VirtualPlatform::compressing(1, CODINGS))).await;
        let api = Arc::new(Api { server: ground.server.clone(), under_way: Arc::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
        let address = listener.local_addr().expect("it is bound");
        let (stopper, stop) = stop::channel();
        tokio::spawn(listener::accept(listener, api.clone(), CONNECTIONS_MAX, stop));
        Self { ground, api, address, version, _stopper: stopper }
    }

    /// What the request line or the pseudo-headers say.
    fn uri(&self, uri: &Uri) -> Uri {
        match self.version {
            Version::HTTP_2 => {
                format!("http://{}{uri}", self.address).parse().expect("a path is no authority")
            }
            _ => uri.clone(),
        }
    }
}

impl Host for Tcp {
    async fn send(&self, mut request: Request<Bytes>) -> Response<Bytes> {
        *request.uri_mut() = self.uri(request.uri());
        let request = request.map(Full::new);
        let stream = TcpStream::connect(self.address).await.expect("the listener takes connections");
        let answer = match self.version {
            Version::HTTP_2 => by_http2(stream, request).await,
            _ => by_http1(stream, self.address, request).await,
        };
        let (parts, body) = answer.unwrap_or_else(|error| panic!("no answer: {error:?}")).into_parts();
        let body = body.collect().await.expect("the answer is whole").to_bytes();
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
            let ear = self.api.under_way.fell.listen();
            if self.api.under_way.count.load(Ordering::SeqCst) <= under_way {
                return;
            }
            ear.await;
        }
    }
}

/// The task of a connection, which ends with the request that it was opened for.
struct Cut(Option<tokio::task::JoinHandle<()>>);

impl Cut {
    fn new(connection: impl Future + Send + 'static) -> Self {
        Self(Some(tokio::spawn(async move { drop(connection.await) })))
    }

    fn spare(mut self) {
        self.0 = None;
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

async fn by_http1(
    stream: TcpStream,
    address: SocketAddr,
    mut request: Request<Full<Bytes>>,
) -> hyper::Result<Response<Incoming>> {
    let host = address.to_string().parse().expect("an address is a header value");
    request.headers_mut().insert(http::header::HOST, host);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let cut = Cut::new(connection);
    let answer = sender.send_request(request).await;
    // The body is still to be read: from here on the connection goes when the sender has gone.
    cut.spare();
    answer
}

async fn by_http2(stream: TcpStream, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
    let io = TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
    let cut = Cut::new(connection);
    let answer = sender.send_request(request).await;
    cut.spare();
    answer
}

impl Handler for Api {
    type Body = Body;

    fn handle(&self, request: Request<Upload>) -> impl Future<Output = Response<Body>> + Send {
        let mark = Mark::new(&self.under_way);
        async move {
            let _mark = mark;
            self.server.handle(request).await
        }
    }
}

impl Mark {
    fn new(under_way: &Arc<UnderWay>) -> Self {
        under_way.count.fetch_add(1, Ordering::SeqCst);
        Self(under_way.clone())
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::SeqCst);
        self.0.fell.notify(usize::MAX);
    }
}
