//! What an expression may read, and what it does read.
//!
//! An expression names its needs when it is compiled, so that the engine loads those outputs and no others.

use std::collections::{BTreeMap, BTreeSet};

use crate::time::Timestamp;
use crate::value::{Object, Value};

/// What an expression reads.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Names {
    /// The `x` of every `tasks.x`.
    pub tasks: BTreeSet<String>,
    /// Those of `input`, `vars`, `tasks`, `run` and `now` that occur.
    pub roots: BTreeSet<String>,
}

/// What expressions see. Only what [`Names`] lists has to be filled in.
#[derive(Debug, Clone)]
pub struct Context {
    /// The run's input.
    pub input: Value,
    /// The run's variables.
    pub vars: Object,
    /// The upstream tasks by name.
    pub tasks: BTreeMap<String, TaskView>,
    /// The run's shape.
    pub run: Value,
    /// The time of the decision.
    pub now: Timestamp,
}

/// What expressions see of a task.
#[derive(Debug, Clone)]
pub struct TaskView {
    /// Its output; null until it has one.
    pub output: Value,
    /// The word of its status.
    pub status: &'static str,
    /// Its failure; null where it has not failed.
    pub failure: Value,
}

impl Names {
    /// Adds everything that `other` reads.
    pub fn extend(&mut self, other: &Names) {
        self.tasks.extend(other.tasks.iter().cloned());
        self.roots.extend(other.roots.iter().cloned());
    }
}
