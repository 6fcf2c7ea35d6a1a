//! MessagePack: reading it strictly, writing it compactly.
//!
//! The reader walks the markers itself instead of going through `rmp-serde`, whose visitor cannot tell a
//! string of invalid UTF-8 from binary, an extension from an array, or where in the bytes the fault lies.

use rmp::Marker;
use serde::de::DeserializeOwned;

use super::rules::{self, Fault};
use super::{Object, ReadError, Value, typed};

/// How many elements of an array are made room for before they are seen.
const ELEMENTS_RESERVED_MAX: usize = 1024;

/// Reads a typed body: one value and nothing after it. A fault of the type is placed by its pointer; arrays
/// are not accepted where the type is a struct.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ReadError> {
    typed::from_value(Value::from_msgpack(bytes)?)
}

impl Value {
    /// Reads MessagePack: one value and nothing after it.
    pub fn from_msgpack(bytes: &[u8]) -> Result<Value, ReadError> {
        if bytes.is_empty() {
            return Err(ReadError::new("the body is empty, expected a MessagePack value"));
        }
        let mut reader = Reader { bytes, at: 0 };
        let value = reader.value(0)?;
        match bytes.len() - reader.at {
            0 => Ok(value),
            rest => {
                Err(reader.fault(reader.at, format!("there are {rest} bytes after the end of the value")))
            }
        }
    }

    /// Writes MessagePack, each integer and length in its shortest form.
    pub fn to_msgpack(&self) -> Vec<u8> {
        rmp_serde::to_vec(self).expect("a value has string keys, known lengths and no other way to fail")
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// The value that starts here, with `depth` containers open around it.
    fn value(&mut self, depth: usize) -> Result<Value, ReadError> {
        let start = self.at;
        let [marker] = self.take()?;
        Ok(match Marker::from_u8(marker) {
            Marker::Null => Value::Null,
            Marker::True => Value::Bool(true),
            Marker::False => Value::Bool(false),
            Marker::FixPos(number) => Value::Int(number.into()),
            Marker::FixNeg(number) => Value::Int(number.into()),
            Marker::U8 => Value::Int(u8::from_be_bytes(self.take()?).into()),
            Marker::U16 => Value::Int(u16::from_be_bytes(self.take()?).into()),
            Marker::U32 => Value::Int(u32::from_be_bytes(self.take()?).into()),
            Marker::U64 => Value::from(u64::from_be_bytes(self.take()?)),
            Marker::I8 => Value::Int(i8::from_be_bytes(self.take()?).into()),
            Marker::I16 => Value::Int(i16::from_be_bytes(self.take()?).into()),
            Marker::I32 => Value::Int(i32::from_be_bytes(self.take()?).into()),
            Marker::I64 => Value::Int(i64::from_be_bytes(self.take()?)),
            Marker::F32 => self.float(start, |reader| Ok(f32::from_be_bytes(reader.take()?).into()))?,
            Marker::F64 => self.float(start, |reader| Ok(f64::from_be_bytes(reader.take()?)))?,
            marker => return self.sized(start, marker, depth),
        })
    }

    /// The value whose marker says, or is followed by, how long it is.
    fn sized(&mut self, start: usize, marker: Marker, depth: usize) -> Result<Value, ReadError> {
        Ok(match marker {
            Marker::FixStr(length) => Value::String(self.string(start, length.into())?),
            Marker::Str8 | Marker::Str16 | Marker::Str32 => {
                let length = self.length(marker)?;
                Value::String(self.string(start, length)?)
            }
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => {
                let length = self.length(marker)?;
                Value::Bytes(self.slice(start, length)?.to_vec())
            }
            Marker::FixArray(length) => self.array(start, length.into(), depth + 1)?,
            Marker::Array16 | Marker::Array32 => {
                let length = self.length(marker)?;
                self.array(start, length, depth + 1)?
            }
            Marker::FixMap(length) => self.object(start, length.into(), depth + 1)?,
            Marker::Map16 | Marker::Map32 => {
                let length = self.length(marker)?;
                self.object(start, length, depth + 1)?
            }
            Marker::Reserved => return Err(self.fault(start, "the marker 0xc1 is not MessagePack")),
            _ => {
                let message =
                    "extension types (time stamps among them) are not accepted, write a string or binary";
                return Err(self.fault(start, message));
            }
        })
    }

    fn float(
        &mut self,
        start: usize,
        number: impl FnOnce(&mut Self) -> Result<f64, ReadError>,
    ) -> Result<Value, ReadError> {
        let number = number(self)?;
        rules::float(number).map_err(|fault| self.fault(start, fault))
    }

    fn string(&mut self, start: usize, length: usize) -> Result<String, ReadError> {
        let bytes = self.slice(start, length)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(self.fault(start, "a string is not UTF-8, write binary as bin")),
        }
    }

