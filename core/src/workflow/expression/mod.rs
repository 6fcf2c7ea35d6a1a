//! CEL in `${{ }}`.
//!
//! A string that is one whole expression, `"${{ input.count }}"`, yields the expression's value with its type.
//! Anywhere else in a string the result becomes part of the text: a string as it is, everything else, null
//! and binary included, as JSON text. `$${{` stands for the characters `${{`.
//!
//! # The language
//!
//! [CEL](https://github.com/google/cel-spec) with `has`, `all`, `exists`, `exists_one`, `map`, `filter` and
//! the optional syntax `a.?b.orValue(c)`. What an expression sees is `input`, `vars`, `run`, `now` (an RFC
//! 3339 string in UTC with milliseconds: there are no timestamps and durations here) and
//! `tasks.<name>.output`, `.status` and `.failure`. It sees them as JSON has them, and this is where it
//! differs from CEL elsewhere:
//!
//! - Integers are one type from -2^63 to 2^64-1. They compare with doubles by value and do not mix with them
//!   in arithmetic: convert with `int()` or `double()`.
//! - The keys of maps are strings. A comprehension over a map visits its keys in their order.
//! - `type(x)` is the name of the type, so that `type(x) == string` holds and `${{ type(x) }}` is a text.
//! - Messages, `matches`, and optional elements and members (`[?x]`, `{?k: v}`) are not there.
//!
//! Functions beyond CEL's own: `json(x)` is JSON text; `join(list, separator)`, `split(text, separator)`,
//! `lower(text)`, `upper(text)` and `keys(map)` may also be written as methods; `range(n)` is `[0, …, n-1]`.
//!
//! # Why it is evaluated here
//!
//! The `cel` crate parses. Its evaluator is not used: it takes some 40 to 60 KiB of stack for each nested
//! step, knows no budget, and visits maps in random order, which a decision that is replayed must not.

mod budget;
mod compile;
mod context;
mod evaluate;
mod functions;
mod kind;
mod operators;
mod scan;
mod syntax;
mod template;
mod text;

pub use budget::{
    DEPTH_OF_STEPS_MAX, EVALUATION_STEPS_MAX, EXPRESSION_BYTES_MAX, NESTING_MAX, RESULT_BYTES_MAX,
};
pub use context::{Context, Names, TaskView};
pub use scan::contains_expression;
pub use template::Template;

use crate::value::DEPTH_MAX;

use budget::Stop;
use evaluate::Evaluation;
use kind::Kind;
use scan::Piece;
use syntax::Node;

/// One compiled condition (`if`, `require`): a text that is one whole `${{ … }}` and yields true or false.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    source: String,
    names: Names,
    node: Node,
}

/// Why an evaluation failed. The expression is cut to 80 characters.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ExpressionError {
    /// The expression does not fit what it was given.
    #[error("${{{{ {expression} }}}}: {reason}")]
    Failed {
        /// The expression, without its braces.
        expression: String,
        /// What is wrong.
        reason: String,
    },
    /// More than [`EVALUATION_STEPS_MAX`] steps.
    #[error("${{{{ {expression} }}}}: takes more than {EVALUATION_STEPS_MAX} steps")]
    Budget {
        /// The expression that spent the rest of the budget, without its braces.
        expression: String,
    },
    /// More than [`RESULT_BYTES_MAX`].
    #[error("${{{{ {expression} }}}}: the result is larger than {RESULT_BYTES_MAX} bytes")]
    TooLarge {
        /// The expression, without its braces; the first one where all of them together are too large.
        expression: String,
    },
    /// Deeper than values may be.
    #[error("${{{{ {expression} }}}}: the result nests deeper than {DEPTH_MAX}")]
    TooDeep {
        /// The expression, without its braces.
        expression: String,
    },
}

/// How many characters of an expression an error repeats.
const SHOWN_CHARS_MAX: usize = 80;

impl Expression {
    /// `text` must be one whole `${{ … }}`.
    pub fn compile(text: &str) -> Result<Expression, String> {
        let pieces = scan::pieces(text.trim())?;
        let [Piece::Expression(source)] = pieces.as_slice() else {
            return Err("expected one whole expression, `${{ … }}`, that yields true or false".to_owned());
        };
        let (node, names) = compile::compile(source).map_err(|message| about(source, &message))?;
        match Kind::of_node(&node) {
            None | Some(Kind::Bool) => Ok(Expression { source: (*source).to_owned(), names, node }),
            Some(kind) => Err(about(source, &format!("expected bool, found {}", kind.name()))),
        }
    }

    /// What it reads.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Whether the condition holds. It is an error if it yields anything but a bool.
    pub fn holds(&self, context: &Context) -> Result<bool, ExpressionError> {
        let evaluation = Evaluation::new(context);
        evaluation.truth(&self.node, None).map_err(|stop| ExpressionError::of(&self.source, stop))
    }

    /// The expression, without its braces.
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl ExpressionError {
    fn of(expression: &str, stop: Stop) -> Self {
        let expression = shown(expression);
        match stop {
            Stop::Failed(reason) => Self::Failed { expression, reason },
            Stop::Budget => Self::Budget { expression },
            Stop::TooLarge => Self::TooLarge { expression },
            Stop::TooDeep => Self::TooDeep { expression },
        }
    }
}

/// A fault of an expression, with the expression.
fn about(expression: &str, message: &str) -> String {
    format!("${{{{ {} }}}}: {message}", shown(expression))
}

fn shown(expression: &str) -> String {
    match expression.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &expression[..end]),
        None => expression.to_owned(),
    }
}

#[cfg(test)]
mod tests;
