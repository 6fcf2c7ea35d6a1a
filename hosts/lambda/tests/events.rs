//! Every trigger's event, as AWS documents it, against the request that core must see.

use std::path::Path;

use http::{Request, Response, StatusCode};
use selvedge::http::body::Body;
use selvedge_lambda::answer;
use selvedge_lambda::event::{Event, Origin};
use serde_json::{Value, json};

/// `{"id": "r1"}` in MessagePack.
const MSGPACK: &[u8] = b"\x81\xa2id\xa2r1";

fn recorded(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/events").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()))
}

struct Row {
    file: &'static str,
    base_path: &'static str,
    origin: Origin,
    line: &'static str,
    headers: &'static [(&'static str, &'static [&'static str])],
    body: &'static [u8],
}

#[test]
fn core_sees_the_request_that_the_client_sent() {
    let rows = [
        Row {
            file: "rest_api.json",
            base_path: "/prod",
            origin: Origin::ApiGatewayV1,
            line: "POST /prod/api/v1/runs?empty=&tag=a&tag=b+%26+c",
            headers: &[
                ("x-tag", &["one", "two"]),
                ("content-type", &["application/json"]),
                ("host", &["a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com"]),
            ],
            body: r#"{"id":"r1","note":"grün"}"#.as_bytes(),
        },
        Row {
            file: "rest_api.json",
            base_path: "",
            origin: Origin::ApiGatewayV1,
            line: "POST /api/v1/runs?empty=&tag=a&tag=b+%26+c",
            headers: &[("x-tag", &["one", "two"])],
            body: r#"{"id":"r1","note":"grün"}"#.as_bytes(),
        },
        Row {
            file: "rest_api_custom_domain.json",
            base_path: "/flows",
            origin: Origin::ApiGatewayV1,
            line: "GET /flows/api/v1/runs/r1/tasks/name%5B0%5D",
            headers: &[("accept", &["application/msgpack"]), ("host", &["api.example.com"])],
            body: b"",
        },
        Row {
            file: "http_api_format_1.json",
            base_path: "",
            origin: Origin::ApiGatewayV1,
            line: "POST /api/v1/runs?limit=5",
            headers: &[("content-type", &["application/msgpack"])],
            body: MSGPACK,
        },
        Row {
            file: "http_api_format_1.json",
            base_path: "/prod",
            origin: Origin::ApiGatewayV1,
            line: "POST /prod/api/v1/runs?limit=5",
            headers: &[("content-length", &["7"])],
            body: MSGPACK,
        },
        Row {
            file: "http_api.json",
            base_path: "",
            origin: Origin::ApiGatewayV2,
            line: "POST /api/v1/runs/r1/tasks/name%5B0%5D/signals?empty=&tag=a&tag=b%20%26%20c",
            headers: &[
                ("accept", &["application/json, text/html"]),
                ("cookie", &["one=1; two=2"]),
                ("content-type", &["application/json"]),
            ],
            body: r#"{"input":"ü"}"#.as_bytes(),
        },
        Row {
            file: "http_api_default_stage.json",
            base_path: "/flows",
            origin: Origin::ApiGatewayV2,
            line: "GET /flows/api/v1/runs",
            headers: &[("accept", &["*/*"]), ("cookie", &[])],
            body: b"",
        },
        Row {
            file: "function_url.json",
            base_path: "",
            origin: Origin::ApiGatewayV2,
            line: "POST /api/v1/runs",
            headers: &[("idempotency-key", &["k1"]), ("cookie", &["s=1"])],
            body: MSGPACK,
        },
        Row {
            file: "function_url.json",
            base_path: "/flows",
            origin: Origin::ApiGatewayV2,
            line: "POST /api/v1/runs",
            headers: &[],
            body: MSGPACK,
        },
        Row {
            file: "load_balancer.json",
            base_path: "/flows",
            origin: Origin::LoadBalancer,
            line: "GET /flows/api/v1/runs?q=a+b&tag=b+%26+c",
            headers: &[("accept", &["application/json"]), ("host", &["flows.example.com"])],
            body: b"",
        },
        Row {
            file: "load_balancer_multi_value.json",
            base_path: "/flows",
            origin: Origin::LoadBalancer,
            line: "PUT /flows/api/v1/runs/r1/tasks/name%5B0%5D?tag=a&tag=b+%26+c",
            headers: &[
                ("x-tag", &["one", "two"]),
                ("cookie", &["one=1", "two=2"]),
                ("host", &["not a host"]),
            ],
            body: MSGPACK,
        },
    ];
    for row in rows {
        let name = format!("{} under {:?}", row.file, row.base_path);
        match Event::read(&recorded(row.file), row.base_path) {
            Ok(Event::Request(origin, request)) => {
                assert_eq!(origin, row.origin, "{name}");
                assert_eq!(line(&request), row.line, "{name}");
                for (header, values) in row.headers {
                    let found: Vec<_> = request.headers().get_all(*header).iter().collect();
                    assert_eq!(found, *values, "{name}: {header}");
                }
                assert_eq!(&request.body()[..], row.body, "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

/// Method and target; parameters in order of their names, since events keep no other.
fn line<B>(request: &Request<B>) -> String {
    let (path, query) = (request.uri().path(), request.uri().query());
    let query = query.map(|query| {
        let mut pairs: Vec<&str> = query.split('&').collect();
        pairs.sort_by_key(|pair| pair.split('=').next());
        format!("?{}", pairs.join("&"))
    });
    format!("{} {path}{}", request.method(), query.unwrap_or_default())
}

#[test]
fn schedules_and_ticks_drive() {
    for file in ["scheduled_event.json", "scheduler.json", "tick.json"] {
        let event = Event::read(&recorded(file), "/flows");
        assert!(matches!(event, Ok(Event::Tick)), "{file}: {event:?}");
    }
    assert!(matches!(Event::read(r#"{"tick": null}"#, ""), Ok(Event::Tick)));
}

#[test]
fn what_is_not_for_this_function_is_named() {
    let expected = "expected an event of API Gateway, a function URL or a load balancer, a scheduled event, or {\"tick\": {}}";
    for (event, found) in [
        (recorded("sqs.json"), "found an object with the members Records"),
        (recorded("websocket.json"), "found an object with the members headers, isBase64Encoded"),
        ("{}".to_owned(), "found an empty object"),
        ("[]".to_owned(), "found an array"),
        ("\"tick\"".to_owned(), "found a string"),
        ("1".to_owned(), "found neither object nor array"),
        (
            r#"{"detail-type": "EC2 Instance State-change Notification"}"#.to_owned(),
            "the members detail-type",
        ),
    ] {
        let fault = Event::read(&event, "").expect_err(found).to_string();
        assert!(fault.starts_with(expected) && fault.contains(found), "{fault}");
    }
}

#[test]
fn a_broken_event_is_an_error_and_no_panic() {
    let mut event: Value = serde_json::from_str(&recorded("function_url.json")).expect("JSON");
    event["body"] = json!("no base64!");
    let fault = Event::read(&event.to_string(), "").expect_err("no base64").to_string();
    assert!(fault.starts_with("the event's body is not base64"), "{fault}");
    event["requestContext"]["http"]["method"] = json!(7);
    let fault = Event::read(&event.to_string(), "").expect_err("no method").to_string();
    assert!(
        fault.starts_with("expected an event of API Gateway (format 2.0) or a function URL: "),
        "{fault}"
    );
}

#[tokio::test]
async fn aws_gets_the_answer_in_the_form_of_its_trigger() {
    let json = || {
        Response::builder()
            .status(StatusCode::CREATED)
            .header("content-type", "application/problem+json")
            .header("location", "/flows/api/v1/runs/r1")
            .header("vary", "accept")
            .header("vary", "accept-encoding")
            .header("set-cookie", "a=1")
            .header("set-cookie", "b=2")
            .body(Body::full("{\"a\":\"ü\"}"))
            .expect("a valid response")
    };
    let several = json!({
        "content-type": ["application/problem+json"], "location": ["/flows/api/v1/runs/r1"],
        "vary": ["accept", "accept-encoding"], "set-cookie": ["a=1", "b=2"],
    });
    let one = json!({
        "content-type": "application/problem+json", "location": "/flows/api/v1/runs/r1",
        "vary": "accept, accept-encoding",
    });
    let body = "{\"a\":\"ü\"}";
    for (origin, expected) in [
        (
            Origin::ApiGatewayV1,
            json!({ "statusCode": 201, "multiValueHeaders": several, "body": body, "isBase64Encoded": false }),
        ),
        (
            Origin::ApiGatewayV2,
            json!({
                "statusCode": 201, "headers": one, "cookies": ["a=1", "b=2"], "body": body,
                "isBase64Encoded": false,
            }),
        ),
        (
            Origin::LoadBalancer,
            json!({
                "statusCode": 201, "statusDescription": "201 Created", "headers": one,
                "multiValueHeaders": several, "body": body, "isBase64Encoded": false,
            }),
        ),
    ] {
        assert_eq!(answer::write(origin, json()).await, expected, "{origin:?}");
    }
}

#[tokio::test]
async fn only_plain_text_travels_as_text() {
    for (headers, body, text) in [
        (&[("content-type", "application/json")][..], &b"{}"[..], Some("{}")),
        (&[("content-type", "application/problem+json")], b"{}", Some("{}")),
        (&[("content-type", "application/yaml; charset=utf-8")], b"a: 1", Some("a: 1")),
        (&[("content-type", "text/html; charset=utf-8")], b"<p>", Some("<p>")),
        (&[], b"", Some("")),
        (&[("content-type", "application/msgpack")], b"\x01", None),
        (&[("content-type", "application/vnd.msgpack")], b"a", None),
        (&[("content-type", "application/problem+msgpack")], b"a", None),
        (&[("content-type", "application/octet-stream")], b"a", None),
        (&[("content-type", "text/plain")], b"\xff\xfe", None),
        (&[("content-type", "application/json"), ("content-encoding", "gzip")], b"{}", None),
    ] {
        let mut response = Response::builder();
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let response = response.body(Body::full(body)).expect("a valid response");
        let answer = answer::write(Origin::ApiGatewayV2, response).await;
        let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, body);
        assert_eq!(answer["isBase64Encoded"], json!(text.is_none()), "{headers:?}");
        assert_eq!(answer["body"], json!(text.unwrap_or(&encoded)), "{headers:?}");
    }
}
