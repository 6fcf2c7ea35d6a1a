//! WebAssembly tasks for Selvedge in Rust.
//!
//! A task is a function from one value to another. [`export!`] makes it callable:
//!
//! ```
//! use selvedge_guest::{Failure, export};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Deserialize)]
//! struct Order {
//!     count: u64,
//!     cents: u64,
//! }
//!
//! #[derive(Serialize)]
//! struct Price {
//!     cents: u64,
//! }
//!
//! fn price(order: Order) -> Result<Price, Failure> {
//!     if order.count == 0 {
//!         return Err(Failure::new("nothing is ordered").code("empty").never_again());
//!     }
//!     Ok(Price { cents: order.count * order.cents })
//! }
//!
//! export!(price);
//! # fn main() {}
//! ```
//!
//! Build it as a `cdylib` for `wasm32-unknown-unknown`, with `panic = "abort"` and `opt-level = "z"`. What a
//! module may ask while it runs: [`print()`] and [`warn()`], [`step`] and its parts [`remembered`] and [`remember`],
//! and [`now`]. There is nothing else: no files, no network, no clock, no randomness. `docs/wasm-tasks.md` of Selvedge
//! is the contract that this crate keeps.

mod host;

use std::fmt::Display;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Why a task failed, in the words of the task.
#[derive(Debug, Clone, Serialize)]
pub struct Failure {
    error: Reason,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
struct Reason {
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "serde_json::Value::is_null")]
    details: serde_json::Value,
}

#[derive(Serialize)]
struct Answer<T> {
    output: T,
}

/// Why a value was not remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgotten {
    /// The key is not 1 to 128 of letters, digits and `._~:-`.
    BadKey,
    /// The value cannot be written, or has more than 1 MiB.
    BadValue,
    /// The task has as many checkpoints as it may.
    NoRoom,
}

impl Failure {
    /// A failure that is tried again as the task's policy says.
    pub fn new(message: impl Display) -> Self {
        let error = Reason { message: message.to_string(), code: None, details: serde_json::Value::Null };
        Self { error, retryable: true, retry_after: None }
    }

    /// With a code, for programs.
    #[must_use]
    pub fn code(mut self, code: &str) -> Self {
        self.error.code = Some(code.to_owned());
        self
    }

    /// With anything else.
    #[must_use]
    pub fn details(mut self, details: impl Serialize) -> Self {
        self.error.details = serde_json::to_value(details).unwrap_or_default();
        self
    }

    /// One that no other attempt would mend.
    #[must_use]
    pub fn never_again(mut self) -> Self {
        self.retryable = false;
        self
    }

    /// To be tried again after this many seconds, whatever the policy says.
    #[must_use]
    pub fn after_seconds(mut self, seconds: u32) -> Self {
        self.retry_after = Some(format!("{seconds}s"));
        self
    }
}

/// Makes functions callable as tasks, under their own names: `export!(price, quote);`.
///
/// Each takes one value (any `Deserialize`) and answers `Result<T, Failure>` (any `T: Serialize`). Input that
/// does not fit the type fails the task with the code `input`.
#[macro_export]
macro_rules! export {
    ($($function:ident),+ $(,)?) => {
        $(
            const _: () = {
                #[unsafe(export_name = stringify!($function))]
                extern "C" fn task(address: usize, length: usize) -> u64 {
                    $crate::answer(address, length, $function)
                }
            };
        )+
    };
}

/// What an exported function does. [`export!`] writes the call of it.
#[doc(hidden)]
pub fn answer<I, O>(address: usize, length: usize, task: impl FnOnce(I) -> Result<O, Failure>) -> u64
where
    I: DeserializeOwned,
    O: Serialize,
{
    let input = host::input(address, length);
    let outcome = match serde_json::from_slice(&input) {
        Ok(input) => task(input),
        Err(fault) => {
            Err(Failure::new(format!("the input does not fit: {fault}")).code("input").never_again())
        }
    };
    let answer = outcome.and_then(|output| {
        let unwritable = |fault| Failure::new(format!("the output cannot be written: {fault}")).never_again();
        serde_json::to_vec(&Answer { output }).map_err(unwritable)
    });
    host::output(match answer {
        Ok(answer) => answer,
        Err(failure) => serde_json::to_vec(&failure).expect("a failure is texts and values"),
    })
}

/// Prints a line to the task's log, as `stdout`.
pub fn print(line: impl Display) {
    host::log(1, &format!("{line}\n"));
}

/// Prints a line to the task's log, as `stderr`.
pub fn warn(line: impl Display) {
    host::log(2, &format!("{line}\n"));
}

/// When this attempt began, in milliseconds since 1970. It is the same in the whole attempt.
pub fn now() -> i64 {
    host::now()
}

/// A step that is done once, however often the task is attempted: its result is remembered, and later attempts
/// get it without doing the step again.
///
/// # Errors
/// The step's own failure, which is not remembered. One whose result is not remembered is done all the same.
pub fn step<T>(key: &str, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure>
where
    T: Serialize + DeserializeOwned,
{
    if let Some(known) = remembered(key) {
        return Ok(known);
    }
    let result = work()?;
    if let Err(why) = remember(key, &result) {
        warn(format_args!("step {key} is not remembered: {why:?}"));
    }
    Ok(result)
}

/// What this or an earlier attempt remembered under a key; nothing if it is of another type.
pub fn remembered<T: DeserializeOwned>(key: &str) -> Option<T> {
    serde_json::from_slice(&host::checkpoint(key)?).ok()
}

/// Remembers a value for later attempts. The first value of a key stays.
///
/// # Errors
/// Why it is not remembered.
pub fn remember(key: &str, value: &impl Serialize) -> Result<(), Forgotten> {
    let bytes = serde_json::to_vec(value).map_err(|_| Forgotten::BadValue)?;
    match host::remember(key, &bytes) {
        -1 => Err(Forgotten::BadKey),
        -2 => Err(Forgotten::BadValue),
        -3 => Err(Forgotten::NoRoom),
        _ => Ok(()),
    }
}

/// Bytes, which JSON writes as `{"$binary": "<base64>"}`: for inputs and outputs that are not text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binary {
    /// In base64 (RFC 4648, section 4).
    #[serde(rename = "$binary")]
    pub base64: String,
}
