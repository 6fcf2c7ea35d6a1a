//! Whole requests through `open`, a small handler and `close`, as rows.

use std::future::Future;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};

use super::answer::{Answer, AnswerBody};
use super::body::Body;
use super::exchange::{Exchange, Opened};
use super::limits::{ERRORS_MAX, HEADERS_BYTES_MAX, HEADERS_MAX, URL_BYTES_MAX};
use super::problem::Slug;
use super::reply;
use super::sample;
use crate::platform::{Encoding, FetchError, Platform};
use crate::time::{Duration, Timestamp};
use crate::value::{Payload, Value};

const BODY_BYTES_MAX: usize = 200;

/// What a row looks at.
struct Seen {
    status: u16,
    headers: http::HeaderMap,
    body: Bytes,
}

/// Request line | headers | body | status and problem type | part of the detail.
const REFUSED: &str = r#"
GET /things | - | - | 404 unknown-route | mounted under /base, "/things" is not below
GET /basement/things | - | - | 404 unknown-route | mounted under /base
GET /base | - | - | 404 unknown-route | no operation has the path ""
GET /base/things/ | - | - | 404 unknown-route | did you mean /base/things?
GET /base/nothing/ | - | - | 404 unknown-route | the path "/nothing/"
PATCH /base/things | - | - | 405 method-not-allowed | takes GET, HEAD, POST, OPTIONS, found PATCH
GET /base/things?lmiit=3 | - | - | 400 invalid-parameter | did you mean limit?
GET /base/things?limit=0 | - | - | 400 invalid-parameter | /query/limit: expected a limit from 1
GET /base/things?tag=%ff | - | - | 400 invalid-parameter | /query/tag: expected UTF-8
GET /base/things/x?limit=1 | - | - | 400 invalid-parameter | this operation takes none
GET /base/things/%ff | - | - | 400 invalid-parameter | /path/id: expected UTF-8
GET /base/things/a%2Fb | - | - | 400 invalid-parameter | /path/id: a run id must match
GET /base/things/gone | - | - | 404 not-found | there is no thing gone
GET /base/things | accept: text/html | - | 406 not-acceptable | application/json, application/msgpack
GET /base/things/x/picture | accept: image/png | - | 406 not-acceptable | text/vnd.mermaid
GET /base/things | - | {} | 400 malformed-request | takes no body, found one
POST /base/things | - | {} | 415 unsupported-media-type | expected a Content-Type; this operation takes application/json, application/msgpack
POST /base/things | content-type: text/plain | {} | 415 unsupported-media-type | text/plain
POST /base/things | content-type: application/yaml | {} | 415 unsupported-media-type | application/yaml
PUT /base/things/x | content-type: text/csv | a | 415 unsupported-media-type | application/toml
POST /base/things | content-type: application/json ++ content-encoding: gzip | {} | 415 unsupported-media-type | without Content-Encoding, found gzip
POST /base/things | content-type: application/json ++ content-length: 201 | {} | 413 body-too-large | longer than 200 bytes
POST /base/things | content-type: application/json | - | 400 malformed-request | expected a body, found none
POST /base/things | content-type: application/json | { | 400 malformed-request | the body is not valid JSON
PUT /base/things/x | - | - | 400 malformed-request | expected a body
PUT /base/things/x | content-type: text/yaml ++ if-match: 7 | a: 1 | 400 invalid-parameter | /header/if-match
PUT /base/things/x | content-type: text/yaml ++ if-match: "6-json-identity" | a: 1 | 412 precondition-failed | version 7
POST /base/things/x/stop | idempotency-key: a b | - | 400 invalid-parameter | /header/idempotency-key
POST /base/things/x/stop | content-type: application/json | {"grace": "soon"} | 400 malformed-request | expected a duration
GET /base/problems/nonsense | - | - | 404 not-found | there is no problem type nonsense
"#;

/// Request line | headers | body | status | headers, `!` for none | body, `...` for any.
const ANSWERED: &str = r#"
GET /base/things/x | - | - | 200 | content-type: application/json ++ content-length: 22 | {"id":"x","data":null}
GET /base/things/x | - | - | 200 | etag: "7-json-identity" ++ cache-control: no-cache ++ vary: Accept, Accept-Encoding | {"id":"x","data":null}
GET /base/things/x | x-request-id: mine | - | 200 | x-request-id: mine | {"id":"x","data":null}
GET /base/things/x | x-request-id: not mine | - | 200 | x-request-id: 000102030405060708090a0b0c0d0e0f | {"id":"x","data":null}
HEAD /base/things/x | - | - | 200 | content-type: application/json ++ content-length: 22 | -
HEAD /base/things/x | - | - | 200 | etag: "7-json-identity" | -
GET /base/things/x | accept: application/vnd.msgpack | - | 200 | content-type: application/vnd.msgpack ++ etag: "7-msgpack-identity" | ...
GET /base/things/x | if-none-match: "7-json-identity" | - | 304 | etag: "7-json-identity" ++ !content-length ++ !content-type ++ vary: Accept, Accept-Encoding | -
HEAD /base/things/x | if-none-match: W/"a", W/"7-json-identity" | - | 304 | etag: "7-json-identity" | -
GET /base/things/x | if-none-match: * | - | 304 | - | -
GET /base/things/x | if-none-match: "7-msgpack-identity" | - | 200 | - | {"id":"x","data":null}
GET /base/things/x | if-none-match: nonsense | - | 200 | - | {"id":"x","data":null}
GET /base/things | if-none-match: * | - | 200 | cache-control: no-store ++ !etag | {"items":[],"next_cursor":"50"}
GET /base/things?limit=2&tag=a&tag=b&attribute.x=1 | - | - | 200 | - | {"items":[{"id":"a","data":null},{"id":"b","data":null},{"id":"x-1","data":null}],"next_cursor":"2"}
POST /base/things | content-type: application/json | {"id":"a","count":1,"data":{"b":[1.5]}} | 201 | location: /base/things/a ++ cache-control: no-store | {"id":"a","data":{"b":[1.5]}}
POST /base/things | content-type: Application/JSON; charset=utf-8 ++ idempotency-key: k1 | {"id":"a","count":1} | 201 | idempotency-replayed: true | {"id":"a","data":null}
POST /base/things/x/stop | - | - | 202 | - | {"id":"x","data":"30s"}
POST /base/things/x/stop | content-type: application/json | - | 202 | - | {"id":"x","data":"30s"}
POST /base/things/x/stop | content-type: application/json | {"grace":"90m"} | 202 | - | {"id":"x","data":"90m"}
PUT /base/things/x | content-type: text/yaml ++ if-match: "7-msgpack-gzip" | a: 1 | 200 | - | {"id":"x","data":"Yaml a: 1"}
PUT /base/things/x | content-type: application/toml ++ content-encoding: identity | a = 1 | 200 | - | {"id":"x","data":"Toml a = 1"}
DELETE /base/things/x | accept: image/png | - | 204 | !content-length ++ !content-type ++ !etag | -
OPTIONS /base/things/x | - | - | 204 | allow: GET, HEAD, PUT, DELETE, OPTIONS ++ !content-length | -
GET /base/things/x/picture | accept: text/* | - | 200 | content-type: text/vnd.graphviz; charset=utf-8 ++ etag: "7-vndgraphviz-identity" | digraph {}
GET /base/things/x/picture | - | - | 200 | content-type: application/json | {"id":"x","data":null}
GET /base/problems/not-found | accept: text/html,*/*;q=0.8 | - | 200 | content-type: text/html; charset=utf-8 ++ x-content-type-options: nosniff | ...
"#;

#[test]
fn requests_that_are_refused() {
    for [line, headers, body, expected, detail] in rows(REFUSED) {
        let seen = exchange(line, headers, body.as_bytes());
        let document = Value::from_json(&seen.body).expect("JSON");
        let text = |name: &str| document.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let kind = text("type");
        let slug = kind.strip_prefix("/base/problems/").expect("a link to a problem page");
        assert_eq!(format!("{} {slug}", seen.status), expected, "{line} {headers}: {}", text("detail"));
        assert_eq!(document.get("status"), Some(&Value::Int(seen.status.into())), "{line}");
        assert!(text("detail").contains(detail), "{line}: {}", text("detail"));
        assert_eq!(seen.header("content-type"), "application/problem+json");
        assert_eq!(seen.header("x-request-id"), text("instance"));
        assert_eq!(seen.header("cache-control"), "no-store");
    }
}

#[test]
fn requests_that_are_answered() {
    for [line, headers, body, status, expected, text] in rows(ANSWERED) {
        let seen = exchange(line, headers, body.as_bytes());
        assert_eq!(seen.status.to_string(), status, "{line} {headers}: {:?}", seen.body);
        for row in expected.split(" ++ ").filter(|row| !row.is_empty()) {
            match row.strip_prefix('!') {
                Some(name) => assert!(!seen.headers.contains_key(name), "{line} {headers}: {name}"),
                None => {
                    let (name, value) = row.split_once(": ").expect("name and value");
                    assert_eq!(seen.header(name), value, "{line} {headers}: {name}");
                }
            }
        }
        assert!(text == "..." || seen.body == text, "{line} {headers}: {:?}", seen.body);
    }
}

/// The rows of a table; `-` is an empty cell.
fn rows<const N: usize>(table: &'static str) -> impl Iterator<Item = [&'static str; N]> {
    table.lines().filter(|line| !line.is_empty()).map(|line| {
        let cells: Vec<&str> = line.split(" | ").map(|cell| if cell == "-" { "" } else { cell }).collect();
        cells.try_into().expect("every row has all its cells")
    })
}

#[test]
fn every_fault_of_a_body_is_named_in_both_formats() {
    let json = br#"{"id": 7, "cuont": 1, "data": []}"#;
    let msgpack = Value::from_json(json).expect("JSON").to_msgpack();
    for (format, body) in [("json", json.to_vec()), ("msgpack", msgpack)] {
        let seen = exchange("POST /base/things", &format!("content-type: application/{format}"), &body);
        let document = Value::from_json(&seen.body).expect("JSON");
        let errors = document.get("errors").and_then(Value::as_array).expect("a list");
        let mut pointers: Vec<_> = errors.iter().filter_map(|error| error.get("pointer")?.as_str()).collect();
        pointers.sort_unstable();
        assert_eq!(pointers, ["", "/cuont", "/id"], "{format}: {document:?}");
    }
}

#[test]
fn problems_are_written_in_the_format_that_is_preferred() {
    for (accept, expected) in [
        ("application/json", "application/problem+json"),
        ("application/msgpack", "application/problem+msgpack"),
        ("application/msgpack;q=0.1, image/png", "application/problem+msgpack"),
        ("image/png", "application/problem+json"),
    ] {
        let seen = exchange("GET /base/things/gone", &format!("accept: {accept}"), b"");
        assert_eq!(seen.header("content-type"), expected, "{accept}");
        if expected.ends_with("msgpack") {
            let document = Value::from_msgpack(&seen.body).expect("MessagePack");
            assert_eq!(document.get("status"), Some(&Value::Int(404)));
        }
    }
}

#[test]
fn problems_carry_their_headers() {
    let seen = exchange("GET /base/things/busy", "", b"");
    assert_eq!((seen.status, seen.header("retry-after")), (503, "2"));
    let seen = exchange("DELETE /base/things", "", b"");
    assert_eq!((seen.status, seen.header("allow")), (405, "GET, HEAD, POST, OPTIONS"));
    let seen = exchange("HEAD /base/things/gone", "", b"");
    assert_eq!((seen.status, seen.body.len()), (404, 0));
    assert_ne!(seen.header("content-length"), "0");
}

#[test]
fn urls_and_header_sections_are_bounded() {
    let target = |bytes: usize| {
        format!("GET /base/things?cursor={}", "x".repeat(bytes - "/base/things?cursor=".len()))
    };
    let wide = |bytes: usize| format!("a: {}", "x".repeat(bytes - 1));
    let many = |count: usize| (0..count).map(|n| format!("a{n}: x")).collect::<Vec<_>>().join(" ++ ");
    let line = "GET /base/things".to_owned();
    for (line, headers, status) in [
        (target(URL_BYTES_MAX), String::new(), 200),
        (target(URL_BYTES_MAX + 1), String::new(), 414),
        (line.clone(), wide(HEADERS_BYTES_MAX), 200),
        (line.clone(), wide(HEADERS_BYTES_MAX + 1), 431),
        (line.clone(), many(HEADERS_MAX), 200),
        (line, many(HEADERS_MAX + 1), 431),
    ] {
        assert_eq!(exchange(&line, &headers, b"").status, status, "{} {}", line.len(), headers.len());
    }
}

#[test]
fn long_bodies_are_compressed_if_the_client_takes_it() {
    for (id, accept, coding, etag) in [
        ("long", "gzip", "gzip", "\"7-json-gzip\""),
        ("long", "br;q=1, *;q=0.5", "gzip", "\"7-json-gzip\""),
        ("long", "br", "", "\"7-json-identity\""),
        ("x", "gzip", "", "\"7-json-identity\""),
    ] {
        let seen = exchange(&format!("GET /base/things/{id}"), &format!("accept-encoding: {accept}"), b"");
        assert_eq!(seen.header("content-encoding"), coding, "{id} {accept}");
        assert_eq!(seen.header("etag"), etag, "{id} {accept}");
        assert_eq!(seen.header("content-length"), seen.body.len().to_string());
        assert_eq!(seen.body.starts_with(b"gzip of "), coding == "gzip");
    }
    let headers = "accept-encoding: gzip ++ if-none-match: \"7-json-gzip\"";
    let seen = exchange("GET /base/things/long", headers, b"");
    assert_eq!((seen.status, seen.header("content-encoding")), (304, ""));
}

#[test]
fn binary_survives_both_ways() {
    let body =
        Value::from([("id", "a".into()), ("count", 1_i64.into()), ("data", Value::Bytes(vec![0, 255]))]);
    let seen = exchange(
        "POST /base/things",
        "content-type: application/vnd.msgpack ++ accept: application/msgpack",
        &body.to_msgpack(),
    );
    let answer = Value::from_msgpack(&seen.body).expect("MessagePack");
    assert_eq!(answer.get("data"), Some(&Value::Bytes(vec![0, 255])));
    let seen = exchange("POST /base/things", "content-type: application/msgpack", &body.to_msgpack());
    assert_eq!(seen.body, r#"{"id":"a","data":{"$binary":"AP8="}}"#);
}

#[test]
fn bodies_of_unknown_length_are_bounded_too() {
    let json = "application/json";
    let frame = |length: usize| Ok(Bytes::from(" ".repeat(length)));
    for (target, frames, status, detail) in [
        ("POST /base/things", vec![frame(1), Err("the socket is gone")], 400, "broke off"),
        ("POST /base/things", vec![frame(BODY_BYTES_MAX), frame(1)], 413, "longer than 200 bytes"),
        ("POST /base/things", vec![frame(BODY_BYTES_MAX)], 400, "not valid JSON"),
        ("GET /base/things/x", vec![frame(1)], 400, "takes no body"),
        ("GET /base/things/x", vec![], 200, ""),
    ] {
        let (method, target) = target.split_once(' ').expect("method and target");
        let frames = frames.into_iter().map(|frame| frame.map(http_body::Frame::data));
        let body = http_body_util::StreamBody::new(futures_util::stream::iter(frames));
        let request = Request::builder().method(method).uri(target).header("content-type", json).body(body);
        let seen = handle(request.expect("a request"));
        assert_eq!(seen.status, status, "{method} {target} {detail}");
        assert!(String::from_utf8_lossy(&seen.body).contains(detail), "{:?}", seen.body);
    }
}

#[test]
fn fingerprints_compare_what_is_asked() {
    let print = |target: &str, format: &str, body: &[u8]| {
        let request = Request::post(target)
            .header("content-type", format)
            .body(Full::new(Bytes::copy_from_slice(body)));
        let exchange = Exchange::new(sample::OPERATIONS, "", BODY_BYTES_MAX);
        match now(exchange.open(request.expect("a request"), [0; 16])) {
            Opened::Call(call) => call.fingerprint().expect("readable"),
            Opened::Done(response) => panic!("refused with {}", response.status()),
        }
    };
    let msgpack = Value::from([("a", 1_i64.into()), ("b", Value::Null)]).to_msgpack();
    let json = |body: &str| print("/things", "application/json", body.as_bytes());
    let first = json(r#"{"a":1,"b":null}"#);
    assert_eq!(first, json(r#" { "b": null, "a": 1 } "#));
    assert_eq!(first, print("/things", "application/msgpack", &msgpack));
    assert_ne!(first, json(r#"{"a":2,"b":null}"#));
    let stop = |body: &[u8]| print("/things/x/stop", "application/json", body);
    assert_eq!(stop(b""), stop(b"{}"));
}

#[test]
fn problem_pages_are_readable() {
    let page = exchange("GET /base/problems/run-exists", "accept: text/html", b"");
    let page = String::from_utf8_lossy(&page.body).into_owned();
    for part in
        ["<h1>A run of this id exists</h1>", "<code>/base/problems/run-exists</code>", "HTTP status 409"]
    {
        assert!(page.contains(part), "{part} in {page}");
    }
    for slug in Slug::ALL {
        let seen = exchange(&format!("GET /base/problems/{}", slug.slug()), "accept: application/json", b"");
        let document = Value::from_json(&seen.body).expect("JSON");
        assert_eq!(document.get("status"), Some(&Value::Int(slug.status().into())));
        assert_eq!(slug.explanation().matches('`').count() % 2, 0, "{slug:?}");
        assert!(!slug.explanation().contains("  "), "{slug:?}: a continued line");
    }
    assert!(Slug::ALL.len() < ERRORS_MAX);
}

#[test]
fn answers_of_values_are_payloads() {
    let value = Value::from([("b", 1_i64.into()), ("a", Value::Null)]);
    assert_eq!(Answer::value(200, &value).body, AnswerBody::Json(Payload::from(&value)));
}

fn exchange(line: &str, headers: &str, body: &[u8]) -> Seen {
    let (method, target) = line.split_once(' ').expect("method and target");
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers.split(" ++ ").filter_map(|row| row.split_once(": ")) {
        request = request.header(name, value);
    }
    handle(request.body(Full::new(Bytes::copy_from_slice(body))).expect("a request"))
}

fn handle<B: http_body::Body>(request: Request<B>) -> Seen {
    let exchange = Exchange::new(sample::OPERATIONS, "/base", BODY_BYTES_MAX);
    let random = std::array::from_fn(|index| index as u8);
    Seen::of(match now(exchange.open(request, random)) {
        Opened::Call(call) => reply::close(&call, sample::answer(&call), &Gzipped),
        Opened::Done(response) => response,
    })
}

impl Seen {
    fn of(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let body = now(body.collect()).expect("infallible").to_bytes();
        Self { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// The header's text, or nothing.
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }
}

fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("nothing here waits")
}

/// A host with one coding.
struct Gzipped;

impl Platform for Gzipped {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(0)
    }

    fn random(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }

    async fn sleep(&self, _: Duration) {}

    async fn fetch(&self, _: Request<Bytes>, _: usize) -> Result<Response<Bytes>, FetchError> {
        Err(FetchError::Network("there is no network".to_owned()))
    }

    fn encodings(&self) -> &'static [Encoding] {
        &[Encoding::Gzip]
    }

    fn encode(&self, encoding: Encoding, body: &[u8]) -> Bytes {
        format!("{} of {} bytes", encoding.name(), body.len()).into()
    }
}
