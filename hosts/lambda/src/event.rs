//! From an invocation's event to a request, or to "drive the timers".
//!
//! `lambda_http` knows the shapes of the triggers and their queries and cookies. Three things it does
//! differently from what a server behind a socket would see, so they are read from the event itself: the path
//! (it puts stages before paths and resolves dots), headers with several values (of API Gateway's and the load
//! balancer's it keeps one), and the body (it panics on one that is not base64).

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Request, Uri};
use lambda_http::request::LambdaRequest;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::place::{self, Mapping, Told};

/// What an invocation asks for.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "one is made for each invocation, and taken apart at once")]
pub enum Event {
    /// An HTTP request, and who expects its answer in which form.
    Request(Origin, Request<Bytes>),
    /// Fire what is due: from a schedule, or `{"tick": …}`.
    Tick,
}

/// Who sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A REST API, or an HTTP API with payloads of format 1.0.
    ApiGatewayV1,
    /// An HTTP API with payloads of format 2.0, or a function URL.
    ApiGatewayV2,
    /// An Application Load Balancer.
    LoadBalancer,
}

impl Origin {
    /// How long an answer in JSON may be: a function's at most 6 MiB, to a load balancer 1 MiB.
    pub fn answer_bytes_max(self) -> usize {
        match self {
            Origin::ApiGatewayV1 | Origin::ApiGatewayV2 => 6 << 20,
            Origin::LoadBalancer => 1 << 20,
        }
    }
}

/// Why an event cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// It is none of those that this function is for.
    #[error(
        "expected an event of API Gateway, a function URL or a load balancer, a scheduled event, or \
         {{\"tick\": {{}}}}, found {0}"
    )]
    Unknown(String),
    /// It has the marks of a trigger and not its shape.
    #[error("expected an event of {trigger}: {fault}")]
    Shape {
        /// The trigger.
        trigger: &'static str,
        /// What is wrong.
        fault: serde_json::Error,
    },
    /// The body is said to be base64.
    #[error("the event's body is not base64: {0}")]
    Body(base64::DecodeError),
    /// Path and query make no URI.
    #[error("the event's path and query make no URI: {0}")]
    Target(http::uri::InvalidUri),
}

/// The members of an event, not looked into.
type Members<'a> = BTreeMap<String, &'a RawValue>;

/// What was taken out of an event before `lambda_http` converts the rest.
struct Taken {
    path: String,
    query: Option<String>,
    headers: HeaderMap,
    body: Option<String>,
    is_base64: bool,
}

impl Event {
    /// Reads an event in JSON, for a server that is mounted under `base_path`.
    ///
    /// # Errors
    /// When it is no event that this function is for, or a broken one.
    pub fn read(json: &str, base_path: &str) -> Result<Self, EventError> {
        let Ok(members) = serde_json::from_str::<Members<'_>>(json) else {
            return Err(EventError::Unknown(kind(json)));
        };
        if is_tick(&members) {
            return Ok(Event::Tick);
        }
        let (origin, event, taken) = match trigger(&members) {
            Some(Origin::ApiGatewayV1) => rest(json, &members, base_path)?,
            Some(Origin::ApiGatewayV2) => http_api(json, base_path)?,
            Some(Origin::LoadBalancer) => load_balancer(json, base_path)?,
            None => return Err(EventError::Unknown(names(&members))),
        };
        Ok(Event::Request(origin, request(event, taken)?))
    }
}

fn is_tick(members: &Members<'_>) -> bool {
    members.contains_key("tick")
        || members.get("detail-type").is_some_and(|kind| kind.get() == "\"Scheduled Event\"")
}

/// Whose event it is, by the members that only that one has.
fn trigger(members: &Members<'_>) -> Option<Origin> {
    let context: Members<'_> = serde_json::from_str(members.get("requestContext")?.get()).ok()?;
    if context.contains_key("elb") {
        Some(Origin::LoadBalancer)
    } else if context.contains_key("http") {
        Some(Origin::ApiGatewayV2)
    } else if members.contains_key("httpMethod") && !context.contains_key("connectionId") {
        Some(Origin::ApiGatewayV1)
    } else {
        None
    }
}

