//! An `App` called as a function, without a socket: for commands that need the server's judgement of a
//! document and no server.

use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use selvedge::{App, Settings};
use selvedge_libsql::{Libsql, Place};
use serde_json::Value;

use selvedge_tokio::TokioPlatform;

/// The server of this binary.
pub(crate) type Server = App<Libsql, TokioPlatform>;

/// Why there is no server in this process.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The driver could not open the database.
    #[error(transparent)]
    Driver(#[from] selvedge_libsql::OpenError),
    /// Core could not use it.
    #[error(transparent)]
    Core(#[from] selvedge::OpenError),
}

/// A server on an empty database in memory.
pub(crate) async fn scratch() -> Result<Server, OpenError> {
    let settings = Settings { host: "daemon", http_concurrency: 0, ..Settings::default() };
    let database = Libsql::open(&Place::Memory, None).await?;
    Ok(App::open(database, TokioPlatform::default(), settings).await?)
}

/// Sends one request and reads the answer as JSON; text that is not JSON comes back as a string.
pub(crate) async fn call(
    server: &Server,
    method: Method,
    path: &str,
    content_type: &str,
    body: Vec<u8>,
) -> (StatusCode, Value) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, content_type)
        .body(Full::new(bytes::Bytes::from(body)))
        .expect("the callers' paths are valid");
    let (parts, body) = server.handle(request).await.into_parts();
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(never) => match never {},
    };
    let value = serde_json::from_slice(&body)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
    (parts.status, value)
}
