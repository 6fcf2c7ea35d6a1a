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
    i128::from_str_radix(number.as_str(), number.radix())
        .map_err(|_| rules::integer_range(&number.to_string()))
        .and_then(rules::integer)
}

fn float(number: &DeFloat<'_>) -> Result<Value, Fault> {
    match number.as_str().parse() {
        Ok(finite) if f64::is_finite(finite) => Ok(Value::Float(finite)),
        _ => Err(Fault::NotFinite(rules::shown(number.as_str()))),
    }
}