fn rest(
    json: &str,
    members: &Members<'_>,
    base_path: &str,
) -> Result<(Origin, LambdaRequest, Taken), EventError> {
    let mut event: lambda_http::aws_lambda_events::apigw::ApiGatewayProxyRequest =
        parsed(json, "API Gateway (format 1.0)")?;
    let path = event.path.take().unwrap_or_default();
    // Only an HTTP API says its version, and only its path has the stage.
    let is_http_api = members.contains_key("version");
    let told = Told {
        path: &path,
        whole: event.request_context.path.as_deref(),
        stage: event.request_context.stage.as_deref().filter(|_| is_http_api),
        mapping: Mapping::Hidden,
    };
    let taken = Taken {
        path: place::place(&told, base_path),
        query: None,
        headers: merged(std::mem::take(&mut event.multi_value_headers), std::mem::take(&mut event.headers)),
        body: event.body.take(),
        is_base64: event.is_base64_encoded,
    };
    Ok((Origin::ApiGatewayV1, LambdaRequest::ApiGatewayV1(event), taken))
}

fn http_api(json: &str, base_path: &str) -> Result<(Origin, LambdaRequest, Taken), EventError> {
    let mut event: lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest =
        parsed(json, "API Gateway (format 2.0) or a function URL")?;
    let path = event.raw_path.take().unwrap_or_default();
    let domain = event.request_context.domain_name.as_deref().unwrap_or_default();
    // Function URLs have the same shape, and nothing before them.
    let mapping = if domain.contains(".lambda-url.") { Mapping::None } else { Mapping::Hidden };
    let told = Told { path: &path, whole: None, stage: event.request_context.stage.as_deref(), mapping };
    let taken = Taken {
        path: place::place(&told, base_path),
        query: event.raw_query_string.take().filter(|query| !query.is_empty()),
        headers: std::mem::take(&mut event.headers),
        body: event.body.take(),
        is_base64: event.is_base64_encoded,
    };
    // The decoded form says the same once more.
    event.query_string_parameters = Default::default();
    Ok((Origin::ApiGatewayV2, LambdaRequest::ApiGatewayV2(event), taken))
}

fn load_balancer(json: &str, base_path: &str) -> Result<(Origin, LambdaRequest, Taken), EventError> {
    let mut event: lambda_http::aws_lambda_events::alb::AlbTargetGroupRequest =
        parsed(json, "a load balancer")?;
    let path = event.path.take().unwrap_or_default();
    let told = Told { path: &path, whole: None, stage: None, mapping: Mapping::None };
    let taken = Taken {
        path: place::place(&told, base_path),
        query: None,
        headers: merged(std::mem::take(&mut event.multi_value_headers), std::mem::take(&mut event.headers)),
        body: event.body.take(),
        is_base64: event.is_base64_encoded,
    };
    Ok((Origin::LoadBalancer, LambdaRequest::Alb(event), taken))
}

/// The request, of what `lambda_http` made of the rest and of what was taken.
fn request(event: LambdaRequest, taken: Taken) -> Result<Request<Bytes>, EventError> {
    let (mut parts, _) = lambda_http::Request::from(event).into_parts();
    let query = taken.query.as_deref().or(parts.uri.query()).map(place::query);
    let target = match query {
        Some(query) => format!("{}?{query}", taken.path),
        None => taken.path,
    };
    parts.uri = target.parse::<Uri>().map_err(EventError::Target)?;
    // What is left there are the cookies of format 2.0.
    let cookies = std::mem::replace(&mut parts.headers, taken.headers);
    parts.headers.extend(cookies);
    parts.extensions = http::Extensions::default();
    let body = match taken.body {
        Some(body) if taken.is_base64 => STANDARD.decode(body).map_err(EventError::Body)?,
        body => body.unwrap_or_default().into_bytes(),
    };
    Ok(Request::from_parts(parts, body.into()))
}

/// All values of all headers: those with one value may be in one of the maps only.
fn merged(mut several: HeaderMap, one: HeaderMap) -> HeaderMap {
    for (name, value) in &one {
        if !several.contains_key(name) {
            several.insert(name, value.clone());
        }
    }
    several
}

fn parsed<T: DeserializeOwned>(json: &str, trigger: &'static str) -> Result<T, EventError> {
    serde_json::from_str(json).map_err(|fault| EventError::Shape { trigger, fault })
}

fn kind(json: &str) -> String {
    match json.trim_start().as_bytes().first() {
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b'{') => "an object that is not valid",
        _ => "neither object nor array",
    }
    .to_owned()
}

fn names(members: &Members<'_>) -> String {
    const NAMES_MAX: usize = 12;
    let names: Vec<&str> = members.keys().take(NAMES_MAX).map(String::as_str).collect();
    match names.as_slice() {
        [] => "an empty object".to_owned(),
        names => format!("an object with the members {}", names.join(", ")),
    }
}
