//! Plays a case on a host and says what is not as expected.
//!
//! Whatever a case expects, every answer must keep the conventions: a request id, problems in the shape of
//! RFC 9457, pages in the shape of pages, and GETs that say the same in MessagePack as in JSON.

use std::collections::BTreeMap;
use std::io::Read;
use std::rc::Rc;
use std::time::Duration as RealDuration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use selvedge::http::problem::Slug;
use selvedge::value::{Object, Value};
use tokio::task::JoinHandle;

use crate::case::{Act, Ask, Case, Content, Expected, Format, Step};
use crate::coverage::{Catalogue, Coverage};
use crate::host::Host;
use crate::pattern::mismatches;

/// A server that does not answer for this long has hung; no case waits in real time.
const HANGS_AFTER: RealDuration = RealDuration::from_secs(60);

/// Plays one case.
pub struct Player<'a, H> {
    host: Rc<H>,
    catalogue: &'a Catalogue,
    coverage: &'a mut Coverage,
    format: Format,
    base_path: String,
    captured: BTreeMap<String, Value>,
    waiting: BTreeMap<String, (Sent, JoinHandle<Response<Bytes>>)>,
}

/// What was asked, as far as the answer is judged by it.
#[derive(Debug, Clone)]
struct Sent {
    method: Method,
    target: String,
    headers: HeaderMap,
}

/// An answer, read.
struct Got {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl<'a, H: Host + 'static> Player<'a, H> {
    /// A player of one case, whose values travel in this format.
    pub fn new(
        host: H,
        format: Format,
        case: &Case,
        catalogue: &'a Catalogue,
        coverage: &'a mut Coverage,
    ) -> Self {
        let base_path = case.base_path.clone();
        let (captured, waiting) = (BTreeMap::new(), BTreeMap::new());
        Self { host: Rc::new(host), catalogue, coverage, format, base_path, captured, waiting }
    }

    /// Plays the steps.
    ///
    /// # Errors
    /// The first step that is not as expected, with everything that is wrong about it.
    pub async fn play(mut self, steps: &[Step]) -> Result<(), String> {
        for (index, step) in steps.iter().enumerate() {
            for n in 0..step.times {
                self.captured.insert("n".to_owned(), Value::Int(i64::from(n)));
                let played = tokio::time::timeout(HANGS_AFTER, self.step(&step.act)).await;
                let played = played.unwrap_or_else(|_| Err("it never comes to an end".to_owned()));
                played.map_err(|fault| format!("step {}{}: {fault}", index + 1, title(&step.act)))?;
            }
        }
        match self.waiting.keys().next() {
            None => Ok(()),
            Some(name) => Err(format!("the case ends without a join or hang_up of {name}")),
        }
    }

    async fn step(&mut self, act: &Act) -> Result<(), String> {
        match act {
            Act::Request(ask, expected) => {
                let (sent, request) = self.build(ask, self.format)?;
                let response = self.host.send(request).await;
                let got = self.judge(&sent, response, expected)?;
                self.ask_again(ask, &sent, &got).await?;
                self.capture(&expected.capture, &got)?;
                self.host.drive().await;
            }
            Act::Background(name, ask) => self.begin(name, ask).await?,
            Act::Join(name, expected) => {
                let waiting = self.waiting.remove(name);
                let (sent, handle) = waiting.ok_or(format!("no request of the name {name} is under way"))?;
                let response = handle.await.map_err(|error| format!("the request panicked: {error}"))?;
                let got = self.judge(&sent, response, expected)?;
                self.capture(&expected.capture, &got)?;
                self.host.drive().await;
            }
            Act::HangUp(name) => {
                let waiting = self.waiting.remove(name);
                let (_, handle) = waiting.ok_or(format!("no request of the name {name} is under way"))?;
                handle.abort();
                // An abort that comes too late would let the case say what never happened.
                match handle.await {
                    Err(error) if error.is_cancelled() => {
                        self.host.notices(self.waiting.len()).await;
                        self.host.drive().await;
                    }
                    _ => return Err(format!("{name} was answered before it could hang up")),
                }
            }
            Act::Advance(duration) => self.host.advance(*duration).await,
            Act::Database(mode) => {
                self.host.set_database(*mode).await;
            }
        }
        Ok(())
    }

