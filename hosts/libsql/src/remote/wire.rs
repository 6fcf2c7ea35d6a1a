//! One HTTP request to the server, and what its answer or the lack of one means.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, StatusCode};
use reqwest::Url;

use super::address::{Address, Token};
use super::failure::{Lost, Quoted};
use super::stats::{Counters, add};

/// How long it may take to reach the server, its name and TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a request may take. sqld itself waits up to five seconds for the write lock and ends a
/// transaction after five, so what takes longer than this is lost.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How long an idle connection is kept. Servers and proxies close them after about a minute.
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);

/// The way to a server.
pub(super) struct Wire {
    client: reqwest::Client,
    address: Address,
    token: Option<Token>,
    pub(super) counters: Counters,
}

impl Wire {
    /// Prepares connections, without making one. The error says why there can be none.
    pub(super) fn new(address: Address, token: Option<Token>) -> Result<Self, Lost> {
        selvedge_tokio::install_tls();
        let mut client = reqwest::Client::builder()
            .user_agent(selvedge_tokio::USER_AGENT)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .tcp_nodelay(true)
            .redirect(reqwest::redirect::Policy::none());
        if !address.is_https() {
            // Reading the machine's certificates takes a while, and some machines have none.
            client = client.tls_certs_only([]);
        }
        if address.is_loopback() {
            client = client.no_proxy();
        }
        let client = client.build().map_err(|fault| Lost::Unsent(chain(&fault)))?;
        Ok(Self { client, address, token, counters: Counters::default() })
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Sends a request body, to the address of the server or of a stream, and returns the answer's. It is sent
    /// once.
    pub(super) async fn send(&self, to: &Url, body: Vec<u8>) -> Result<Bytes, Lost> {
        add(&self.counters.requests, 1);
        add(&self.counters.bytes_sent, body.len());
        let mut request = self.client.post(to.clone()).body(body);
        request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.header());
        }
        let answer = request.send().await.map_err(|fault| self.hinted(lost(&fault)))?;
        let (status, location) = (answer.status(), answer.headers().get(LOCATION).cloned());
        let html = answer.headers().get(CONTENT_TYPE).is_some_and(is_html);
        let body = answer.bytes().await.map_err(|fault| lost(&fault))?;
        add(&self.counters.bytes_received, body.len());
        if status == StatusCode::OK && !html {
            return Ok(body);
        }
        let said = self.said(&body, html);
        Err(meaning(status, location.as_ref(), &said, self.token.is_some()))
    }

    /// Adds what the usual reason is, where TLS meets a server that speaks none.
    fn hinted(&self, lost: Lost) -> Lost {
        match lost {
            Lost::Unsent(cause) if self.address.is_https() && cause.contains("InvalidContentType") => {
                Lost::Unsent(format!(
                    "it does not speak TLS ({cause}); without TLS its address is http:// or libsql://…?tls=0"
                ))
            }
            other => other,
        }
    }

    /// What an answer that is no result says, in a few words and without our token.
    fn said(&self, body: &[u8], html: bool) -> String {
        if html {
            return ", a page for people".to_owned();
        }
        let text = String::from_utf8_lossy(body);
        let inner = serde_json::from_str::<serde_json::Value>(&text).ok().and_then(|value| {
            let member = value.get("error").or_else(|| value.get("message"))?;
            member.as_str().map(str::to_owned)
        });
        let text = inner.unwrap_or_else(|| text.into_owned());
        let text = self.token.as_ref().map_or(text.clone(), |token| token.strike_from(&text));
        if text.trim().is_empty() { String::new() } else { format!(": {}", Quoted(&text)) }
    }
}

fn is_html(kind: &HeaderValue) -> bool {
    kind.to_str().is_ok_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/html"))
}

/// What the lack of an answer means.
fn lost(fault: &reqwest::Error) -> Lost {
    let cause = chain(fault);
    match fault {
        _ if fault.is_connect() || fault.is_builder() => Lost::Unsent(cause),
        _ if fault.is_timeout() => {
            Lost::Doubtful(format!("none came within {} seconds", REQUEST_TIMEOUT.as_secs()))
        }
        _ => Lost::Broken(cause),
    }
}

/// What an answer means that is no result. `said` is empty or begins with its separator.
fn meaning(status: StatusCode, location: Option<&HeaderValue>, said: &str, with_token: bool) -> Lost {
    let number = status.as_u16();
    match number {
        // A page where results should be: nothing that runs SQL answers so.
        200 => Lost::Foreign(format!("with status 200{said}")),
        300..=399 => {
            let to = location.and_then(|to| to.to_str().ok()).unwrap_or("elsewhere");
            Lost::Foreign(format!("with status {number}, a redirect to {to}"))
        }
        401 | 403 if with_token => {
            Lost::Unauthorized(format!("refused the token with status {number}{said}"))
        }
        401 | 403 => Lost::Unauthorized(format!("asks for a token, with status {number}{said}")),
        404 | 405 | 501 => Lost::Foreign(format!("with status {number}{said}")),
        408 | 429 => Lost::Declined(format!("status {number}{said}")),
        400..=499 => Lost::Malformed(format!("status {number}{said}")),
        _ => Lost::Doubtful(format!("status {number}{said}")),
    }
}

/// An error and its causes in one line, without the address, which the message around it names.
fn chain(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // The outer ones say where in the client it happened, and many repeat their cause in their own text.
        let is_about_client = next.starts_with("client error") || next == "tcp connect error";
        if text.is_empty() && !is_about_client {
            text = next;
        } else if !is_about_client && !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    if text.is_empty() { "the request cannot be made".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_say_whether_a_write_may_have_happened() {
        let redirect = HeaderValue::from_static("https://h/");
        for (status, location, token, expected) in [
            (200, None, false, Lost::Foreign("with status 200: why".into())),
            (308, Some(&redirect), false, Lost::Foreign("with status 308, a redirect to https://h/".into())),
            (302, None, false, Lost::Foreign("with status 302, a redirect to elsewhere".into())),
            (400, None, false, Lost::Malformed("status 400: why".into())),
            (401, None, true, Lost::Unauthorized("refused the token with status 401: why".into())),
            (403, None, false, Lost::Unauthorized("asks for a token, with status 403: why".into())),
            (404, None, false, Lost::Foreign("with status 404: why".into())),
            (413, None, false, Lost::Malformed("status 413: why".into())),
            (429, None, false, Lost::Declined("status 429: why".into())),
            (500, None, false, Lost::Doubtful("status 500: why".into())),
            (502, None, false, Lost::Doubtful("status 502: why".into())),
            (503, None, false, Lost::Doubtful("status 503: why".into())),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(meaning(status, location, ": why", token), expected);
        }
    }
}
