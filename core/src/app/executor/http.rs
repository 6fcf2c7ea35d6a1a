//! `http` tasks: the request that the input describes, and what its answer makes of the attempt.

use bytes::Bytes;
use futures_util::future::{Either, select};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};

use crate::engine::RetryWish;
use crate::engine::run::{Category, Failure};
use crate::platform::{FetchError, Platform};
use crate::store::database::Database;
use crate::time::{Duration, Timestamp};
use crate::value::{Object, Payload, Value};

use super::failed;
use crate::app::App;
use crate::app::leases::Ending;
use crate::app::runs::PAYLOAD_BYTES_MAX;
use crate::app::shapes::ClaimedTask;

/// How long an `http` task may take that has no `timeout` of its own.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(300);
impl<D: Database, P: Platform> App<D, P> {
    /// Makes the request. What breaks off while the host is offline is to be made when it is online again.
    pub(super) async fn fetch(&self, task: &ClaimedTask) -> Ending {
        let request = match request(task) {
            Ok(request) => request,
            Err(message) => return failed(Category::Application, "http_request", message, RetryWish::Never),
        };
        let timeout = match task.deadline {
            Some(deadline) => deadline.since(self.now()),
            None => TIMEOUT_DEFAULT,
        };
        let answer = std::pin::pin!(self.platform.fetch(request, PAYLOAD_BYTES_MAX));
        let over = std::pin::pin!(self.platform.sleep(timeout));
        match select(answer, over).await {
            Either::Left((Ok(response), _)) => ending(&response, self.now()),
            Either::Left((Err(FetchError::Network(_)), _)) | Either::Right(_)
                if !self.platform.is_online() =>
            {
                Ending::Release
            }
            Either::Left((Err(error), _)) => refused(&error),
            Either::Right(_) => {
                let message = format!("no answer within {timeout}");
                failed(Category::Timeout, "http_timeout", message, RetryWish::Policy)
            }
        }
    }
}

/// The request that a task's input describes: `{method?, url, headers?, body?}`.
fn request(task: &ClaimedTask) -> Result<Request<Bytes>, String> {
    let input = task.input.to_value();
    let text = |name: &str| match input.get(name) {
        Some(Value::String(text)) => Ok(Some(text.clone())),
        None | Some(Value::Null) => Ok(None),
        Some(other) => Err(format!("`{name}`: expected string, found {}", other.kind())),
    };
    let url = text("url")?.ok_or("`url` is missing")?;
    let uri: http::Uri = url.parse().map_err(|error| format!("`url`: {url:?} is not a URL: {error}"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
        return Err(format!("`url`: expected an http or https URL with a host, found {url:?}"));
    }
    let method = text("method")?.unwrap_or_else(|| "GET".to_owned());
    let method =
        Method::from_bytes(method.as_bytes()).map_err(|_| format!("`method`: {method:?} is no method"))?;
    let mut headers = headers(input.get("headers"))?;
    let body = body(input.get("body").unwrap_or(&Value::Null), &mut headers);
    let key = match task.index {
        None => format!("{}/{}", task.run_id, task.task),
        Some(index) => format!("{}/{}[{index}]", task.run_id, task.task),
    };
    let key = HeaderValue::from_str(&key).map_err(|error| error.to_string())?;
    headers.entry(HeaderName::from_static("idempotency-key")).or_insert(key);
    let mut request = Request::new(body);
    (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, uri, headers);
    Ok(request)
}

fn headers(given: Option<&Value>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let members = match given {
        None | Some(Value::Null) => return Ok(headers),
        Some(Value::Object(members)) => members,
        Some(other) => return Err(format!("`headers`: expected object, found {}", other.kind())),
    };
    for (name, value) in members {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Int(number) => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            other => {
                return Err(format!("`headers`: expected a string for {name:?}, found {}", other.kind()));
            }
        };
        let header = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("`headers`: {name:?} is no header"))?;
        let value = HeaderValue::from_str(&text)
            .map_err(|_| format!("`headers`: the value of {name:?} is no header's"))?;
        headers.insert(header, value);
    }
    Ok(headers)
}

/// Text and bytes go as they are; anything else as JSON.
fn body(body: &Value, headers: &mut HeaderMap) -> Bytes {
    let (bytes, media_type) = match body {
        Value::Null => return Bytes::new(),
        Value::String(text) => (Bytes::from(text.clone()), "text/plain; charset=utf-8"),
        Value::Bytes(bytes) => (Bytes::from(bytes.clone()), "application/octet-stream"),
        other => (Bytes::from(other.to_json()), "application/json"),
    };
    headers.entry(http::header::CONTENT_TYPE).or_insert(HeaderValue::from_static(media_type));
    bytes
}

/// What an answer makes of the attempt: 2xx and 3xx complete it with `{status, headers, body}`.
fn ending(response: &Response<Bytes>, now: Timestamp) -> Ending {
    let output = output(response);
    let status = response.status();
    if status.as_u16() < 400 {
        return Ending::Complete(Payload::from(&output));
    }
    let retryable = status.is_server_error()
        || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS]
            .contains(&status);
    let wish = match (retryable, retry_after(response.headers(), now)) {
        (false, _) => RetryWish::Never,
        (true, Some(after)) => RetryWish::After(after),
        (true, None) => RetryWish::Policy,
    };
    let message = format!("the server answered {status}");
    let failure = Failure {
        details: output,
        ..Failure::new(Category::Application, &format!("http_{}", status.as_u16()), message)
    };
    Ending::Fail(failure, wish)
}

fn output(response: &Response<Bytes>) -> Value {
    let mut headers = Object::new();
    for name in response.headers().keys() {
        let values =
            response.headers().get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        let joined = values.collect::<Vec<_>>().join(", ");
        headers.insert(name.as_str().to_owned(), Value::from(joined));
    }
    let media_type = response.headers().get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let body = response.body();
    let is_json = media_type.is_some_and(|media_type| {
        let essence = crate::http::negotiate::essence(media_type).to_ascii_lowercase();
        essence == "application/json" || essence.ends_with("+json")
    });
    let value = is_json.then(|| Value::from_json(body).ok()).flatten();
    let value = value.unwrap_or_else(|| match std::str::from_utf8(body) {
        Ok("") => Value::Null,
        Ok(text) => Value::from(text),
        Err(_) => Value::Bytes(body.to_vec()),
    });
    let status = Value::Int(i64::from(response.status().as_u16()));
    Value::from([("status", status), ("headers", Value::Object(headers)), ("body", value)])
}

/// `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date. At most a day is obeyed.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    const MAX: Duration = Duration::from_secs(24 * 3600);
    let text = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim();
    let after = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds.min(MAX.as_millis() / 1000)),
        Err(_) => {
            let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
            Timestamp::from_millis(date.as_millisecond()).since(now)
        }
    };
    Some(after.min(MAX))
}

fn refused(error: &FetchError) -> Ending {
    match error {
        FetchError::Network(_) => {
            failed(Category::System, "http_network", error.to_string(), RetryWish::Policy)
        }
        FetchError::Request(_) => {
            failed(Category::Application, "http_request", error.to_string(), RetryWish::Never)
        }
        FetchError::TooLong(_) => {
            failed(Category::Resource, "http_too_long", error.to_string(), RetryWish::Never)
        }
    }
}
