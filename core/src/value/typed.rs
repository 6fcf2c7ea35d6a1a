//! From a value to a typed body, with a pointer to what does not fit.
//!
//! Reading `T` from the value instead of from the bytes makes JSON and MessagePack mean the same: the rules of
//! [`Value`] hold for every part, binary may be written either way, and a struct is an object, never an array,
//! which serde's formats would accept.

use std::fmt;

use serde::Deserializer;
use serde::de::value::StringDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, EnumAccess, Error, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::{Pointer, ReadError, Value};

/// Reads the type; the error's pointer names the place that did not fit.
pub(super) fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, ReadError> {
    T::deserialize(Typed(value)).map_err(|misfit| ReadError {
        pointer: misfit.steps.iter().rev().fold(Pointer::root(), |pointer, step| pointer.push(step)),
        ..ReadError::new(misfit.message)
    })
}

/// What did not fit, and the steps that lead there, the innermost first.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Misfit {
    message: String,
    steps: Vec<String>,
}

impl Misfit {
    fn under(mut self, step: impl ToString) -> Self {
        self.steps.push(step.to_string());
        self
    }
}

impl Error for Misfit {
    fn custom<M: fmt::Display>(message: M) -> Self {
        Self { message: message.to_string(), steps: Vec::new() }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("expected {expected}, found {}", describe(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("expected {expected}, found {}", describe(found)))
    }
}

/// What was found, in the words of JSON.
fn describe(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(truth) => truth.to_string(),
        Unexpected::Unsigned(number) => number.to_string(),
        Unexpected::Signed(number) => number.to_string(),
        Unexpected::Float(number) => format!("{number:?}"),
        Unexpected::Str(text) => format!("{:?}", super::rules::shown(text)),
        Unexpected::Bytes(_) => "binary".to_owned(),
        Unexpected::Unit => "null".to_owned(),
        Unexpected::Seq => "an array".to_owned(),
        Unexpected::Map => "an object".to_owned(),
        other => other.to_string(),
    }
}

/// A value as the source of a typed one.
struct Typed(Value);

impl Typed {
    fn unexpected(&self) -> Unexpected<'_> {
        match &self.0 {
            Value::Null => Unexpected::Unit,
            Value::Bool(truth) => Unexpected::Bool(*truth),
            Value::Int(number) => Unexpected::Signed(*number),
            Value::UInt(number) => Unexpected::Unsigned(*number),
            Value::Float(number) => Unexpected::Float(*number),
            Value::String(text) => Unexpected::Str(text),
            Value::Bytes(bytes) => Unexpected::Bytes(bytes),
            Value::Array(_) => Unexpected::Seq,
            Value::Object(_) => Unexpected::Map,
        }
    }
}

/// Where a type wants an integer, `8.0` is one, as JSON Schema says of numbers with a zero fraction.
macro_rules! deserialize_integers {
    ($($name:ident)*) => {
        $(fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
            match self.0 {
                Value::Float(number) if number.fract() == 0.0 && number.abs() <= INTEGRAL_MAX => {
                    visitor.visit_i64(number as i64)
                }
                _ => self.deserialize_any(visitor),
            }
        })*
    };
}

/// The largest number up to which a double holds every integer: 2^53.
const INTEGRAL_MAX: f64 = 9_007_199_254_740_992.0;

impl<'de> Deserializer<'de> for Typed {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(truth) => visitor.visit_bool(truth),
            Value::Int(number) => visitor.visit_i64(number),
            Value::UInt(number) => visitor.visit_u64(number),
            Value::Float(number) => visitor.visit_f64(number),
            Value::String(text) => visitor.visit_string(text),
            Value::Bytes(bytes) => visitor.visit_byte_buf(bytes),
            Value::Array(items) => {
                let length = items.len();
                let mut elements = Elements { rest: items.into_iter(), index: 0 };
                let read = visitor.visit_seq(&mut elements)?;
                if elements.rest.len() > 0 {
                    return Err(Misfit::invalid_length(length, &"fewer elements"));
                }
                Ok(read)
            }
            Value::Object(members) => visitor.visit_map(Entries { rest: members.into_iter(), value: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Object(_) => self.deserialize_any(visitor),
            _ => Err(Misfit::invalid_type(self.unexpected(), &"an object")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::String(name) => visitor.visit_enum(Variant { name, content: None }),
            Value::Object(mut members) if members.len() == 1 => {
                let (name, content) = members.pop_first().expect("it has one member");
                visitor.visit_enum(Variant { name, content: Some(content) })
            }
            _ => Err(Misfit::invalid_type(self.unexpected(), &OneOf(variants))),
        }
    }

    deserialize_integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16
        deserialize_u32 deserialize_u64
    }

    forward_to_deserialize_any! {
        bool i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map identifier ignored_any
    }
}

/// The names of an enum's variants, as an error says them.
struct OneOf(&'static [&'static str]);

impl Expected for OneOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "one of `{}`", self.0.join("`, `"))
    }
}

