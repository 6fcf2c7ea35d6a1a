//! Arithmetic, order, equality and membership.
//!
//! There is one type of integers, from -2^63 to 2^64-1, as the values of Selvedge have it; beyond that is an
//! overflow, never a wrap. Integers and doubles compare by their exact value and do not mix in arithmetic.

use std::cmp::Ordering;

use crate::value::Value;

use super::budget::{Meter, RESULT_BYTES_MAX, Stop};
use super::evaluate::Term;
use super::kind::Kind;
use super::syntax::Operator;

/// Applies an operator to two evaluated operands.
pub(super) fn apply<'a>(
    meter: &Meter,
    operator: Operator,
    left: Term<'a>,
    right: Term<'a>,
) -> Result<Term<'a>, Stop> {
    let truth = |truth: bool| Ok(Term::Owned(Value::Bool(truth)));
    let (a, b) = (left.value()?, right.value()?);
    match operator {
        Operator::Equal => truth(equal(meter, a, b)?),
        Operator::NotEqual => truth(!equal(meter, a, b)?),
        Operator::Less => truth(compare(meter, operator, a, b)?.is_some_and(Ordering::is_lt)),
        Operator::LessOrEqual => truth(compare(meter, operator, a, b)?.is_some_and(Ordering::is_le)),
        Operator::Greater => truth(compare(meter, operator, a, b)?.is_some_and(Ordering::is_gt)),
        Operator::GreaterOrEqual => truth(compare(meter, operator, a, b)?.is_some_and(Ordering::is_ge)),
        Operator::In => truth(contains(meter, a, b)?),
        Operator::Add => match (a, b) {
            (Value::String(_) | Value::Bytes(_) | Value::Array(_), _) => join(meter, left, right),
            _ => arithmetic(operator, a, b).map(Term::Owned),
        },
        Operator::Subtract | Operator::Multiply | Operator::Divide | Operator::Remainder => {
            arithmetic(operator, a, b).map(Term::Owned)
        }
    }
}

/// `-x`
pub(super) fn negate(value: &Value) -> Result<Value, Stop> {
    match value {
        Value::Float(number) => Ok(Value::Float(-number)),
        Value::Int(_) | Value::UInt(_) => arithmetic(Operator::Subtract, &Value::Int(0), value),
        _ => Err(Stop::Failed(format!("- does not take {}", Kind::of(value).name()))),
    }
}

/// Equality as CEL has it: numbers by their value, whatever their type, also within lists and maps; values
/// of different types are not equal.
pub(super) fn equal(meter: &Meter, a: &Value, b: &Value) -> Result<bool, Stop> {
    meter.charge(1)?;
    Ok(match (a, b) {
        (Value::String(a), Value::String(b)) => {
            meter.charge_bytes(a.len().min(b.len()))?;
            a == b
        }
        (Value::Bytes(a), Value::Bytes(b)) => {
            meter.charge_bytes(a.len().min(b.len()))?;
            a == b
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && {
                let mut pairs = a.iter().zip(b);
                loop {
                    match pairs.next() {
                        None => break true,
                        Some((a, b)) if equal(meter, a, b)? => {}
                        Some(_) => break false,
                    }
                }
            }
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && {
                let mut pairs = a.iter().zip(b);
                loop {
                    match pairs.next() {
                        None => break true,
                        Some(((name, a), (other, b))) => {
                            meter.charge_bytes(name.len())?;
                            if name != other || !equal(meter, a, b)? {
                                break false;
                            }
                        }
                    }
                }
            }
        }
        (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        _ => matches!(number_order(a, b), Some(Some(Ordering::Equal))),
    })
}

/// The order of two values; none where one of them is not a number of the other's order (NaN).
fn compare(meter: &Meter, operator: Operator, a: &Value, b: &Value) -> Result<Option<Ordering>, Stop> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Ok(Some(a.cmp(b))),
        (Value::String(a), Value::String(b)) => {
            meter.charge_bytes(a.len().min(b.len()))?;
            Ok(Some(a.cmp(b)))
        }
        (Value::Bytes(a), Value::Bytes(b)) => {
            meter.charge_bytes(a.len().min(b.len()))?;
            Ok(Some(a.cmp(b)))
        }
        _ => number_order(a, b).ok_or_else(|| refused(operator, a, b)),
    }
}