    /// Sends a request and goes on once it waits for something.
    async fn begin(&mut self, name: &str, ask: &Ask) -> Result<(), String> {
        let (sent, request) = self.build(ask, self.format)?;
        let before = self.host.waits_begun().await;
        let host = self.host.clone();
        let handle = tokio::task::spawn_local(async move { host.send(request).await });
        while self.host.waits_begun().await == before && !handle.is_finished() {
            tokio::task::yield_now().await;
        }
        if handle.is_finished() {
            return Err(format!("{name} was answered at once"));
        }
        self.waiting.insert(name.to_owned(), (sent, handle));
        Ok(())
    }

    /// What a GET said in JSON, it must say in MessagePack.
    async fn ask_again(&mut self, ask: &Ask, sent: &Sent, got: &Got) -> Result<(), String> {
        let json = got.headers.get("content-type").is_some_and(|media| media == "application/json");
        if self.format != Format::Json || sent.method != Method::GET || got.status != 200 || !json {
            return Ok(());
        }
        for media in ["application/msgpack", "application/vnd.msgpack"] {
            let mut ask = ask.clone();
            ask.headers.retain(|(name, _)| name != "accept" && name != "if-none-match");
            ask.headers.push(("accept".to_owned(), media.to_owned()));
            let (_, request) = self.build(&ask, Format::MessagePack)?;
            let response = self.host.send(request).await;
            let found = response.headers().get("content-type").map(|media| media.as_bytes().to_vec());
            if found.as_deref() != Some(media.as_bytes()) {
                return Err(format!("asked for {media}, found {found:?}"));
            }
            let (parts, bytes) = response.into_parts();
            let bytes = decoded(&parts.headers, bytes)?;
            if is_opaque(&parts.headers) {
                continue;
            }
            let again = Value::from_msgpack(&bytes).map_err(|error| format!("{media}: {error}"))?;
            if again != got.body {
                let (json, msgpack) = (got.body.to_json(), again.to_json());
                return Err(format!("JSON and MessagePack differ:\n    {json}\n    {msgpack}"));
            }
        }
        Ok(())
    }

    fn build(&self, ask: &Ask, format: Format) -> Result<(Sent, Request<Bytes>), String> {
        let format = ask.format.unwrap_or(format);
        let target = self.fill(&ask.target)?;
        let target = if target.starts_with('/') { target } else { format!("/api/v1/{target}") };
        let target = match self.base_path.as_str() {
            base if target.starts_with(base) => target,
            base => format!("{base}{target}"),
        };
        let mut request = Request::builder().method(ask.method.as_str()).uri(&target);
        let has = |name: &str| ask.headers.iter().any(|(known, _)| known == name);
        for (name, value) in &ask.headers {
            // An empty value leaves out a header that the format would imply.
            let value = self.fill(value)?;
            if !value.is_empty() {
                request = request.header(name, value);
            }
        }
        let media = match format {
            Format::Json => "application/json",
            Format::MessagePack => "application/msgpack",
        };
        if format == Format::MessagePack && !has("accept") {
            request = request.header("accept", media);
        }
        let body = match &ask.content {
            Content::None => Bytes::new(),
            Content::Raw(bytes) => {
                let text = String::from_utf8(bytes.clone()).map(|text| self.fill(&text));
                text.map_or(Ok(bytes.clone()), |text| text.map(String::into_bytes))?.into()
            }
            Content::Module(bytes) => {
                if !has("content-type") {
                    request = request.header("content-type", "application/wasm");
                }
                bytes.clone().into()
            }
            Content::Value(value) => {
                if !has("content-type") {
                    request = request.header("content-type", media);
                }
                let value = self.fill_value(value)?;
                match format {
                    Format::Json => value.to_json().into(),
                    Format::MessagePack => value.to_msgpack().into(),
                }
            }
        };
        let request = request.body(body).map_err(|error| format!("the request is not valid: {error}"))?;
        let (method, headers) = (request.method().clone(), request.headers().clone());
        Ok((Sent { method, target, headers }, request))
    }

