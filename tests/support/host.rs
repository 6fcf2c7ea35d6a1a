//! Where conformance cases run: a server, reached in one way, with a clock that only the test moves.

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use selvedge::time::Duration;
use selvedge_libsql::Libsql;
use selvedge_puppet::faulty::Mode;
use selvedge_puppet::{Ground, ORDERS};

/// The database of servers in this process.
pub type Storage = Libsql;

/// One server, reached in one way.
pub trait Host {
    /// Sends a request. Dropping the future is hanging up.
    async fn send(&self, request: Request<Bytes>) -> Response<Bytes>;

    /// Does what is due now, as a host does whenever it is woken.
    async fn drive(&self);

    /// Moves the clock and does what has become due.
    async fn advance(&self, duration: Duration);

    /// Makes the database fail, or whole again, and does what that allows.
    async fn set_database(&self, mode: Mode);

    /// How often anybody has begun to wait for something.
    async fn waits_begun(&self) -> usize;

    /// Comes back when the server has noticed that clients went away, and answers only this many requests.
    async fn notices(&self, under_way: usize);
}

/// Requests are function calls.
pub struct InProcess(pub Ground<Storage>);

impl Host for InProcess {
    async fn send(&self, request: Request<Bytes>) -> Response<Bytes> {
        let response = self.0.server.handle(request.map(Full::new)).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("bodies cannot fail").to_bytes();
        Response::from_parts(parts, body)
    }

    async fn drive(&self) {
        self.0.drive().await;
    }

    async fn advance(&self, duration: Duration) {
        self.0.advance(duration).await;
    }

    async fn set_database(&self, mode: Mode) {
        self.0.set_database(mode).await;
    }

    async fn waits_begun(&self) -> usize {
        self.0.waits_begun()
    }

    async fn notices(&self, _: usize) {
        // A dropped future has dropped the call.
    }
}

/// The way to a server in another process, where a [`Puppet`](selvedge_puppet::Puppet) answers.
pub trait Wire {
    /// Sends a request. Dropping the future is hanging up.
    async fn send(&self, request: Request<Bytes>) -> Response<Bytes>;
}

/// A server in another process, controlled by requests.
pub struct Strung<W> {
    wire: W,
    /// Where the orders lie: what comes before `/.puppet/`.
    mount: String,
}

impl<W: Wire> Strung<W> {
    /// A new server behind this wire, mounted at `base_path`; its orders are sent below `mount`.
    pub async fn new(wire: W, mount: &str, base_path: &str) -> Self {
        let host = Self { wire, mount: mount.to_owned() };
        host.order(Method::POST, &format!("reset?base_path={base_path}")).await;
        host
    }

    async fn order(&self, method: Method, order: &str) -> String {
        let uri = format!("{}{ORDERS}{order}", self.mount);
        let request = Request::builder().method(method).uri(uri).body(Bytes::new()).expect("an order");
        let (head, body) = self.wire.send(request).await.into_parts();
        let text = String::from_utf8_lossy(&body).into_owned();
        assert!(head.status == 200, "the order {order:?} was answered {}: {text}", head.status);
        text
    }

    /// What the order `waits` says: waits begun, and requests under way.
    async fn waits(&self) -> (usize, usize) {
        let text = self.order(Method::GET, "waits").await;
        let mut numbers = text.split(' ').map(|number| number.parse().expect("a number"));
        let mut next = || numbers.next().expect("two numbers");
        (next(), next())
    }
}

impl<W: Wire> Host for Strung<W> {
    async fn send(&self, request: Request<Bytes>) -> Response<Bytes> {
        self.wire.send(request).await
    }

    async fn drive(&self) {
        self.order(Method::POST, "drive").await;
    }

    async fn advance(&self, duration: Duration) {
        self.order(Method::POST, &format!("advance?ms={}", duration.as_millis())).await;
    }

    async fn set_database(&self, mode: Mode) {
        let word = Mode::WORDS.iter().find(|(_, known)| *known == mode).expect("every mode has a word").0;
        self.order(Method::POST, &format!("database?mode={word}")).await;
    }

    async fn waits_begun(&self) -> usize {
        self.waits().await.0
    }

    async fn notices(&self, under_way: usize) {
        while self.waits().await.1 > under_way {}
    }
}
