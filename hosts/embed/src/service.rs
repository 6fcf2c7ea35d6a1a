//! The server's API as a [`tower_service::Service`], for whatever speaks tower: axum, hyper, a test.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::uri::PathAndQuery;
use http::{Request, Response, Uri};
use selvedge::http::body::Body;

/// What answers requests behind a [`Service`]. Core's futures are `Send` on concrete types only, which is why
/// this is implemented for those.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request.
    fn handle<B>(&self, request: Request<B>) -> impl Future<Output = Response<Body>> + Send
    where
        B: http_body::Body<Data: Send, Error: Send> + Send + 'static;
}

/// A service that answers with a server's API. Clones share the server.
#[derive(Debug)]
pub struct Service<H> {
    handler: Arc<H>,
    /// Put before every path.
    prefix: Arc<str>,
}

impl<H: Handler> Service<H> {
    /// A service that is given the paths as clients send them, base path included.
    pub fn new(handler: Arc<H>) -> Self {
        Self { handler, prefix: "".into() }
    }

    /// A service below a router that takes `base_path` off the paths, such as axum's `nest_service`. The server
    /// must have been told of the same base path, so that the links in its answers are whole.
    pub fn nested(handler: Arc<H>, base_path: &str) -> Self {
        Self { handler, prefix: base_path.trim_end_matches('/').into() }
    }
}

impl<H> Clone for Service<H> {
    fn clone(&self) -> Self {
        Self { handler: self.handler.clone(), prefix: self.prefix.clone() }
    }
}

impl<H, B> tower_service::Service<Request<B>> for Service<H>
where
    H: Handler,
    B: http_body::Body<Data: Send, Error: Send> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if !self.prefix.is_empty() {
            *request.uri_mut() = below(&self.prefix, request.uri());
        }
        let handler = self.handler.clone();
        Box::pin(async move { Ok(handler.handle(request).await) })
    }
}

/// The same resource with `prefix` before its path.
fn below(prefix: &str, uri: &Uri) -> Uri {
    let mut parts = uri.clone().into_parts();
    let rest = parts.path_and_query.as_ref().map_or("", PathAndQuery::as_str);
    // A router leaves "/" of the prefix alone.
    let rest = match rest.strip_prefix('/') {
        Some(query) if query.is_empty() || query.starts_with('?') => query,
        _ => rest,
    };
    let path = PathAndQuery::try_from(format!("{prefix}{rest}")).expect("a plain prefix keeps a path valid");
    parts.path_and_query = Some(path);
    Uri::from_parts(parts).expect("scheme and authority are as they were")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_comes_back() {
        for (uri, expected) in [
            ("/api/v1/runs?limit=1", "/flows/api/v1/runs?limit=1"),
            ("/", "/flows"),
            ("/?a=1", "/flows?a=1"),
            ("/a%20b", "/flows/a%20b"),
            ("http://h:1/api", "http://h:1/flows/api"),
        ] {
            assert_eq!(below("/flows", &uri.parse().expect("a URI")).to_string(), expected);
        }
    }
}