    fn judge(&mut self, sent: &Sent, response: Response<Bytes>, expected: &Expected) -> Result<Got, String> {
        let (parts, bytes) = response.into_parts();
        let (status, headers) = (parts.status.as_u16(), parts.headers);
        let body = read(&headers, &decoded(&headers, bytes)?)?;
        let got = Got { status, headers, body };
        let mut faults = Vec::new();
        if status != expected.status {
            faults.push(format!("expected status {}, found {status}", expected.status));
        }
        let text = |name: &str| {
            let value = got.headers.get(name)?;
            Some(Value::from(String::from_utf8_lossy(value.as_bytes()).into_owned()))
        };
        for (name, pattern) in &expected.headers {
            let pattern = self.fill_value(pattern)?;
            let pattern = Value::Object(Object::from([(name.clone(), pattern)]));
            let found = text(name).map(|value| (name.clone(), value));
            faults.extend(mismatches(&pattern, &Value::Object(found.into_iter().collect())));
        }
        if let Some(pattern) = &expected.body {
            let mut pattern = self.fill_value(pattern)?;
            if let Value::Object(members) = &mut pattern
                && let Some(Value::String(kind)) = members.get_mut("type")
                && kind.starts_with("/problems/")
            {
                *kind = format!("{}{kind}", self.base_path);
            }
            faults.extend(mismatches(&pattern, &got.body));
        }
        faults.extend(self.conventions(sent, &got));
        let path = sent.target.split('?').next().unwrap_or_default();
        let path = path.strip_prefix(&self.base_path).unwrap_or(path);
        self.coverage.note(self.catalogue, &sent.method, path, status, &got.body);
        if faults.is_empty() {
            return Ok(got);
        }
        let mut shown = got.body.to_json();
        shown.truncate(shown.char_indices().nth(1500).map_or(shown.len(), |(at, _)| at));
        Err(format!("\n    {}\n    the answer was {status} {shown}", faults.join("\n    ")))
    }

    /// What holds for every answer, whatever the case expects.
    fn conventions(&self, sent: &Sent, got: &Got) -> Vec<String> {
        let mut faults = Vec::new();
        let header = |name: &str| got.headers.get(name).and_then(|value| value.to_str().ok());
        let id = header("x-request-id").unwrap_or_default();
        if id.is_empty() {
            faults.push("the answer has no X-Request-Id".to_owned());
        }
        if got.status >= 400 && sent.method != Method::HEAD {
            faults.extend(self.problem_faults(got, id));
        }
        for (status, name) in [(405, "allow"), (503, "retry-after"), (429, "retry-after"), (201, "location")]
        {
            if got.status == status && header(name).is_none() {
                faults.push(format!("an answer {status} has no {name}"));
            }
        }
        let is_list = got.body.get("items").is_some() && sent.method == Method::GET;
        if is_list && got.body.get("next_cursor").is_none() {
            faults.push("a list has no next_cursor".to_owned());
        }
        if got.status == 204 && got.body != Value::Null {
            faults.push("an answer 204 has a body".to_owned());
        }
        if got.status >= 500 && got.body.to_json().contains("secret") {
            faults.push("an answer 5xx tells internals".to_owned());
        }
        let wants = sent.headers.get("accept").is_some_and(|accept| accept == "application/msgpack");
        let media = header("content-type").unwrap_or_default();
        if wants && media.contains("json") {
            faults.push(format!("asked for application/msgpack, found {media}"));
        }
        faults
    }

    fn problem_faults(&self, got: &Got, id: &str) -> Vec<String> {
        let media = got.headers.get("content-type").and_then(|value| value.to_str().ok());
        let slug = got.body.get("type").and_then(Value::as_str).unwrap_or_default();
        let slug = slug.strip_prefix(&self.base_path).and_then(|kind| kind.strip_prefix("/problems/"));
        let Some(slug) = slug.and_then(Slug::find) else {
            return vec!["the problem's type is none of ours".to_owned()];
        };
        let pattern = Value::from([
            ("status", Value::Int(i64::from(got.status))),
            ("title", slug.title().into()),
            ("instance", id.into()),
            ("detail", Value::from([("$matches", "^[^.]".into())])),
        ]);
        let mut faults = mismatches(&pattern, &got.body);
        if slug.status() != got.status {
            faults.push(format!("{} has status {}, found {}", slug.slug(), slug.status(), got.status));
        }
        if !matches!(media, Some("application/problem+json" | "application/problem+msgpack")) {
            faults.push(format!("a problem has the Content-Type {media:?}"));
        }
        faults
    }