fn contains(meter: &Meter, needle: &Value, container: &Value) -> Result<bool, Stop> {
    match container {
        Value::Array(items) => {
            for item in items {
                if equal(meter, item, needle)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Value::Object(members) => Ok(needle.as_str().is_some_and(|name| members.contains_key(name))),
        _ => Err(refused(Operator::In, needle, container)),
    }
}

/// None where one of the two is no number, some none where one is NaN.
fn number_order(a: &Value, b: &Value) -> Option<Option<Ordering>> {
    match (Number::of(a)?, Number::of(b)?) {
        (Number::Whole(a), Number::Whole(b)) => Some(Some(a.cmp(&b))),
        (Number::Float(a), Number::Float(b)) => Some(a.partial_cmp(&b)),
        (Number::Whole(a), Number::Float(b)) => Some(whole_order(a, b)),
        (Number::Float(a), Number::Whole(b)) => Some(whole_order(b, a).map(Ordering::reverse)),
    }
}

/// Exactly, where a conversion to a double would round.
fn whole_order(whole: i128, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    // Saturates far outside of the 65 bits that an integer has here.
    let below = float.floor() as i128;
    Some(whole.cmp(&below).then(if float > float.floor() { Ordering::Less } else { Ordering::Equal }))
}

enum Number {
    Whole(i128),
    Float(f64),
}

impl Number {
    fn of(value: &Value) -> Option<Number> {
        match value {
            Value::Int(number) => Some(Number::Whole(i128::from(*number))),
            Value::UInt(number) => Some(Number::Whole(i128::from(*number))),
            Value::Float(number) => Some(Number::Float(*number)),
            _ => None,
        }
    }
}

fn arithmetic(operator: Operator, a: &Value, b: &Value) -> Result<Value, Stop> {
    match (Number::of(a), Number::of(b)) {
        (Some(Number::Whole(a)), Some(Number::Whole(b))) => whole_arithmetic(operator, a, b),
        (Some(Number::Float(x)), Some(Number::Float(y))) => match operator {
            Operator::Add => Ok(Value::Float(x + y)),
            Operator::Subtract => Ok(Value::Float(x - y)),
            Operator::Multiply => Ok(Value::Float(x * y)),
            Operator::Divide => Ok(Value::Float(x / y)),
            _ => Err(refused(operator, a, b)),
        },
        _ => Err(refused(operator, a, b)),
    }
}

fn whole_arithmetic(operator: Operator, a: i128, b: i128) -> Result<Value, Stop> {
    let sign = operator.sign();
    if b == 0 && matches!(operator, Operator::Divide | Operator::Remainder) {
        return Err(Stop::Failed(format!("{a} {sign} 0: division by zero")));
    }
    let result = match operator {
        Operator::Add => a.checked_add(b),
        Operator::Subtract => a.checked_sub(b),
        Operator::Multiply => a.checked_mul(b),
        Operator::Divide => a.checked_div(b),
        _ => a.checked_rem(b),
    };
    let narrowed = result.and_then(|result| {
        i64::try_from(result).map(Value::Int).or_else(|_| u64::try_from(result).map(Value::UInt)).ok()
    });
    narrowed.ok_or_else(|| Stop::Failed(format!("{a} {sign} {b}: beyond the integers of 64 bits")))
}

/// `a + b` of texts, binaries and lists. What is owned is grown in place.
fn join<'a>(meter: &Meter, left: Term<'a>, right: Term<'a>) -> Result<Term<'a>, Stop> {
    match (left.value()?, right.value()?) {
        (Value::String(a), Value::String(b)) => grow(meter, a.len(), b.len())?,
        (Value::Bytes(a), Value::Bytes(b)) => grow(meter, a.len(), b.len())?,
        (Value::Array(_), Value::Array(_)) => {}
        (a, b) => return Err(refused(Operator::Add, a, b)),
    }
    let joined = match (left.own(meter)?, right.own(meter)?) {
        (Value::String(a), Value::String(b)) => Value::String(a + &b),
        (Value::Bytes(mut a), Value::Bytes(b)) => {
            a.extend(b);
            Value::Bytes(a)
        }
        (Value::Array(mut a), Value::Array(b)) => {
            meter.charge((a.len() + b.len()) as u64)?;
            a.extend(b);
            Value::Array(a)
        }
        (a, b) => return Err(refused(Operator::Add, &a, &b)),
    };
    Ok(Term::Owned(joined))
}

fn grow(meter: &Meter, a: usize, b: usize) -> Result<(), Stop> {
    if a + b > RESULT_BYTES_MAX {
        return Err(Stop::TooLarge);
    }
    meter.charge_bytes(a + b)
}

fn refused(operator: Operator, a: &Value, b: &Value) -> Stop {
    Stop::Failed(operator.refusal(Some(Kind::of(a)), Some(Kind::of(b))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_doubles_compare_exactly() {
        let big = (1_i64 << 53) + 1;
        for (a, b, order) in [
            (Value::Int(1), Value::Float(1.0), Some(Ordering::Equal)),
            (Value::Int(1), Value::Float(1.5), Some(Ordering::Less)),
            (Value::Int(-1), Value::Float(-1.5), Some(Ordering::Greater)),
            (Value::Int(big), Value::Float((1_i64 << 53) as f64), Some(Ordering::Greater)),
            (Value::UInt(u64::MAX), Value::Float(2_f64.powi(64)), Some(Ordering::Less)),
            (Value::UInt(u64::MAX), Value::Int(-1), Some(Ordering::Greater)),
            (Value::Int(i64::MIN), Value::Float(-(2_f64.powi(63))), Some(Ordering::Equal)),
            (Value::Int(0), Value::Float(f64::INFINITY), Some(Ordering::Less)),
            (Value::Int(0), Value::Float(f64::NEG_INFINITY), Some(Ordering::Greater)),
            (Value::Int(0), Value::Float(f64::NAN), None),
        ] {
            assert_eq!(number_order(&a, &b), Some(order), "{a:?} {b:?}");
            assert_eq!(number_order(&b, &a), Some(order.map(Ordering::reverse)), "{b:?} {a:?}");
        }
    }

    #[test]
    fn integers_have_sixty_four_bits_and_never_wrap() {
        for (operator, a, b, result) in [
            (Operator::Add, Value::Int(i64::MAX), Value::Int(1), Ok(Value::UInt(1 << 63))),
            (Operator::Subtract, Value::UInt(1 << 63), Value::Int(1), Ok(Value::Int(i64::MAX))),
            (Operator::Add, Value::UInt(u64::MAX), Value::Int(1), Err(())),
            (Operator::Subtract, Value::Int(i64::MIN), Value::Int(1), Err(())),
            (Operator::Multiply, Value::UInt(u64::MAX), Value::UInt(u64::MAX), Err(())),
            (Operator::Divide, Value::Int(i64::MIN), Value::Int(-1), Ok(Value::UInt(1 << 63))),
            (Operator::Divide, Value::Int(-7), Value::Int(2), Ok(Value::Int(-3))),
            (Operator::Remainder, Value::Int(-7), Value::Int(2), Ok(Value::Int(-1))),
            (Operator::Remainder, Value::Int(i64::MIN), Value::Int(-1), Ok(Value::Int(0))),
            (Operator::Divide, Value::Int(1), Value::Int(0), Err(())),
            (Operator::Remainder, Value::Int(1), Value::Int(0), Err(())),
        ] {
            assert_eq!(arithmetic(operator, &a, &b).map_err(drop), result, "{a:?} {} {b:?}", operator.sign());
        }
    }
}
