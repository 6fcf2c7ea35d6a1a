//! What a handler answers: a status, a body without a format, and the few facts that become headers.

use bytes::Bytes;
use serde::Serialize;

use crate::value::{Payload, Value, json_text};

/// A success. [`close`](super::reply::close) gives it format, encoding and headers.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// 200, 201, 202 or 204.
    pub status: u16,
    /// What it carries.
    pub body: AnswerBody,
    /// Where the thing that was made is, below the base path: `/api/v1/runs/x`.
    pub location: Option<String>,
    /// The version of the resource, which becomes the first part of its `ETag`.
    pub version: Option<String>,
    /// Whether this is the stored answer to an earlier request of the same `Idempotency-Key`.
    pub replayed: Replayed,
}

/// What an answer carries.
#[derive(Debug, Clone, PartialEq)]
pub enum AnswerBody {
    /// Nothing.
    Empty,
    /// JSON text; clients that asked for MessagePack get it transcoded, binary as `bin`.
    Json(Payload),
    /// Text of this media type, as it is.
    Text {
        /// The `Content-Type`.
        media_type: &'static str,
        /// The content.
        text: String,
    },
    /// Bytes of this media type, as they are.
    Bytes {
        /// The `Content-Type`.
        media_type: &'static str,
        /// The content.
        bytes: Bytes,
    },
}

/// Whether an answer is the first one or a stored one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Replayed {
    /// Made by this request.
    #[default]
    No,
    /// Stored by an earlier request; `Idempotency-Replayed: true`.
    Yes,
}

/// The media type of [`Output::Html`](super::catalogue::Output::Html).
pub const HTML: &str = "text/html; charset=utf-8";

impl Answer {
    /// No content: 204.
    pub fn empty() -> Self {
        Self::new(204, AnswerBody::Empty)
    }

    /// A resource. Members keep the order in which the type declares them.
    pub fn json<T: Serialize + ?Sized>(status: u16, resource: &T) -> Self {
        Self::new(status, AnswerBody::json(resource))
    }

    /// A value.
    pub fn value(status: u16, value: &Value) -> Self {
        Self::new(status, AnswerBody::Json(Payload::from(value)))
    }

    /// Text of this media type.
    pub fn text(status: u16, media_type: &'static str, text: impl Into<String>) -> Self {
        Self::new(status, AnswerBody::Text { media_type, text: text.into() })
    }

    /// Bytes of this media type.
    pub fn bytes(status: u16, media_type: &'static str, bytes: Bytes) -> Self {
        Self::new(status, AnswerBody::Bytes { media_type, bytes })
    }

    /// A page for people.
    pub fn html(status: u16, text: impl Into<String>) -> Self {
        Self::text(status, HTML, text)
    }

    /// With the place of what was made, below the base path.
    #[must_use]
    pub fn at(mut self, location: impl Into<String>) -> Self {
        self.location = Some(location.into());
        self
    }

    /// With the version that becomes its `ETag`.
    #[must_use]
    pub fn of_version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    fn new(status: u16, body: AnswerBody) -> Self {
        Self { status, body, location: None, version: None, replayed: Replayed::No }
    }
}

impl AnswerBody {
    /// The JSON text of a resource.
    pub fn json<T: Serialize + ?Sized>(resource: &T) -> Self {
        let text = json_text(resource).expect("resources have string keys and payloads that are JSON");
        AnswerBody::Json(Payload::trusted(text))
    }
}
