//! Workflow documents and inputs on disk: reading them, and showing faults at their line and column.

use std::io::Read;
use std::path::Path;

use selvedge::value::{Locations, Pointer, ReadError};
use selvedge::workflow::format::{self, DocumentFormat};
use serde::Deserialize;
use serde_json::Value;

use crate::module::Found;

/// A file that may be a workflow document.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// The path as it was given, for messages.
    pub(crate) label: String,
    pub(crate) format: DocumentFormat,
    pub(crate) bytes: Vec<u8>,
}

/// A document that could be read, whether or not it makes a workflow.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) label: String,
    pub(crate) value: Value,
    places: Locations,
    /// Whether the server was sent another text than that of the file.
    is_rewritten: bool,
}

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DocumentError {
    /// The file itself cannot be had.
    #[error("{label}: cannot be read: {cause}")]
    File { label: String, cause: std::io::Error },
    /// The ending names no format.
    #[error("{label}: expected a file that ends in .yaml, .yml, .toml or .json")]
    Ending { label: String },
    /// It is not in its format.
    #[error("{}", Fault::unreadable(cause, *format).at(label))]
    Text { label: String, format: DocumentFormat, cause: ReadError },
}

/// One thing that is wrong with a document or a request, as problem documents write it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Fault {
    #[serde(default)]
    pub(crate) pointer: String,
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) line: Option<usize>,
    #[serde(default)]
    pub(crate) column: Option<usize>,
}

impl File {
    /// Reads a file; `-` is standard input.
    pub(crate) fn open(path: &Path) -> Result<Self, DocumentError> {
        let is_stdin = path.as_os_str() == "-";
        let label = if is_stdin { "<stdin>".to_owned() } else { path.display().to_string() };
        let format = match DocumentFormat::from_path(path) {
            Some(format) => format,
            // JSON is YAML, so this reads both.
            None if is_stdin => DocumentFormat::Yaml,
            None => return Err(DocumentError::Ending { label }),
        };
        let mut bytes = Vec::new();
        let read = if is_stdin {
            std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
        } else {
            std::fs::read(path)
        };
        match read {
            Ok(bytes) => Ok(Self { label, format, bytes }),
            Err(cause) => Err(DocumentError::File { label, cause }),
        }
    }

    /// Reads the text as a value.
    pub(crate) fn parse(&self) -> Result<Document, DocumentError> {
        let (value, places) = format::read(&self.bytes, self.format)
            .map_err(|cause| DocumentError::Text { label: self.label.clone(), format: self.format, cause })?;
        let value = serde_json::from_str(&value.canonical()).expect("what core writes as JSON is JSON");
        Ok(Document { label: self.label.clone(), value, places, is_rewritten: false })
    }
}

impl Document {
    /// Reads a file as a document; `-` is standard input.
    pub(crate) fn load(path: &Path) -> Result<Self, DocumentError> {
        File::open(path)?.parse()
    }

    /// What is sent of it, with its media type: the file as it is, or the value if digests of modules stand in
    /// it. Then the places that the server counts are not those of the file, and [`Document::show`] is told so.
    pub(crate) fn body(&mut self, file: &File, modules: &Found) -> (&'static str, Vec<u8>) {
        if modules.is_empty() {
            return (file.format.media_type(), file.bytes.clone());
        }
        self.is_rewritten = true;
        (DocumentFormat::Json.media_type(), self.value.to_string().into_bytes())
    }

    /// A fault as `file:line:column: message`, where the server found it in this document. `prefix` is the
    /// document's own place in the request that the server judged.
    pub(crate) fn show(&self, fault: &Fault, prefix: &str) -> String {
        let mut fault = fault.clone();
        match fault.pointer.strip_prefix(prefix) {
            Some(inside) if inside.is_empty() || inside.starts_with('/') => fault.pointer = inside.to_owned(),
            _ => return fault.to_string(),
        }
        if (fault.line.is_none() || self.is_rewritten)
            && let Some((line, column)) = self.place(&fault.pointer)
        {
            (fault.line, fault.column) = (Some(line), Some(column));
        }
        fault.at(&self.label)
    }