struct Elements {
    rest: std::vec::IntoIter<Value>,
    index: usize,
}

impl<'de> SeqAccess<'de> for &mut Elements {
    type Error = Misfit;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Misfit> {
        let Some(item) = self.rest.next() else {
            return Ok(None);
        };
        let element = seed.deserialize(Typed(item)).map_err(|misfit| misfit.under(self.index))?;
        self.index += 1;
        Ok(Some(element))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

struct Entries {
    rest: std::collections::btree_map::IntoIter<String, Value>,
    value: Option<(String, Value)>,
}

impl<'de> MapAccess<'de> for Entries {
    type Error = Misfit;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Misfit> {
        let Some((name, value)) = self.rest.next() else {
            return Ok(None);
        };
        self.value = Some((name.clone(), value));
        let key: StringDeserializer<Misfit> = name.clone().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|misfit| misfit.under(name))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Misfit> {
        let (name, value) = self.value.take().expect("serde asks for a value after its key");
        seed.deserialize(Typed(value)).map_err(|misfit| misfit.under(name))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// A variant by its name alone, or with content as an object of one member.
struct Variant {
    name: String,
    content: Option<Value>,
}

impl<'de> EnumAccess<'de> for Variant {
    type Error = Misfit;
    type Variant = Content;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Content), Misfit> {
        let name: StringDeserializer<Misfit> = self.name.clone().into_deserializer();
        Ok((seed.deserialize(name)?, Content { variant: self.name, value: self.content }))
    }
}

struct Content {
    variant: String,
    value: Option<Value>,
}

impl Content {
    fn read<T>(self, expected: &str, read: impl FnOnce(Typed) -> Result<T, Misfit>) -> Result<T, Misfit> {
        match self.value {
            Some(value) => read(Typed(value)).map_err(|misfit| misfit.under(self.variant)),
            None => Err(Misfit::invalid_type(Unexpected::Str(&self.variant), &expected)),
        }
    }
}

impl<'de> VariantAccess<'de> for Content {
    type Error = Misfit;

    fn unit_variant(self) -> Result<(), Misfit> {
        match self.value {
            None | Some(Value::Null) => Ok(()),
            Some(value) => {
                Err(Misfit::invalid_type(Typed(value).unexpected(), &"the name alone").under(self.variant))
            }
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Misfit> {
        self.read("an object with the content", |content| seed.deserialize(content))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Misfit> {
        self.read("an object with the content", |content| content.deserialize_tuple(len, visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.read("an object with the content", |content| content.deserialize_struct("", fields, visitor))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;
    use crate::value::{Payload, json, msgpack};

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        id: String,
        #[serde(default)]
        count: Option<u8>,
        #[serde(default)]
        ratio: f64,
        #[serde(default)]
        tags: Vec<String>,
        #[serde(default)]
        env: BTreeMap<String, u16>,
        #[serde(default)]
        mode: Mode,
        #[serde(default)]
        pair: (u8, u8),
        #[serde(default)]
        output: Option<Payload>,
    }

    #[derive(Debug, PartialEq, Default, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Mode {
        #[default]
        Plain,
        Named(String),
        Sized {
            width: u8,
        },
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(untagged)]
    enum Command {
        Line(String),
        Words(Vec<String>),
    }

    fn body(change: impl FnOnce(&mut Body)) -> Body {
        let mut body = Body {
            id: "a".into(),
            count: None,
            ratio: 0.0,
            tags: Vec::new(),
            env: BTreeMap::new(),
            mode: Mode::Plain,
            pair: (0, 0),
            output: None,
        };
        change(&mut body);
        body
    }

    /// Reads the same body from JSON and from MessagePack and sees that both answer the same.
    fn read<T: DeserializeOwned + PartialEq + fmt::Debug>(text: &str) -> Result<T, ReadError> {
        let packed = Value::from_json(text.as_bytes()).expect("the row is JSON").to_msgpack();
        let (from_json, from_msgpack) = (json::read::<T>(text.as_bytes()), msgpack::read::<T>(&packed));
        match (&from_json, &from_msgpack) {
            (Ok(_), _) => assert_eq!(from_json, from_msgpack),
            (Err(error), Err(packed)) => {
                assert_eq!((&error.message, &error.pointer), (&packed.message, &packed.pointer));
            }
            _ => panic!("{text}: {from_json:?} and {from_msgpack:?}"),
        }
        from_json
    }

    #[test]
    fn bodies_are_read_alike_from_both_formats() {
        let rows = [
            (r#"{"id":"a"}"#, body(|_| ())),
            (r#"{"id":"a","count":null,"output":null}"#, body(|_| ())),
            (r#"{"id":"a","count":255,"ratio":2}"#, body(|b| (b.count, b.ratio) = (Some(255), 2.0))),
            (r#"{"id":"a","tags":["x","y"]}"#, body(|b| b.tags = vec!["x".into(), "y".into()])),
            (r#"{"id":"a","env":{"K":1}}"#, body(|b| b.env = BTreeMap::from([("K".into(), 1)]))),
            (r#"{"id":"a","mode":"plain","pair":[1,2]}"#, body(|b| b.pair = (1, 2))),
            (r#"{"id":"a","mode":{"named":"x"}}"#, body(|b| b.mode = Mode::Named("x".into()))),
            (r#"{"id":"a","mode":{"sized":{"width":3}}}"#, body(|b| b.mode = Mode::Sized { width: 3 })),
            (
                r#"{"id":"a","output":{"z":1.0,"b":{"$binary":"AP8"}}}"#,
                body(|b| b.output = Some(Payload::trusted(r#"{"b":{"$binary":"AP8="},"z":1.0}"#.into()))),
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(read::<Body>(text), Ok(expected), "{text}");
        }
        assert_eq!(read::<Command>("\"x\""), Ok(Command::Line("x".into())));
        assert_eq!(read::<Command>("[\"x\"]"), Ok(Command::Words(vec!["x".into()])));
    }

    #[test]
    fn a_misfit_is_placed() {
        let rows = [
            ("[\"a\"]", "expected an object, found an array", "", (1, 1)),
            ("null", "expected an object, found null", "", (1, 1)),
            ("{}", "missing field `id`", "", (1, 1)),
            ("{\"id\": 1}", "expected a string, found 1", "/id", (1, 8)),
            ("{\"id\": \"a\",\n \"count\": 256}", "expected u8, found 256", "/count", (2, 11)),
            ("{\"id\": \"a\", \"count\": 1.5}", "expected u8, found 1.5", "/count", (1, 22)),
            (
                "{\"id\": \"a\", \"tags\": [\"x\", {}]}",
                "expected a string, found an object",
                "/tags/1",
                (1, 27),
            ),
            (
                "{\"id\": \"a\", \"env\": {\"a/b~\": \"x\"}}",
                "expected u16, found \"x\"",
                "/env/a~1b~0",
                (1, 29),
            ),
            (
                "{\"id\": \"a\", \"pair\": [1]}",
                "invalid length 1, expected a tuple of size 2",
                "/pair",
                (1, 21),
            ),
            (
                "{\"id\": \"a\", \"pair\": [1, 2, 3]}",
                "invalid length 3, expected fewer elements",
                "/pair",
                (1, 21),
            ),
            (
                "{\"id\": \"a\", \"mode\": 1}",
                "expected one of `plain`, `named`, `sized`, found 1",
                "/mode",
                (1, 21),
            ),
            (
                "{\"id\": \"a\", \"mode\": \"big\"}",
                "unknown variant `big`, expected one of `plain`, `named`, `sized`",
                "/mode",
                (1, 21),
            ),
            (
                "{\"id\": \"a\", \"mode\": \"named\"}",
                "expected an object with the content, found \"named\"",
                "/mode",
                (1, 21),
            ),
            (
                "{\"id\": \"a\", \"mode\": {\"plain\": 1}}",
                "expected the name alone, found 1",
                "/mode/plain",
                (1, 31),
            ),
            (
                "{\"id\": \"a\", \"mode\": {\"sized\": [1]}}",
                "expected an object, found an array",
                "/mode/sized",
                (1, 31),
            ),
            (
                "{\"id\": \"a\", \"mode\": {\"sized\": {\"width\": -1}}}",
                "expected u8, found -1",
                "/mode/sized/width",
                (1, 41),
            ),
        ];
        for (text, message, pointer, place) in rows {
            let error = read::<Body>(text).expect_err(text);
            assert_eq!((error.message.as_str(), error.pointer.as_str()), (message, pointer), "{text}");
            assert_eq!(error.line.zip(error.column), Some(place), "{text}");
        }
    }

    #[test]
    fn an_unknown_field_is_named_and_placed() {
        let error = read::<Body>("{\"id\": \"a\",\n\"cuont\": 1}").expect_err("the field is misspelt");
        assert!(error.message.starts_with("unknown field `cuont`, expected one of `id`, `count`"), "{error}");
        assert_eq!((error.pointer.as_str(), error.line, error.column), ("/cuont", Some(2), Some(10)));
    }

    #[test]
    fn text_faults_come_first() {
        let rows = [
            ("{\"id\": \"a\", \"id\": \"b\"}", "the key \"id\" appears twice in one object"),
            (
                "{\"id\": \"a\", \"ratio\": 18446744073709551616}",
                "the integer 18446744073709551616 does not fit 64 bits",
            ),
            ("{\"id\": \"a\"} x", "there is more text after the end of the JSON value"),
        ];
        for (text, message) in rows {
            assert_eq!(json::read::<Body>(text.as_bytes()).expect_err(text).message, message);
        }
        let error = msgpack::read::<Body>(b"\x81\xa2id\xa1a\x01").expect_err("a byte follows");
        assert_eq!(error.message, "at byte 6: there are 1 bytes after the end of the value");
    }
}
