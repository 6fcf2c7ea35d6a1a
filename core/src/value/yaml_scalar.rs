//! What a YAML scalar means: the core schema of YAML 1.2, and the tags that overrule it.
//!
//! Where YAML 1.1 and 1.2 disagree about a plain scalar (`yes`, `on`, `0755`, `1_000`, `0b1`, dates), it is a
//! string, which whoever expected something else is told. No integer ever becomes a float.

use base64::Engine;
use granit_parser::{ScalarStyle, Tag};

use super::Value;
use super::rules::{self, BASE64, Fault};

/// Before the names of the tags that YAML itself defines.
const TAG_NAMESPACE: &str = "tag:yaml.org,2002:";

/// The value of a scalar as it is written, in quotes or not, with a tag or not.
pub(super) fn resolve(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, Fault> {
    let Some(tag) = tag else {
        return match style {
            ScalarStyle::Plain => plain(text),
            _ => Ok(Value::from(text)),
        };
    };
    let fits = |value: &Value, kinds: &[&str]| kinds.contains(&value.kind());
    let misfit = || Fault::TagMisfit { tag: tag.original(), text: rules::shown(text) };
    let name = tag.suffix_in_namespace(TAG_NAMESPACE);
    match name.as_deref() {
        None if tag.original() == "!" => Ok(Value::from(text)),
        Some("str") => Ok(Value::from(text)),
        Some("null") => plain(text).ok().filter(|value| fits(value, &["null"])).ok_or_else(misfit),
        Some("bool") => plain(text).ok().filter(|value| fits(value, &["boolean"])).ok_or_else(misfit),
        Some("int") => match plain(text)? {
            value if fits(&value, &["integer"]) => Ok(value),
            _ => Err(misfit()),
        },
        Some("float") if is_float(text) => finite(text),
        Some("float") => Err(misfit()),
        Some("binary") => {
            let text: String = text.split_ascii_whitespace().collect();
            BASE64.decode(text).map(Value::Bytes).map_err(Fault::NotBase64)
        }
        _ => Err(Fault::UnknownTag(tag.original())),
    }
}

/// Refuses a tag that an array or an object cannot have.
pub(super) fn check_collection(tag: Option<&Tag>, expected: &str) -> Result<(), Fault> {
    match tag {
        Some(tag) if tag.core_suffix() != Some(expected) => Err(Fault::UnknownTag(tag.original())),
        _ => Ok(()),
    }
}

/// A scalar without quotes and tag.
fn plain(text: &str) -> Result<Value, Fault> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Ok(Value::Null),
        "true" | "True" | "TRUE" => Ok(Value::Bool(true)),
        "false" | "False" | "FALSE" => Ok(Value::Bool(false)),
        _ if is_special_float(text) => Err(Fault::NotFinite(text.to_owned())),
        _ => match integer_digits(text) {
            Some((digits, base)) => i128::from_str_radix(digits, base)
                .ok()
                .and_then(|number| rules::integer(number).ok())
                .ok_or_else(|| rules::integer_range(text)),
            None if is_float(text) && !has_leading_zeros(text) => finite(text),
            None => Ok(Value::from(text)),
        },
    }
}

/// The digits, with their sign, and the base of a text that is an integer; those with leading zeros are not,
/// because they mean something else in each version of YAML.
fn integer_digits(text: &str) -> Option<(&str, u32)> {
    let (digits, base) = match text.get(..2) {
        Some("0x") => (&text[2..], 16),
        Some("0o") => (&text[2..], 8),
        _ => (text, 10),
    };
    let unsigned = if base == 10 { without_sign(digits) } else { digits };
    let is_integer = !unsigned.is_empty() && unsigned.chars().all(|digit| digit.is_digit(base));
    (is_integer && !(base == 10 && has_leading_zeros(text))).then_some((digits, base))
}

fn has_leading_zeros(text: &str) -> bool {
    let unsigned = without_sign(text).as_bytes();
    unsigned.len() > 1 && unsigned[0] == b'0' && unsigned.iter().all(u8::is_ascii_digit)
}

