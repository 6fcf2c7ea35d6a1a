//! An HTTP client that costs little, because it runs beside the server that it measures.
//!
//! One connection, one request at a time, bodies read whole. Over HTTP/1.1 the connection is driven by the
//! task that waits for the answer, so that no other task has to wake up for it.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode, Uri, Version};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

/// The version of HTTP that a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, kept alive.
    Http1,
    /// HTTP/2 from the first byte, as `h2c` with prior knowledge.
    Http2,
}

/// A server's address.
#[derive(Debug, Clone)]
pub struct Target {
    address: SocketAddr,
    authority: HeaderValue,
    /// Before every path: a base path without a slash at its end, often empty.
    base: String,
}

/// An open connection to a server.
pub struct Connection {
    target: Target,
    sender: Sender,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// It has no host, or another scheme.
    #[error("expected an address like http://127.0.0.1:8080, found {0:?}")]
    Address(String),
    /// The host's name cannot be resolved, or nobody listens there.
    #[error("no connection to {authority}: {cause}")]
    Connect {
        /// Host and port.
        authority: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The connection broke, or what came was no HTTP.
    #[error("the connection failed: {0}")]
    Http(#[from] hyper::Error),
    /// A path or a body that no request can have.
    #[error("the request cannot be made: {0}")]
    Request(#[from] http::Error),
    /// A status that was not expected.
    #[error("{what}: expected status {expected}, found {found}: {body}")]
    Status {
        /// The request.
        what: String,
        /// What was expected.
        expected: u16,
        /// What came.
        found: u16,
        /// The begin of the answer.
        body: String,
    },
}

type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

enum Sender {
    One { requests: http1::SendRequest<Full<Bytes>>, driver: Option<Driver> },
    Two(http2::SendRequest<Full<Bytes>>),
}

/// Bytes of a refusal's body that an error shows.
const SHOWN_MAX: usize = 500;

impl Target {
    /// Reads an address such as `http://127.0.0.1:8080/base` and resolves its host.
    pub async fn find(url: &str) -> Result<Target, ClientError> {
        let wrong = || ClientError::Address(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let (Some("http"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(wrong());
        };
        let connect = |cause| ClientError::Connect { authority: authority.to_string(), cause };
        let port = authority.port_u16().unwrap_or(80);
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let mut found = tokio::net::lookup_host((host, port)).await.map_err(connect)?;
        let none = || connect(std::io::ErrorKind::AddrNotAvailable.into());
        Ok(Target {
            address: found.next().ok_or_else(none)?,
            authority: HeaderValue::try_from(authority.as_str()).map_err(|_| wrong())?,
            base: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

impl Connection {
    /// Connects, without Nagle's delay.
    pub async fn open(target: &Target, protocol: Protocol) -> Result<Connection, ClientError> {
        let connect = |cause| ClientError::Connect {
            authority: String::from_utf8_lossy(target.authority.as_bytes()).into_owned(),
            cause,
        };
        let stream = TcpStream::connect(target.address).await.map_err(connect)?;
        stream.set_nodelay(true).map_err(connect)?;
        let io = TokioIo::new(stream);
        let sender = match protocol {
            Protocol::Http1 => {
                let (requests, driver) = http1::handshake(io).await?;
                Sender::One { requests, driver: Some(Box::pin(driver)) }
            }
            Protocol::Http2 => {
                let (requests, driver) = http2::handshake(TokioExecutor::new(), io).await?;
                // How it ends, the next request on it says.
                tokio::spawn(async move { drop(driver.await) });
                Sender::Two(requests)
            }
        };
        Ok(Connection { target: target.clone(), sender })
    }

    /// Asks for what is at the path, which begins with a slash and may have a query.
    pub async fn get(&mut self, path: &str) -> Result<Answer, ClientError> {
        self.send(Method::GET, path, HeaderMap::new(), Bytes::new()).await
    }

    /// Sends JSON to the path.
    pub async fn post(&mut self, path: &str, json: impl Into<Bytes>) -> Result<Answer, ClientError> {
        let mut headers = HeaderMap::with_capacity(3);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.send(Method::POST, path, headers, json.into()).await
    }

    /// Sends a request and waits for its whole answer, whatever its status.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, ClientError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.headers_mut() = headers;
        match &mut self.sender {
            Sender::One { requests, driver } => {
                *request.uri_mut() =
                    format!("{}{path}", self.target.base).parse().map_err(http::Error::from)?;
                request.headers_mut().insert(HOST, self.target.authority.clone());
                let exchange = async {
                    requests.ready().await?;
                    whole(requests.send_request(request).await?).await
                };
                drive(driver, exchange).await
            }
            Sender::Two(requests) => {
                let authority = self.target.authority.to_str().unwrap_or_default();
                let uri = format!("http://{authority}{}{path}", self.target.base);
                *request.uri_mut() = uri.parse().map_err(http::Error::from)?;
                *request.version_mut() = Version::HTTP_2;
                requests.ready().await?;
                whole(requests.send_request(request).await?).await
            }
        }
    }
}

impl Answer {
    /// The answer, if it has this status; what was asked is named otherwise.
    pub fn of_status(self, expected: u16, what: &str) -> Result<Answer, ClientError> {
        let found = self.status.as_u16();
        if found == expected {
            return Ok(self);
        }
        let shown = &self.body[..self.body.len().min(SHOWN_MAX)];
        let body = String::from_utf8_lossy(shown).into_owned();
        Err(ClientError::Status { what: what.to_owned(), expected, found, body })
    }
}

async fn whole(response: http::Response<hyper::body::Incoming>) -> Result<Answer, ClientError> {
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Answer { status: head.status, headers: head.headers, body })
}

/// Polls the connection along with what waits for it. A connection that has ended fails the exchange, which
/// then says why.
async fn drive<T>(
    driver: &mut Option<Driver>,
    exchange: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    let mut exchange = std::pin::pin!(exchange);
    std::future::poll_fn(move |context: &mut Context<'_>| {
        if let Poll::Ready(result) = exchange.as_mut().poll(context) {
            return Poll::Ready(result);
        }
        if let Some(running) = driver {
            match running.as_mut().poll(context) {
                Poll::Pending => {}
                Poll::Ready(ended) => {
                    *driver = None;
                    ended?;
                }
            }
        }
        exchange.as_mut().poll(context)
    })
    .await
}

#[cfg(test)]
mod tests {
    use hyper::service::service_fn;
    use hyper_util::server::conn::auto;
    use tokio::net::TcpListener;

    use super::*;

    /// Answers with method, path and body, on one connection after another.
    async fn echo() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = service_fn(|request: Request<hyper::body::Incoming>| async {
                    let text = format!("{} {} ", request.method(), request.uri().path());
                    let body = request.into_body().collect().await?.to_bytes();
                    let text = [text.as_bytes(), &body].concat();
                    Ok::<_, hyper::Error>(http::Response::new(Full::new(Bytes::from(text))))
                });
                tokio::spawn(async move {
                    let io = TokioIo::new(stream);
                    drop(auto::Builder::new(TokioExecutor::new()).serve_connection(io, service).await);
                });
            }
        });
        url
    }

    #[tokio::test]
    async fn one_connection_carries_many_requests() {
        let url = format!("{}/base/", echo().await);
        let target = Target::find(&url).await.expect("an address");
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let mut connection = Connection::open(&target, protocol).await.expect("somebody listens");
            let large = "x".repeat(300_000);
            for (body, expected) in
                [("", "POST /base/a "), ("hello", "POST /base/a hello"), (&*large, "POST /base/a xxx")]
            {
                let answer = connection.post("/a", body.to_owned()).await.expect("an answer");
                assert!(answer.body.starts_with(expected.as_bytes()), "{protocol:?}");
                assert_eq!(answer.body.len(), "POST /base/a ".len() + body.len());
            }
            let answer = connection.get("/b?c=d").await.expect("an answer");
            assert_eq!(&answer.body[..], b"GET /base/b ");
            assert!(
                answer.of_status(201, "GET /b").expect_err("it was 200").to_string().contains("found 200")
            );
        }
    }

    #[tokio::test]
    async fn what_cannot_be_reached_is_named() {
        for (url, shown) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("https://127.0.0.1", "https"),
            ("http://127.0.0.1:0", "127.0.0.1:0"),
        ] {
            let error = match Target::find(url).await {
                Err(error) => error,
                Ok(target) => match Connection::open(&target, Protocol::Http1).await {
                    Err(error) => error,
                    Ok(_) => panic!("{url} can be reached"),
                },
            };
            assert!(error.to_string().contains(shown), "{error}");
        }
    }
}
