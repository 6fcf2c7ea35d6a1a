//! A value as the database holds it: JSON text, shared, parsed only when somebody looks inside.
//!
//! Most values only pass through: they come in with a request, are stored, and go out with an answer. Holding
//! their text makes storing and answering in JSON a copy of bytes.

use std::borrow::Cow;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::ser::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{Value, serde_impl};

/// The compact JSON text of a value, binary as `{"$binary": …}`, members by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload(Arc<str>);

impl Payload {
    /// Nothing.
    pub fn null() -> Self {
        Self("null".into())
    }

    /// The value. Text that no reader takes (it cannot come from outside, but what is built here may nest
    /// deeper than a reader's stack allows) is answered as a string, so that nothing is lost.
    pub fn to_value(&self) -> Value {
        let mut deserializer = serde_json::Deserializer::from_str(&self.0);
        serde_impl::deserialize_ours(&mut deserializer).unwrap_or_else(|_| Value::from(&*self.0))
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The JSON text, shared.
    pub fn text(&self) -> Arc<str> {
        self.0.clone()
    }

    /// Whether the value is nothing.
    pub fn is_null(&self) -> bool {
        &*self.0 == "null"
    }

    /// The length of the JSON text, which is what limits on payloads count.
    pub fn byte_len(&self) -> usize {
        self.0.len()
    }

    /// Text that was a payload's before, out of the database.
    pub(crate) fn trusted(text: Arc<str>) -> Self {
        Self(text)
    }
}

impl Default for Payload {
    fn default() -> Self {
        Self::null()
    }
}

impl From<&Value> for Payload {
    fn from(value: &Value) -> Self {
        Self(value.to_json().into())
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            // One pass over the text without building anything, so that not even damaged text can break the
            // answer around it.
            let raw: &RawValue = serde_json::from_str(&self.0).map_err(S::Error::custom)?;
            raw.serialize(serializer)
        } else {
            self.to_value().serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(|value| Self::from(&value))
    }
}

impl JsonSchema for Payload {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Value::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Value::json_schema(generator)
    }
}
