//! The request's body: in a format that the operation takes, and no longer than the server takes.

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::workflow::format::DocumentFormat;

use super::catalogue::{BodyKind, Operation};
use super::negotiate::{essence, joined};
use super::problem::{FieldError, Problem, Slug};

/// The request's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// There is none.
    None,
    /// Bytes in a format that the operation takes.
    Some(DocumentFormat, Bytes),
    /// Bytes that are no value in any format.
    Raw(Bytes),
}

/// The media types in which an operation takes its body; none where it takes no body.
pub fn media_types(body: BodyKind) -> Vec<&'static str> {
    match body {
        BodyKind::Bytes(media_type) => vec![media_type],
        _ => formats(body).iter().map(|format| format.media_type()).collect(),
    }
}

/// The formats in which an operation takes a value as its body.
fn formats(body: BodyKind) -> &'static [DocumentFormat] {
    match body {
        BodyKind::None | BodyKind::Bytes(_) => &[],
        BodyKind::Typed(_) | BodyKind::Optional(_) => &[DocumentFormat::Json, DocumentFormat::MessagePack],
        BodyKind::Document | BodyKind::Draft => &DocumentFormat::ALL,
    }
}

/// Reads the whole body.
///
/// # Errors
/// [`Slug::UnsupportedMediaType`], [`Slug::BodyTooLarge`], and [`Slug::MalformedRequest`] for a body where none
/// is taken or one that breaks off.
pub async fn read<B: http_body::Body>(
    operation: &Operation,
    headers: &HeaderMap,
    body: B,
    bytes_max: usize,
) -> Result<Content, Problem> {
    let announced = announced(operation.body, headers)?;
    let too_long = || too_long(operation.body, bytes_max);
    let bytes_max = if matches!(operation.body, BodyKind::None) { 0 } else { bytes_max };
    if announced_length(headers).max(body.size_hint().lower()) > bytes_max as u64 {
        return Err(too_long());
    }
    if body.is_end_stream() {
        return Ok(Content::None);
    }
    let bytes = match Limited::new(body.map_err(|_| BrokenOff), bytes_max).collect().await {
        Ok(whole) => whole.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Err(too_long()),
        Err(_) => return Err(malformed("the body broke off before its end")),
    };
    match announced {
        _ if bytes.is_empty() => Ok(Content::None),
        Some(Announced::Format(format)) => Ok(Content::Some(format, bytes)),
        Some(Announced::Raw) => Ok(Content::Raw(bytes)),
        None => Err(unsupported("expected a Content-Type", operation.body)),
    }
}

/// The body's transport failed; why is nobody's business but the host's.
#[derive(Debug, thiserror::Error)]
#[error("the body broke off")]
struct BrokenOff;

/// What `Content-Type` names.
enum Announced {
    Format(DocumentFormat),
    Raw,
}

/// What `Content-Type` names, if there is one.
fn announced(kind: BodyKind, headers: &HeaderMap) -> Result<Option<Announced>, Problem> {
    if matches!(kind, BodyKind::None) {
        return Ok(None);
    }
    if let Some(coding) = headers.get(CONTENT_ENCODING).filter(|coding| !is_identity(coding.as_bytes())) {
        let coding = String::from_utf8_lossy(coding.as_bytes()).into_owned();
        return Err(unsupported(&format!("expected a body without Content-Encoding, found {coding}"), kind));
    }
    if !headers.contains_key(CONTENT_TYPE) {
        return Ok(None);
    }
    let named = joined(headers, CONTENT_TYPE).unwrap_or_default();
    if let BodyKind::Bytes(media_type) = kind
        && essence(&named).eq_ignore_ascii_case(media_type)
    {
        return Ok(Some(Announced::Raw));
    }
    match DocumentFormat::from_media_type(&named).filter(|format| formats(kind).contains(format)) {
        Some(format) => Ok(Some(Announced::Format(format))),
        None => Err(unsupported(&format!("expected another Content-Type than {named:?}"), kind)),
    }
}

fn is_identity(coding: &[u8]) -> bool {
    coding.is_empty() || coding.eq_ignore_ascii_case(b"identity")
}

fn announced_length(headers: &HeaderMap) -> u64 {
    let text = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    text.and_then(|length| length.parse().ok()).unwrap_or(0)
}

fn unsupported(fault: &str, kind: BodyKind) -> Problem {
    let names = media_types(kind).join(", ");
    Problem::new(Slug::UnsupportedMediaType, format!("{fault}; this operation takes {names}"))
}

fn too_long(kind: BodyKind, bytes_max: usize) -> Problem {
    match kind {
        BodyKind::None => malformed("this operation takes no body, found one"),
        _ => Problem::new(Slug::BodyTooLarge, format!("the body is longer than {bytes_max} bytes")),
    }
}

fn malformed(message: impl Into<String>) -> Problem {
    Problem::with_errors(Slug::MalformedRequest, vec![FieldError::new("", message)])
}
