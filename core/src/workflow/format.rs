//! The text formats of a workflow document, and reading any of them into one value.
//!
//! JSON, YAML, TOML and MessagePack are the same document: what differs ends here. Every text format keeps
//! the places of its values, so that a fault can be shown by line and column.

use std::path::Path;

use crate::value::{Locations, Pointer, ReadError, Value};

use super::parse::Limit;

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentFormat {
    /// RFC 8259.
    Json,
    /// YAML 1.2.
    Yaml,
    /// TOML 1.0.
    Toml,
    /// MessagePack; no text, so faults have no line and column.
    MessagePack,
}

impl DocumentFormat {
    /// Every format.
    pub const ALL: [DocumentFormat; 4] = [Self::Json, Self::Yaml, Self::Toml, Self::MessagePack];

    /// The format that a `Content-Type` names; parameters and letter case do not matter.
    ///
    /// ```
    /// use selvedge::workflow::format::DocumentFormat;
    /// assert_eq!(DocumentFormat::from_media_type("text/yaml; charset=utf-8"), Some(DocumentFormat::Yaml));
    /// assert_eq!(DocumentFormat::from_media_type("text/plain"), None);
    /// ```
    pub fn from_media_type(media_type: &str) -> Option<Self> {
        let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        Some(match essence.as_str() {
            "application/json" => Self::Json,
            "application/yaml" | "application/x-yaml" | "text/yaml" => Self::Yaml,
            "application/toml" => Self::Toml,
            "application/msgpack" | "application/vnd.msgpack" => Self::MessagePack,
            _ => return None,
        })
    }

    /// The format that a file's extension names.
    pub fn from_path(path: impl AsRef<Path>) -> Option<Self> {
        let extension = path.as_ref().extension()?.to_str()?.to_ascii_lowercase();
        Some(match extension.as_str() {
            "json" => Self::Json,
            "yaml" | "yml" => Self::Yaml,
            "toml" => Self::Toml,
            "msgpack" => Self::MessagePack,
            _ => return None,
        })
    }

    /// The media type that answers in this format carry.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
            Self::Toml => "application/toml",
            Self::MessagePack => "application/msgpack",
        }
    }
}

/// Reads a document's bytes as a value, with the places of its parts.
///
/// # Errors
/// More than [`DOCUMENT_BYTES_MAX`](super::model::DOCUMENT_BYTES_MAX) bytes ([`Limit::crossed_by`] tells it
/// from the others), text that is not UTF-8, and whatever the format's reader refuses.
pub fn read(bytes: &[u8], format: DocumentFormat) -> Result<(Value, Locations), ReadError> {
    if bytes.len() > Limit::DocumentBytes.max() {
        return Err(refused(Limit::DocumentBytes.message(bytes.len())));
    }
    if format == DocumentFormat::MessagePack {
        return Ok((Value::from_msgpack(bytes)?, Locations::default()));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| not_text(bytes, error))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    Ok(match format {
        DocumentFormat::Yaml => (Value::from_yaml(text)?, Locations::of_yaml(text)),
        DocumentFormat::Toml => (Value::from_toml(text)?, Locations::of_toml(text)),
        DocumentFormat::Json | DocumentFormat::MessagePack => {
            (Value::from_json(text.as_bytes())?, Locations::of_json(text))
        }
    })
}

fn refused(message: String) -> ReadError {
    ReadError { message, line: None, column: None, pointer: Pointer::root() }
}

fn not_text(bytes: &[u8], error: std::str::Utf8Error) -> ReadError {
    let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    ReadError {
        line: Some(before.matches('\n').count() + 1),
        column: Some(before[line_start..].chars().count() + 1),
        ..refused(format!("the text is not UTF-8 at byte {}", error.valid_up_to()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::model::DOCUMENT_BYTES_MAX;

    #[test]
    fn media_types_and_extensions_name_formats() {
        use DocumentFormat::{Json, MessagePack, Toml, Yaml};
        for (media_type, format) in [
            ("application/json", Some(Json)),
            ("Application/JSON; charset=utf-8", Some(Json)),
            ("application/yaml", Some(Yaml)),
            ("application/x-yaml", Some(Yaml)),
            ("text/yaml", Some(Yaml)),
            ("application/toml", Some(Toml)),
            ("application/msgpack", Some(MessagePack)),
            ("application/vnd.msgpack", Some(MessagePack)),
            ("text/plain", None),
            ("", None),
        ] {
            assert_eq!(DocumentFormat::from_media_type(media_type), format, "{media_type}");
        }
        for (path, format) in [
            ("examples/hello.yaml", Some(Yaml)),
            ("a.b/HELLO.YML", Some(Yaml)),
            ("x.json", Some(Json)),
            ("x.toml", Some(Toml)),
            ("x.msgpack", Some(MessagePack)),
            ("x.txt", None),
            ("yaml", None),
        ] {
            assert_eq!(DocumentFormat::from_path(path), format, "{path}");
        }
        for format in DocumentFormat::ALL {
            assert_eq!(DocumentFormat::from_media_type(format.media_type()), Some(format));
        }
    }

    #[test]
    fn every_format_reads_the_same_document() {
        let json = br#"{"name": "x", "tasks": {"a": {"value": 1}}}"#;
        let expected = Value::from_json(json).expect("valid JSON");
        let msgpack = [b"\x82\xa4name\xa1x\xa5tasks\x81\xa1a\x81\xa5value\x01".as_slice()].concat();
        for (format, bytes) in [
            (DocumentFormat::Json, json.as_slice()),
            (DocumentFormat::Json, b"\xef\xbb\xbf{\"name\": \"x\", \"tasks\": {\"a\": {\"value\": 1}}}"),
            (DocumentFormat::Yaml, b"name: x\ntasks:\n  a: { value: 1 }\n"),
            (DocumentFormat::Toml, b"name = \"x\"\n[tasks.a]\nvalue = 1\n"),
            (DocumentFormat::MessagePack, &msgpack),
        ] {
            let (value, _) = read(bytes, format).expect("readable");
            assert_eq!(value, expected, "{format:?}");
        }
    }

    #[test]
    fn what_no_reader_should_see_is_refused_first() {
        let long = vec![b' '; DOCUMENT_BYTES_MAX + 1];
        let error = read(&long, DocumentFormat::Yaml).expect_err("too long");
        assert_eq!(Limit::crossed_by(&error.message), Some(Limit::DocumentBytes));
        let error = read(b"name: x\nnote: caf\xe9\n", DocumentFormat::Yaml).expect_err("Latin-1");
        assert_eq!((error.line, error.column), (Some(2), Some(10)), "{error}");
    }
}
