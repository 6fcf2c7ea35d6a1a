//! Whether an answer is what a case expects: patterns over values.

use regex_lite::Regex;
use selvedge::value::{Object, Pointer, Value};

/// Every place where `found` differs from the pattern, in words; none if it fits.
pub fn mismatches(pattern: &Value, found: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    compare(pattern, Some(found), &Pointer::root(), &mut faults);
    faults
}

fn compare(pattern: &Value, found: Option<&Value>, at: &Pointer, faults: &mut Vec<String>) {
    if let Value::Object(members) = pattern
        && members.keys().any(|name| name.starts_with('$'))
    {
        for (name, argument) in members {
            operator(name, argument, found, at, faults);
        }
        return;
    }
    let Some(found) = found else {
        faults.push(format!("{at}: expected {}, found nothing", pattern.to_json()));
        return;
    };
    match (pattern, found) {
        (Value::Object(members), Value::Object(there)) => {
            for (name, member) in members {
                compare(member, there.get(name), &at.push(name), faults);
            }
        }
        (Value::Array(items), Value::Array(there)) if items.len() == there.len() => {
            for (index, (item, found)) in items.iter().zip(there).enumerate() {
                compare(item, Some(found), &at.push(index), faults);
            }
        }
        _ if pattern == found => {}
        _ => faults.push(format!("{at}: expected {}, found {}", pattern.to_json(), found.to_json())),
    }
}

fn operator(name: &str, argument: &Value, found: Option<&Value>, at: &Pointer, faults: &mut Vec<String>) {
    let text = || match found {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_json(),
        None => String::new(),
    };
    let shown = || found.map_or("nothing".to_owned(), Value::to_json);
    let holds = match (name, argument) {
        ("$absent", Value::Bool(true)) => found.is_none(),
        ("$any", Value::Bool(true)) => found.is_some_and(|value| *value != Value::Null),
        ("$exact", expected) => found == Some(expected),
        ("$not", pattern) => found.is_some_and(|value| !mismatches(pattern, value).is_empty()),
        ("$matches", Value::String(pattern)) => {
            let regex = Regex::new(pattern).unwrap_or_else(|error| panic!("a case's pattern: {error}"));
            found.is_some() && regex.is_match(&text())
        }
        ("$length", Value::Int(length)) => {
            let there = match found {
                Some(Value::Array(items)) => Some(items.len()),
                Some(Value::String(text)) => Some(text.chars().count()),
                Some(Value::Object(members)) => Some(members.len()),
                _ => None,
            };
            there.is_some_and(|there| there as i64 == *length)
        }
        ("$at_least", least) => number(found).zip(number(Some(least))).is_some_and(|(a, b)| a >= b),
        ("$at_most", most) => number(found).zip(number(Some(most))).is_some_and(|(a, b)| a <= b),
        ("$contains", Value::Array(patterns)) => {
            let items = found.and_then(Value::as_array).unwrap_or_default();
            patterns.iter().all(|p| items.iter().any(|item| mismatches(p, item).is_empty()))
        }
        ("$each", pattern) => {
            let items = found.and_then(Value::as_array);
            items.is_some_and(|items| items.iter().all(|item| mismatches(pattern, item).is_empty()))
        }
        ("$unordered", Value::Array(patterns)) => {
            found.and_then(Value::as_array).is_some_and(|items| is_matching(patterns, items))
        }
        _ => panic!("{at}: a case has the unknown matcher {name}: {}", argument.to_json()),
    };
    if !holds {
        let pattern = Value::Object(Object::from([(name.to_owned(), argument.clone())]));
        faults.push(format!("{at}: expected {}, found {}", pattern.to_json(), shown()));
    }
}

fn number(value: Option<&Value>) -> Option<f64> {
    match value? {
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

/// Whether each pattern has an item of its own (patterns take the first free one that fits).
fn is_matching(patterns: &[Value], items: &[Value]) -> bool {
    let mut free: Vec<&Value> = items.iter().collect();
    for pattern in patterns {
        match free.iter().position(|item| mismatches(pattern, item).is_empty()) {
            Some(index) => drop(free.swap_remove(index)),
            None => return false,
        }
    }
    free.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yaml(text: &str) -> Value {
        Value::from_yaml(text).expect("the test's own YAML")
    }

    #[test]
    fn patterns() {
        let found = yaml("{a: 1, b: [x, {c: 2, d: null}], t: 2026-01-01}");
        for (pattern, faults) in [
            ("{}", 0),
            ("{a: 1}", 0),
            ("{a: 2, z: 1}", 2),
            ("{b: [x, {c: 2}]}", 0),
            ("{b: [x]}", 1),
            ("{b: {$length: 2}}", 0),
            ("{b: {$unordered: [{c: 2}, x]}}", 0),
            ("{b: {$unordered: [{c: 2}]}}", 1),
            ("{b: {$contains: [x]}}", 0),
            ("{b: {$contains: [y]}}", 1),
            ("{b: {$each: {$any: true}}}", 0),
            ("{b: [x, {$exact: {c: 2, d: null}}]}", 0),
            ("{b: [x, {$exact: {c: 2}}]}", 1),
            ("{z: {$absent: true}, a: {$any: true}}", 0),
            ("{a: {$absent: true}, z: {$any: true}}", 2),
            ("{t: {$matches: '^2026'}}", 0),
            ("{t: {$matches: '^2027'}}", 1),
            ("{a: {$at_least: 1, $at_most: 1}}", 0),
            ("{a: {$at_least: 2, $at_most: 0}}", 2),
            ("{a: {$not: 1}}", 1),
            ("{a: {$not: 2}}", 0),
        ] {
            assert_eq!(mismatches(&yaml(pattern), &found).len(), faults, "{pattern}");
        }
    }
}
