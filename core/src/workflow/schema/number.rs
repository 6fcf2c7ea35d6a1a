//! Numbers as JSON Schema sees them: one mathematical line, whatever the variant they are kept in.
//!
//! Comparison is exact between integers and floats (no rounding through `f64`), and `multipleOf` works on
//! the shortest decimal text of a float, which is what the author wrote: 0.0075 is a multiple of 0.0001.

use std::cmp::Ordering;
use std::fmt;

use crate::value::Value;

/// A number of a schema or an instance.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    /// Any integer of 64 bits, signed or not.
    Integer(i128),
    /// A finite float.
    Float(f64),
}

impl Number {
    /// The number, if the value is one.
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Int(number) => Some(Self::Integer((*number).into())),
            Value::UInt(number) => Some(Self::Integer((*number).into())),
            Value::Float(number) => Some(Self::Float(*number)),
            _ => None,
        }
    }

    /// Whether there is nothing after the decimal point: 1.0 and 1e300 are integers too.
    pub(super) fn is_integer(self) -> bool {
        match self {
            Self::Integer(_) => true,
            Self::Float(number) => number.fract() == 0.0,
        }
    }

    /// Which of two numbers is greater, exactly.
    pub(super) fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a.cmp(&b),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
            (Self::Integer(a), Self::Float(b)) => compare_mixed(a, b),
            (Self::Float(a), Self::Integer(b)) => compare_mixed(b, a).reverse(),
        }
    }

    /// Whether this is `divisor` times an integer, for a divisor above zero.
    pub(super) fn is_multiple_of(self, divisor: Self) -> bool {
        let (dividend, divisor) = (Decimal::of(self), Decimal::of(divisor));
        if dividend.digits == 0 || divisor.digits == 0 {
            return dividend.digits == 0;
        }
        // The dividend ends in no zero, so with fewer decimal places to its right it cannot divide.
        let Ok(shift) = u32::try_from(dividend.exponent - divisor.exponent) else { return false };
        let modulus = divisor.digits;
        (dividend.digits % modulus) * power_of_ten(shift, modulus) % modulus == 0
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number:?}"),
        }
    }
}

fn compare_mixed(integer: i128, float: f64) -> Ordering {
    // Every integer of 64 bits is far inside ±2^100, where the cast below is exact.
    if float.abs() >= 2f64.powi(100) {
        return if float > 0.0 { Ordering::Less } else { Ordering::Greater };
    }
    let whole = float.trunc();
    integer.cmp(&(whole as i128)).then_with(|| {
        if float > whole {
            Ordering::Less
        } else if float < whole {
            Ordering::Greater
        } else {
            Ordering::Equal
        }
    })
}

/// The magnitude of a number: `digits · 10^exponent`, digits below 2^64 and not ending in zero.
struct Decimal {
    digits: u128,
    exponent: i32,
}

impl Decimal {
    fn of(number: Number) -> Self {
        let (mut digits, mut exponent) = match number {
            Number::Integer(integer) => (integer.unsigned_abs(), 0),
            Number::Float(float) => Self::read(&format!("{:e}", float.abs())),
        };
        while digits != 0 && digits.is_multiple_of(10) {
            digits /= 10;
            exponent += 1;
        }
        Self { digits, exponent }
    }

    /// Reads the shortest scientific text of a float, such as `1.25e-7`: at most 17 digits.
    fn read(text: &str) -> (u128, i32) {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}").parse().unwrap_or(0);
        let places = i32::try_from(fraction.len()).unwrap_or(0);
        (digits, exponent.parse::<i32>().unwrap_or(0) - places)
    }
}

/// `10^exponent mod modulus`, for a modulus below 2^64: no product leaves 128 bits.
fn power_of_ten(mut exponent: u32, modulus: u128) -> u128 {
    let (mut result, mut base) = (1 % modulus, 10 % modulus);
    while exponent > 0 {
        if exponent % 2 == 1 {
            result = result * base % modulus;
        }
        base = base * base % modulus;
        exponent /= 2;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: impl Into<Row>) -> Number {
        value.into().0
    }

    struct Row(Number);

    impl From<i128> for Row {
        fn from(number: i128) -> Self {
            Row(Number::Integer(number))
        }
    }

    impl From<f64> for Row {
        fn from(number: f64) -> Self {
            Row(Number::Float(number))
        }
    }

    #[test]
    fn integers_and_floats_compare_exactly() {
        let max = i128::from(u64::MAX);
        let rows = [
            (number(1), number(1.0), Ordering::Equal),
            (number(0), number(-0.0), Ordering::Equal),
            (number(1), number(1.5), Ordering::Less),
            (number(-1), number(-1.5), Ordering::Greater),
            (number(max), number(18446744073709551615.0), Ordering::Less),
            (number(9007199254740993), number(9007199254740992.0), Ordering::Greater),
            (number(max), number(1e300), Ordering::Less),
            (number(i128::from(i64::MIN)), number(-1e300), Ordering::Greater),
            (number(2), number(1), Ordering::Greater),
            (number(0.1), number(0.2), Ordering::Less),
        ];
        for (left, right, expected) in rows {
            assert_eq!(left.compare(right), expected, "{left} and {right}");
            assert_eq!(right.compare(left), expected.reverse(), "{right} and {left}");
        }
    }

    #[test]
    fn multiples_are_judged_in_decimal() {
        let rows = [
            (number(7), number(2), false),
            (number(10), number(2), true),
            (number(-10), number(2), true),
            (number(0), number(3.5), true),
            (number(0.0075), number(0.0001), true),
            (number(0.00751), number(0.0001), false),
            (number(0.3), number(0.1), true),
            (number(4.5), number(1.5), true),
            (number(35), number(1.5), false),
            (number(1e308), number(0.5), true),
            (number(1e308), number(0.123456789), false),
            (number(12391239123), number(1e-8), true),
            (number(i128::from(u64::MAX)), number(5), true),
            (number(i128::from(u64::MAX)), number(i128::from(u64::MAX)), true),
            (number(1e300), number(i128::from(u64::MAX)), false),
            (number(5e-324), number(5e-324), true),
            (number(1.0), number(10), false),
        ];
        for (value, divisor, expected) in rows {
            assert_eq!(value.is_multiple_of(divisor), expected, "{value} of {divisor}");
        }
    }

    #[test]
    fn integers_are_what_has_no_fraction() {
        for (value, expected) in
            [(number(1), true), (number(1.0), true), (number(1e300), true), (number(1.1), false)]
        {
            assert_eq!(value.is_integer(), expected, "{value}");
        }
    }
}
