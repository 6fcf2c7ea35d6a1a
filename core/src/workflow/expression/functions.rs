//! The functions that expressions may call: their names, how they are written, what they take.

use super::kind::Kind::{self, Bool, Bytes, Double, Int, List, Map, Null, String as Text};
use super::kind::one_of;
use super::syntax::Node;

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

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        self.declaration().name
    }

    /// Refuses an argument of a kind that the function does not take there.
    pub(super) fn check(self, at: usize, kind: Kind) -> Result<(), String> {
        self.declaration().check(at, kind)
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
