//! The server behind the Lambda adapter, in process: requests become the events of AWS, answers come back as what
//! AWS makes of them. The kinds of events take turns.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration as RealDuration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::Full;
use selvedge::http::body::Body;
use selvedge::time::{Duration, Timestamp};
use selvedge::{App, Settings};
use selvedge_lambda::{Drive, Function, Server};
use selvedge_puppet::faulty::{Faulty, Mode};
use selvedge_puppet::{Ground, VirtualPlatform};
use serde_json::{Map, Value, json};

use crate::engine::running;
use crate::host::{Host, Storage};
use crate::tcp::CODINGS;

/// More than any case takes.
const INVOCATION_TIME: RealDuration = RealDuration::from_secs(600);

/// Who sends the events.
#[derive(Debug, Clone, Copy)]
enum Trigger {
    RestApi,
    HttpApi,
    FunctionUrl,
    LoadBalancer,
}

const TRIGGERS: [Trigger; 4] =
    [Trigger::FunctionUrl, Trigger::RestApi, Trigger::LoadBalancer, Trigger::HttpApi];

/// The server that the function finds. What is to be driven is the player's business.
#[derive(Clone)]
struct Behind(Arc<App<Faulty<Storage>, VirtualPlatform>>);

impl Server for Behind {
    async fn handle(&self, request: Request<Bytes>) -> Response<Body> {
        self.0.handle(request.map(Full::new)).await
    }

    async fn drive(&self, _: RealDuration) -> Option<Timestamp> {
        None
    }

    async fn woken(&self) {
        std::future::pending().await
    }

    fn now(&self) -> Timestamp {
        selvedge_puppet::START
    }
}

/// Requests are events given to the function.
pub struct LambdaEvents<O> {
    ground: Ground<Storage>,
    function: Function<Behind, O>,
    turn: Cell<usize>,
}

/// A function whose server is on this empty database.
pub async fn events(database: Storage, settings: Settings) -> impl Host + 'static {
    let base_path = settings.base_path.clone();
    let ground = Ground::new(database, settings, running(VirtualPlatform::compressing(1, CODINGS))).await;
    let server = Behind(ground.server.clone());
    let function = Function::new(async move || Ok(server.clone()), base_path, Drive::Never);
    LambdaEvents { ground, function, turn: Cell::new(0) }
}

impl<O: AsyncFn() -> Result<Behind, String>> Host for LambdaEvents<O> {
    async fn send(&self, request: Request<Bytes>) -> Response<Bytes> {
        let trigger = TRIGGERS[self.turn.replace(self.turn.get() + 1) % TRIGGERS.len()];
        let event = event(trigger, &request).to_string();
        let (answer, rest) = self.function.invoke(&event, INVOCATION_TIME).await.expect("an event of AWS");
        assert!(rest.is_none(), "nothing is driven after the answer");
        response(trigger, &serde_json::from_str(answer.get()).expect("answers are JSON"))
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

    async fn notices(&self, _: usize) {
        // A dropped future has dropped the call.
    }
}

/// The event that AWS makes of a request.
fn event(trigger: Trigger, request: &Request<Bytes>) -> Value {
    let (method, path) = (request.method().as_str(), request.uri().path());
    let query = request.uri().query().unwrap_or_default();
    let (body, is_base64) = match std::str::from_utf8(request.body()) {
        Ok(text) => (text.to_owned(), false),
        Err(_) => (STANDARD.encode(request.body()), true),
    };
    match trigger {
        Trigger::HttpApi | Trigger::FunctionUrl => {
            let (domain, stage) = match trigger {
                Trigger::HttpApi => ("a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com", "prod"),
                _ => ("url123.lambda-url.eu-central-1.on.aws", "$default"),
            };
            // A stage stands before the path.
            let path = if stage == "prod" { format!("/prod{path}") } else { path.to_owned() };
            let mut headers = headers(request.headers(), |values| values.join(",").into());
            let cookies = headers.remove("cookie");
            let cookies = cookies
                .and_then(|text| Some(text.as_str()?.split("; ").map(str::to_owned).collect::<Vec<_>>()));
            json!({
                "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query,
                "cookies": cookies, "headers": headers,
                "requestContext": {
                    "domainName": domain, "stage": stage, "http": { "method": method, "path": path },
                },
                "body": body, "isBase64Encoded": is_base64,
            })
        }
        Trigger::RestApi => json!({
            "resource": "/{proxy+}", "path": path, "httpMethod": method,
            "headers": headers(request.headers(), |values| values[values.len() - 1].clone().into()),
            "multiValueHeaders": headers(request.headers(), |values| values.into()),
            "queryStringParameters": null,
            "multiValueQueryStringParameters": parameters(query, decoded),
            "requestContext": { "path": path, "stage": "prod", "httpMethod": method },
            "body": body, "isBase64Encoded": is_base64,
        }),
        Trigger::LoadBalancer => json!({
            "requestContext": { "elb": { "targetGroupArn": "arn:aws:elasticloadbalancing:x" } },
            "httpMethod": method, "path": path,
            "multiValueHeaders": headers(request.headers(), |values| values.into()),
            "multiValueQueryStringParameters": parameters(query, str::to_owned),
            "body": body, "isBase64Encoded": is_base64,
        }),
    }
}

fn headers(headers: &HeaderMap, value: impl Fn(Vec<String>) -> Value) -> Map<String, Value> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let values = |name| value(headers.get_all(name).iter().map(text).collect());
    headers.keys().map(|name| (name.to_string(), values(name))).collect()
}

/// The values of each parameter, as they are or decoded.
fn parameters(query: &str, read: impl Fn(&str) -> String) -> Map<String, Value> {
    let mut parameters = Map::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let values = parameters.entry(read(name)).or_insert_with(|| json!([]));
        values.as_array_mut().expect("it was made as one").push(read(value).into());
    }
    parameters
}

fn decoded(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned()
}

/// The response that AWS makes of a function's answer.
fn response(trigger: Trigger, answer: &Value) -> Response<Bytes> {
    let body = answer["body"].as_str().expect("the body is a text");
    let body = match answer["isBase64Encoded"].as_bool().expect("it says what the body is") {
        true => STANDARD.decode(body).expect("the body is base64"),
        false => body.as_bytes().to_vec(),
    };
    let mut response = Response::new(Bytes::from(body));
    let status = answer["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok());
    let status = status.and_then(|status| http::StatusCode::from_u16(status).ok());
    *response.status_mut() = status.expect("the answer has a status");
    let headers = match trigger {
        Trigger::HttpApi | Trigger::FunctionUrl => &answer["headers"],
        Trigger::RestApi | Trigger::LoadBalancer => &answer["multiValueHeaders"],
    };
    for (name, values) in headers.as_object().expect("headers are an object") {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
        let several = values.as_array().cloned().unwrap_or_else(|| vec![values.clone()]);
        for value in several {
            let value = HeaderValue::from_str(value.as_str().expect("a text")).expect("a header's value");
            response.headers_mut().append(name.clone(), value);
        }
    }
    response
}
