//! The words of the messages: how values, names and lists of alternatives are shown.
//!
//! Instances can be large and secret things can be long, so a message quotes scalars only, cut short.

use std::fmt::Write as _;

use crate::value::Value;
use crate::workflow::nearest::nearest;

/// Quoted texts are cut after this many characters.
const QUOTED_CHARS_MAX: usize = 64;
/// A slip is only looked for among the first so many: a validation may have many faults to word.
const SUGGESTED_FROM_MAX: usize = 200;
/// A list of what was expected is cut after this many entries.
const LISTED_MAX: usize = 10;

/// A value that was found: its type, and itself where it is a scalar.
pub(super) fn found(value: &Value) -> String {
    match value {
        Value::Null | Value::Array(_) | Value::Object(_) | Value::Bytes(_) => value.kind().to_owned(),
        _ => format!("{} {}", value.kind(), literal(value)),
    }
}

/// A value as JSON text where it is a scalar, else the name of its type.
pub(super) fn literal(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        Value::UInt(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::String(text) => format!("{:?}", cut(text)),
        Value::Bytes(_) => "some binary".to_owned(),
        Value::Array(items) if items.is_empty() => "[]".to_owned(),
        Value::Array(_) => "a certain array".to_owned(),
        Value::Object(members) if members.is_empty() => "{}".to_owned(),
        Value::Object(_) => "a certain object".to_owned(),
    }
}

/// A name of the schema or the instance in back-ticks.
pub(super) fn name(text: &str) -> String {
    format!("`{}`", cut(text))
}

/// "expected a, b or c, found string \"d\"", with the nearest of the expected texts where one is near.
pub(super) fn mismatch(expected: &[String], instance: &Value) -> String {
    let mut message = format!("expected {}, found {}", any_of(expected), found(instance));
    if instance.as_str().is_some() {
        let texts = expected.iter().map(String::as_str).filter(|word| word.starts_with('"'));
        if let Some(near) = nearest(&literal(instance), texts.take(SUGGESTED_FROM_MAX)) {
            let _ = write!(message, ", did you mean {near}?");
        }
    }
    message
}

/// ", did you mean `quantity`?", or nothing.
pub(super) fn suggestion<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest(unknown, known.take(SUGGESTED_FROM_MAX))
        .map_or_else(String::new, |near| format!(", did you mean `{near}`?"))
}

/// "1 element", "2 elements".
pub(super) fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn any_of(expected: &[String]) -> String {
    match expected {
        [] => "nothing".to_owned(),
        [only] => only.clone(),
        [head @ .., last] if head.len() < LISTED_MAX => format!("{} or {last}", head.join(", ")),
        _ => format!("{} or one of {} more", expected[..LISTED_MAX].join(", "), expected.len() - LISTED_MAX),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mismatches_read_as_sentences() {
        let words = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let many: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        let rows = [
            (words(&["integer"]), Value::from("x"), "expected integer, found string \"x\""),
            (words(&["integer", "null"]), Value::Array(vec![]), "expected integer or null, found array"),
            (
                words(&["\"red\"", "\"blue\""]),
                Value::from("bleu"),
                "expected \"red\" or \"blue\", found string \"bleu\", did you mean \"blue\"?",
            ),
            (words(&["true"]), Value::Null, "expected true, found null"),
            (words(&[]), Value::Float(1.0), "expected nothing, found number 1.0"),
            (
                many,
                Value::Bytes(vec![]),
                "expected 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 or one of 10 more, found binary",
            ),
        ];
        for (expected, instance, message) in rows {
            assert_eq!(mismatch(&expected, &instance), message);
        }
    }

    #[test]
    fn long_texts_are_cut() {
        let edge = "é".repeat(QUOTED_CHARS_MAX);
        assert_eq!(name(&edge), format!("`{edge}`"));
        assert_eq!(name(&format!("{edge}é")), format!("`{edge}…`"));
    }
}