    fn array(&mut self, start: usize, length: usize, depth: usize) -> Result<Value, ReadError> {
        rules::open_array(depth).map_err(|fault| self.fault(start, fault))?;
        self.expect_bytes(start, length)?;
        let mut items = Vec::with_capacity(length.min(ELEMENTS_RESERVED_MAX));
        for _ in 0..length {
            items.push(self.value(depth)?);
        }
        Ok(Value::Array(items))
    }

    fn object(&mut self, start: usize, length: usize, depth: usize) -> Result<Value, ReadError> {
        rules::open_object(depth).map_err(|fault| self.fault(start, fault))?;
        self.expect_bytes(start, length.saturating_mul(2))?;
        let mut members = Object::new();
        for _ in 0..length {
            let (key, name) = (self.at, self.name(depth)?);
            rules::new_name(&members, &name).map_err(|fault| self.fault(key, fault))?;
            let value = self.value(depth)?;
            members.insert(name, value);
        }
        rules::close_object(members, depth).map_err(|fault| self.fault(start, fault))
    }

    /// The name of a member, which must be a string.
    fn name(&mut self, depth: usize) -> Result<String, ReadError> {
        let start = self.at;
        match self.value(depth)? {
            Value::String(name) => Ok(name),
            scalar @ (Value::Null | Value::Bool(_) | Value::Int(_) | Value::UInt(_) | Value::Float(_)) => {
                Err(self.fault(start, Fault::KeyNotString(scalar.to_json())))
            }
            other => Err(self.fault(start, Fault::KeyKind(other.kind()))),
        }
    }

    fn length(&mut self, marker: Marker) -> Result<usize, ReadError> {
        Ok(match marker {
            Marker::Str8 | Marker::Bin8 => u8::from_be_bytes(self.take()?).into(),
            Marker::Str16 | Marker::Bin16 | Marker::Array16 | Marker::Map16 => {
                u16::from_be_bytes(self.take()?).into()
            }
            _ => usize::try_from(u32::from_be_bytes(self.take()?)).unwrap_or(usize::MAX),
        })
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let slice = self.slice(self.at, N)?;
        Ok(slice.try_into().expect("the slice has the length that was asked for"))
    }

