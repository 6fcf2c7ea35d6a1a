//! What the steps of an expression yield, and the variables that they see.

use crate::value::Value;

use super::budget::{Meter, Stop};
use super::kind::Kind;

/// What a step yields.
#[derive(Debug)]
pub(super) enum Term<'a> {
    /// A value that lives in the context, in the tree or in an enclosing comprehension.
    Borrowed(&'a Value),
    /// A value made on the way.
    Owned(Value),
    /// What `a.?b` yields.
    Optional(Option<Box<Term<'a>>>),
}

/// The variable of a comprehension, and what encloses it.
pub(super) struct Scope<'a> {
    element: &'a Value,
    outer: Option<&'a Scope<'a>>,
}

impl<'a> Term<'a> {
    /// The value, which an optional is not.
    pub(super) fn value(&self) -> Result<&Value, Stop> {
        match self {
            Term::Borrowed(value) => Ok(value),
            Term::Owned(value) => Ok(value),
            Term::Optional(_) => Err(Stop::Failed(
                "an optional is no value by itself, take what it holds with .orValue(…)".to_owned(),
            )),
        }
    }

    /// The value, copied where it was borrowed.
    pub(super) fn own(self, meter: &Meter) -> Result<Value, Stop> {
        match self {
            Term::Owned(value) => Ok(value),
            other => meter.copy(other.value()?),
        }
    }

    /// The name of the kind, for messages.
    pub(super) fn kind(&self) -> &'static str {
        self.value().map_or("an optional", |value| Kind::of(value).name())
    }

    /// A truth.
    pub(super) fn boolean(truth: bool) -> Term<'static> {
        Term::Owned(Value::Bool(truth))
    }

    /// A member, if this is a map that has it; a value that is no map is refused.
    pub(super) fn member(self, name: &str) -> Result<Option<Term<'a>>, Stop> {
        match self {
            Term::Borrowed(Value::Object(members)) => Ok(members.get(name).map(Term::Borrowed)),
            Term::Owned(Value::Object(mut members)) => Ok(members.remove(name).map(Term::Owned)),
            other => Err(Stop::Failed(format!("cannot take {name:?} of {}", other.kind()))),
        }
    }

    /// An element of a list or a member of a map.
    pub(super) fn element(self, at: &Value) -> Result<Option<Term<'a>>, Stop> {
        if let Value::String(name) = at {
            return self.member(name);
        }
        let place = match at {
            Value::Int(place) => usize::try_from(*place).ok(),
            Value::Float(place) if place.fract() == 0.0 && *place >= 0.0 => Some(*place as usize),
            Value::UInt(_) => None,
            other => {
                return Err(Stop::Failed(format!(
                    "cannot index {} with {}",
                    self.kind(),
                    Kind::of(other).name()
                )));
            }
        };
        match self {
            Term::Borrowed(Value::Array(items)) => Ok(place.and_then(|at| items.get(at)).map(Term::Borrowed)),
            Term::Owned(Value::Array(mut items)) => {
                Ok(place.filter(|at| *at < items.len()).map(|at| Term::Owned(items.swap_remove(at))))
            }
            other => Err(Stop::Failed(format!("cannot index {} with {}", other.kind(), Kind::of(at).name()))),
        }
    }
}

impl<'a> Scope<'a> {
    /// The scope of one turn of a comprehension.
    pub(super) fn new(element: &'a Value, outer: Option<&'a Scope<'a>>) -> Self {
        Self { element, outer }
    }

    /// The variable of the comprehension that is so many further out than the innermost.
    pub(super) fn element(scope: Option<&'a Scope<'a>>, outward: usize) -> &'a Value {
        let mut enclosing = std::iter::successors(scope, |scope| scope.outer);
        enclosing.nth(outward).expect("variables are resolved when the expression is compiled").element
    }
}
