//! What the functions do.
//!
//! Whatever grows with its arguments is charged before it is done.

use crate::value::Value;

use super::budget::{RESULT_BYTES_MAX, Stop};
use super::evaluate::Evaluation;
use super::functions::Function;
use super::kind::Kind;
use super::syntax::Node;
use super::term::{Scope, Term};
use super::text;

/// Calls a function.
pub(super) fn call<'a>(
    evaluation: &'a Evaluation<'a>,
    function: Function,
    arguments: &'a [Node],
    scope: Option<&'a Scope<'a>>,
) -> Result<Term<'a>, Stop> {
    let first = evaluation.term(&arguments[0], scope)?;
    match function {
        Function::Or | Function::OrValue | Function::HasValue | Function::OptionalValue => {
            return of_optional(evaluation, function, first, arguments, scope);
        }
        _ => {}
    }
    let subject = first.value()?;
    function.check(0, Kind::of(subject)).map_err(Stop::Failed)?;
    let Some(second) = arguments.get(1) else {
        return match (function, subject) {
            (Function::Dyn, _) => Ok(first),
            (Function::ToString, Value::String(_))
            | (Function::ToBytes, Value::Bytes(_))
            | (Function::ToInt, Value::Int(_) | Value::UInt(_)) => Ok(first),
            _ => unary(evaluation, function, subject).map(Term::Owned),
        };
    };
    let second = evaluation.term(second, scope)?;
    let operand = second.value()?;
    function.check(1, Kind::of(operand)).map_err(Stop::Failed)?;
    binary(evaluation, function, subject, operand).map(Term::Owned)
}

/// The functions of one argument, which has one of the declared kinds.
fn unary(evaluation: &Evaluation<'_>, function: Function, subject: &Value) -> Result<Value, Stop> {
    let meter = &evaluation.meter;
    match (function, subject) {
        (Function::Size, _) => size(evaluation, subject),
        (Function::ToString, _) => to_string(evaluation, subject),
        (Function::ToInt | Function::ToUint, _) => to_int(function, subject),
        (Function::ToDouble, _) => to_double(subject),
        (Function::ToBool, Value::Bool(truth)) => Ok(Value::Bool(*truth)),
        (Function::ToBool, Value::String(word)) => to_bool(word),
        (Function::ToBytes, Value::String(text)) => {
            meter.charge_new_bytes(text.len())?;
            Ok(Value::Bytes(text.clone().into_bytes()))
        }
        (Function::TypeOf, _) => Ok(Value::from(Kind::of(subject).name())),
        (Function::Json, _) => text::to_json(meter, subject).map(Value::String),
        (Function::Join, Value::Array(items)) => join(evaluation, items, ""),
        (Function::Lower, Value::String(text)) => {
            meter.charge_new_bytes(text.len())?;
            Ok(Value::String(text.to_lowercase()))
        }
        (Function::Upper, Value::String(text)) => {
            meter.charge_new_bytes(text.len())?;
            Ok(Value::String(text.to_uppercase()))
        }
        (Function::Keys, Value::Object(_)) => evaluation.keys(subject).map(Value::Array),
        (Function::Range, _) => range(evaluation, subject),
        _ => Err(refused(function, subject)),
    }
}

/// The functions of two arguments, which have the declared kinds.
fn binary(
    evaluation: &Evaluation<'_>,
    function: Function,
    subject: &Value,
    operand: &Value,
) -> Result<Value, Stop> {
    match (function, subject, operand) {
        (Function::Join, Value::Array(items), Value::String(separator)) => join(evaluation, items, separator),
        (_, Value::String(text), Value::String(part)) => {
            evaluation.meter.charge_bytes(text.len() + part.len())?;
            match function {
                Function::Contains => Ok(Value::Bool(text.contains(part.as_str()))),
                Function::StartsWith => Ok(Value::Bool(text.starts_with(part.as_str()))),
                Function::EndsWith => Ok(Value::Bool(text.ends_with(part.as_str()))),
                Function::Split => split(evaluation, text, part),
                _ => Err(refused(function, subject)),
            }
        }
        _ => Err(refused(function, subject)),
    }
}

/// The methods of `a.?b` and `a[?b]`.
fn of_optional<'a>(
    evaluation: &'a Evaluation<'a>,
    function: Function,
    receiver: Term<'a>,
    arguments: &'a [Node],
    scope: Option<&'a Scope<'a>>,
) -> Result<Term<'a>, Stop> {
    let name = function.name();
    let Term::Optional(held) = receiver else {
        return Err(Stop::Failed(format!(
            "{name} expects an optional such as a.?b, found {}",
            receiver.kind()
        )));
    };
    match (function, held) {
        (Function::HasValue, held) => Ok(Term::Owned(Value::Bool(held.is_some()))),
        (Function::OptionalValue | Function::OrValue, Some(term)) => Ok(*term),
        (Function::Or, Some(term)) => Ok(Term::Optional(Some(term))),
        (Function::OrValue, None) => {
            let other = evaluation.term(&arguments[1], scope)?;
            other.value()?;
            Ok(other)
        }
        (Function::Or, None) => match evaluation.term(&arguments[1], scope)? {
            Term::Optional(other) => Ok(Term::Optional(other)),
            other => {
                Err(Stop::Failed(format!("or expects an optional such as a.?b, found {}", other.kind())))
            }
        },
        _ => Err(Stop::Failed("value() of an optional that holds nothing".to_owned())),
    }
}

