//! "Exactly so many rows", as a step that fails otherwise.
//!
//! SQL has no assertion. `changes()` is how many rows the statement before has changed, without those that
//! triggers did; `abs` of the least integer is an error, because its opposite is no integer. So no table of
//! ours is needed, and the error does not look like one of a constraint.

use std::borrow::Cow;

/// What SQLite says when a guard fails.
pub(super) const MISSED: &str = "integer overflow";

/// The statement that fails unless the one before has changed this many rows.
pub(super) fn exactly(rows: u64) -> Cow<'static, str> {
    match rows {
        // Nearly all.
        1 => "SELECT abs(CASE WHEN changes() = 1 THEN 0 ELSE -9223372036854775808 END)".into(),
        _ => format!("SELECT abs(CASE WHEN changes() = {rows} THEN 0 ELSE -9223372036854775808 END)").into(),
    }
}