fn is_special_float(text: &str) -> bool {
    matches!(without_sign(text), ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN")
}

/// Whether the text is a number in decimal notation. Every such text is one that Rust reads, too; Rust would
/// also read names like `infinity`.
fn is_float(text: &str) -> bool {
    let unsigned = without_sign(text).as_bytes();
    let has_digit = unsigned.first().is_some_and(u8::is_ascii_digit)
        || unsigned.first() == Some(&b'.') && unsigned.get(1).is_some_and(u8::is_ascii_digit);
    has_digit && text.parse::<f64>().is_ok()
}

fn finite(text: &str) -> Result<Value, Fault> {
    match text.parse() {
        Ok(number) if f64::is_finite(number) => Ok(Value::Float(number)),
        _ => Err(Fault::NotFinite(rules::shown(text))),
    }
}

fn without_sign(text: &str) -> &str {
    text.strip_prefix(['-', '+']).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        let text = |text: &str| Ok(Value::from(text));
        let rows: [(&str, Result<Value, &str>); 53] = [
            ("", Ok(Value::Null)),
            ("~", Ok(Value::Null)),
            ("null", Ok(Value::Null)),
            ("NULL", Ok(Value::Null)),
            ("nULL", text("nULL")),
            ("true", Ok(Value::Bool(true))),
            ("False", Ok(Value::Bool(false))),
            ("yes", text("yes")),
            ("on", text("on")),
            ("0", Ok(Value::Int(0))),
            ("-0", Ok(Value::Int(0))),
            ("+1", Ok(Value::Int(1))),
            ("-12", Ok(Value::Int(-12))),
            ("0x1F", Ok(Value::Int(31))),
            ("0o17", Ok(Value::Int(15))),
            ("0b11", text("0b11")),
            ("0x", text("0x")),
            ("0o8", text("0o8")),
            ("0x-1", text("0x-1")),
            ("0x+1", text("0x+1")),
            ("007", text("007")),
            ("-007", text("-007")),
            ("00", text("00")),
            ("1_000", text("1_000")),
            ("-", text("-")),
            ("+-1", text("+-1")),
            ("18446744073709551615", Ok(Value::UInt(u64::MAX))),
            ("-9223372036854775808", Ok(Value::Int(i64::MIN))),
            ("0xFFFFFFFFFFFFFFFF", Ok(Value::UInt(u64::MAX))),
            ("18446744073709551616", Err("the integer 18446744073709551616 does not fit 64 bits")),
            ("-9223372036854775809", Err("the integer -9223372036854775809 does not fit 64 bits")),
            ("0x1FFFFFFFFFFFFFFFF", Err("the integer 0x1FFFFFFFFFFFFFFFF does not fit 64 bits")),
            (
                "999999999999999999999999999999999999999999999999",
                Err("the integer 999999999999999999999999999999999999999999999999 does not fit 64 bits"),
            ),
            ("1.0", Ok(Value::Float(1.0))),
            ("1.", Ok(Value::Float(1.0))),
            (".5", Ok(Value::Float(0.5))),
            ("-.5", Ok(Value::Float(-0.5))),
            ("0.5", Ok(Value::Float(0.5))),
            ("1e3", Ok(Value::Float(1000.0))),
            ("1E-3", Ok(Value::Float(0.001))),
            ("1e400", Err("the number 1e400 is not finite")),
            (".inf", Err("the number .inf is not finite")),
            ("-.INF", Err("the number -.INF is not finite")),
            (".nan", Err("the number .nan is not finite")),
            (".", text(".")),
            (".e1", text(".e1")),
            ("1e", text("1e")),
            ("1.2.3", text("1.2.3")),
            ("inf", text("inf")),
            ("infinity", text("infinity")),
            ("nan", text("nan")),
            ("2026-01-01", text("2026-01-01")),
            ("é0", text("é0")),
        ];
        for (written, expected) in rows {
            let read = resolve(written, ScalarStyle::Plain, None).map_err(|fault| fault.to_string());
            assert_eq!(read, expected.map_err(str::to_owned), "{written:?}");
            assert_eq!(
                resolve(written, ScalarStyle::SingleQuoted, None),
                Ok(Value::from(written)),
                "{written:?} quoted"
            );
        }
    }
}
