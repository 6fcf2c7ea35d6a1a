//! The one value type of the wire, the documents and the database.
//!
//! `serde_json::Value` cannot carry binary and turns integers beyond `u64` into floats, so Selvedge has a
//! value of its own, read from JSON, MessagePack, YAML and TOML under one set of rules (`rules`) and written
//! to JSON and MessagePack. Binary is a MessagePack `bin`; in JSON text it is `{"$binary": "<base64>"}`, in
//! both directions. Objects are ordered by name, so that the same content always has the same text.
//! Typed bodies (`json::read`, `msgpack::read`) go through the same value, so that both formats accept and
//! refuse exactly the same things.

pub mod json;
pub mod msgpack;

mod locate;
mod payload;
mod pointer;
mod rules;
mod serde_impl;
mod toml;
mod typed;
mod yaml;
mod yaml_scalar;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub(crate) use json::json_text;
pub use locate::Locations;
pub use payload::Payload;
pub use pointer::Pointer;

/// The members of an object, by name.
pub type Object = BTreeMap<String, Value>;

/// How deep arrays and objects may nest in anything that is read, whatever the format.
pub const DEPTH_MAX: usize = 100;

/// The key of the JSON form of binary: an object with this single member is bytes.
pub const BINARY_KEY: &str = "$binary";

/// A JSON value that can also be bytes, with integers of 64 bits.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// Nothing.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// Every integer that fits `i64`.
    Int(i64),
    /// Only integers above `i64::MAX`; smaller ones are always [`Value::Int`].
    UInt(u64),
    /// A finite number that was written with a fraction or an exponent.
    Float(f64),
    /// Text.
    String(String),
    /// Binary.
    Bytes(Vec<u8>),
    /// A list.
    Array(Vec<Value>),
    /// Members by name.
    Object(Object),
}

/// Why bytes could not be read as a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ReadError {
    /// What is wrong, in lower case, without a full stop.
    pub message: String,
    /// Where in the text, counted from one; absent for MessagePack.
    pub line: Option<usize>,
    /// Column in characters, counted from one.
    pub column: Option<usize>,
    /// The place in the value that did not fit the expected type; the root where the text itself is at fault.
    pub pointer: Pointer,
}

impl ReadError {
    fn new(message: impl ToString) -> Self {
        Self { message: message.to_string(), line: None, column: None, pointer: Pointer::root() }
    }

    fn at(self, (line, column): (usize, usize)) -> Self {
        Self { line: Some(line), column: Some(column), ..self }
    }
}

impl Value {
    /// The name of the value's type, as error texts and JSON Schema say it.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Int(_) | Value::UInt(_) => "integer",
            Value::Float(_) => "number",
            Value::String(_) => "string",
            Value::Bytes(_) => "binary",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        }
    }

    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The members, if this is an object.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Value::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The elements, if this is an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The integer, if this is one that fits `i64`.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The truth value, if this is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// How many arrays and objects lie one inside the other at the deepest place; 0 for a scalar. What is built
    /// from parts can come to lie deeper than [`DEPTH_MAX`], and then nobody could read it back.
    pub fn depth(&self) -> usize {
        match self {
            Value::Array(items) => 1 + items.iter().map(Value::depth).max().unwrap_or(0),
            Value::Object(members) => 1 + members.values().map(Value::depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// The member of this name, if this is an object that has it.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.as_object()?.get(name)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::String(text)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Value::Bool(truth)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Int(number)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        i64::try_from(number).map_or(Value::UInt(number), Value::Int)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Value::Array(items)
    }
}

impl From<Object> for Value {
    fn from(members: Object) -> Self {
        Value::Object(members)
    }
}

impl<const N: usize> From<[(&str, Value); N]> for Value {
    fn from(members: [(&str, Value); N]) -> Self {
        Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}
