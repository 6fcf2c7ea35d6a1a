//! The way of one request, from the host to a handler and back.
//!
//! ```text
//! http::Request<B>
//!   │ Exchange::open
//!   │   terms      request id (theirs or ours), Accept, the headers that the response will need
//!   │   limits     URL 414, headers 431
//!   │   base path  outside of it 404
//!   │   route      404 · 405 with Allow · OPTIONS answers 204 with Allow · HEAD goes where GET goes
//!   │   path       parameters percent-decoded, 400
//!   │   query      pairs decoded, 400; an operation without parameters takes none
//!   │   Accept     406
//!   │   body       Content-Encoding and Content-Type 415, length 413, broken off 400
//!   ▼
//! Call ── handler ──► Result<Answer, Problem>
//!   │ reply::close
//!   │   format     JSON, MessagePack or text as negotiated; problems in problem+json or problem+msgpack
//!   │   coding     one of the host's, for bodies worth it
//!   │   validator  ETag; If-None-Match gives 304
//!   │   headers    Location, Retry-After, Allow, Vary, Cache-Control, Content-Length, X-Request-Id
//!   ▼
//! http::Response<Body>
//! ```
//!
//! Whatever goes wrong on the way down is answered at once by the same code that closes calls, so every
//! answer of the server looks alike. Nothing here knows what an operation does.

use http::request::Parts;
use http::{HeaderMap, Request, Response, Uri};
use percent_encoding::percent_decode_str;

use super::body::Body;
use super::call::Call;
use super::catalogue::Operation;
use super::content;
use super::limits::{HEADERS_BYTES_MAX, HEADERS_MAX, URL_BYTES_MAX};
use super::negotiate::{Accept, Media};
use super::problem::{FieldError, Problem, Slug};
use super::query::Pairs;
use super::reply::{self, Terms};
use super::route::{Allow, Route, Routes, Row};
use matchit::Params;

/// A catalogue at the place where it is served.
#[derive(Debug)]
pub struct Exchange {
    routes: Routes,
    base_path: String,
    body_bytes_max: usize,
}

/// What has become of a request.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "the large one is the usual one")]
pub enum Opened<'a> {
    /// A handler must answer it.
    Call(Call<'a>),
    /// It is answered.
    Done(Response<Body>),
}

impl Exchange {
    /// Serves these operations below `base_path` (`""` or `/x/y`), with bodies of at most `body_bytes_max`.
    pub fn new(operations: &'static [Operation], base_path: &str, body_bytes_max: usize) -> Self {
        let base_path = base_path.trim_end_matches('/').to_owned();
        Self { routes: Routes::new(operations), base_path, body_bytes_max }
    }

    /// Reads a request as far as the catalogue alone can judge it. `random` becomes the request id where the
    /// client sent none.
    pub async fn open<B: http_body::Body>(&self, request: Request<B>, random: [u8; 16]) -> Opened<'_> {
        let (Parts { method, uri, headers, .. }, body) = request.into_parts();
        let terms = Terms::new(&method, headers, &self.base_path, random);
        let admitted = match self.admit(&uri, &terms) {
            Ok(Admitted::Call(ready)) => ready,
            Ok(Admitted::Options(allow)) => return Opened::Done(reply::options(&allow, &terms)),
            Err(problem) => return Opened::Done(reply::refuse(problem, &terms)),
        };
        match content::read(admitted.operation, &terms.headers, body, self.body_bytes_max).await {
            Ok(content) => Opened::Call(admitted.into_call(uri, terms, content)),
            Err(problem) => Opened::Done(reply::refuse(problem, &terms)),
        }
    }

    /// Everything that can be said without the body.
    fn admit(&self, uri: &Uri, terms: &Terms<'_>) -> Result<Admitted<'_>, Problem> {
        check_lengths(uri, &terms.headers)?;
        let target = uri
            .path()
            .strip_prefix(self.base_path.as_str())
            .filter(|rest| rest.is_empty() || rest.starts_with('/'))
            .ok_or_else(|| outside(uri.path(), &self.base_path))?;
        let (row, path) = match self.routes.find(&terms.method, target) {
            Route::Operation(row, path) => (row, path),
            Route::Options(allow) => return Ok(Admitted::Options(allow)),
            Route::WrongMethod(allow) => return Err(wrong_method(terms, target, allow)),
            Route::Nowhere => return Err(self.nowhere(terms, target)),
        };
        let path = decode_path(&path)?;
        let query = Pairs::parse(uri.query().unwrap_or_default())?;
        if row.operation.query.is_none() {
            query.require_none()?;
        }
        let media = negotiate(row, &terms.accept)?;
        Ok(Admitted::Call(Ready { operation: row.operation, media, path, query }))
    }

    fn nowhere(&self, terms: &Terms<'_>, target: &str) -> Problem {
        let bare = target.trim_end_matches('/');
        let known = bare != target && !matches!(self.routes.find(&terms.method, bare), Route::Nowhere);
        let hint = if known { format!(", did you mean {}{bare}?", self.base_path) } else { String::new() };
        Problem::new(Slug::UnknownRoute, format!("no operation has the path {target:?}{hint}"))
    }
}

