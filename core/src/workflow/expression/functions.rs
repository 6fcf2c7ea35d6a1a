//! The functions that expressions may call.

use crate::value::Value;

use super::budget::Stop;
use super::evaluate::{Evaluation, Scope, Term};
use super::kind::Kind::{self, Bool, Bytes, Double, Int, List, Map, Null, String as Text};
use super::kind::one_of;
use super::syntax::Node;
use super::text;

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    ToString,
    ToInt,
    ToUint,
    ToDouble,
    ToBool,
    ToBytes,
    TypeOf,
    Dyn,
    Contains,
    StartsWith,
    EndsWith,
    Json,
    Join,
    Split,
    Lower,
    Upper,
    Keys,
    Range,
    Or,
    OrValue,
    HasValue,
    OptionalValue,
}

/// How a function may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// `f(a, b)`
    Global,
    /// `a.f(b)`
    Method,
    /// Both.
    Either,
}

struct Declaration {
    name: &'static str,
    function: Function,
    style: Style,
    /// Arguments in all, the one before the dot included.
    arity: std::ops::RangeInclusive<usize>,
    /// The kinds of the first argument; none means any.
    first: &'static [Kind],
    /// The kind of the others.
    others: Option<Kind>,
    yields: Option<Kind>,
}

const ANY: &[Kind] = &[];

#[rustfmt::skip]
const DECLARATIONS: &[Declaration] = &[
    row("size", Function::Size, Style::Either, 1..=1, &[Text, Bytes, List, Map], None, Some(Int)),
    row("string", Function::ToString, Style::Global, 1..=1, &[Text, Bytes, Bool, Int, Double], None, Some(Text)),
    row("int", Function::ToInt, Style::Global, 1..=1, &[Int, Double, Text], None, Some(Int)),
    row("uint", Function::ToUint, Style::Global, 1..=1, &[Int, Double, Text], None, Some(Int)),
    row("double", Function::ToDouble, Style::Global, 1..=1, &[Double, Int, Text], None, Some(Double)),
    row("bool", Function::ToBool, Style::Global, 1..=1, &[Bool, Text], None, Some(Bool)),
    row("bytes", Function::ToBytes, Style::Global, 1..=1, &[Bytes, Text], None, Some(Bytes)),
    row("type", Function::TypeOf, Style::Global, 1..=1, ANY, None, Some(Text)),
    row("dyn", Function::Dyn, Style::Global, 1..=1, ANY, None, None),
    row("contains", Function::Contains, Style::Method, 2..=2, &[Text], Some(Text), Some(Bool)),
    row("startsWith", Function::StartsWith, Style::Method, 2..=2, &[Text], Some(Text), Some(Bool)),
    row("endsWith", Function::EndsWith, Style::Method, 2..=2, &[Text], Some(Text), Some(Bool)),
    row("json", Function::Json, Style::Global, 1..=1, ANY, None, Some(Text)),
    row("join", Function::Join, Style::Either, 1..=2, &[List], Some(Text), Some(Text)),
    row("split", Function::Split, Style::Either, 2..=2, &[Text], Some(Text), Some(List)),
    row("lower", Function::Lower, Style::Either, 1..=1, &[Text], None, Some(Text)),
    row("upper", Function::Upper, Style::Either, 1..=1, &[Text], None, Some(Text)),
    row("keys", Function::Keys, Style::Either, 1..=1, &[Map], None, Some(List)),
    row("range", Function::Range, Style::Global, 1..=1, &[Int], None, Some(List)),
    row("or", Function::Or, Style::Method, 2..=2, ANY, None, None),
    row("orValue", Function::OrValue, Style::Method, 2..=2, ANY, None, None),
    row("hasValue", Function::HasValue, Style::Method, 1..=1, ANY, None, Some(Bool)),
    row("value", Function::OptionalValue, Style::Method, 1..=1, ANY, None, None),
];

const fn row(
    name: &'static str,
    function: Function,
    style: Style,
    arity: std::ops::RangeInclusive<usize>,
    first: &'static [Kind],
    others: Option<Kind>,
    yields: Option<Kind>,
) -> Declaration {
    Declaration { name, function, style, arity, first, others, yields }
}

/// Whether a call has something before its dot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Called {
    /// `f(a)`
    Globally,
    /// `a.f()`
    OnReceiver,
}

impl Function {
    /// Finds the function that a call names, and refuses what it can never take.
    pub(super) fn find(name: &str, called: Called, arguments: &[Node]) -> Result<Function, String> {
        let Some(declaration) = DECLARATIONS.iter().find(|declaration| declaration.name == name) else {
            let names: Vec<_> = DECLARATIONS.iter().map(|declaration| declaration.name).collect();
            let macros = "has, all, exists, exists_one, filter, map";
            return Err(format!("unknown function {name:?}, expected one of {macros}, {}", names.join(", ")));
        };
        match (declaration.style, called) {
            (Style::Global, Called::OnReceiver) => return Err(format!("{name} is called as {name}(x)")),
            (Style::Method, Called::Globally) => return Err(format!("{name} is called as x.{name}(…)")),
            _ => {}
        }
        if !declaration.arity.contains(&arguments.len()) {
            let (least, most) = (declaration.arity.start(), declaration.arity.end());
            let receiver = usize::from(called == Called::OnReceiver);
            let expected = match least == most {
                true => format!("{}", least - receiver),
                false => format!("{} to {}", least - receiver, most - receiver),
            };
            let found = arguments.len() - receiver;
            return Err(format!("{name} takes {expected} argument(s) here, found {found}"));
        }
        for (at, argument) in arguments.iter().enumerate() {
            if let Some(kind) = Kind::of_node(argument) {
                declaration.check(at, kind)?;
            }
        }
        Ok(declaration.function)
    }

    /// The kind of the function's result, if it has only one.
    pub(super) fn yields(self) -> Option<Kind> {
        self.declaration().yields
    }

    fn declaration(self) -> &'static Declaration {
        let found = DECLARATIONS.iter().find(|declaration| declaration.function == self);
        found.expect("every function is declared")
    }
}

impl Declaration {
    fn check(&self, at: usize, kind: Kind) -> Result<(), String> {
        let expected = match (at, &self.others) {
            (0, _) => self.first,
            (_, Some(other)) => std::slice::from_ref(other),
            (_, None) => ANY,
        };
        if expected.is_empty() || expected.contains(&kind) {
            return Ok(());
        }
        Err(format!("{} expects {}, found {}", self.name, one_of(expected), kind.name()))
    }
}

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
    let declaration = function.declaration();
    declaration.check(0, Kind::of(subject)).map_err(Stop::Failed)?;
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
    declaration.check(1, Kind::of(operand)).map_err(Stop::Failed)?;
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
        (Function::Json, _) => {
            let json = text::to_json(subject)?;
            meter.charge_new_bytes(json.len())?;
            Ok(Value::String(json))
        }
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
    let name = function.declaration().name;
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
    let name = function.declaration().name;
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
        if joined.len() > super::budget::RESULT_BYTES_MAX {
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
    Stop::Failed(format!("{} does not take {}", function.declaration().name, Kind::of(subject).name()))
}

/// The names of CEL's types, which `type(x)` is compared with: `type(x) == int`.
pub(super) fn type_name(name: &str) -> Option<&'static str> {
    match name {
        "null_type" => Some(Null.name()),
        "uint" => Some(Int.name()),
        _ => [Bool, Int, Double, Text, Bytes, List, Map]
            .map(Kind::name)
            .into_iter()
            .find(|known| *known == name),
    }
}
