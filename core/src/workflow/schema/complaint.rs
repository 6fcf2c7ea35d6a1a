//! What was found wrong with a value, kept without words until it is sure that somebody will read it.
//!
//! While alternatives are open, most complaints are dropped again. So a complaint borrows what its message
//! is made of, and only those that stay become [`Fault`]s.

use std::collections::{BTreeMap, BTreeSet};

use crate::value::{Pointer, Value};
use crate::workflow::fault::Fault;

use super::rule::{NodeIx, Rule};
use super::{assertion, words};

/// How many alternatives a message goes through one by one.
const EXPLAINED_MAX: usize = 3;

/// From a value down to one of its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step<'v> {
    /// Into a member.
    Member(&'v str),
    /// Into an element.
    Element(usize),
}

/// A complaint about a part of the value.
#[derive(Debug)]
pub(super) struct Complaint<'s, 'v> {
    /// From the whole value down to the part.
    pub(super) path: Vec<Step<'v>>,
    /// The part.
    pub(super) instance: &'v Value,
    /// What is wrong with it.
    pub(super) reason: Reason<'s, 'v>,
}

/// What is wrong with a part of the value.
#[derive(Debug)]
pub(super) enum Reason<'s, 'v> {
    /// It does not fit a rule that asks no subschemas.
    Rule(&'s Rule),
    /// It has more elements than the schema has places.
    TooManyElements(usize),
    /// It is an element that no subschema has a place for.
    UnknownElement,
    /// It is a member that the schema does not know; it may know others.
    UnknownMember(&'v str, Option<&'s BTreeMap<String, NodeIx>>),
    /// Its name is not allowed, because of the rule.
    Name(&'v str, Option<&'s Rule>),
    /// Of its elements, this many fit `contains`.
    Contains(u64, u64, Option<u64>),
    /// It fits what is under `not`.
    FitsNot,
    /// It fits several of the schemas under `oneOf`.
    FitsSeveral,
    /// It fits none of this many alternatives; the first complaint of some of them.
    FitsNone(usize, Vec<Complaint<'s, 'v>>),
}

impl Complaint<'_, '_> {
    /// Whether the value is of the wrong type or the wrong value altogether, so that whoever wrote it
    /// hardly meant this alternative.
    pub(super) fn is_mismatch(&self) -> bool {
        match &self.reason {
            Reason::Rule(rule) => matches!(rule, Rule::Never | Rule::Type(..) | Rule::OneOfValues(_)),
            Reason::FitsNone(all, firsts) => {
                let mismatched = |first: &Self| first.is_mismatch() && first.path.len() == self.path.len();
                firsts.len() == *all && firsts.iter().all(mismatched)
            }
            _ => false,
        }
    }

    /// Whether the value is not one of certain values.
    pub(super) fn is_wrong_value(&self) -> bool {
        matches!(self.reason, Reason::Rule(Rule::OneOfValues(_)))
    }

    /// The faults that this complaint amounts to, below a place.
    pub(super) fn faults(&self, at: &Pointer) -> Vec<Fault> {
        let pointer = pointer(at, &self.path);
        let messages = self.messages().into_iter();
        messages.map(|message| Fault { pointer: pointer.clone(), message }).collect()
    }

    fn messages(&self) -> Vec<String> {
        let message = match &self.reason {
            Reason::Rule(rule) => return assertion::messages(rule, self.instance),
            Reason::TooManyElements(most) => {
                let found = self.instance.as_array().map_or(0, <[Value]>::len);
                format!("expected at most {}, found {found}", words::count(*most as u64, "element"))
            }
            Reason::UnknownElement => "no further element is allowed".to_owned(),
            Reason::UnknownMember(name, known) => {
                let known = known.iter().flat_map(|known| known.keys()).map(String::as_str);
                format!("unknown member {}{}", words::name(name), words::suggestion(name, known))
            }
            Reason::Name(name, rule) => {
                let why = rule.map(|rule| assertion::messages(rule, &Value::from(*name)).join(", "));
                let why = why.map_or_else(String::new, |why| format!(": {why}"));
                format!("the name {} is not allowed{why}", words::name(name))
            }
            Reason::Contains(fitting, min, max) => wrong_count(*fitting, *min, *max),
            Reason::FitsNot => "the value is one that `not` excludes".to_owned(),
            Reason::FitsSeveral => "fits several of the alternatives, expected exactly one".to_owned(),
            Reason::FitsNone(_, firsts) if self.is_mismatch() => {
                words::mismatch(&all_expected(firsts), self.instance)
            }
            Reason::FitsNone(all, firsts) => self.explain(*all, firsts),
        };
        vec![message]
    }

    fn explain(&self, all: usize, firsts: &[Self]) -> String {
        let explain = |first: &Self| {
            let below = pointer(&Pointer::root(), &first.path[self.path.len()..]);
            let place = if below.as_str().is_empty() { String::new() } else { format!("at {below} ") };
            format!("{place}{}", first.messages().join(", "))
        };
        let mut reasons: Vec<String> = firsts.iter().take(EXPLAINED_MAX).map(explain).collect();
        if reasons.is_empty() {
            return format!("fits none of the {all} alternatives");
        }
        if all > reasons.len() {
            reasons.push("…".to_owned());
        }
        format!("fits none of the {all} alternatives ({})", reasons.join("; "))
    }
}

/// What mismatched alternatives together expect, each once.
fn all_expected(firsts: &[Complaint<'_, '_>]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let rules = firsts.iter().filter_map(|first| match first.reason {
        Reason::Rule(rule) => Some(rule),
        _ => None,
    });
    rules.flat_map(assertion::expected).filter(|word| seen.insert(word.clone())).collect()
}

fn pointer(at: &Pointer, path: &[Step<'_>]) -> Pointer {
    path.iter().fold(at.clone(), |pointer, step| match step {
        Step::Member(name) => pointer.push(name),
        Step::Element(index) => pointer.push(index),
    })
}

fn wrong_count(fitting: u64, min: u64, max: Option<u64>) -> String {
    let expected = match max {
        Some(max) if fitting > max => format!("at most {}", words::count(max, "element")),
        _ => format!("at least {}", words::count(min, "element")),
    };
    format!("expected {expected} to fit `contains`, found {fitting}")
}
