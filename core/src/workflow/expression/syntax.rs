//! The tree that is evaluated: every name resolved, every function known.

use crate::value::Value;

use super::functions::Function;

/// One step of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// A value that is written out, or folded to one.
    Literal(Value),
    /// A variable of a comprehension: 0 is the innermost.
    Local(usize),
    /// `input`, `vars`, `run` or `now`.
    Root(Root),
    /// `tasks.<name>.<part>`.
    Task(String, TaskPart),
    /// `of.name`
    Select(Box<Node>, String),
    /// `of.?name`
    OptionalSelect(Box<Node>, String),
    /// `has(of.name)`
    Has(Box<Node>, String),
    /// `of[at]`
    Index(Box<[Node; 2]>),
    /// `of[?at]`
    OptionalIndex(Box<[Node; 2]>),
    /// `!x`
    Not(Box<Node>),
    /// `-x`
    Negate(Box<Node>),
    /// `a && b`
    And(Box<[Node; 2]>),
    /// `a || b`
    Or(Box<[Node; 2]>),
    /// `condition ? a : b`
    Conditional(Box<[Node; 3]>),
    /// Arithmetic, comparison, membership.
    Binary(Operator, Box<[Node; 2]>),
    /// `[a, b]`
    List(Vec<Node>),
    /// `{key: value}`
    Map(Vec<[Node; 2]>),
    /// `f(a, b)` and `a.f(b)` alike.
    Call(Function, Vec<Node>),
    /// `range.map(x, body)` and its kin.
    Comprehension(Box<Comprehension>),
}

/// The names that exist outside of `tasks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    Input,
    Vars,
    Run,
    Now,
}

/// What can be read of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TaskPart {
    Output,
    Status,
    Failure,
}

/// The strict operators of two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
}

/// A loop over the elements of a list, or over the keys of a map in their order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Comprehension {
    pub(super) form: Form,
    pub(super) range: Node,
    /// Which elements count; it and `body` see the element as `Local(0)`.
    pub(super) guard: Option<Node>,
    pub(super) body: Node,
}

/// The macros of CEL; `filter` is `Map` with a guard and the element itself as body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    All,
    Exists,
    ExistsOne,
    Map,
}

impl Operator {
    /// As it is written.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Operator::Add => "+",
            Operator::Subtract => "-",
            Operator::Multiply => "*",
            Operator::Divide => "/",
            Operator::Remainder => "%",
            Operator::Equal => "==",
            Operator::NotEqual => "!=",
            Operator::Less => "<",
            Operator::LessOrEqual => "<=",
            Operator::Greater => ">",
            Operator::GreaterOrEqual => ">=",
            Operator::In => "in",
        }
    }
}
