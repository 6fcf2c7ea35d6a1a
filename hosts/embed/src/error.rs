//! Why a task failed, in the words of a closure.

use std::error::Error;
use std::fmt::Display;
use std::time::Duration;

use serde_json::Value;

/// A failed attempt. Whether there is another one is up to the task's `retry`, unless the failure is fatal.
///
/// Every [`Error`] turns into one by `?`, so this is none itself.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskError {
    pub(crate) message: String,
    pub(crate) code: Option<String>,
    pub(crate) details: Value,
    pub(crate) is_fatal: bool,
    pub(crate) retry_after: Option<Duration>,
}

impl TaskError {
    /// A failure with a message for a person. Another attempt makes sense.
    pub fn new(message: impl Display) -> Self {
        let message = message.to_string();
        Self { message, code: None, details: Value::Null, is_fatal: false, retry_after: None }
    }

    /// With a code for a program, which `retry.on` of a document can name.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// With anything else.
    #[must_use]
    pub fn details(mut self, details: impl Into<Value>) -> Self {
        self.details = details.into();
        self
    }

    /// No further attempt makes sense.
    #[must_use]
    pub fn fatal(mut self) -> Self {
        self.is_fatal = true;
        self
    }

    /// The next attempt not before this has passed, instead of the policy's delay.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

impl<E: Error> From<E> for TaskError {
    fn from(error: E) -> Self {
        Self::new(selvedge_tokio::chain(&error))
    }
}
