//! What a task does: exactly one kind, and only fields that mean something to that kind.

use std::collections::BTreeSet;

use http::{HeaderName, HeaderValue, Uri};

use crate::ids::{FunctionName, ModuleName};
use crate::time::Duration;
use crate::value::{Pointer, Value};

use super::super::expression::Template;
use super::super::model::{Kind, OnTimeout};
use super::faults::{Faults, found, quote};
use super::fields::{Fields, has_expression};
use super::mention::{self, Mention};
use super::vocabulary::{self, KINDS, KINDS_LATER};

/// The fields that mean something to some kinds only; elsewhere they would be ignored, which no field is.
const ONLY_FOR: [(&str, &[&str]); 9] = [
    ("with", &["worker", "wasm"]),
    ("labels", &["worker", "http"]),
    ("retry", &["worker", "http", "wasm"]),
    ("queue_timeout", &["worker", "http", "wasm"]),
    ("grace", &["worker", "http", "wasm"]),
    ("priority", &["worker", "http", "wasm"]),
    ("timeout", &["worker", "http", "wasm", "signal"]),
    ("total_timeout", &["worker", "http", "wasm", "sleep", "signal"]),
    ("on_timeout", &["signal"]),
];
/// What `http.method` may be.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// What `on_timeout` may be.
const ON_TIMEOUT: [(&str, OnTimeout); 3] =
    [("fail", OnTimeout::Fail), ("skip", OnTimeout::Skip), ("continue", OnTimeout::Continue)];

/// The kind of the task whose fields these are.
pub(super) fn kind<'v>(fields: &mut Fields<'v, '_>, mentions: &mut Vec<Mention<'v>>) -> Option<Kind> {
    let on_timeout = fields.choice("on_timeout", &ON_TIMEOUT).unwrap_or(OnTimeout::Fail);
    let with = mention::template(fields, "with", mentions);
    let queue = fields.parsed("worker", "the name of a queue such as shell");
    let wasm = wasm(fields);
    let (worker, wasm) = match (queue, wasm) {
        (Some(queue), _) => (Some(Kind::Worker { queue, with }), None),
        (None, Some((module, function))) => (None, Some(Kind::Wasm { module, function, with })),
        (None, None) => (None, None),
    };
    let http = http(fields, mentions).map(|request| Kind::Http { request });
    let value = mention::template(fields, "value", mentions).map(|value| Kind::Value { value });
    let sleep = sleep(fields, mentions).map(|duration| Kind::Sleep { duration });
    let signal = fields.parsed("signal", "the name of a signal such as approval");
    let signal = signal.map(|name| Kind::Signal { name, on_timeout });

    let present: Vec<&str> = KINDS.into_iter().chain(KINDS_LATER).filter(|kind| fields.has(kind)).collect();
    match present.as_slice() {
        [] => {
            let message = format!("a task needs one of {}", KINDS.join(", "));
            fields.faults.add(fields.at.clone(), message);
            None
        }
        [word] => {
            refuse_others(word, fields);
            worker.or(http).or(wasm).or(value).or(sleep).or(signal)
        }
        _ => {
            let message = format!("a task has one kind, found `{}`", present.join("` and `"));
            fields.faults.add(fields.at.clone(), message);
            None
        }
    }
}

/// Faults the fields that this kind would ignore.
fn refuse_others(word: &str, fields: &mut Fields) {
    for (field, kinds) in ONLY_FOR {
        if fields.has(field) && KINDS.contains(&word) && !kinds.contains(&word) {
            let kinds = kinds.join(", ");
            fields.fault(field, format!("`{field}` is for tasks of kind {kinds}; this one is `{word}`"));
        }
    }
    if word == "signal" && fields.has("on_timeout") && !fields.has("timeout") {
        fields.fault("on_timeout", "`on_timeout` says what happens after `timeout`: add a `timeout`");
    }
}

