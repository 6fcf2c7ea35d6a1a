//! What bounds an evaluation: steps, depth and size.
//!
//! CEL always ends, but `[1].map(x, [x, x])` twenty times over takes a million times the work of one. So
//! every step is charged, and every copy, comparison and concatenation by the size of what it touches. The
//! budget is one for all expressions of a template, and running out of it cannot be absorbed by `||`, `&&`,
//! `exists` or `all` as other errors are.

use std::cell::Cell;

use crate::value::{DEPTH_MAX, Value};

use super::text;

/// How long one expression may be, in bytes, without its `${{` and `}}`.
pub const EXPRESSION_BYTES_MAX: usize = 1 << 10;
/// How deep the brackets of an expression may nest, each question mark counting as one more.
pub const NESTING_MAX: usize = 64;
/// How deep the steps of an expression may nest: `1 + 2 + 3` is three deep, `a.b.c` likewise.
pub const DEPTH_OF_STEPS_MAX: usize = 128;
/// How many steps one evaluation may take, of a condition or of all the expressions of a template.
pub const EVALUATION_STEPS_MAX: u64 = 2_000_000;
/// How large the result may be, and any text that is made on the way, in bytes; as JSON text where it is
/// not text itself.
pub const RESULT_BYTES_MAX: usize = 1 << 20;

/// How many bytes of text or binary are copied or compared in one step.
const BYTES_PER_STEP: usize = 16;
/// What a map costs, empty: it is the one value that takes much more memory than the rest.
const MAP_STEPS: u64 = 8;

/// Why an evaluation stopped.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stop {
    /// An error that `||`, `&&`, `exists` and `all` may absorb.
    Failed(String),
    /// The budget of steps is spent.
    Budget,
    /// A text or the result grew beyond [`RESULT_BYTES_MAX`].
    TooLarge,
    /// A value nests deeper than values may.
    TooDeep,
}

/// The steps that are left.
#[derive(Debug)]
pub(super) struct Meter {
    left: Cell<u64>,
}

impl Meter {
    /// A full budget.
    pub(super) fn new() -> Self {
        Self { left: Cell::new(EVALUATION_STEPS_MAX) }
    }

    /// Takes steps from the budget; once it is spent it stays so.
    pub(super) fn charge(&self, steps: u64) -> Result<(), Stop> {
        match self.left.get().checked_sub(steps) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => {
                self.left.set(0);
                Err(Stop::Budget)
            }
        }
    }

    /// Charges for reading or writing so much text or binary.
    pub(super) fn charge_bytes(&self, bytes: usize) -> Result<(), Stop> {
        self.charge(1 + (bytes / BYTES_PER_STEP) as u64)
    }

    /// Charges for a map of so many members.
    pub(super) fn charge_map(&self, members: usize) -> Result<(), Stop> {
        self.charge(MAP_STEPS + members as u64)
    }

    /// Charges for a text that is about to be made, and refuses it if it is too large.
    pub(super) fn charge_new_bytes(&self, bytes: usize) -> Result<(), Stop> {
        if bytes > RESULT_BYTES_MAX {
            return Err(Stop::TooLarge);
        }
        self.charge_bytes(bytes)
    }

    /// A copy, charged by its size.
    pub(super) fn copy(&self, value: &Value) -> Result<Value, Stop> {
        self.copy_within(value, DEPTH_MAX)
    }

    fn copy_within(&self, value: &Value, depth: usize) -> Result<Value, Stop> {
        match value {
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::UInt(_) | Value::Float(_) => {
                self.charge(1)?;
                Ok(value.clone())
            }
            Value::String(text) => {
                self.charge_bytes(text.len())?;
                Ok(value.clone())
            }
            Value::Bytes(bytes) => {
                self.charge_bytes(bytes.len())?;
                Ok(value.clone())
            }
            Value::Array(items) => {
                let depth = depth.checked_sub(1).ok_or(Stop::TooDeep)?;
                self.charge(1 + items.len() as u64)?;
                items
                    .iter()
                    .map(|item| self.copy_within(item, depth))
                    .collect::<Result<_, _>>()
                    .map(Value::Array)
            }
            Value::Object(members) => {
                let depth = depth.checked_sub(1).ok_or(Stop::TooDeep)?;
                self.charge_map(members.len())?;
                let copied = members.iter().map(|(name, member)| {
                    self.charge_bytes(name.len())?;
                    Ok((name.clone(), self.copy_within(member, depth)?))
                });
                copied.collect::<Result<_, _>>().map(Value::Object)
            }
        }
    }
}

/// Refuses a result that no payload can hold: too large, too deep, or with a number that JSON cannot write.
pub(super) fn check_result(value: &Value) -> Result<(), Stop> {
    match value {
        Value::String(text) if text.len() > RESULT_BYTES_MAX => Err(Stop::TooLarge),
        Value::Bytes(bytes) if bytes.len() > RESULT_BYTES_MAX => Err(Stop::TooLarge),
        _ => text::measure(value),
    }
}
