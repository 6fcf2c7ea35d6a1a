//! What every reader refuses, whatever the format: one place, so that the formats cannot drift apart.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{BINARY_KEY, DEPTH_MAX, Object, Value};

/// How much of a name or a number is repeated in an error text.
const SHOWN_CHARS_MAX: usize = 64;

/// The standard alphabet, written with padding and read with or without it.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A rule that the text breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("arrays and objects are nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
    #[error("the key {0:?} appears twice in one object")]
    DuplicateKey(String),
    #[error("the key {0} is not a string, write it in quotes")]
    KeyNotString(String),
    #[error("a key must be a string, found {0}")]
    KeyKind(&'static str),
    #[error("the number {0} is not finite")]
    NotFinite(String),
    #[error("the integer {0} does not fit 64 bits")]
    IntegerRange(String),
    #[error("anchors and aliases expand to too much")]
    Expansion,
    #[error("an alias stands inside of the value that it names")]
    AliasOfItself,
    #[error("a merge key takes an object or an array of objects, found {0}")]
    MergeKind(&'static str),
    #[error("expected one YAML document, found another one")]
    SecondDocument,
    #[error("the tag {0} is not known here")]
    UnknownTag(String),
    #[error("{text:?} does not fit the tag {tag}")]
    TagMisfit { tag: String, text: String },
    #[error("the text of {BINARY_KEY} is not base64: {0}")]
    NotBase64(base64::DecodeError),
}

/// The fault of an integer that is too large.
pub(super) fn integer_range(digits: &str) -> Fault {
    Fault::IntegerRange(shown(digits))
}

/// The integer as the value that every reader makes of it.
pub(super) fn integer(number: i128) -> Result<Value, Fault> {
    if let Ok(small) = i64::try_from(number) {
        Ok(Value::Int(small))
    } else {
        u64::try_from(number).map(Value::UInt).map_err(|_| integer_range(&number.to_string()))
    }
}

/// The number, unless it is infinite or not a number.
pub(super) fn float(number: f64) -> Result<Value, Fault> {
    if number.is_finite() { Ok(Value::Float(number)) } else { Err(Fault::NotFinite(number.to_string())) }
}

/// Whether the object may get a member of this name; asked before its value is read, so that the fault is
/// placed at the name.
pub(super) fn new_name(members: &Object, name: &str) -> Result<(), Fault> {
    if members.contains_key(name) { Err(Fault::DuplicateKey(shown(name))) } else { Ok(()) }
}

/// Whether an array may stand at this depth; the outermost container has depth 1.
pub(super) fn open_array(depth: usize) -> Result<(), Fault> {
    if depth > DEPTH_MAX { Err(Fault::TooDeep) } else { Ok(()) }
}

/// Whether an object may stand at this depth. One level more than for arrays, because it may turn out to be
/// binary, which is no level: what MessagePack can carry, its JSON text can.
pub(super) fn open_object(depth: usize) -> Result<(), Fault> {
    if depth > DEPTH_MAX + 1 { Err(Fault::TooDeep) } else { Ok(()) }
}

/// The value of a finished object: bytes if it is the JSON form of them.
pub(super) fn close_object(members: Object, depth: usize) -> Result<Value, Fault> {
    if let Some(text) = binary_text(&members) {
        return BASE64.decode(text).map(Value::Bytes).map_err(Fault::NotBase64);
    }
    if depth > DEPTH_MAX { Err(Fault::TooDeep) } else { Ok(Value::Object(members)) }
}

/// The value of a finished object in text that this program wrote: what was no base64 when it was written is
/// an object still, and what was written at any depth is read at that depth.
pub(super) fn close_object_of_ours(members: Object) -> Value {
    match binary_text(&members).map(|text| BASE64.decode(text)) {
        Some(Ok(bytes)) => Value::Bytes(bytes),
        _ => Value::Object(members),
    }
}

/// A text for an error: whole if it is short, else its beginning.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn binary_text(members: &Object) -> Option<&str> {
    match members.len() {
        1 => members.get(BINARY_KEY)?.as_str(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_take_the_smallest_home() {
        let rows: [(i128, Result<Value, &str>); 6] = [
            (0, Ok(Value::Int(0))),
            (i64::MIN.into(), Ok(Value::Int(i64::MIN))),
            (i64::MAX.into(), Ok(Value::Int(i64::MAX))),
            (i128::from(i64::MAX) + 1, Ok(Value::UInt(1 << 63))),
            (u64::MAX.into(), Ok(Value::UInt(u64::MAX))),
            (i128::from(u64::MAX) + 1, Err("the integer 18446744073709551616 does not fit 64 bits")),
        ];
        for (number, expected) in rows {
            assert_eq!(integer(number).map_err(|fault| fault.to_string()), expected.map_err(str::to_owned));
        }
    }

    #[test]
    fn long_texts_are_shortened_between_characters() {
        assert_eq!(shown("ä"), "ä");
        assert_eq!(shown(&"ä".repeat(64)), "ä".repeat(64));
        assert_eq!(shown(&"ä".repeat(65)), format!("{}…", "ä".repeat(64)));
    }
}