fn sleep<'v>(fields: &mut Fields<'v, '_>, mentions: &mut Vec<Mention<'v>>) -> Option<Template> {
    match fields.get("sleep")? {
        text @ Value::String(_) if has_expression(text) => {}
        Value::String(text) => {
            if let Err(error) = text.parse::<Duration>() {
                fields.fault("sleep", error.to_string());
                return None;
            }
        }
        other => {
            fields.fault("sleep", format!("expected a duration such as 30s, found {}", found(other)));
            return None;
        }
    }
    mention::template(fields, "sleep", mentions)
}

/// The request with its method filled in.
fn http<'v>(fields: &mut Fields<'v, '_>, mentions: &mut Vec<Mention<'v>>) -> Option<Template> {
    let value = fields.get("http")?;
    let at = fields.place("http");
    let expected = "an object such as {url: \"https://example.org\"}";
    let mut request = Fields::open(value, at.clone(), expected, fields.faults)?;
    request.only(vocabulary::HTTP, &[]);
    if !request.get("method").is_some_and(has_expression) {
        request.choice("method", &METHODS.map(|method| (method, ())));
    }
    url(&mut request);
    if let Some(headers) = request.get("headers") {
        check_headers(headers, request.place("headers"), request.faults);
    }
    let mut members = value.as_object().expect("it opened as an object").clone();
    members.entry("method".to_owned()).or_insert_with(|| "GET".into());
    let template = Template::compile(&Value::Object(members), &at, fields.faults.list());
    mentions.push(Mention::new(at, value, template.names()));
    Some(template)
}

/// The module and its function.
fn wasm(fields: &mut Fields) -> Option<(ModuleName, FunctionName)> {
    let value = fields.get("wasm")?;
    let expected = "an object such as {module: price, function: price}";
    let mut call = Fields::open(value, fields.place("wasm"), expected, fields.faults)?;
    call.only(vocabulary::WASM, &[]);
    for name in vocabulary::WASM {
        if !call.has(name) {
            let message = format!("`{name}` is missing: a wasm task needs one");
            call.faults.add(call.at.clone(), message);
        }
    }
    let function = call.parsed("function", "the name of a function such as price");
    let module = match call.text("module", "a module's name or its digest, sha256:<hexadecimal>")? {
        path if path.contains('/') => {
            let message = format!(
                "expected the name of an uploaded module or its digest, found the path {:?}: a file beside the \
                 document is uploaded by `selvedge run` and by `selvedge serve --workflows`",
                quote(path)
            );
            call.fault("module", message);
            None
        }
        _ => call.parsed("module", "a module's name"),
    };
    Some((module?, function?))
}

fn url(request: &mut Fields) {
    let expected = "an http or https URL such as https://example.org/path";
    match request.get("url") {
        None => request.faults.add(request.at.clone(), "`url` is missing: an http task needs one"),
        Some(value) if has_expression(value) => {}
        Some(value) if value.as_str().is_some_and(is_http_url) => {}
        Some(value) => request.misfit("url", expected, value),
    }
}

fn is_http_url(text: &str) -> bool {
    text.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    })
}

fn check_headers(headers: &Value, at: Pointer, faults: &mut Faults) {
    let expected = "an object of headers such as {accept: text/plain}";
    let Some(fields) = Fields::open(headers, at, expected, faults) else { return };
    let mut seen = BTreeSet::new();
    for (name, value) in headers.as_object().expect("it opened as an object") {
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            let message = format!("expected the name of a header, found {:?}", quote(name));
            fields.faults.add(fields.place(name), message);
        } else if !seen.insert(name.to_ascii_lowercase()) {
            let message = format!("header `{}` is given twice: letter case does not count", quote(name));
            fields.faults.add(fields.place(name), message);
        }
        match value {
            Value::String(text) if has_expression(value) || HeaderValue::from_str(text).is_ok() => {}
            other => {
                let message = format!("expected the value of a header, found {}", found(other));
                fields.faults.add(fields.place(name), message);
            }
        }
    }
}
