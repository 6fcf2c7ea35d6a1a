//! JSON text: reading it strictly, writing it canonically.
//!
//! serde_json does the parsing. What it would let pass is found around it: integers beyond 64 bits, which it
//! turns into floats, are found by a scan of the number tokens; everything else by the rules of `Value`.

use std::borrow::Cow;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Locations, ReadError, Value, rules, typed};

/// The fewest digits that an integer beyond 64 bits can have.
const WIDE_DIGITS_MIN: usize = 19;

/// Reads a typed body: one JSON value and nothing after it. A fault of the type is placed by its pointer and
/// by line and column; arrays are not accepted where the type is a struct.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ReadError> {
    typed::from_value(Value::from_json(bytes)?).map_err(|error| {
        let text = std::str::from_utf8(bytes).expect("it was read as JSON, which is UTF-8");
        match Locations::of_json(text).get(&error.pointer) {
            Some(place) => error.at(place),
            None => error,
        }
    })
}

impl Value {
    /// Reads JSON text: one value and nothing after it.
    pub fn from_json(bytes: &[u8]) -> Result<Value, ReadError> {
        let text = std::str::from_utf8(bytes).map_err(|error| not_utf8(bytes, error.valid_up_to()))?;
        if text.trim_ascii().is_empty() {
            return Err(ReadError::new("the text is empty, expected a JSON value"));
        }
        let text = scan_numbers(text)?;
        let mut deserializer = serde_json::Deserializer::from_str(&text);
        Value::deserialize(&mut deserializer)
            .and_then(|value| deserializer.end().map(|()| value))
            .map_err(|error| from_serde(&text, &error))
    }

    /// The compact JSON text. It is canonical, see [`Value::canonical`].
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a value has string keys and no other way to fail")
    }

    /// Canonical JSON, after RFC 8785 and with its purpose: equal values have equal text, fit to be hashed.
    /// Members are sorted by the bytes of their UTF-8 names (RFC 8785 sorts by UTF-16 units, which differs
    /// beyond U+FFFF only), there is no white space, strings escape only what must be, numbers have their
    /// shortest form. Unlike there, integers keep 64 bits and a float that is integral stays a float (`1.0`).
    pub fn canonical(&self) -> String {
        self.to_json()
    }
}

/// Room for the text of most resources and events, which would otherwise move several times as it grows.
const TEXT_BYTES_USUAL: usize = 1024;

/// The compact JSON text of plain data.
///
/// # Errors
///
/// As serde_json: a map with keys that are not text, or an implementation that fails.
pub(crate) fn json_text<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<Arc<str>> {
    let mut text = Vec::with_capacity(TEXT_BYTES_USUAL);
    serde_json::to_writer(&mut text, value)?;
    Ok(std::str::from_utf8(&text).expect("serde_json writes UTF-8").into())
}

/// Where a byte offset lies in a text, as line and column, both from one, the column in characters.
pub(super) fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (1 + before.matches('\n').count(), 1 + before[line_start..].chars().count())
}

/// The error of bytes that stop being UTF-8 after `valid` bytes.
fn not_utf8(bytes: &[u8], valid: usize) -> ReadError {
    let before = std::str::from_utf8(&bytes[..valid]).expect("this much of it is valid");
    ReadError::new(format!("the text is not UTF-8 at byte {valid}")).at(place(before, valid))
}