/// What is left to do.
enum Admitted<'a> {
    Call(Ready<'a>),
    Options(Allow),
}

/// A call without its body.
struct Ready<'a> {
    operation: &'static Operation,
    media: Media,
    path: Vec<(&'a str, String)>,
    query: Pairs,
}

impl<'a> Ready<'a> {
    fn into_call(self, uri: Uri, terms: Terms<'a>, content: content::Content) -> Call<'a> {
        Call {
            operation: self.operation,
            uri,
            media: self.media,
            terms,
            path: self.path,
            query: self.query,
            content,
        }
    }
}

fn check_lengths(uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let url_bytes = uri.path_and_query().map_or(0, |target| target.as_str().len());
    if url_bytes > URL_BYTES_MAX {
        let detail = format!("path and query have {url_bytes} bytes, at most {URL_BYTES_MAX} are taken");
        return Err(Problem::new(Slug::UriTooLong, detail));
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers.len() > HEADERS_MAX || bytes > HEADERS_BYTES_MAX {
        let detail = format!(
            "{} headers of {bytes} bytes, at most {HEADERS_MAX} of {HEADERS_BYTES_MAX} bytes are taken",
            headers.len()
        );
        return Err(Problem::new(Slug::HeadersTooLarge, detail));
    }
    Ok(())
}

fn outside(path: &str, base_path: &str) -> Problem {
    Problem::new(
        Slug::UnknownRoute,
        format!("the server is mounted under {base_path}, {path:?} is not below it"),
    )
}

fn wrong_method(terms: &Terms<'_>, target: &str, Allow(allow): Allow) -> Problem {
    let detail = format!("{target} takes {allow}, found {}", terms.method);
    Problem { allow: Some(allow), ..Problem::new(Slug::MethodNotAllowed, detail) }
}

fn decode_path<'k>(raw: &Params<'k, '_>) -> Result<Vec<(&'k str, String)>, Problem> {
    let mut path = Vec::with_capacity(raw.len());
    let mut errors = Vec::new();
    for (name, value) in raw.iter() {
        match percent_decode_str(value).decode_utf8() {
            Ok(text) => path.push((name, text.into_owned())),
            Err(_) => errors.push(FieldError::new(
                format!("/path/{name}"),
                format!("expected UTF-8 with percent escapes, found {value:?}"),
            )),
        }
    }
    if errors.is_empty() { Ok(path) } else { Err(Problem::with_errors(Slug::InvalidParameter, errors)) }
}

fn negotiate(Row { offers, .. }: &Row, accept: &Accept) -> Result<Media, Problem> {
    if offers.is_empty() {
        return Ok(Media::Json);
    }
    accept.choose(offers).ok_or_else(|| {
        let names: Vec<&str> = offers.iter().map(|media| media.name()).collect();
        Problem::new(Slug::NotAcceptable, format!("this operation answers in {}", names.join(", ")))
    })
}