fn size(evaluation: &Evaluation<'_>, subject: &Value) -> Result<Value, Stop> {
    let size = match subject {
        Value::String(text) => {
            evaluation.meter.charge_bytes(text.len())?;
            text.chars().count()
        }
        Value::Bytes(bytes) => bytes.len(),
        Value::Array(items) => items.len(),
        Value::Object(members) => members.len(),
        _ => return Err(refused(Function::Size, subject)),
    };
    Ok(Value::from(size as u64))
}

fn to_string(evaluation: &Evaluation<'_>, subject: &Value) -> Result<Value, Stop> {
    Ok(Value::String(match subject {
        Value::Bool(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        Value::UInt(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Bytes(bytes) => {
            evaluation.meter.charge_new_bytes(bytes.len())?;
            let text = std::str::from_utf8(bytes);
            text.map_err(|_| Stop::Failed("string expects bytes that are UTF-8".to_owned()))?.to_owned()
        }
        _ => return Err(refused(Function::ToString, subject)),
    }))
}

fn to_int(function: Function, subject: &Value) -> Result<Value, Stop> {
    let name = function.name();
    let number = match subject {
        Value::Int(number) => Value::Int(*number),
        Value::UInt(number) => Value::UInt(*number),
        Value::Float(number) if *number > -(2_f64.powi(63)) && *number < 2_f64.powi(64) => {
            match *number as i128 {
                negative @ ..0 => Value::Int(negative as i64),
                positive => Value::from(positive as u64),
            }
        }
        Value::Float(number) => {
            return Err(Stop::Failed(format!("{name} of {number}, which no integer of 64 bits holds")));
        }
        Value::String(text) => {
            let parsed = text.parse().map(Value::Int).or_else(|_| text.parse().map(Value::UInt));
            parsed.map_err(|_| Stop::Failed(format!("{name} of a string that is no integer")))?
        }
        _ => return Err(refused(function, subject)),
    };
    if function == Function::ToUint && matches!(number, Value::Int(..0)) {
        return Err(Stop::Failed("uint of a negative number".to_owned()));
    }
    Ok(number)
}

fn to_double(subject: &Value) -> Result<Value, Stop> {
    Ok(Value::Float(match subject {
        Value::Int(number) => *number as f64,
        Value::UInt(number) => *number as f64,
        Value::Float(number) => *number,
        Value::String(text) => {
            text.parse().map_err(|_| Stop::Failed("double of a string that is no number".to_owned()))?
        }
        _ => return Err(refused(Function::ToDouble, subject)),
    }))
}

fn to_bool(word: &str) -> Result<Value, Stop> {
    match word {
        "1" | "t" | "true" | "TRUE" | "True" => Ok(Value::Bool(true)),
        "0" | "f" | "false" | "FALSE" | "False" => Ok(Value::Bool(false)),
        _ => Err(Stop::Failed("bool of a string that is neither true nor false".to_owned())),
    }
}

fn join(evaluation: &Evaluation<'_>, items: &[Value], separator: &str) -> Result<Value, Stop> {
    let mut joined = String::new();
    for (at, item) in items.iter().enumerate() {
        let Value::String(text) = item else {
            let found = Kind::of(item).name();
            return Err(Stop::Failed(format!("join expects a list of strings, found {found} at {at}")));
        };
        evaluation.meter.charge_bytes(separator.len() + text.len())?;
        if at > 0 {
            joined.push_str(separator);
        }
        joined.push_str(text);
        if joined.len() > RESULT_BYTES_MAX {
            return Err(Stop::TooLarge);
        }
    }
    Ok(Value::String(joined))
}

/// An empty separator splits into characters.
fn split(evaluation: &Evaluation<'_>, text: &str, separator: &str) -> Result<Value, Stop> {
    let part = |part: &str| {
        evaluation.meter.charge_bytes(part.len())?;
        Ok(Value::from(part))
    };
    let parts = match separator {
        "" => {
            text.chars().map(|character| part(character.encode_utf8(&mut [0; 4]))).collect::<Result<_, _>>()
        }
        _ => text.split(separator).map(part).collect(),
    };
    parts.map(Value::Array)
}

fn range(evaluation: &Evaluation<'_>, subject: &Value) -> Result<Value, Stop> {
    match subject {
        Value::Int(count @ 0..) => {
            evaluation.meter.charge(*count as u64)?;
            Ok(Value::Array((0..*count).map(Value::Int).collect()))
        }
        Value::UInt(_) => Err(Stop::Budget),
        _ => Err(Stop::Failed("range of a negative number".to_owned())),
    }
}

fn refused(function: Function, subject: &Value) -> Stop {
    Stop::Failed(format!("{} does not take {}", function.name(), Kind::of(subject).name()))
}