    /// Where the value at this pointer stands, or else the nearest one around it.
    fn place(&self, pointer: &str) -> Option<(usize, usize)> {
        let mut steps: Vec<_> = pointer.split('/').skip(1).collect();
        loop {
            let pointer = steps.iter().fold(Pointer::root(), |pointer, step| {
                pointer.push(step.replace("~1", "/").replace("~0", "~"))
            });
            match self.places.get(&pointer) {
                Some(place) => return Some(place),
                None => steps.pop()?,
            };
        }
    }
}

impl Fault {
    /// What a reader says of a text.
    fn unreadable(cause: &ReadError, format: DocumentFormat) -> Self {
        let name = match format {
            DocumentFormat::Json => "JSON",
            DocumentFormat::Yaml => "YAML",
            DocumentFormat::Toml => "TOML",
            DocumentFormat::MessagePack => "MessagePack",
        };
        Self {
            pointer: String::new(),
            message: format!("cannot be read as {name}: {}", cause.message),
            line: cause.line,
            column: cause.column,
        }
    }

    /// The fault as compilers show theirs: `file:line:column: message (pointer)`.
    pub(crate) fn at(&self, label: &str) -> String {
        let place = match (self.line, self.column) {
            (Some(line), Some(column)) => format!(":{line}:{column}"),
            (Some(line), None) => format!(":{line}"),
            (None, _) => String::new(),
        };
        let pointer = if self.pointer.is_empty() { String::new() } else { format!(" ({})", self.pointer) };
        format!("{label}{place}: {}{pointer}", self.message)
    }
}

impl std::fmt::Display for Fault {
    /// Without a file: `pointer: message`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.pointer.as_str(), self.line, self.column) {
            ("", ..) => {}
            (pointer, Some(line), Some(column)) => write!(f, "{pointer} (line {line}, column {column}): ")?,
            (pointer, ..) => write!(f, "{pointer}: ")?,
        }
        f.write_str(&self.message)
    }
}

/// A value from the command line: JSON where it is JSON, text otherwise.
pub(crate) fn json_or_text(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fault(pointer: &str, line: Option<usize>, column: Option<usize>) -> Fault {
        Fault { pointer: pointer.into(), message: "is wrong".into(), line, column }
    }

    #[test]
    fn faults_are_shown_like_a_compilers() {
        for (pointer, line, column, shown) in [
            ("/a", Some(3), Some(7), "f.yaml:3:7: is wrong (/a)"),
            ("/a", Some(3), None, "f.yaml:3: is wrong (/a)"),
            ("/a", None, None, "f.yaml: is wrong (/a)"),
            ("", Some(1), Some(1), "f.yaml:1:1: is wrong"),
        ] {
            assert_eq!(fault(pointer, line, column).at("f.yaml"), shown);
        }
        assert_eq!(fault("/a", None, None).to_string(), "/a: is wrong");
        assert_eq!(fault("/a", Some(1), Some(2)).to_string(), "/a (line 1, column 2): is wrong");
        assert_eq!(fault("", None, None).to_string(), "is wrong");
    }

    #[test]
    fn values_of_the_command_line_are_json_or_text() {
        for (text, value) in [
            ("1", json!(1)),
            ("true", json!(true)),
            ("null", json!(null)),
            ("[1]", json!([1])),
            ("\"1\"", json!("1")),
            ("blue", json!("blue")),
            ("", json!("")),
            ("{a", json!("{a")),
        ] {
            assert_eq!(json_or_text(text), value, "{text}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        for (path, shown) in [
            ("/nowhere/x.yaml", "/nowhere/x.yaml: cannot be read: "),
            ("x.txt", "x.txt: expected a file that ends in "),
        ] {
            let error = Document::load(Path::new(path)).expect_err("no such document");
            assert!(error.to_string().starts_with(shown), "{error}");
        }
    }
}
