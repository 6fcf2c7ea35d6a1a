//! One SQL value as JSON: `{"type": "integer", "value": "7"}` and its kin.
//!
//! Read by a visitor of its own: rows are most of what comes in, and serde's tagged enums would copy each
//! value once more.

use std::fmt;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, general_purpose};
use selvedge::store::database::Cell;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

/// sqld takes no padding, and other servers may send some.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    general_purpose::NO_PAD.with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A cell on its way to the server.
pub(super) struct Encoded<'a>(pub(super) &'a Cell);

impl Serialize for Encoded<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.0 {
            Cell::Null => map.serialize_entry("type", "null")?,
            Cell::Integer(number) => {
                map.serialize_entry("type", "integer")?;
                map.serialize_entry("value", &Digits(*number))?;
            }
            Cell::Real(number) => {
                map.serialize_entry("type", "float")?;
                map.serialize_entry("value", number)?;
            }
            Cell::Text(text) => {
                map.serialize_entry("type", "text")?;
                map.serialize_entry("value", &**text)?;
            }
            Cell::Blob(bytes) => {
                map.serialize_entry("type", "blob")?;
                map.serialize_entry("base64", &BASE64.encode(bytes))?;
            }
        }
        map.end()
    }
}

/// An integer as a text, since JSON's numbers end at 2^53 for many.
struct Digits(i64);

impl Serialize for Digits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A cell that came from the server.
#[derive(Debug)]
pub(super) struct Decoded(Cell);

impl From<Decoded> for Cell {
    fn from(Decoded(cell): Decoded) -> Self {
        cell
    }
}

impl<'de> Deserialize<'de> for Decoded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(CellVisitor).map(Decoded)
    }
}

struct CellVisitor;

impl<'de> Visitor<'de> for CellVisitor {
    type Value = Cell;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an SQL value as an object with its type")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Cell, A::Error> {
        let (mut kind, mut value) = (None, None);
        while let Some(member) = map.next_key::<Member>()? {
            match member {
                Member::Type => kind = Some(map.next_value::<Kind>()?),
                Member::Value | Member::Base64 => value = Some(map.next_value::<Scalar>()?),
                Member::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let kind = kind.ok_or_else(|| de::Error::missing_field("type"))?;
        cell(kind, value.unwrap_or(Scalar::Null)).map_err(de::Error::custom)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Member {
    Type,
    Value,
    Base64,
    #[serde(other)]
    Other,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Null,
    Integer,
    Float,
    Text,
    Blob,
}

#[derive(Debug)]
enum Scalar {
    Null,
    Integer(i64),
    Float(f64),
    Text(String),
}

fn cell(kind: Kind, value: Scalar) -> Result<Cell, String> {
    match (kind, value) {
        (Kind::Null, _) => Ok(Cell::Null),
        (Kind::Integer, Scalar::Integer(number)) => Ok(Cell::Integer(number)),
        (Kind::Integer, Scalar::Text(digits)) => digits
            .parse()
            .map(Cell::Integer)
            .map_err(|fault| format!("expected an integer of 64 bits, found {digits:?}: {fault}")),
        (Kind::Float, Scalar::Float(number)) => Ok(Cell::Real(number)),
        (Kind::Float, Scalar::Integer(number)) => Ok(Cell::Real(number as f64)),
        (Kind::Float, Scalar::Null) => Err("a number is infinite, which JSON cannot say".into()),
        (Kind::Text, Scalar::Text(text)) => Ok(text.into()),
        (Kind::Blob, Scalar::Text(text)) => {
            let bytes = BASE64.decode(text).map_err(|fault| format!("a blob is not base64: {fault}"))?;
            Ok(Cell::Blob(bytes.into()))
        }
        (kind, value) => Err(format!("expected a value of type {kind:?}, found {value:?}")),
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number or null")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Scalar, E> {
        Ok(Scalar::Null)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar::Integer(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Scalar, E> {
        // Only a float is so large: an integer comes as a text.
        Ok(i64::try_from(number).map_or(Scalar::Float(number as f64), Scalar::Integer))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Scalar, E> {
        Ok(Scalar::Float(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Scalar, E> {
        Ok(Scalar::Text(text))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_go_out_and_come_back() {
        for (cell, expected) in [
            (Cell::Null, json!({"type": "null"})),
            (Cell::Integer(i64::MIN), json!({"type": "integer", "value": "-9223372036854775808"})),
            (Cell::Real(-0.5), json!({"type": "float", "value": -0.5})),
            (Cell::Real(3.0), json!({"type": "float", "value": 3.0})),
            ("a\0b☃".into(), json!({"type": "text", "value": "a\0b☃"})),
            (Cell::Blob([0, 255].into()), json!({"type": "blob", "base64": "AP8"})),
            (Cell::Blob([].into()), json!({"type": "blob", "base64": ""})),
        ] {
            assert_eq!(serde_json::to_value(Encoded(&cell)).expect("JSON"), expected);
            let back: Decoded = serde_json::from_value(expected).expect("a cell");
            assert_eq!(back.0, cell);
        }
    }

    #[test]
    fn other_servers_are_understood() {
        for (text, expected) in [
            (r#"{"value": "7", "type": "integer"}"#, Cell::Integer(7)),
            (r#"{"type": "integer", "value": 7}"#, Cell::Integer(7)),
            (r#"{"type": "float", "value": 7}"#, Cell::Real(7.0)),
            (r#"{"type": "float", "value": 1e300}"#, Cell::Real(1e300)),
            (r#"{"type": "float", "value": 18446744073709551615}"#, Cell::Real(18_446_744_073_709_551_615.0)),
            (r#"{"type": "blob", "base64": "AP8="}"#, Cell::Blob([0, 255].into())),
            (r#"{"type": "null", "value": null, "more": [1]}"#, Cell::Null),
        ] {
            let found: Decoded = serde_json::from_str(text).expect(text);
            assert_eq!(found.0, expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_value_is_named() {
        for (text, expected) in [
            (r#"{"value": "7"}"#, "missing field `type`"),
            (r#"{"type": "date", "value": "7"}"#, "unknown variant `date`"),
            (r#"{"type": "integer", "value": "seven"}"#, "expected an integer of 64 bits, found \"seven\""),
            (r#"{"type": "integer", "value": "9223372036854775808"}"#, "of 64 bits"),
            (r#"{"type": "float", "value": null}"#, "infinite"),
            (r#"{"type": "text", "value": 7}"#, "expected a value of type Text, found Integer(7)"),
            (r#"{"type": "blob", "base64": "?"}"#, "not base64"),
            (r#"{"type": "text", "value": []}"#, "a text, a number or null"),
            ("7", "an SQL value"),
        ] {
            let fault = serde_json::from_str::<Decoded>(text).expect_err(text).to_string();
            assert!(fault.contains(expected), "{text}: {fault}");
        }
    }
}
