//! `retry`: how often and when a failed attempt is tried again.

use super::super::model::{Backoff, Retry};
use super::fields::Fields;
use super::vocabulary;

/// How few and how many attempts a task may have.
const ATTEMPTS: std::ops::RangeInclusive<i64> = 1..=1000;

const BACKOFFS: [(&str, Backoff); 3] =
    [("none", Backoff::None), ("fixed", Backoff::Fixed), ("exponential", Backoff::Exponential)];

/// The policy of the task whose fields these are: defaults, and what the document sets of them.
pub(super) fn retry(fields: &mut Fields) -> Retry {
    let mut retry = Retry::default();
    let Some(value) = fields.get("retry") else { return retry };
    let expected = "an object such as {max_attempts: 5}";
    let at = fields.place("retry");
    let Some(mut fields) = Fields::open(value, at, expected, fields.faults) else { return retry };
    fields.only(vocabulary::RETRY, &[]);
    if let Some(attempts) = fields.integer("max_attempts", ATTEMPTS) {
        retry.max_attempts = u32::try_from(attempts).expect("the range is within u32");
    }
    retry.backoff = fields.choice("backoff", &BACKOFFS).unwrap_or(retry.backoff);
    retry.delay = fields.duration("delay").unwrap_or(retry.delay);
    retry.max_delay = fields.duration("max_delay").unwrap_or(retry.max_delay);
    retry.jitter = fields.number("jitter", 0.0..=1.0).unwrap_or(retry.jitter);
    retry
}
