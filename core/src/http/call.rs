//! A request that has been routed, negotiated and read: what a handler sees.
//!
//! Every accessor parses into the handler's own type and answers with a whole problem where that fails, so a
//! handler is a chain of `?`.

use std::fmt::Display;
use std::str::FromStr;

use bytes::Bytes;
use http::header::{HeaderName, IF_MATCH};
use http::{HeaderMap, Uri};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::value::{Value, json, msgpack};
use crate::workflow::format::DocumentFormat;

use super::catalogue::{BodyKind, Idempotency, Operation};
use super::content::Content;
use super::etag::Condition;
use super::limits::IDEMPOTENCY_KEY_BYTES_MAX;
use super::negotiate::Media;
use super::problem::{FieldError, Problem, Slug};
use super::query::{self, Pairs};
use super::reply::Terms;
use super::strict;

/// One call of one operation.
#[derive(Debug)]
pub struct Call<'a> {
    /// What is called.
    pub operation: &'static Operation,
    pub(super) uri: Uri,
    /// The format that the client gets, for operations that can answer in several.
    pub media: Media,
    /// What the response needs of the request.
    pub(super) terms: Terms<'a>,
    /// The parameters of the path, decoded.
    pub(super) path: Vec<(&'a str, String)>,
    pub(super) query: Pairs,
    pub(super) content: Content,
}

impl Call<'_> {
    /// The path below the base path, as it stands in the URL.
    pub fn target(&self) -> &str {
        &self.uri.path()[self.terms.base_path.len()..]
    }

    /// A parameter of the path.
    ///
    /// # Errors
    /// [`Slug::InvalidParameter`] if it is not a `T`.
    pub fn path<T: FromStr<Err: Display>>(&self, name: &'static str) -> Result<T, Problem> {
        let (_, text) = self
            .path
            .iter()
            .find(|(known, _)| *known == name)
            .expect("a handler asks for parameters of its own path");
        text.parse()
            .map_err(|error: T::Err| Problem::invalid_parameter(format!("/path/{name}"), error.to_string()))
    }

    /// The query as a struct whose fields are the parameters.
    ///
    /// # Errors
    /// [`Slug::InvalidParameter`] with every unknown, repeated, missing or wrong parameter.
    pub fn query<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        query::read(&self.query, self.operation.query)
    }

    /// The parameters whose names begin with this prefix, with the prefix cut off, in order. The query's
    /// schema declares them as `patternProperties`: `{"^attribute\\.": …}`; [`Call::query`] then leaves them
    /// alone.
    pub fn query_with_prefix(&self, prefix: &str) -> Vec<(String, String)> {
        let rest =
            |(name, value): &(String, String)| Some((name.strip_prefix(prefix)?.to_owned(), value.clone()));
        self.query.0.iter().filter_map(rest).collect()
    }

    /// The body, typed; `{}` where it is optional and absent.
    ///
    /// # Errors
    /// [`Slug::MalformedRequest`] with every fault that the operation's own schema finds.
    pub fn body<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let (format, bytes) = self.content()?;
        let read = match format {
            DocumentFormat::MessagePack => msgpack::read(bytes),
            _ => json::read(bytes),
        };
        read.map_err(|error| strict::explain(self.operation.body, format, bytes, &error))
    }

    /// The body as a value of any shape.
    ///
    /// # Errors
    /// [`Slug::MalformedRequest`] if it cannot be read.
    pub fn body_value(&self) -> Result<Value, Problem> {
        let (format, bytes) = self.content()?;
        strict::value(format, bytes)
    }

    /// The body as it came, with its format: a workflow document.
    ///
    /// # Errors
    /// [`Slug::MalformedRequest`] if there is none.
    pub fn document(&self) -> Result<(&[u8], DocumentFormat), Problem> {
        self.content().map(|(format, bytes)| (bytes, format))
    }

    /// The body as it came, of an operation that takes bytes.
    ///
    /// # Errors
    /// [`Slug::MalformedRequest`] if there is none.
    pub fn bytes(&self) -> Result<Bytes, Problem> {
        match &self.content {
            Content::Raw(bytes) => Ok(bytes.clone()),
            Content::None | Content::Some(..) => Err(no_body()),
        }
    }

    /// `If-Match`, to be held against the resource's version with [`Condition::require`].
    ///
    /// # Errors
    /// [`Slug::InvalidParameter`] if it is no list of entity tags.
    pub fn if_match(&self) -> Result<Condition, Problem> {
        Condition::read(self.header(IF_MATCH).as_deref())
            .map_err(|message| Problem::invalid_parameter("/header/if-match", message))
    }

    /// `Idempotency-Key`, where the operation obeys it.
    ///
    /// # Errors
    /// [`Slug::InvalidParameter`] unless it is 1 to 255 visible ASCII characters.
    pub fn idempotency_key(&self) -> Result<Option<String>, Problem> {
        if self.operation.idempotency == Idempotency::Exempt {
            return Ok(None);
        }
        let Some(key) = self.header(HeaderName::from_static("idempotency-key")) else { return Ok(None) };
        let fits = (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len());
        if fits && key.bytes().all(|b| b.is_ascii_graphic()) {
            return Ok(Some(key));
        }
        Err(Problem::invalid_parameter(
            "/header/idempotency-key",
            format!("expected 1 to {IDEMPOTENCY_KEY_BYTES_MAX} visible ASCII characters"),
        ))
    }

    /// A digest of what is asked of the path: the query and the body, parsed, so that white space, the order of
    /// members and the format do not matter. Documents count as they are.
    ///
    /// # Errors
    /// [`Slug::MalformedRequest`] if the body is missing or cannot be read.
    pub fn fingerprint(&self) -> Result<[u8; 32], Problem> {
        let mut query = self.query.0.clone();
        query.sort();
        let body = match self.operation.body {
            BodyKind::None => Value::Null,
            BodyKind::Typed(_) | BodyKind::Optional(_) => self.body_value()?,
            BodyKind::Document | BodyKind::Draft => Value::Bytes(self.document()?.0.to_vec()),
            BodyKind::Bytes(_) => Value::Bytes(self.bytes()?.to_vec()),
        };
        let text = serde_json::to_vec(&(query, body)).expect("pairs and values are JSON");
        Ok(Sha256::digest(text).into())
    }

    /// The path under which the server is mounted, for links in bodies.
    pub fn base_path(&self) -> &str {
        self.terms.base_path
    }

    /// All lines of a header as one; what is no text in it is replaced by what no grammar takes.
    fn header(&self, name: HeaderName) -> Option<String> {
        let headers: &HeaderMap = &self.terms.headers;
        let lines: Vec<_> =
            headers.get_all(name).iter().map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
        (!lines.is_empty()).then(|| lines.join(","))
    }

    fn content(&self) -> Result<(DocumentFormat, &[u8]), Problem> {
        match (&self.content, self.operation.body) {
            (Content::Some(format, bytes), _) => Ok((*format, bytes)),
            (Content::None, BodyKind::Optional(_)) => Ok((DocumentFormat::Json, b"{}")),
            (Content::None | Content::Raw(_), _) => Err(no_body()),
        }
    }
}

fn no_body() -> Problem {
    Problem::with_errors(Slug::MalformedRequest, vec![FieldError::new("", "expected a body, found none")])
}
