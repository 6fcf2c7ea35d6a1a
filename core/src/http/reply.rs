//! From an answer or a problem to a response: format, coding, validators and the headers of every answer.

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH,
    LOCATION, RETRY_AFTER, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use crate::platform::{Encoding, Platform};

use super::answer::{Answer, AnswerBody, Replayed};
use super::body::Body;
use super::call::Call;
use super::etag::{self, Condition};
use super::limits::{COMPRESSED_BYTES_MIN, REQUEST_ID_BYTES_MAX};
use super::negotiate::{Accept, Media, PROBLEM_JSON, PROBLEM_MSGPACK, choose_encoding, joined};
use super::problem::Problem;
use super::route::Allow;

/// The name of the request id's header.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The header of a stored answer.
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// What a response needs of its request.
#[derive(Debug)]
pub(super) struct Terms<'a> {
    pub(super) base_path: &'a str,
    pub(super) request_id: HeaderValue,
    pub(super) accept: Accept,
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
}

/// Answers a call.
pub fn close<P: Platform>(call: &Call<'_>, outcome: Result<Answer, Problem>, platform: &P) -> Response<Body> {
    let draft = match outcome {
        Ok(answer) => Draft::of_answer(answer, call),
        Err(problem) => Draft::of_problem(problem, &call.terms),
    };
    let coding = choose_encoding(&call.terms.headers, platform.encodings());
    draft.finish(&call.terms, coding, |encoding, body| platform.encode(encoding, body))
}

/// Answers a request that did not become a call.
pub(super) fn refuse(problem: Problem, terms: &Terms<'_>) -> Response<Body> {
    Draft::of_problem(problem, terms).finish(terms, None, |_, body| Bytes::copy_from_slice(body))
}

/// Answers `OPTIONS`.
pub(super) fn options(allow: &Allow, terms: &Terms<'_>) -> Response<Body> {
    let mut draft = Draft::new(204);
    draft.header(ALLOW, &allow.0);
    draft.finish(terms, None, |_, body| Bytes::copy_from_slice(body))
}

impl<'a> Terms<'a> {
    pub(super) fn new(method: &Method, headers: HeaderMap, base_path: &'a str, random: [u8; 16]) -> Self {
        let request_id = match headers.get(X_REQUEST_ID).filter(|id| is_request_id(id.as_bytes())) {
            Some(id) => id.clone(),
            None => HeaderValue::from_maybe_shared(Bytes::from(crate::ids::hex(&random)))
                .expect("hexadecimal digits may stand in a header"),
        };
        Self { base_path, request_id, accept: Accept::of(&headers), method: method.clone(), headers }
    }

    fn if_none_match(&self) -> Condition {
        // One that cannot be read is as good as absent: the answer is whole.
        Condition::read(joined(&self.headers, IF_NONE_MATCH).as_deref()).unwrap_or(Condition::Absent)
    }

    fn reads(&self) -> bool {
        self.method == Method::GET || self.method == Method::HEAD
    }
}

fn is_request_id(text: &[u8]) -> bool {
    (1..=REQUEST_ID_BYTES_MAX).contains(&text.len()) && text.iter().all(u8::is_ascii_graphic)
}

/// How many headers an answer has, about.
const HEADERS_USUAL: usize = 10;

/// A response without coding and without the headers that depend on it.
struct Draft {
    status: StatusCode,
    media: Option<&'static str>,
    body: Bytes,
    /// Version and format, for the `ETag`.
    validator: Option<(String, String)>,
    headers: HeaderMap,
}

impl Draft {
    fn new(status: u16) -> Self {
        Self {
            status: StatusCode::from_u16(status).expect("answers and problems have a status of three digits"),
            media: None,
            body: Bytes::new(),
            validator: None,
            headers: HeaderMap::with_capacity(HEADERS_USUAL),
        }
    }

