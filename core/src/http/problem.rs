//! Problem documents (RFC 9457): what every refusal and failure looks like on the wire.
//!
//! A problem is made where the fault is found, as plain data; it becomes a response in
//! [`close`](super::reply::close), which knows the request id, the base path and what the client accepts.

use serde::{Deserialize, Serialize};

use crate::time::Duration;
use crate::value::{Object, Pointer, ReadError, Value};

use super::answer::Replayed;
use super::limits::{ERRORS_MAX, RETRY_AFTER_DEFAULT};

pub use super::slug::Slug;

/// One problem. Its serde form is for storage (idempotency records); the wire form is [`Document`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// Its type, which gives status and title.
    pub slug: Slug,
    /// What is wrong this time, for a person.
    pub detail: String,
    /// Every fault, where there are several or where a place can be named.
    pub errors: Vec<FieldError>,
    /// Further members of the document, such as `failure`.
    pub extra: Object,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
    /// `Allow`, on 405.
    pub allow: Option<String>,
    /// Whether this is the stored answer to an earlier request of the same `Idempotency-Key`.
    #[serde(skip)]
    pub replayed: Replayed,
}

/// The document on the wire. Further members may stand beside these.
#[derive(Debug, Serialize, schemars::JsonSchema)]
#[schemars(rename = "Problem")]
pub struct Document {
    /// A link to what this type of problem means: `/problems/{slug}`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the type means, in a few words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong this time.
    pub detail: String,
    /// The id of the request.
    pub instance: String,
    /// Every fault, where there are several or where a place can be named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Further members.
    #[serde(flatten)]
    pub extra: Object,
}

/// One fault and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FieldError {
    /// A JSON pointer into the body, or `/query/…`, `/path/…`, `/header/…`.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
    /// The line in the text, counted from one, where the format has lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The column in characters, counted from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
}

impl FieldError {
    /// A fault at a place without line and column.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into(), line: None, column: None }
    }
}

impl From<&ReadError> for FieldError {
    fn from(error: &ReadError) -> Self {
        let ReadError { message, line, column, pointer } = error;
        Self { pointer: pointer.to_string(), message: message.clone(), line: *line, column: *column }
    }
}

impl Problem {
    /// A problem of a type that the caller names.
    pub fn new(slug: Slug, detail: impl Into<String>) -> Self {
        Self {
            slug,
            detail: detail.into(),
            errors: Vec::new(),
            extra: Object::new(),
            retry_after: None,
            allow: None,
            replayed: Replayed::No,
        }
    }

    /// Faults with their places; the detail names the first and counts the rest.
    pub fn with_errors(slug: Slug, mut errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [] => slug.title().to_owned(),
            [only] => located(only),
            [first, ..] => format!("{} faults, the first: {}", errors.len(), located(first)),
        };
        errors.truncate(ERRORS_MAX);
        Self { errors, ..Self::new(slug, detail) }
    }

    /// One wrong parameter: `pointer` is `/query/limit`, `/path/id` or `/header/if-match`.
    pub fn invalid_parameter(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self::with_errors(Slug::InvalidParameter, vec![FieldError::new(pointer, message)])
    }

    /// A body that is no JSON, MessagePack, YAML or TOML.
    pub fn unreadable(format: &str, error: &ReadError) -> Self {
        let fault =
            FieldError { message: format!("the body is not valid {format}: {error}"), ..error.into() };
        Self::with_errors(Slug::MalformedRequest, vec![fault])
    }

    /// Something that does not exist: `what` is "a run", `name` its id.
    pub fn not_found(what: &str, name: impl std::fmt::Display) -> Self {
        Self::new(Slug::NotFound, format!("there is no {what} {name}"))
    }

    /// A fault of the server. The cause belongs in the log, under the request id.
    pub fn internal() -> Self {
        Self::new(Slug::Internal, "the server made a mistake; its log has the cause under this request id")
    }

    /// Something that may work in a moment.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(Slug::Unavailable, detail).retry_after(RETRY_AFTER_DEFAULT)
    }

    /// With one more fault.
    #[must_use]
    pub fn error(mut self, pointer: &Pointer, message: impl Into<String>) -> Self {
        self.errors.push(FieldError::new(pointer.as_str(), message));
        self
    }

    /// With one more member.
    #[must_use]
    pub fn extra(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(name.to_owned(), value.into());
        self
    }

    /// With `Retry-After`.
    #[must_use]
    pub fn retry_after(mut self, duration: Duration) -> Self {
        self.retry_after = Some(duration);
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.slug.status()
    }

    /// The document that answers this request.
    pub fn into_document(self, base_path: &str, request_id: &str) -> Document {
        let mut extra = self.extra;
        extra.retain(|name, _| !MEMBERS.contains(&name.as_str()));
        Document {
            kind: format!("{base_path}/problems/{}", self.slug.slug()),
            title: self.slug.title(),
            status: self.slug.status(),
            detail: self.detail,
            instance: request_id.to_owned(),
            errors: self.errors,
            extra,
        }
    }
}

/// The members that mean something in every problem document.
const MEMBERS: [&str; 6] = ["type", "title", "status", "detail", "instance", "errors"];

fn located(error: &FieldError) -> String {
    match error.pointer.as_str() {
        "" => error.message.clone(),
        pointer => format!("{pointer}: {}", error.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_detail_names_the_first_fault_and_counts_the_rest() {
        let fault = |pointer: &str| FieldError::new(pointer, "bad");
        for (errors, detail) in [
            (vec![], "The request body cannot be read"),
            (vec![fault("")], "bad"),
            (vec![fault("/a")], "/a: bad"),
            (vec![fault("/a"), fault("/b")], "2 faults, the first: /a: bad"),
        ] {
            assert_eq!(Problem::with_errors(Slug::MalformedRequest, errors).detail, detail);
        }
        let many = Problem::with_errors(Slug::MalformedRequest, vec![fault("/a"); ERRORS_MAX + 1]);
        assert_eq!(many.errors.len(), ERRORS_MAX);
        assert!(many.detail.starts_with("101 faults"), "{}", many.detail);
    }

    #[test]
    fn extra_members_cannot_displace_the_standard_ones() {
        let problem = Problem::new(Slug::RunFailed, "it failed")
            .error(&Pointer::root().push("a/b"), "bad")
            .extra("failure", Value::from([("code", "x".into())]))
            .extra("status", 200_i64);
        let text = serde_json::to_string(&problem.into_document("/base", "r-1")).expect("plain");
        let expected = concat!(
            r#"{"type":"/base/problems/run-failed","title":"The run did not complete","status":422,"#,
            r#""detail":"it failed","instance":"r-1","errors":[{"pointer":"/a~1b","message":"bad"}],"#,
            r#""failure":{"code":"x"}}"#
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn problems_can_be_stored() {
        let problem = Problem::unavailable("busy").extra("n", u64::MAX).error(&Pointer::root(), "x");
        let text = serde_json::to_string(&problem).expect("plain");
        assert_eq!(serde_json::from_str::<Problem>(&text).expect("what was written"), problem);
    }
}
