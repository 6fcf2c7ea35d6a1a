//! Requests to the server in the same process, in JSON.

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use serde::Serialize;
use serde_json::Value;

use crate::server::Embedded;

/// A refusal of the server: a problem document (RFC 9457), or the server's word that it cannot answer now.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{status}: {detail}")]
pub struct CallError {
    /// The HTTP status.
    pub status: u16,
    /// The last part of the problem's type, such as `not-found`.
    pub kind: String,
    /// What is wrong, for a person.
    pub detail: String,
    /// The whole document.
    pub problem: Value,
}

/// Sends one request and reads the answer. `path` is the whole path, base path included.
///
/// # Errors
/// Whatever is answered with a status of 400 or more.
pub(crate) async fn call(
    app: &Embedded,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<Value, CallError> {
    send(app, method, path, body).await.map(|body| value(&body))
}

/// The same, with the answer as it came.
pub(crate) async fn send(
    app: &Embedded,
    method: Method,
    path: &str,
    body: Option<&impl Serialize>,
) -> Result<Bytes, CallError> {
    let mut request = Request::builder().method(method).uri(path);
    if body.is_some() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    let written = body.map(serde_json::to_vec).transpose().map_err(|fault| CallError {
        status: 400,
        kind: "malformed-request".to_owned(),
        detail: format!("the body cannot be written as JSON: {fault}"),
        problem: Value::Null,
    })?;
    let bytes = Bytes::from(written.unwrap_or_default());
    let request = request.body(Full::new(bytes)).map_err(|fault| CallError {
        status: 400,
        kind: "malformed-request".to_owned(),
        detail: format!("{path:?} is no path: {fault}"),
        problem: Value::Null,
    })?;
    let (parts, body) = app.handle(request).await.into_parts();
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(never) => match never {},
    };
    if parts.status.as_u16() < 400 {
        return Ok(body);
    }
    let value = value(&body);
    let member = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let kind = member("type").rsplit('/').next().unwrap_or_default().to_owned();
    Err(CallError { status: parts.status.as_u16(), kind, detail: member("detail"), problem: value })
}

/// A body as a value: null if it is empty, a string if it is no JSON.
fn value(body: &[u8]) -> Value {
    let text = || Value::String(String::from_utf8_lossy(body).into_owned());
    if body.is_empty() { Value::Null } else { serde_json::from_slice(body).unwrap_or_else(|_| text()) }
}
