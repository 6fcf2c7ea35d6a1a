//! The members of one object of the document, read by type, with a fault for everything that does not fit.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::time::Duration;
use crate::value::{Object, Pointer, Value};

use super::super::expression::contains_expression;
use super::faults::{Faults, found, quote};

/// An object of the document, and where its faults go.
///
/// The readers answer `None` for what is absent and for what is wrong: the fault is then noted already.
pub(super) struct Fields<'v, 'f> {
    pub(super) at: Pointer,
    members: &'v Object,
    pub(super) faults: &'f mut Faults,
}

impl<'v, 'f> Fields<'v, 'f> {
    /// `expected` says what should stand here, as in "an object such as {worker: shell}".
    pub(super) fn open(
        value: &'v Value,
        at: Pointer,
        expected: &str,
        faults: &'f mut Faults,
    ) -> Option<Self> {
        match value {
            Value::Object(members) => Some(Self { at, members, faults }),
            other => {
                faults.add(at, format!("expected {expected}, found {}", found(other)));
                None
            }
        }
    }

    /// Faults every member that is neither `known` nor known to `later` versions.
    pub(super) fn only(&mut self, known: &[&'static str], later: &[&str]) {
        for name in self.members.keys().filter(|name| !known.contains(&name.as_str())) {
            let message = if later.contains(&name.as_str()) {
                format!("`{name}` is not supported by this version of selvedge")
            } else {
                let suggestion = self.faults.suggestion(name, known.iter().copied());
                format!("unknown field `{}`{suggestion}", quote(name))
            };
            self.faults.add(self.at.push(name), message);
        }
    }

    /// The place of a member.
    pub(super) fn place(&self, name: &str) -> Pointer {
        self.at.push(name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// The member as it stands.
    pub(super) fn get(&self, name: &str) -> Option<&'v Value> {
        self.members.get(name)
    }

    /// Faults a member.
    pub(super) fn fault(&mut self, name: &str, message: impl Into<String>) {
        self.faults.add(self.at.push(name), message);
    }

    /// A text without expressions.
    pub(super) fn text(&mut self, name: &str, expected: &str) -> Option<&'v str> {
        let value = self.get(name)?;
        constant_text(value, &self.place(name), name, expected, self.faults)
    }

    /// A text that is a `T`.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&mut self, name: &str, expected: &str) -> Option<T> {
        match self.text(name, expected)?.parse() {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.fault(name, T::Err::to_string(&error));
                None
            }
        }
    }

    /// A length of time, zero included.
    pub(super) fn duration(&mut self, name: &str) -> Option<Duration> {
        self.parsed(name, "a duration such as 30s")
    }

    /// A length of time after which something is cut.
    pub(super) fn deadline(&mut self, name: &str) -> Option<Duration> {
        let duration = self.duration(name)?;
        if duration == Duration::ZERO {
            self.fault(name, format!("`{name}` must be longer than 0s: leave it out for no limit"));
            return None;
        }
        Some(duration)
    }

    /// An integer within the range.
    pub(super) fn integer(&mut self, name: &str, range: RangeInclusive<i64>) -> Option<i64> {
        let value = self.get(name)?;
        let integer = value.as_i64().filter(|integer| range.contains(integer));
        if integer.is_none() {
            let (min, max) = range.into_inner();
            self.misfit(name, &format!("an integer from {min} to {max}"), value);
        }
        integer
    }

    /// A number within the range.
    pub(super) fn number(&mut self, name: &str, range: RangeInclusive<f64>) -> Option<f64> {
        let value = self.get(name)?;
        let number = match value {
            Value::Int(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            _ => None,
        };
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            let (min, max) = range.into_inner();
            self.misfit(name, &format!("a number from {min} to {max}"), value);
        }
        number
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        let value = self.get(name)?;
        if value.as_bool().is_none() {
            self.misfit(name, "true or false", value);
        }
        value.as_bool()
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&mut self, name: &str, words: &[(&'static str, T)]) -> Option<T> {
        let list = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        let text = self.text(name, &format!("one of {list}"))?;
        let chosen = words.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice);
        if chosen.is_none() {
            let suggestion = self.faults.suggestion(text, words.iter().map(|(word, _)| *word));
            self.fault(name, format!("expected one of {list}, found string {:?}{suggestion}", quote(text)));
        }
        chosen
    }

    /// A list of texts without expressions, each with its index.
    pub(super) fn texts(&mut self, name: &str, expected: &str) -> Option<Vec<(usize, &'v str)>> {
        let value = self.get(name)?;
        let Value::Array(items) = value else {
            self.misfit(name, expected, value);
            return None;
        };
        let at = self.place(name);
        let mut texts = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let text = constant_text(item, &at.push(index), name, "a string", self.faults);
            texts.extend(text.map(|text| (index, text)));
        }
        Some(texts)
    }

    /// Faults a member that is of the wrong type or out of range.
    pub(super) fn misfit(&mut self, name: &str, expected: &str, value: &Value) {
        if has_expression(value) {
            self.fault(name, no_expressions(name));
        } else {
            self.fault(name, format!("expected {expected}, found {}", found(value)));
        }
    }
}

/// Whether the value is a text with an expression in it.
pub(super) fn has_expression(value: &Value) -> bool {
    value.as_str().is_some_and(contains_expression)
}

/// Faults every text and member name within a value that has an expression in it.
pub(super) fn refuse_expressions(value: &Value, at: &Pointer, field: &str, faults: &mut Faults) {
    match value {
        Value::String(_) if has_expression(value) => faults.add(at.clone(), no_expressions(field)),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                refuse_expressions(item, &at.push(index), field, faults);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                let at = at.push(name);
                if contains_expression(name) {
                    faults.add(at.clone(), no_expressions(field));
                }
                refuse_expressions(member, &at, field, faults);
            }
        }
        _ => {}
    }
}

fn no_expressions(field: &str) -> String {
    format!("`{field}` takes no expressions: write the value itself instead of ${{{{ … }}}}")
}

fn constant_text<'v>(
    value: &'v Value,
    at: &Pointer,
    field: &str,
    expected: &str,
    faults: &mut Faults,
) -> Option<&'v str> {
    match value {
        Value::String(_) if has_expression(value) => faults.add(at.clone(), no_expressions(field)),
        Value::String(text) => return Some(text),
        other => faults.add(at.clone(), format!("expected {expected}, found {}", found(other))),
    }
    None
}
