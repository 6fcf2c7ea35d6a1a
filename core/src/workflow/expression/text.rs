//! Values as JSON text, for `json()` and for interpolation.
//!
//! The text is the canonical one of the database: compact, members by name, binary as `{"$binary": …}`. It
//! is written under a limit, so that a large value costs no more than the limit.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::value::{BINARY_KEY, DEPTH_MAX, Value};

use super::budget::{RESULT_BYTES_MAX, Stop};

/// The JSON text of a value, of at most [`RESULT_BYTES_MAX`] bytes.
pub(super) fn to_json(value: &Value) -> Result<String, Stop> {
    let mut text = String::new();
    write(value, DEPTH_MAX, &mut text)?;
    Ok(text)
}

/// Whether [`to_json`] succeeds, without keeping the text.
pub(super) fn measure(value: &Value) -> Result<(), Stop> {
    write(value, DEPTH_MAX, &mut Length(0))
}

/// The text of a value inside of a text: a string as it is, everything else as JSON.
pub(super) fn interpolate(value: &Value, out: &mut String) -> Result<(), Stop> {
    match value {
        Value::String(text) => out.put(text),
        other => write(other, DEPTH_MAX, out),
    }
}

/// Where text goes; refuses what makes it longer than [`RESULT_BYTES_MAX`].
trait Sink {
    fn put(&mut self, text: &str) -> Result<(), Stop>;
}

impl Sink for String {
    fn put(&mut self, text: &str) -> Result<(), Stop> {
        if self.len() + text.len() > RESULT_BYTES_MAX {
            return Err(Stop::TooLarge);
        }
        self.push_str(text);
        Ok(())
    }
}

/// Counts only.
struct Length(usize);

impl Sink for Length {
    fn put(&mut self, text: &str) -> Result<(), Stop> {
        self.0 += text.len();
        if self.0 > RESULT_BYTES_MAX { Err(Stop::TooLarge) } else { Ok(()) }
    }
}

fn write(value: &Value, depth: usize, out: &mut impl Sink) -> Result<(), Stop> {
    match value {
        Value::Null => out.put("null"),
        Value::Bool(true) => out.put("true"),
        Value::Bool(false) => out.put("false"),
        Value::Int(number) => out.put(&number.to_string()),
        Value::UInt(number) => out.put(&number.to_string()),
        Value::Float(number) => write_float(*number, out),
        Value::String(text) => write_string(text, out),
        Value::Bytes(bytes) => write_bytes(bytes, out),
        Value::Array(items) => {
            let depth = depth.checked_sub(1).ok_or(Stop::TooDeep)?;
            write_list(items, "[", "]", out, |item, out| write(item, depth, out))
        }
        Value::Object(members) => {
            let depth = depth.checked_sub(1).ok_or(Stop::TooDeep)?;
            write_list(members, "{", "}", out, |(name, member), out| {
                write_string(name, out)?;
                out.put(":")?;
                write(member, depth, out)
            })
        }
    }
}

fn write_list<T, S: Sink>(
    items: impl IntoIterator<Item = T>,
    open: &str,
    close: &str,
    out: &mut S,
    mut write_item: impl FnMut(T, &mut S) -> Result<(), Stop>,
) -> Result<(), Stop> {
    out.put(open)?;
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.put(",")?;
        }
        write_item(item, out)?;
    }
    out.put(close)
}

fn write_float(number: f64, out: &mut impl Sink) -> Result<(), Stop> {
    if !number.is_finite() {
        return Err(Stop::Failed(format!("{number} is no number that JSON can hold")));
    }
    out.put(&serde_json::Number::from_f64(number).expect("it is finite").to_string())
}

fn write_string(text: &str, out: &mut impl Sink) -> Result<(), Stop> {
    if text.len() > RESULT_BYTES_MAX {
        return Err(Stop::TooLarge);
    }
    out.put(&serde_json::to_string(text).expect("a string is always JSON"))
}

fn write_bytes(bytes: &[u8], out: &mut impl Sink) -> Result<(), Stop> {
    if bytes.len() > RESULT_BYTES_MAX {
        return Err(Stop::TooLarge);
    }
    out.put(&format!("{{\"{BINARY_KEY}\":\"{}\"}}", STANDARD.encode(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_text_is_compact_and_ordered() {
        for (value, text) in [
            (Value::Null, "null"),
            (Value::from(true), "true"),
            (Value::from(u64::MAX), "18446744073709551615"),
            (Value::Float(1.0), "1.0"),
            (Value::Float(1e300), "1e+300"),
            (Value::from("a\"\n\u{1}é"), "\"a\\\"\\n\\u0001é\""),
            (Value::Bytes(vec![0xff, 0]), "{\"$binary\":\"/wA=\"}"),
            (Value::from(vec![Value::Int(1), Value::from(vec![])]), "[1,[]]"),
            (Value::from([("b", Value::Int(1)), ("a", Value::Null)]), "{\"a\":null,\"b\":1}"),
        ] {
            assert_eq!(to_json(&value), Ok(text.to_owned()));
            assert_eq!(measure(&value), Ok(()));
        }
    }

    #[test]
    fn the_limit_is_exact() {
        let of_length = |bytes: usize| Value::from("x".repeat(bytes - 2));
        assert_eq!(measure(&of_length(RESULT_BYTES_MAX)), Ok(()));
        assert_eq!(measure(&of_length(RESULT_BYTES_MAX + 1)), Err(Stop::TooLarge));
        assert_eq!(to_json(&of_length(RESULT_BYTES_MAX)).map(|text| text.len()), Ok(RESULT_BYTES_MAX));
        assert_eq!(to_json(&of_length(RESULT_BYTES_MAX + 1)), Err(Stop::TooLarge));
    }

    #[test]
    fn depth_and_infinity_are_refused() {
        let nested = |depth| (0..depth).fold(Value::Null, |inner, _| Value::from(vec![inner]));
        assert_eq!(measure(&nested(DEPTH_MAX)), Ok(()));
        assert_eq!(measure(&nested(DEPTH_MAX + 1)), Err(Stop::TooDeep));
        assert!(matches!(measure(&Value::Float(f64::INFINITY)), Err(Stop::Failed(_))));
    }
}
