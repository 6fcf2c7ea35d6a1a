//! One total order over values, in which equal means what JSON Schema calls equal.
//!
//! `Value`'s own `==` keeps 1 and 1.0 apart, JSON Schema does not. An order rather than an equality lets
//! `uniqueItems` sort instead of comparing every pair.

use std::cmp::Ordering;

use crate::value::Value;

use super::number::Number;

/// Whether `const`, `enum` and `uniqueItems` take two values for the same.
pub(super) fn equal(left: &Value, right: &Value) -> bool {
    compare(left, right) == Ordering::Equal
}

/// The positions of two elements that are equal, the earliest repeated one.
pub(super) fn repeated(items: &[Value]) -> Option<(usize, usize)> {
    let mut sorted: Vec<usize> = (0..items.len()).collect();
    sorted.sort_by(|&a, &b| compare(&items[a], &items[b]));
    sorted
        .windows(2)
        .filter(|pair| equal(&items[pair[0]], &items[pair[1]]))
        .map(|pair| (pair[0], pair[1]))
        .min_by_key(|pair| pair.1)
}

fn compare(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => {
            a.len().cmp(&b.len()).then_with(|| first_difference(a.iter().zip(b).map(|(a, b)| compare(a, b))))
        }
        (Value::Object(a), Value::Object(b)) => a.len().cmp(&b.len()).then_with(|| {
            first_difference(a.iter().zip(b).map(|(a, b)| a.0.cmp(b.0).then_with(|| compare(a.1, b.1))))
        }),
        _ => match (Number::of(left), Number::of(right)) {
            (Some(a), Some(b)) => a.compare(b),
            _ => rank(left).cmp(&rank(right)),
        },
    }
}

fn first_difference(mut orders: impl Iterator<Item = Ordering>) -> Ordering {
    orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Int(_) | Value::UInt(_) | Value::Float(_) => 2,
        Value::String(_) => 3,
        Value::Bytes(_) => 4,
        Value::Array(_) => 5,
        Value::Object(_) => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(items: &[Value]) -> Value {
        Value::Array(items.to_vec())
    }

    #[test]
    fn equality_is_mathematical_and_deep() {
        let one = Value::Int(1);
        let rows = [
            (one.clone(), Value::Float(1.0), true),
            (one.clone(), Value::Bool(true), false),
            (one.clone(), Value::from("1"), false),
            (Value::Null, Value::Bool(false), false),
            (list(&[one.clone()]), list(&[Value::Float(1.0)]), true),
            (list(&[]), Value::from([]), false),
            (Value::from([("a", one.clone())]), Value::from([("a", Value::Float(1.0))]), true),
            (Value::from([("a", one.clone())]), Value::from([("b", one.clone())]), false),
            (Value::Bytes(vec![1]), Value::Bytes(vec![1]), true),
            (Value::Bytes(b"a".to_vec()), Value::from("a"), false),
        ];
        for (left, right, expected) in rows {
            assert_eq!(equal(&left, &right), expected, "{left:?} and {right:?}");
            assert_eq!(equal(&right, &left), expected, "{right:?} and {left:?}");
        }
    }

    #[test]
    fn the_earliest_repetition_is_named() {
        let items = [3, 1, 2, 1, 3].map(Value::Int);
        assert_eq!(repeated(&items), Some((1, 3)));
        assert_eq!(repeated(&items[..3]), None);
        assert_eq!(repeated(&[]), None);
    }
}
