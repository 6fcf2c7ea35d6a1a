//! The types of CEL, as far as they are known when a document is saved.
//!
//! What `input` and `tasks` hold is not known then, so most steps have no kind; those that have one are
//! checked, and the same rules word the errors of a run.

use crate::value::Value;

use super::syntax::{Form, Node, Operator, Root, TaskPart};

/// A type of CEL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Bool,
    Int,
    Double,
    String,
    Bytes,
    List,
    Map,
}

use Kind::{Bool, Bytes, Double, Int, List, Map, Null, String};

const KINDS: [Kind; 8] = [Null, Bool, Int, Double, String, Bytes, List, Map];

impl Kind {
    /// The kind of a value.
    pub(super) fn of(value: &Value) -> Kind {
        match value {
            Value::Null => Null,
            Value::Bool(_) => Bool,
            Value::Int(_) | Value::UInt(_) => Int,
            Value::Float(_) => Double,
            Value::String(_) => String,
            Value::Bytes(_) => Bytes,
            Value::Array(_) => List,
            Value::Object(_) => Map,
        }
    }

    /// The kind of what a step yields, if it can yield only one.
    pub(super) fn of_node(node: &Node) -> Option<Kind> {
        match node {
            Node::Literal(value) => Some(Kind::of(value)),
            Node::Root(Root::Vars) => Some(Map),
            Node::Root(Root::Now) | Node::Task(_, TaskPart::Status) => Some(String),
            Node::Has(..) | Node::Not(_) | Node::And(_) | Node::Or(_) => Some(Bool),
            Node::Conditional(branches) => {
                let [_, a, b] = &**branches;
                Kind::of_node(a).filter(|kind| Kind::of_node(b) == Some(*kind))
            }
            Node::Negate(of) => Kind::of_node(of),
            Node::Binary(operator, operands) => match operator {
                Operator::Add
                | Operator::Subtract
                | Operator::Multiply
                | Operator::Divide
                | Operator::Remainder => {
                    let [a, b] = &**operands;
                    Kind::of_node(a).or_else(|| Kind::of_node(b))
                }
                _ => Some(Bool),
            },
            Node::List(_) => Some(List),
            Node::Map(_) => Some(Map),
            Node::Call(function, _) => function.yields(),
            Node::Comprehension(comprehension) => match comprehension.form {
                Form::Map => Some(List),
                Form::All | Form::Exists | Form::ExistsOne => Some(Bool),
            },
            Node::Local(_)
            | Node::Root(Root::Input | Root::Run)
            | Node::Task(..)
            | Node::Select(..)
            | Node::OptionalSelect(..)
            | Node::Index(_)
            | Node::OptionalIndex(_) => None,
        }
    }

    /// The type's name in CEL.
    pub(super) fn name(self) -> &'static str {
        match self {
            Null => "null",
            Bool => "bool",
            Int => "int",
            Double => "double",
            String => "string",
            Bytes => "bytes",
            List => "list",
            Map => "map",
        }
    }
}

impl Operator {
    /// Whether the operator takes these operands; one that is unknown may be any.
    pub(super) fn accepts(self, left: Option<Kind>, right: Option<Kind>) -> bool {
        let any_of =
            |kind: Option<Kind>| KINDS.into_iter().filter(move |k| kind.is_none_or(|known| known == *k));
        any_of(left).any(|left| any_of(right).any(|right| self.takes(left, right)))
    }

    /// Why it does not.
    pub(super) fn refusal(self, left: Option<Kind>, right: Option<Kind>) -> std::string::String {
        let name = |kind: Option<Kind>| kind.map_or("a value", Kind::name);
        let hint = match (left, right) {
            (Some(Int), Some(Double)) | (Some(Double), Some(Int)) => ", convert one with int() or double()",
            (Some(String), Some(_)) | (Some(_), Some(String)) if self == Operator::Add => {
                ", convert with string()"
            }
            _ => "",
        };
        format!("{} does not take {} and {}{hint}", self.sign(), name(left), name(right))
    }

    fn takes(self, left: Kind, right: Kind) -> bool {
        match self {
            Operator::Add => left == right && matches!(left, Int | Double | String | Bytes | List),
            Operator::Subtract | Operator::Multiply | Operator::Divide => {
                left == right && matches!(left, Int | Double)
            }
            Operator::Remainder => left == Int && right == Int,
            Operator::Equal | Operator::NotEqual => true,
            Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
                (matches!(left, Int | Double) && matches!(right, Int | Double))
                    || (left == right && matches!(left, Bool | String | Bytes))
            }
            Operator::In => matches!(right, List | Map),
        }
    }
}

/// The names of kinds, for `expected …`.
pub(super) fn one_of(kinds: &[Kind]) -> std::string::String {
    kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" or ")
}
