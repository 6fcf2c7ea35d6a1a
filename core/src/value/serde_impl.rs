//! How a value meets serde, so that it can be a field of any request or response.
//!
//! The rules that need the text (integers beyond 64 bits in JSON, invalid UTF-8 in MessagePack) cannot be
//! seen from here: whole bodies are read by `json::read` and `msgpack::read`.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Deserializer, Serialize};

use super::rules::{self, BASE64, Fault};
use super::{BINARY_KEY, Object, Value};

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(truth) => serializer.serialize_bool(*truth),
            Value::Int(number) => serializer.serialize_i64(*number),
            Value::UInt(number) => serializer.serialize_u64(*number),
            // The sum turns −0 into 0: equal values are written alike.
            Value::Float(number) => serializer.serialize_f64(*number + 0.0),
            Value::String(text) => serializer.serialize_str(text),
            Value::Bytes(bytes) if serializer.is_human_readable() => {
                let mut object = serializer.serialize_map(Some(1))?;
                object.serialize_entry(BINARY_KEY, &BASE64.encode(bytes))?;
                object.end()
            }
            Value::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Value::Array(items) => serializer.collect_seq(items),
            Value::Object(members) => serializer.collect_map(members),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Reader { depth: 0, origin: Origin::Wire }.deserialize(deserializer)
    }
}

impl JsonSchema for Value {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Value".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "any value" })
    }
}

/// Reads JSON text that this program wrote, which is never refused for what it holds.
pub(super) fn deserialize_ours<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    Reader { depth: 0, origin: Origin::Store }.deserialize(deserializer)
}

#[derive(Clone, Copy, PartialEq)]
enum Origin {
    Wire,
    Store,
}

/// Reads one value; `depth` containers are open around it.
#[derive(Clone, Copy)]
struct Reader {
    depth: usize,
    origin: Origin,
}

impl Reader {
    /// Checks the way into a container and answers the reader of what is in it.
    fn enter(self, rule: fn(usize) -> Result<(), Fault>) -> Result<Self, Fault> {
        let inner = Self { depth: self.depth + 1, ..self };
        match self.origin {
            Origin::Wire => rule(inner.depth).map(|()| inner),
            Origin::Store => Ok(inner),
        }
    }

    fn close(self, members: Object) -> Result<Value, Fault> {
        match self.origin {
            Origin::Wire => rules::close_object(members, self.depth),
            Origin::Store => Ok(rules::close_object_of_ours(members)),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Reader {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Int(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_i128<E: Error>(self, number: i128) -> Result<Value, E> {
        rules::integer(number).map_err(E::custom)
    }

    fn visit_u128<E: Error>(self, number: u128) -> Result<Value, E> {
        i128::try_from(number)
            .map_err(|_| rules::integer_range(&number.to_string()))
            .and_then(rules::integer)
            .map_err(E::custom)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        rules::float(number).map_err(E::custom)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Value, E> {
        Ok(Value::Bytes(bytes.to_vec()))
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Value, E> {
        Ok(Value::Bytes(bytes))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let inner = self.enter(rules::open_array).map_err(A::Error::custom)?;
        let mut items = Vec::new();
        while let Some(item) = elements.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self.enter(rules::open_object).map_err(A::Error::custom)?;
        let mut members = Object::new();
        while let Some(name) = entries.next_key_seed(Key)? {
            rules::new_name(&members, &name).map_err(A::Error::custom)?;
            let value = entries.next_value_seed(inner)?;
            members.insert(name, value);
        }
        inner.close(members).map_err(A::Error::custom)
    }
}

/// Reads the name of a member, which must be a string.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string as key")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<String, E> {
        Ok(name.to_owned())
    }

    fn visit_string<E: Error>(self, name: String) -> Result<String, E> {
        Ok(name)
    }

    fn visit_bool<E: Error>(self, name: bool) -> Result<String, E> {
        Err(E::custom(Fault::KeyNotString(name.to_string())))
    }

    fn visit_i64<E: Error>(self, name: i64) -> Result<String, E> {
        Err(E::custom(Fault::KeyNotString(name.to_string())))
    }

    fn visit_u64<E: Error>(self, name: u64) -> Result<String, E> {
        Err(E::custom(Fault::KeyNotString(name.to_string())))
    }

    fn visit_f64<E: Error>(self, name: f64) -> Result<String, E> {
        Err(E::custom(Fault::KeyNotString(name.to_string())))
    }

    fn visit_unit<E: Error>(self) -> Result<String, E> {
        Err(E::custom(Fault::KeyNotString("null".to_owned())))
    }
}