/// Refuses integers beyond 64 bits, and answers the text with `-0` as ` 0`, an integer like any other, which
/// serde_json would read as a float. The replacement has the same length, so that places stay what they are.
fn scan_numbers(text: &str) -> Result<Cow<'_, str>, ReadError> {
    let bytes = text.as_bytes();
    let mut negative_zeros = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = after_string(bytes, at),
            b'-' | b'0'..=b'9' => {
                let end = after_number(bytes, at);
                let token = &text[at..end];
                if token == "-0" {
                    negative_zeros.push(at);
                } else if is_wide_integer(token) {
                    return Err(ReadError::new(rules::integer_range(token)).at(place(text, at)));
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    if negative_zeros.is_empty() {
        return Ok(Cow::Borrowed(text));
    }
    let mut text = text.to_owned();
    for sign in negative_zeros {
        text.replace_range(sign..=sign, " ");
    }
    Ok(Cow::Owned(text))
}

/// The offset after the string that opens at this quote; the end of the text if it never closes.
pub(super) fn after_string(bytes: &[u8], quote: usize) -> usize {
    let mut at = quote + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The offset after the number that starts here.
pub(super) fn after_number(bytes: &[u8], start: usize) -> usize {
    let belongs = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    start + bytes[start..].iter().take_while(|byte| belongs(byte)).count()
}

/// Whether the token is an integer that fits neither `i64` nor `u64`.
pub(super) fn is_wide_integer(token: &str) -> bool {
    let digits = token.strip_prefix(['-', '+']).unwrap_or(token);
    digits.len() >= WIDE_DIGITS_MIN
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && token.parse::<i64>().is_err()
        && token.parse::<u64>().is_err()
}

/// The error of serde_json in our words. It counts columns in bytes and repeats the place in its text.
fn from_serde(text: &str, error: &serde_json::Error) -> ReadError {
    let (line, column) = (error.line(), error.column());
    let message = error.to_string();
    let message = message.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&message);
    let message = match message.strip_prefix("EOF while parsing ") {
        Some(part) => format!("the text ends in the middle of {part}"),
        None => match message {
            "trailing characters" => "there is more text after the end of the JSON value".to_owned(),
            "number out of range" => "a number is too large for 64 bits".to_owned(),
            "expected value" | "expected ident" => "expected a JSON value".to_owned(),
            other => other.to_owned(),
        },
    };
    let line_start = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum::<usize>();
    ReadError::new(message).at(place(text, line_start + column.saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text, the message that it gets, and line and column.
    type Refused<'a> = (&'a [u8], &'static str, Option<(usize, usize)>);

    #[test]
    fn what_is_read() {
        let rows: [(&str, Value); 16] = [
            ("null", Value::Null),
            (" true\n", Value::Bool(true)),
            ("0", Value::Int(0)),
            ("-0", Value::Int(0)),
            ("[-0, -0,1]", Value::from(vec![Value::Int(0), Value::Int(0), Value::Int(1)])),
            (r#"{"-0": "-0"}"#, Value::from([("-0", Value::from("-0"))])),
            ("-9223372036854775808", Value::Int(i64::MIN)),
            ("9223372036854775807", Value::Int(i64::MAX)),
            ("9223372036854775808", Value::UInt(1 << 63)),
            ("18446744073709551615", Value::UInt(u64::MAX)),
            ("1.0", Value::Float(1.0)),
            ("99999999999999999999e0", Value::Float(1e20)),
            (
                r#""99999999999999999999 \" 99999999999999999999""#,
                Value::from("99999999999999999999 \" 99999999999999999999"),
            ),
            (r#""\ud83d\ude00\u0000""#, Value::from("😀\0")),
            (r#"{"$binary": "aGVsbG8="}"#, Value::Bytes(b"hello".to_vec())),
            (r#"{"$binary": "aGVsbG8"}"#, Value::Bytes(b"hello".to_vec())),
        ];
        for (text, expected) in rows {
            assert_eq!(Value::from_json(text.as_bytes()), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_binary_stays_an_object() {
        let rows = [
            (r#"{"$binary":1}"#, Value::from([("$binary", Value::Int(1))])),
            (r#"{"$binary":"","x":1}"#, Value::from([("$binary", Value::from("")), ("x", Value::Int(1))])),
            (r#"{"$Binary":""}"#, Value::from([("$Binary", Value::from(""))])),
        ];
        for (text, expected) in rows {
            assert_eq!(Value::from_json(text.as_bytes()), Ok(expected.clone()), "{text}");
            assert_eq!(expected.to_json(), text);
        }
    }

    #[test]
    fn what_is_refused_and_where() {
        let deep = "[".repeat(101);
        let rows: [Refused<'_>; 24] = [
            (b"", "the text is empty, expected a JSON value", None),
            (b" \n\t", "the text is empty, expected a JSON value", None),
            (b"{", "the text ends in the middle of an object", Some((1, 1))),
            (b"\"a", "the text ends in the middle of a string", Some((1, 2))),
            (b"tru", "the text ends in the middle of a value", Some((1, 3))),
            (b"[1,]", "trailing comma", Some((1, 4))),
            (b"[1] x", "there is more text after the end of the JSON value", Some((1, 5))),
            (b"1 2", "there is more text after the end of the JSON value", Some((1, 3))),
            (b"{} -0", "there is more text after the end of the JSON value", Some((1, 5))),
            (b"{a: 1}", "key must be a string", Some((1, 2))),
            (b"NaN", "expected a JSON value", Some((1, 1))),
            (b"[01]", "invalid number", Some((1, 3))),
            (b"--0", "invalid number", Some((1, 2))),
            (b"1e400", "a number is too large for 64 bits", Some((1, 5))),
            ("{\"ä\":\n  é}".as_bytes(), "expected a JSON value", Some((2, 3))),
            ("[\"äöü\", x]".as_bytes(), "expected a JSON value", Some((1, 9))),
            (b"\"\\ud800\"", "unexpected end of hex escape", Some((1, 8))),
            (b"[\"\xff\"]", "the text is not UTF-8 at byte 2", Some((1, 3))),
            (b"18446744073709551616", "the integer 18446744073709551616 does not fit 64 bits", Some((1, 1))),
            (
                b"[1,\n -9223372036854775809]",
                "the integer -9223372036854775809 does not fit 64 bits",
                Some((2, 2)),
            ),
            (b"{\"a\":1,\"a\":2}", "the key \"a\" appears twice in one object", Some((1, 10))),
            (b"{\"a\":1,\"\\u0061\":2}", "the key \"a\" appears twice in one object", Some((1, 15))),
            (
                b"{\"$binary\":\"?\"}",
                "the text of $binary is not base64: Invalid symbol 63, offset 0.",
                Some((1, 15)),
            ),
            (deep.as_bytes(), "arrays and objects are nested deeper than 100 levels", Some((1, 101))),
        ];
        for (text, message, place) in rows {
            let shown = String::from_utf8_lossy(text);
            let error = Value::from_json(text).expect_err(&shown);
            assert_eq!(error.message, message, "{shown}");
            assert_eq!(error.line.zip(error.column), place, "{shown}");
        }
    }

    #[test]
    fn canonical_text_is_pinned() {
        let rows: [(Value, &str); 14] = [
            (Value::from([("b", Value::Null), ("a", Value::Int(1))]), r#"{"a":1,"b":null}"#),
            (
                Value::from([("é", Value::Null), ("z", Value::Null), ("Z", Value::Null)]),
                r#"{"Z":null,"z":null,"é":null}"#,
            ),
            (
                Value::from("\u{0}\u{8}\t\n\u{c}\r\u{1f}\"\\/\u{7f}é\u{2028}"),
                "\"\\u0000\\b\\t\\n\\f\\r\\u001f\\\"\\\\/\u{7f}é\u{2028}\"",
            ),
            (Value::Float(1.0), "1.0"),
            (Value::Float(-0.0), "0.0"),
            (Value::Float(0.1), "0.1"),
            (Value::Float(1e15), "1000000000000000.0"),
            (Value::Float(1e21), "1e+21"),
            (Value::Float(1e-7), "1e-7"),
            (Value::Float(5e-324), "5e-324"),
            (Value::Float(f64::MAX), "1.7976931348623157e+308"),
            (Value::Int(i64::MIN), "-9223372036854775808"),
            (Value::UInt(u64::MAX), "18446744073709551615"),
            (Value::Bytes(vec![0, 255]), r#"{"$binary":"AP8="}"#),
        ];
        for (value, expected) in rows {
            assert_eq!(value.canonical(), expected);
            assert_eq!(Value::from_json(expected.as_bytes()), Ok(value));
        }
    }
}
