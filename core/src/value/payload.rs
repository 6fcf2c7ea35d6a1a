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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::DEPTH_MAX;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Answer {
        output: Payload,
    }

    fn rows() -> Vec<(Value, &'static str)> {
        vec![
            (Value::Null, "null"),
            (Value::UInt(u64::MAX), "18446744073709551615"),
            (Value::Float(2.0), "2.0"),
            (Value::from("é\n"), "\"é\\n\""),
            (Value::Bytes(vec![1, 2]), r#"{"$binary":"AQI="}"#),
            (
                Value::from([("b", Value::from(vec![Value::Bytes(vec![])])), ("a", Value::Int(-1))]),
                r#"{"a":-1,"b":[{"$binary":""}]}"#,
            ),
        ]
    }

    #[test]
    fn the_text_is_the_value() {
        for (value, text) in rows() {
            let payload = Payload::from(&value);
            assert_eq!((payload.as_str(), &*payload.text()), (text, text));
            assert_eq!(payload.byte_len(), text.len());
            assert_eq!(payload.is_null(), value == Value::Null);
            assert_eq!(payload.to_value(), value);
            assert_eq!(Payload::trusted(text.into()), payload);
        }
        assert_eq!(Payload::null(), Payload::from(&Value::Null));
    }

    #[test]
    fn it_is_embedded_in_both_formats() {
        for (value, text) in rows() {
            let answer = Answer { output: Payload::from(&value) };
            let json = format!("{{\"output\":{text}}}");
            assert_eq!(serde_json::to_string(&answer).ok(), Some(json.clone()));
            assert_eq!(serde_json::to_vec(&answer).ok(), Some(json.clone().into_bytes()));
            assert_eq!(serde_json::from_str::<Answer>(&json).ok().as_ref(), Some(&answer));
            let packed = rmp_serde::to_vec_named(&answer).expect("it can be packed");
            assert_eq!(Value::from_msgpack(&packed), Ok(Value::from([("output", value)])));
            assert_eq!(rmp_serde::from_slice::<Answer>(&packed).ok(), Some(answer));
        }
    }

    #[test]
    fn nothing_that_was_built_here_is_lost() {
        let mut deep = Value::Int(1);
        for _ in 0..DEPTH_MAX + 20 {
            deep = Value::from(vec![deep]);
        }
        let rows = [
            Value::from([("$binary", Value::from("not base64!"))]),
            Value::from(vec![Value::from([("$binary", Value::from("?"))])]),
            deep,
        ];
        for value in rows {
            assert_eq!(Payload::from(&value).to_value(), value);
        }
        let unreadable = "[".repeat(1_000);
        assert_eq!(Payload::trusted(unreadable.as_str().into()).to_value(), Value::from(unreadable.as_str()));
        let answer = Answer { output: Payload::trusted(unreadable.into()) };
        assert!(serde_json::to_string(&answer).is_err(), "damaged text must not damage an answer");
    }

    #[test]
    fn the_schema_allows_anything() {
        let schema = SchemaGenerator::default().into_root_schema_for::<Payload>();
        assert_eq!(schema.get("description").and_then(|text| text.as_str()), Some("any value"));
        assert_eq!(schema.get("type"), None);
    }
}
