//! The limits of a document, each with a message of its own, so that crossing one can be told from other faults.

use super::super::model::{DOCUMENT_BYTES_MAX, NEEDS_MAX, TASKS_MAX};

/// What a document may not have more of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Bytes, as they came and in canonical form: [`DOCUMENT_BYTES_MAX`].
    DocumentBytes,
    /// Tasks in a workflow: [`TASKS_MAX`].
    Tasks,
    /// Needs of one task: [`NEEDS_MAX`].
    Needs,
}

impl Limit {
    /// Every limit.
    pub const ALL: [Limit; 3] = [Limit::DocumentBytes, Limit::Tasks, Limit::Needs];

    /// The largest number allowed.
    pub const fn max(self) -> usize {
        match self {
            Limit::DocumentBytes => DOCUMENT_BYTES_MAX,
            Limit::Tasks => TASKS_MAX,
            Limit::Needs => NEEDS_MAX,
        }
    }

    /// The message of the fault that this many cross the limit.
    pub fn message(self, found: usize) -> String {
        format!("{}, found {found}", self.rule())
    }

    /// The limit that a fault's message says is crossed, if it says that.
    pub fn crossed_by(message: &str) -> Option<Limit> {
        Limit::ALL.into_iter().find(|limit| message.starts_with(&limit.rule()))
    }

    fn rule(self) -> String {
        let max = self.max();
        match self {
            Limit::DocumentBytes => format!("a document may have at most {max} bytes"),
            Limit::Tasks => format!("a workflow may have at most {max} tasks"),
            Limit::Needs => format!("a task may have at most {max} needs"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_known_by_its_message() {
        for limit in Limit::ALL {
            assert_eq!(Limit::crossed_by(&limit.message(limit.max() + 1)), Some(limit));
        }
        assert_eq!(Limit::crossed_by("a task needs one of worker, http, wasm, value, sleep, signal"), None);
    }
}