    fn slice(&mut self, start: usize, length: usize) -> Result<&'a [u8], ReadError> {
        self.expect_bytes(start, length)?;
        let slice = &self.bytes[self.at..self.at + length];
        self.at += length;
        Ok(slice)
    }

    /// Checks a declared length against the bytes that are there, before anything is made of that length.
    fn expect_bytes(&self, start: usize, length: usize) -> Result<(), ReadError> {
        let rest = self.bytes.len() - self.at;
        if length > rest {
            let message =
                format!("the value is cut off, expected at least {length} more bytes, found {rest}");
            return Err(self.fault(start, message));
        }
        Ok(())
    }

    fn fault(&self, offset: usize, message: impl std::fmt::Display) -> ReadError {
        ReadError::new(format_args!("at byte {offset}: {message}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::DEPTH_MAX;

    #[test]
    fn every_marker_is_read() {
        let rows: [(&[u8], Value); 26] = [
            (&[0xc0], Value::Null),
            (&[0xc3], Value::Bool(true)),
            (&[0x7f], Value::Int(127)),
            (&[0xe0], Value::Int(-32)),
            (&[0xcc, 200], Value::Int(200)),
            (&[0xcd, 1, 0], Value::Int(256)),
            (&[0xce, 255, 255, 255, 255], Value::Int(4_294_967_295)),
            (&[0xcf, 0, 0, 0, 0, 0, 0, 0, 1], Value::Int(1)),
            (&[0xcf, 255, 255, 255, 255, 255, 255, 255, 255], Value::UInt(u64::MAX)),
            (&[0xd0, 0x80], Value::Int(-128)),
            (&[0xd1, 0x80, 0], Value::Int(-32768)),
            (&[0xd2, 255, 255, 255, 255], Value::Int(-1)),
            (&[0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0], Value::Int(i64::MIN)),
            (&[0xca, 0x3f, 0xc0, 0, 0], Value::Float(1.5)),
            (&[0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0], Value::Float(1.5)),
            (&[0xa1, b'x'], Value::from("x")),
            (&[0xd9, 1, b'x'], Value::from("x")),
            (&[0xda, 0, 1, b'x'], Value::from("x")),
            (&[0xdb, 0, 0, 0, 1, b'x'], Value::from("x")),
            (&[0xc4, 1, 9], Value::Bytes(vec![9])),
            (&[0xc5, 0, 1, 9], Value::Bytes(vec![9])),
            (&[0xc6, 0, 0, 0, 1, 9], Value::Bytes(vec![9])),
            (&[0xdc, 0, 1, 0xc2], Value::from(vec![Value::Bool(false)])),
            (&[0xdd, 0, 0, 0, 1, 0xc2], Value::from(vec![Value::Bool(false)])),
            (&[0xde, 0, 1, 0xa1, b'a', 1], Value::from([("a", Value::Int(1))])),
            (&[0xdf, 0, 0, 0, 1, 0xa1, b'a', 1], Value::from([("a", Value::Int(1))])),
        ];
        for (bytes, expected) in rows {
            assert_eq!(Value::from_msgpack(bytes), Ok(expected), "{bytes:x?}");
        }
    }

    #[test]
    fn what_is_refused_and_where() {
        let cut = "the value is cut off, expected at least";
        let deep = vec![0x91; DEPTH_MAX + 1];
        let deep_maps = [0x81, 0xa1, b'a'].repeat(DEPTH_MAX + 2);
        let rows: [(&[u8], String); 23] = [
            (&[], "the body is empty, expected a MessagePack value".into()),
            (&[1, 2], "at byte 1: there are 1 bytes after the end of the value".into()),
            (&[0xc1], "at byte 0: the marker 0xc1 is not MessagePack".into()),
            (&[0x91, 0xd4, 1, 2], "at byte 1: extension types (time stamps among them) are not accepted, write a string or binary".into()),
            (&[0xc9, 0, 0, 0, 0, 1], "at byte 0: extension types (time stamps among them) are not accepted, write a string or binary".into()),
            (&[0xa2, b'x'], format!("at byte 0: {cut} 2 more bytes, found 1")),
            (&[0xcd, 1], format!("at byte 1: {cut} 2 more bytes, found 1")),
            (&[0xdb, 255, 255, 255, 255], format!("at byte 0: {cut} 4294967295 more bytes, found 0")),
            (&[0xc6, 255, 255, 255, 255, 1], format!("at byte 0: {cut} 4294967295 more bytes, found 1")),
            (&[0xdd, 255, 255, 255, 255, 1], format!("at byte 0: {cut} 4294967295 more bytes, found 1")),
            (&[0xdf, 255, 255, 255, 255, 1], format!("at byte 0: {cut} 8589934590 more bytes, found 1")),
            (&[0xdd], format!("at byte 1: {cut} 4 more bytes, found 0")),
            (&[0x91, 0xa1, 0xff], "at byte 1: a string is not UTF-8, write binary as bin".into()),
            (&[0x81, 0xa1, 0xff, 1], "at byte 1: a string is not UTF-8, write binary as bin".into()),
            (&[0xca, 0x7f, 0xc0, 0, 0], "at byte 0: the number NaN is not finite".into()),
            (&[0x91, 0xcb, 0xff, 0xf0, 0, 0, 0, 0, 0, 0], "at byte 1: the number -inf is not finite".into()),
            (&[0x81, 1, 1], "at byte 1: the key 1 is not a string, write it in quotes".into()),
            (&[0x81, 0xc4, 1, 9, 1], "at byte 1: a key must be a string, found binary".into()),
            (&[0x81, 0x90, 1], "at byte 1: a key must be a string, found array".into()),
            (&[0x82, 0xa1, b'a', 1, 0xa1, b'a', 2], "at byte 4: the key \"a\" appears twice in one object".into()),
            (
                b"\x81\xa7$binary\xa1?",
                "at byte 0: the text of $binary is not base64: Invalid symbol 63, offset 0.".into(),
            ),
            (&deep, "at byte 100: arrays and objects are nested deeper than 100 levels".into()),
            (&deep_maps, "at byte 303: arrays and objects are nested deeper than 100 levels".into()),
        ];
        for (bytes, message) in rows {
            let error = Value::from_msgpack(bytes).expect_err("it is refused");
            assert_eq!(error.message, message, "{bytes:x?}");
            assert_eq!((error.line, error.column), (None, None));
        }
    }

    #[test]
    fn every_cut_is_an_error() {
        let value = Value::from([
            ("text", Value::from("é".repeat(40))),
            ("bytes", Value::Bytes(vec![7; 300])),
            ("list", Value::from(vec![Value::Int(i64::MIN), Value::UInt(u64::MAX), Value::Float(0.5)])),
        ]);
        let bytes = value.to_msgpack();
        assert_eq!(Value::from_msgpack(&bytes), Ok(value));
        for end in 0..bytes.len() {
            assert!(Value::from_msgpack(&bytes[..end]).is_err(), "cut at {end}");
        }
    }
}
