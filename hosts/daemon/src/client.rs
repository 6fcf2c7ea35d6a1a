//! The server's API as the worker and the commands call it: JSON over HTTP, errors by what to do about them.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use serde::Deserialize;
use serde_json::Value;

use crate::document::Fault;
use selvedge_tokio as platform;

/// How long an answer may take, beyond what the call itself waits for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Shorter than the server's own patience, so that no call meets a connection that is just being closed.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(15);
/// What stays as it is in a path segment: RFC 3986's unreserved characters.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The media type of a module of WebAssembly.
pub(crate) const MODULE: &str = "application/wasm";

/// A server somewhere. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    /// Without a trailing slash.
    server: String,
}

/// One call of the API.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    method: Method,
    path: String,
    query: Vec<(&'a str, String)>,
    body: Option<&'a Value>,
    module: Option<&'a [u8]>,
    timeout: Duration,
}

/// Why a call did not do what it was for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// Nothing was sent: nobody listens there.
    #[error("no server answers at {server} ({cause}): start one with `selvedge serve`, or pass --server")]
    Unreachable { server: String, cause: String },
    /// It was sent, and the answer did not come. Nobody knows whether it took effect.
    #[error("the answer of {server} was lost: {cause}")]
    Lost { server: String, cause: String },
    /// The server answered with a problem.
    #[error("{}", .0.summary())]
    Refused(Box<Problem>),
    /// Something answered that is not Selvedge.
    #[error("{server} does not answer like a selvedge server (status {status}): is --server right?")]
    Foreign { server: String, status: u16 },
    /// The address is none.
    #[error("--server: expected an address such as http://127.0.0.1:8080, found {0:?}")]
    Address(String),
    /// No client can be made in this process.
    #[error("no HTTP client: {0}")]
    Setup(String),
}

/// What the server says when it refuses (RFC 9457).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Problem {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) title: String,
    pub(crate) status: u16,
    pub(crate) detail: String,
    pub(crate) errors: Vec<Fault>,
    /// From the header, not from the document.
    #[serde(skip)]
    pub(crate) retry_after: Option<Duration>,
}

/// Whether trying again may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prospect {
    /// The same call may succeed later.
    Later,
    /// It will not.
    Never,
}

impl Client {
    /// A client of the server at this address, which may carry a base path.
    pub(crate) fn new(server: &str) -> Result<Self, ClientError> {
        let url = reqwest::Url::parse(server).ok();
        if !url.is_some_and(|url| {
            matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none()
        }) {
            return Err(ClientError::Address(server.to_owned()));
        }
        let http = platform::http_client(|| {
            reqwest::Client::builder()
                .user_agent(platform::USER_AGENT)
                .connect_timeout(CONNECT_TIMEOUT)
                .pool_idle_timeout(POOL_IDLE_TIMEOUT)
                .tcp_nodelay(true)
                .redirect(reqwest::redirect::Policy::none())
        })
        .map_err(|fault| ClientError::Setup(platform::chain(&fault)))?;
        Ok(Self { http, server: server.trim_end_matches('/').to_owned() })
    }

    /// The server's address without a trailing slash.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// Makes the call and reads its answer; an answer without a body is null.
    pub(crate) async fn send(&self, call: Call<'_>) -> Result<Value, ClientError> {
        let mut request = self
            .http
            .request(call.method.clone(), self.url(&call)?)
            .header("accept", "application/json")
            .timeout(call.timeout);
        if let Some(body) = call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        if let Some(module) = call.module {
            request = request.header(CONTENT_TYPE, MODULE).body(module.to_vec());
        }
        let answer = request.send().await.map_err(|fault| self.fault(&fault))?;
        let status = answer.status();
        let retry_after = retry_after(&answer);
        let body = answer.bytes().await.map_err(|fault| self.fault(&fault))?;
        let value = if body.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&body) };
        match value {
            Ok(value) if status.is_success() => Ok(value),
            Ok(value) if value.get("type").is_some_and(Value::is_string) => {
                let problem = Problem { retry_after, ..Problem::read(status, value) };
                Err(ClientError::Refused(Box::new(problem)))
            }
            // A proxy before the server that is down speaks for itself.
            _ if matches!(status.as_u16(), 502..=504) => {
                let cause = format!("status {status}");
                Err(ClientError::Lost { server: self.server.clone(), cause })
            }
            _ => Err(ClientError::Foreign { server: self.server.clone(), status: status.as_u16() }),
        }
    }

    fn url(&self, call: &Call<'_>) -> Result<reqwest::Url, ClientError> {
        let mut url = reqwest::Url::parse(&format!("{}{}", self.server, call.path))
            .map_err(|_| ClientError::Address(self.server.clone()))?;
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        Ok(url)
    }

    fn fault(&self, fault: &reqwest::Error) -> ClientError {
        let (server, cause) = (self.server.clone(), platform::chain(&fault));
        if fault.is_connect() {
            let cause = innermost(fault);
            ClientError::Unreachable { server, cause }
        } else {
            ClientError::Lost { server, cause }
        }
    }
}

impl<'a> Call<'a> {
    /// Reads: `["runs", id]` is `/api/v1/runs/{id}`.
    pub(crate) fn get(segments: &[&str]) -> Self {
        Self::new(Method::GET, segments)
    }

    /// Acts.
    pub(crate) fn post(segments: &[&str]) -> Self {
        Self::new(Method::POST, segments)
    }

    /// Uploads a module of WebAssembly.
    pub(crate) fn upload(segments: &[&str], module: &'a [u8]) -> Self {
        Self { module: Some(module), ..Self::new(Method::PUT, segments) }
    }

