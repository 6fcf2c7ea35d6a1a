//! What is wrong with a document, and where in it.
//!
//! Faults are collected, never thrown: whoever mends a document wants to see all of them at once.

use crate::value::Pointer;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// The place in the document; for something missing, the object that lacks it.
    pub pointer: Pointer,
    /// What is wrong, in lower case, without a full stop.
    pub message: String,
}
