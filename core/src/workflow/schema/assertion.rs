//! The rules that look at one value alone and lead to no subschema.

use crate::value::Value;

use super::number::Number;
use super::rule::{Bound, Limit, Rule, Sized};
use super::{order, words};

/// Whether a value fits a rule that leads to no subschema; all other rules are content here.
pub(super) fn holds(rule: &Rule, instance: &Value) -> bool {
    match rule {
        Rule::Never => false,
        Rule::Type(types, binary) => types.admit(instance, *binary),
        Rule::OneOfValues(values) => values.iter().any(|value| order::equal(value, instance)),
        Rule::Bound(bound, limit) => Number::of(instance).is_none_or(|number| {
            let order = number.compare(*limit);
            match bound {
                Bound::AtLeast => order.is_ge(),
                Bound::AtMost => order.is_le(),
                Bound::Above => order.is_gt(),
                Bound::Below => order.is_lt(),
            }
        }),
        Rule::MultipleOf(divisor) => {
            Number::of(instance).is_none_or(|number| number.is_multiple_of(*divisor))
        }
        Rule::Size(what, limit, count) => size(*what, instance).is_none_or(|size| match limit {
            Limit::Min => size >= *count,
            Limit::Max => size <= *count,
        }),
        Rule::Pattern(pattern) => instance.as_str().is_none_or(|text| pattern.matches(text)),
        Rule::UniqueItems => instance.as_array().is_none_or(|items| order::repeated(items).is_none()),
        Rule::Required(names) => {
            instance.as_object().is_none_or(|members| names.iter().all(|name| members.contains_key(name)))
        }
        Rule::DependentRequired(lists) => instance.as_object().is_none_or(|members| {
            let present = lists.iter().filter(|(name, _)| members.contains_key(*name));
            present.flat_map(|(_, names)| names).all(|name| members.contains_key(name))
        }),
        _ => true,
    }
}

/// The steps that asking takes because of the size of the value.
pub(super) fn steps(rule: &Rule, instance: &Value) -> u64 {
    match (rule, instance) {
        (Rule::Pattern(pattern), Value::String(text)) => pattern.steps(text),
        (Rule::UniqueItems, Value::Array(items)) => items.len() as u64 * 8,
        _ => 0,
    }
}

/// What to say about a value that does not fit; only asked then.
pub(super) fn messages(rule: &Rule, instance: &Value) -> Vec<String> {
    match rule {
        Rule::Never => vec!["nothing is allowed here".to_owned()],
        Rule::Type(..) | Rule::OneOfValues(_) => vec![words::mismatch(&expected(rule), instance)],
        Rule::Bound(bound, limit) => {
            let expected = match bound {
                Bound::AtLeast => "at least",
                Bound::AtMost => "at most",
                Bound::Above => "more than",
                Bound::Below => "less than",
            };
            vec![format!("expected {expected} {limit}, found {}", words::literal(instance))]
        }
        Rule::MultipleOf(divisor) => {
            vec![format!("expected a multiple of {divisor}, found {}", words::literal(instance))]
        }
        Rule::Size(what, limit, count) => vec![wrong_size(*what, *limit, *count, instance)],
        Rule::Pattern(pattern) => {
            let pattern = words::name(pattern.source());
            vec![format!("expected a match of {pattern}, found {}", words::found(instance))]
        }
        Rule::UniqueItems => {
            let repeated = order::repeated(instance.as_array().unwrap_or_default());
            let (first, again) = repeated.unwrap_or_default();
            vec![format!("the elements must differ, but {first} and {again} are equal")]
        }
        Rule::Required(names) => {
            let missing = names.iter().filter(|name| instance.get(name).is_none());
            missing.map(|name| format!("{} is required", words::name(name))).collect()
        }
        Rule::DependentRequired(lists) => {
            let present = lists.iter().filter(|(name, _)| instance.get(name).is_some());
            let wanted = present.flat_map(|(name, names)| names.iter().map(move |wanted| (name, wanted)));
            let missing = wanted.filter(|(_, wanted)| instance.get(wanted).is_none());
            let say = |(name, wanted): (&String, &String)| {
                format!("{} is required beside {}", words::name(wanted), words::name(name))
            };
            missing.map(say).collect()
        }
        _ => Vec::new(),
    }
}

/// What a rule expects instead of a value of the wrong type or the wrong value altogether.
pub(super) fn expected(rule: &Rule) -> Vec<String> {
    match rule {
        Rule::Type(types, _) => types.names().map(str::to_owned).collect(),
        Rule::OneOfValues(values) => values.iter().map(words::literal).collect(),
        _ => Vec::new(),
    }
}

/// How many code points, elements or members a value has, if it is one that has them.
fn size(what: Sized, instance: &Value) -> Option<u64> {
    let size = match (what, instance) {
        (Sized::Text, Value::String(text)) => text.chars().count(),
        (Sized::Array, Value::Array(items)) => items.len(),
        (Sized::Object, Value::Object(members)) => members.len(),
        _ => return None,
    };
    Some(size as u64)
}

fn wrong_size(what: Sized, limit: Limit, count: u64, instance: &Value) -> String {
    let limit = match limit {
        Limit::Min => "at least",
        Limit::Max => "at most",
    };
    let noun = match what {
        Sized::Text => "character",
        Sized::Array => "element",
        Sized::Object => "member",
    };
    let size = size(what, instance).unwrap_or_default();
    format!("expected {limit} {}, found {size}", words::count(count, noun))
}
