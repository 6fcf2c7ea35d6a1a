//! TOML, read into the same values as JSON.
//!
//! The `toml` crate parses the text into a tree that knows its places, which becomes a value here, so that each
//! rule can name its line and column. Dates and times, which JSON does not have, become RFC 3339 strings.

use ::toml::Spanned;
use ::toml::de::{DeFloat, DeInteger, DeTable, DeValue};

use super::rules::{self, Fault};
use super::{Object, ReadError, Value, json};

impl Value {
    /// Reads TOML text; the value is always an object. The `toml` crate stops at 80 levels of nesting.
    pub fn from_toml(text: &str) -> Result<Value, ReadError> {
        let root = DeTable::parse(text).map_err(|error| from_toml(text, &error))?;
        Builder { text }.table(root.get_ref(), 0, 1)
    }
}

/// The error of the `toml` crate in our words.
fn from_toml(text: &str, error: &::toml::de::Error) -> ReadError {
    let span = error.span();
    let read = match (error.message(), &span) {
        ("recursion limit" | "cannot recurse further; max recursion depth met", _) => {
            ReadError::new("tables and arrays are nested too deep for TOML")
        }
        ("duplicate key", Some(span)) => {
            let key = text.get(span.clone()).unwrap_or_default().trim_matches(['"', '\'']);
            ReadError::new(Fault::DuplicateKey(rules::shown(key)))
        }
        (message, _) => ReadError::new(message),
    };
    match span {
        Some(span) => read.at(json::place(text, span.start)),
        None => read,
    }
}

/// Makes a value of the tree.
struct Builder<'a> {
    text: &'a str,
}

impl Builder<'_> {
    fn table(&self, table: &DeTable<'_>, start: usize, depth: usize) -> Result<Value, ReadError> {
        rules::open_object(depth).map_err(|fault| self.at(fault, start))?;
        let mut members = Object::new();
        for (name, value) in table {
            members.insert(name.get_ref().to_string(), self.value(value, depth)?);
        }
        rules::close_object(members, depth).map_err(|fault| self.at(fault, start))
    }

    fn value(&self, value: &Spanned<DeValue<'_>>, depth: usize) -> Result<Value, ReadError> {
        let start = value.span().start;
        match value.get_ref() {
            DeValue::String(text) => Ok(Value::from(&**text)),
            DeValue::Boolean(truth) => Ok(Value::Bool(*truth)),
            DeValue::Datetime(when) => Ok(Value::String(when.to_string())),
            DeValue::Integer(number) => integer(number).map_err(|fault| self.at(fault, start)),
            DeValue::Float(number) => float(number).map_err(|fault| self.at(fault, start)),
            DeValue::Array(items) => {
                rules::open_array(depth + 1).map_err(|fault| self.at(fault, start))?;
                items
                    .iter()
                    .map(|item| self.value(item, depth + 1))
                    .collect::<Result<_, _>>()
                    .map(Value::Array)
            }
            DeValue::Table(table) => self.table(table, start, depth + 1),
        }
    }

    fn at(&self, fault: Fault, offset: usize) -> ReadError {
        ReadError::new(fault).at(json::place(self.text, offset))
    }
}

fn integer(number: &DeInteger<'_>) -> Result<Value, Fault> {
    let parsed = i128::from_str_radix(number.as_str(), number.radix()).ok();
    let too_wide = || rules::integer_range(&number.to_string());
    parsed.and_then(|number| rules::integer(number).ok()).ok_or_else(too_wide)
}