    fn new(method: Method, segments: &[&str]) -> Self {
        let path = segments.iter().map(|segment| format!("/{}", encoded(segment))).collect::<String>();
        let path = format!("/api/v1{path}");
        Self { method, path, query: Vec::new(), body: None, module: None, timeout: ANSWER_TIMEOUT }
    }

    /// With a parameter in the query.
    pub(crate) fn query(mut self, name: &'a str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    /// With a JSON body.
    pub(crate) fn body(mut self, body: &'a Value) -> Self {
        self.body = Some(body);
        self
    }

    /// For a call that the server answers only after up to this long.
    pub(crate) fn waiting(mut self, wait: Duration) -> Self {
        self.timeout = wait + ANSWER_TIMEOUT;
        self
    }

    /// With less patience than usual.
    pub(crate) fn within(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(ANSWER_TIMEOUT);
        self
    }
}

impl ClientError {
    /// Whether the same call may succeed later.
    pub(crate) fn prospect(&self) -> Prospect {
        match self {
            ClientError::Unreachable { .. } | ClientError::Lost { .. } => Prospect::Later,
            ClientError::Refused(problem) => match problem.status {
                408 | 425 | 429 | 500..=599 => Prospect::Later,
                _ => Prospect::Never,
            },
            ClientError::Foreign { .. } | ClientError::Address(_) | ClientError::Setup(_) => Prospect::Never,
        }
    }

    /// How long the server asks to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            ClientError::Refused(problem) => problem.retry_after,
            _ => None,
        }
    }

    /// The status of the server's answer, if that is why.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            ClientError::Refused(problem) => Some(problem.status),
            _ => None,
        }
    }
}

impl Problem {
    /// What the answer says, as far as it says anything.
    pub(crate) fn read(status: http::StatusCode, answer: Value) -> Self {
        let mut problem: Problem = serde_json::from_value(answer).unwrap_or_default();
        problem.status = status.as_u16();
        if problem.title.is_empty() {
            problem.title = status.canonical_reason().unwrap_or("refused").to_owned();
        }
        problem
    }

    /// Whether the problem is of this type: the last segment of its `type`.
    pub(crate) fn is(&self, slug: &str) -> bool {
        self.kind.rsplit('/').next() == Some(slug)
    }

    /// Title and detail in one line.
    pub(crate) fn summary(&self) -> String {
        if self.detail.is_empty() { self.title.clone() } else { format!("{}: {}", self.title, self.detail) }
    }
}

/// One segment of a path.
pub(crate) fn encoded(segment: &str) -> String {
    utf8_percent_encode(segment, SEGMENT).to_string()
}

fn retry_after(answer: &reqwest::Response) -> Option<Duration> {
    let seconds = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The cause that a person understands: "Connection refused" rather than "error trying to connect".
fn innermost(fault: &dyn std::error::Error) -> String {
    let mut innermost = fault;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    let text = innermost.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn client(server: &str) -> Result<Client, ClientError> {
        platform::install_tls();
        Client::new(server)
    }

    #[test]
    fn addresses_are_checked() {
        for (server, good) in [
            ("http://127.0.0.1:8080", true),
            ("https://h/selvedge/", true),
            ("127.0.0.1:8080", false),
            ("localhost", false),
            ("ftp://h", false),
            ("http://h/?a=b", false),
            ("", false),
        ] {
            assert_eq!(client(server).is_ok(), good, "{server}");
        }
    }

    #[test]
    fn paths_and_queries_are_encoded() {
        let client = client("http://h/base/").expect("an address");
        for (call, url) in [
            (Call::get(&["runs"]), "http://h/base/api/v1/runs"),
            (
                Call::get(&["runs", "a/b c", "tasks", "t[3]"]),
                "http://h/base/api/v1/runs/a%2Fb%20c/tasks/t%5B3%5D",
            ),
            (
                Call::get(&["runs"]).query("workflow", "a&b").query("limit", 5),
                "http://h/base/api/v1/runs?workflow=a%26b&limit=5",
            ),
        ] {
            assert_eq!(client.url(&call).expect("a URL").as_str(), url);
        }
    }

    #[tokio::test]
    async fn nobody_there_says_what_to_do() {
        // Port 1 of loopback: nobody listens there.
        let error = client("http://127.0.0.1:1").expect("an address").send(Call::get(&["info"])).await;
        let error = error.expect_err("nobody listens");
        assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
        assert_eq!(error.prospect(), Prospect::Later);
        let text = error.to_string();
        assert!(text.contains("http://127.0.0.1:1 (connection refused)"), "{text}");
        assert!(text.contains("selvedge serve") && text.contains("--server"), "{text}");
    }

    #[test]
    fn problems_are_read_as_far_as_they_go() {
        let status = http::StatusCode::CONFLICT;
        let document = json!({"type": "/x/problems/run-exists", "title": "T", "status": 409, "detail": "d",
            "instance": "i", "errors": [{"pointer": "/id", "message": "m"}]});
        let problem = Problem::read(status, document);
        assert!(problem.is("run-exists") && !problem.is("exists"));
        assert_eq!(problem.summary(), "T: d");
        assert_eq!(problem.errors[0].to_string(), "/id: m");
        let bare = Problem::read(status, json!("plain text"));
        assert_eq!((bare.status, bare.summary().as_str()), (409, "Conflict"));
    }

    #[test]
    fn what_may_pass_is_told_from_what_will_not() {
        for (status, prospect) in [
            (400, Prospect::Never),
            (404, Prospect::Never),
            (409, Prospect::Never),
            (413, Prospect::Never),
            (408, Prospect::Later),
            (429, Prospect::Later),
            (500, Prospect::Later),
            (503, Prospect::Later),
        ] {
            let error = ClientError::Refused(Box::new(Problem { status, ..Problem::default() }));
            assert_eq!(error.prospect(), prospect, "{status}");
        }
    }
}