    fn capture(&mut self, captures: &[(String, String)], got: &Got) -> Result<(), String> {
        for (name, place) in captures {
            let found = match place.strip_prefix("header ") {
                Some(header) => {
                    let value = got.headers.get(header).and_then(|value| value.to_str().ok());
                    value.map(Value::from)
                }
                None => at(&got.body, place).cloned(),
            };
            let found = found.ok_or(format!("capture {name}: the answer has no {place}"))?;
            self.captured.insert(name.clone(), found);
        }
        Ok(())
    }

    fn fill_value(&self, value: &Value) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) => {
                let whole = text.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
                match whole.and_then(|name| self.captured.get(name)) {
                    Some(captured) => captured.clone(),
                    None => Value::String(self.fill(text)?),
                }
            }
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.fill_value(item)).collect::<Result<_, _>>()?)
            }
            Value::Object(members) => {
                let fill = |(name, value): (&String, &Value)| Ok((name.clone(), self.fill_value(value)?));
                Value::Object(members.iter().map(fill).collect::<Result<_, String>>()?)
            }
            other => other.clone(),
        })
    }

    /// Puts captured texts and numbers in the place of `{{name}}`, and `{{x*100}}` repeats a letter.
    fn fill(&self, text: &str) -> Result<String, String> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find("{{") {
            let (before, after) = rest.split_at(start);
            filled.push_str(before);
            let name = after[2..].split("}}").next().unwrap_or_default();
            let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '*';
            if before.ends_with('$') || name.is_empty() || !name.chars().all(fits) || !after.contains("}}") {
                filled.push_str("{{");
                rest = &after[2..];
                continue;
            }
            rest = &after[name.len() + 4..];
            if let Some((letter, times)) = name.split_once('*') {
                let times =
                    times.parse().map_err(|_| format!("{{{{{name}}}}} repeats no number of times"))?;
                filled.push_str(&letter.repeat(times));
                continue;
            }
            match self.captured.get(name).ok_or(format!("nothing was captured as {name}"))? {
                Value::String(text) => filled.push_str(text),
                other => filled.push_str(&other.to_json()),
            }
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

fn title(act: &Act) -> String {
    match act {
        Act::Request(ask, _) | Act::Background(_, ask) => format!(" ({} {})", ask.method, ask.target),
        Act::Join(name, _) => format!(" (join {name})"),
        Act::HangUp(name) => format!(" (hang_up {name})"),
        Act::Advance(duration) => format!(" (advance {duration})"),
        Act::Database(mode) => format!(" (database {mode:?})"),
    }
}

/// Whether a body has a coding that is not undone here.
fn is_opaque(headers: &HeaderMap) -> bool {
    headers.get("content-encoding").is_some_and(|coding| coding != "gzip")
}

/// A body without its coding; what is not gzip stays as it is.
fn decoded(headers: &HeaderMap, bytes: Bytes) -> Result<Bytes, String> {
    if bytes.is_empty() || headers.get("content-encoding").is_none_or(|coding| coding != "gzip") {
        return Ok(bytes);
    }
    let mut text = Vec::new();
    let read = flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut text);
    read.map_err(|error| format!("the answer is no gzip: {error}"))?;
    Ok(text.into())
}

/// A body as a value: text of other types is a string.
fn read(headers: &HeaderMap, bytes: &Bytes) -> Result<Value, String> {
    if bytes.is_empty() || is_opaque(headers) {
        return Ok(Value::Null);
    }
    let media = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    match media {
        "application/json" | "application/problem+json" => Value::from_json(bytes),
        "application/msgpack" | "application/vnd.msgpack" | "application/problem+msgpack" => {
            Value::from_msgpack(bytes)
        }
        _ => return Ok(String::from_utf8_lossy(bytes).into_owned().into()),
    }
    .map_err(|error| format!("the answer is no {media}: {error}"))
}

/// The part of a value at a JSON pointer.
fn at<'v>(value: &'v Value, pointer: &str) -> Option<&'v Value> {
    let mut steps = pointer.split('/').skip(1);
    steps.try_fold(value, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        other => other.get(&step.replace("~1", "/").replace("~0", "~")),
    })
}