fn float(number: &DeFloat<'_>) -> Result<Value, Fault> {
    match number.as_str().parse() {
        Ok(finite) if f64::is_finite(finite) => Ok(Value::Float(finite)),
        _ => Err(Fault::NotFinite(rules::shown(number.as_str()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text, the message that it gets, and line and column.
    type Refused<'a> = (&'a str, &'static str, Option<(usize, usize)>);

    #[test]
    fn toml_means_what_its_json_says() {
        let rows = [
            ("", "{}"),
            ("a = 1\nb = [1, 'x', \"y\"]", r#"{"a":1,"b":[1,"x","y"]}"#),
            ("a.b = 1\n[x.y]\nz = true\n[[t]]\n[[t]]", r#"{"a":{"b":1},"x":{"y":{"z":true}},"t":[{},{}]}"#),
            ("a = 1_000\nb = 0xff\nc = 0o17\nd = 0b11", r#"{"a":1000,"b":255,"c":15,"d":3}"#),
            ("a = -0\nb = +1\nc = 9223372036854775808", r#"{"a":0,"b":1,"c":9223372036854775808}"#),
            ("a = 0xffffffffffffffff", r#"{"a":18446744073709551615}"#),
            ("a = 1.0\nb = 1e3\nc = 1_0.5", r#"{"a":1.0,"b":1000.0,"c":10.5}"#),
            ("a = 1979-05-27T07:32:00Z", r#"{"a":"1979-05-27T07:32:00Z"}"#),
            ("a = 1979-05-27 07:32:00.5+01:00", r#"{"a":"1979-05-27T07:32:00.5+01:00"}"#),
            ("a = 1979-05-27T07:32:00\nb = 07:32:00", r#"{"a":"1979-05-27T07:32:00","b":"07:32:00"}"#),
            ("a = 1979-05-27", r#"{"a":"1979-05-27"}"#),
            ("a = {'$binary' = 'aGVsbG8='}", r#"{"a":{"$binary":"aGVsbG8="}}"#),
            ("\"a b\" = '''\nx\ny'''", r#"{"a b":"x\ny"}"#),
        ];
        for (toml, json) in rows {
            assert_eq!(Value::from_toml(toml), Value::from_json(json.as_bytes()), "{toml:?}");
        }
    }

    #[test]
    fn what_is_refused_and_where() {
        let too_deep = format!("a = {}", "[".repeat(20_000));
        let too_deep_together = format!("[{0}]\n{0} = 1", vec!["a"; 70].join("."));
        let rows: [Refused<'_>; 15] = [
            ("a = 1\na = 2", "the key \"a\" appears twice in one object", Some((2, 1))),
            ("[a]\nb=1\n[a]\nc=1", "the key \"a\" appears twice in one object", Some((3, 2))),
            ("a.b = 1\na = 2", "the key \"a\" appears twice in one object", Some((2, 1))),
            (
                "a = 18446744073709551616",
                "the integer 18446744073709551616 does not fit 64 bits",
                Some((1, 5)),
            ),
            (
                "a = -9223372036854775809",
                "the integer -9223372036854775809 does not fit 64 bits",
                Some((1, 5)),
            ),
            ("a = 0x1ffffffffffffffff", "the integer 0x1ffffffffffffffff does not fit 64 bits", Some((1, 5))),
            ("ä = 1", "invalid unquoted key, expected letters, numbers, `-`, `_`", Some((1, 1))),
            ("'ä' = [nan]", "the number nan is not finite", Some((1, 8))),
            ("a = -inf", "the number -inf is not finite", Some((1, 5))),
            ("a = 1e400", "the number 1e400 is not finite", Some((1, 5))),
            (
                "a = {'$binary' = '?'}",
                "the text of $binary is not base64: Invalid symbol 63, offset 0.",
                Some((1, 5)),
            ),
            ("a = [1,", "unclosed array, expected `]`", Some((1, 8))),
            ("a = ", "string values must be quoted, expected literal string", Some((1, 5))),
            (&too_deep, "tables and arrays are nested too deep for TOML", Some((1, 85))),
            (&too_deep_together, "arrays and objects are nested deeper than 100 levels", Some((2, 61))),
        ];
        for (text, message, place) in rows {
            let error = Value::from_toml(text).expect_err(text);
            assert_eq!(error.message, message, "{text:.60?}");
            assert_eq!(error.line.zip(error.column), place, "{text:.60?}");
        }
    }
}
