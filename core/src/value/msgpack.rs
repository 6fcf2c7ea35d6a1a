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