    fn of_answer(answer: Answer, call: &Call<'_>) -> Self {
        let mut draft = Self::new(answer.status);
        let media = match &answer.body {
            AnswerBody::Empty => None,
            AnswerBody::Json(_) if call.media.is_text() => Some(Media::Json),
            AnswerBody::Json(_) => Some(call.media),
            AnswerBody::Text { media_type, .. } | AnswerBody::Bytes { media_type, .. } => {
                Some(Media::Text(media_type))
            }
        };
        if let Some(media) = media {
            draft.media = Some(media.name());
            draft.validator = answer.version.map(|version| (version, media.tag()));
            draft.body = written(answer.body, media);
        }
        if let Some(location) = answer.location {
            draft.header(LOCATION, &format!("{}{location}", call.terms.base_path));
        }
        draft.replayed(answer.replayed);
        draft
    }

    fn of_problem(problem: Problem, terms: &Terms<'_>) -> Self {
        let mut draft = Self::new(problem.status());
        if let Some(wait) = problem.retry_after {
            draft.header(RETRY_AFTER, &wait.as_millis().div_ceil(1000).max(1).to_string());
        }
        if let Some(allow) = &problem.allow {
            draft.header(ALLOW, allow);
        }
        draft.replayed(problem.replayed);
        let request_id = terms.request_id.to_str().expect("it has visible characters only");
        let document = problem.into_document(terms.base_path, request_id);
        let media = terms.accept.problem();
        draft.media = Some(if media.is_msgpack() { PROBLEM_MSGPACK } else { PROBLEM_JSON });
        draft.body = written(AnswerBody::json(&document), media);
        draft
    }

    fn replayed(&mut self, replayed: Replayed) {
        if replayed == Replayed::Yes {
            self.header(IDEMPOTENCY_REPLAYED, "true");
        }
    }

    /// Sets a header. What cannot stand in one is left out: better no header than no answer.
    fn header(&mut self, name: HeaderName, text: &str) {
        if let Ok(value) = HeaderValue::from_str(text) {
            self.headers.insert(name, value);
        }
    }

    fn finish(
        mut self,
        terms: &Terms<'_>,
        coding: Option<Encoding>,
        encode: impl FnOnce(Encoding, &[u8]) -> Bytes,
    ) -> Response<Body> {
        let coding = coding.filter(|_| self.body.len() >= COMPRESSED_BYTES_MIN);
        self.headers.insert(X_REQUEST_ID, terms.request_id.clone());
        self.headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
        self.headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        let mut cached = "no-store";
        if let Some((version, format)) = self.validator.take() {
            let opaque = etag::opaque(&version, &format, coding.map_or("identity", Encoding::name));
            self.header(ETAG, &format!("\"{opaque}\""));
            cached = "no-cache";
            if self.status == StatusCode::OK && terms.reads() && terms.if_none_match().matches(&opaque) {
                (self.status, self.media, self.body) = (StatusCode::NOT_MODIFIED, None, Bytes::new());
            }
        }
        self.headers.insert(CACHE_CONTROL, HeaderValue::from_static(cached));
        if let Some(coding) = coding.filter(|_| !self.body.is_empty()) {
            self.headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
            self.body = encode(coding, &self.body);
        }
        self.send(terms)
    }

    fn send(mut self, terms: &Terms<'_>) -> Response<Body> {
        if let Some(media) = self.media {
            self.headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
        }
        if !matches!(self.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            self.headers.insert(CONTENT_LENGTH, self.body.len().into());
        }
        let body = if terms.method == Method::HEAD { Bytes::new() } else { self.body };
        let mut response = Response::new(Body::full(body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// The bytes of a body in the format that was chosen.
fn written(body: AnswerBody, media: Media) -> Bytes {
    match body {
        AnswerBody::Empty => Bytes::new(),
        AnswerBody::Json(payload) if media.is_msgpack() => payload.to_value().to_msgpack().into(),
        AnswerBody::Json(payload) => Bytes::copy_from_slice(payload.as_str().as_bytes()),
        AnswerBody::Text { text, .. } => text.into(),
        AnswerBody::Bytes { bytes, .. } => bytes,
    }
}
