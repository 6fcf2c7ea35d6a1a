//! JSON text: reading it strictly, writing it canonically.
//!
//! serde_json does the parsing. What it would let pass is found around it: integers beyond 64 bits, which it
//! turns into floats, are found by a scan of the number tokens; everything else by the rules of `Value`.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::DeserializeOwned;

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
    let message = match message {
        "trailing characters" => "there is more text after the end of the JSON value",
        "number out of range" => "a number is too large for 64 bits",
        other => other,
    };
    let line_start = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum::<usize>();
    ReadError::new(message).at(place(text, line_start + column.saturating_sub(1)))
}
