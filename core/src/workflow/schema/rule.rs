//! A compiled schema: nodes in one list, each a list of rules, joined by index.
//!
//! Indices rather than boxes, because `$ref` makes graphs, and because a list is dropped without recursion.

use std::collections::BTreeMap;

use crate::value::Value;

use super::number::Number;
use super::pattern::Pattern;

/// The index of a node in a compiled schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NodeIx(pub(super) usize);

/// One schema or subschema: everything that must hold, in the order in which it is asked.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    /// The type first, so that nothing else is said of a value of the wrong type; the unevaluated last.
    pub(super) rules: Vec<Rule>,
}

/// All nodes of a document, the root first.
#[derive(Debug, Clone)]
pub(super) struct Program {
    /// By their index.
    pub(super) nodes: Vec<Node>,
    /// Whether anything asks what has been evaluated; if not, nobody need keep count.
    pub(super) tracking: Tracking,
}

/// Whether evaluated elements and members are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tracking {
    /// For `unevaluatedItems` and `unevaluatedProperties`.
    On,
    /// For nobody.
    Off,
}

/// What a keyword, or a group of keywords that only make sense together, asks.
#[derive(Debug, Clone)]
pub(super) enum Rule {
    /// The schema `false`.
    Never,
    /// `type`, with what `contentEncoding` says of binary.
    Type(Types, Binary),
    /// `enum`, and `const` as an `enum` of one.
    OneOfValues(Vec<Value>),
    /// `minimum` and its three relatives.
    Bound(Bound, Number),
    /// `multipleOf`.
    MultipleOf(Number),
    /// `minLength`, `maxItems` … .
    Size(Sized, Limit, u64),
    /// `pattern`.
    Pattern(Pattern),
    /// `uniqueItems: true`.
    UniqueItems,
    /// `required`.
    Required(Vec<String>),
    /// `dependentRequired`.
    DependentRequired(BTreeMap<String, Vec<String>>),
    /// `propertyNames`.
    MemberNames(NodeIx),
    /// `prefixItems` and `items`.
    Items(Vec<NodeIx>, Option<NodeIx>),
    /// `contains`, `minContains` and `maxContains`.
    Contains(NodeIx, u64, Option<u64>),
    /// `properties`, `patternProperties` and `additionalProperties`.
    Members(Members),
    /// `$ref`.
    Reference(NodeIx),
    /// `allOf`.
    AllOf(Vec<NodeIx>),
    /// `anyOf`.
    AnyOf(Vec<NodeIx>),
    /// `oneOf`.
    OneOf(Vec<NodeIx>),
    /// `not`.
    Not(NodeIx),
    /// `if` with `then` and `else`.
    If(NodeIx, Option<NodeIx>, Option<NodeIx>),
    /// `dependentSchemas`.
    DependentSchemas(BTreeMap<String, NodeIx>),
    /// `unevaluatedItems`.
    UnevaluatedItems(NodeIx),
    /// `unevaluatedProperties`.
    UnevaluatedMembers(NodeIx),
}

/// What an object's members must be.
#[derive(Debug, Clone, Default)]
pub(super) struct Members {
    /// By their names.
    pub(super) named: BTreeMap<String, NodeIx>,
    /// By patterns that their names match.
    pub(super) patterns: Vec<(Pattern, NodeIx)>,
    /// All others.
    pub(super) others: Option<NodeIx>,
}

/// A side of a number line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// `minimum`.
    AtLeast,
    /// `maximum`.
    AtMost,
    /// `exclusiveMinimum`.
    Above,
    /// `exclusiveMaximum`.
    Below,
}

/// What has a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sized {
    /// A string, in code points.
    Text,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// A side of a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// `min…`.
    Min,
    /// `max…`.
    Max,
}

impl Program {
    /// The program of these nodes.
    pub(super) fn of(nodes: Vec<Node>) -> Self {
        let asks = |rule: &Rule| matches!(rule, Rule::UnevaluatedItems(_) | Rule::UnevaluatedMembers(_));
        let tracked = nodes.iter().any(|node| node.rules.iter().any(asks));
        Self { nodes, tracking: if tracked { Tracking::On } else { Tracking::Off } }
    }

    /// Whether a node is the schema `false`.
    pub(super) fn is_never(&self, node: NodeIx) -> bool {
        matches!(self.nodes[node.0].rules.as_slice(), [Rule::Never])
    }
}

/// Whether [`Value::Bytes`] counts as a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    /// Under `contentEncoding: base64`.
    IsText,
    /// Elsewhere.
    IsNotText,
}

/// A set of the seven type names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Types(u8);

impl Types {
    /// The type names of JSON Schema; a set holds them by their position here.
    pub(super) const NAMES: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];

    /// Adds a type by its name; no other name is one.
    pub(super) fn add(&mut self, name: &str) -> Result<(), UnknownType> {
        let position = Self::NAMES.iter().position(|known| *known == name).ok_or(UnknownType)?;
        self.0 |= 1 << position;
        Ok(())
    }

    /// Whether the type is in the set.
    pub(super) fn has(self, name: &str) -> bool {
        Self::NAMES.iter().position(|known| *known == name).is_some_and(|at| self.0 & 1 << at != 0)
    }

    /// The names in the set.
    pub(super) fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().enumerate().filter(move |(at, _)| self.0 & 1 << at != 0).map(|(_, name)| name)
    }

    /// Whether a value is of a type in the set.
    pub(super) fn admit(self, value: &Value, binary: Binary) -> bool {
        match value {
            Value::Bytes(_) => binary == Binary::IsText && self.has("string"),
            _ => {
                self.has(value.kind())
                    || Number::of(value).is_some_and(|number| {
                        self.has("number") || self.has("integer") && number.is_integer()
                    })
            }
        }
    }
}

/// A name that is no type's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnknownType;

impl Rule {
    /// The subschemas that this rule asks of the very same value, so that going there makes no progress.
    pub(super) fn in_place(&self) -> Vec<NodeIx> {
        match self {
            Rule::Reference(node) | Rule::Not(node) => vec![*node],
            Rule::AllOf(nodes) | Rule::AnyOf(nodes) | Rule::OneOf(nodes) => nodes.clone(),
            Rule::If(condition, then, otherwise) => {
                [Some(*condition), *then, *otherwise].into_iter().flatten().collect()
            }
            Rule::DependentSchemas(nodes) => nodes.values().copied().collect(),
            _ => Vec::new(),
        }
    }

    /// Where a `$ref` leads.
    pub(super) fn reference(&self) -> Option<NodeIx> {
        match self {
            Rule::Reference(node) => Some(*node),
            _ => None,
        }
    }

    /// Whether the rule leads to the elements of an array.
    pub(super) fn is_of_array(&self) -> bool {
        matches!(self, Rule::Items(..) | Rule::Contains(..) | Rule::UnevaluatedItems(_))
    }

    /// Whether the rule leads to the members of an object.
    pub(super) fn is_of_object(&self) -> bool {
        matches!(self, Rule::Members(_) | Rule::MemberNames(_) | Rule::UnevaluatedMembers(_))
    }

    /// How much work asking this rule is, besides the subschemas it leads to and the size of the value.
    pub(super) fn steps(&self) -> u64 {
        let entries = match self {
            Rule::OneOfValues(values) => values.len(),
            Rule::Required(names) => names.len(),
            Rule::DependentRequired(lists) => lists.values().map(|names| names.len() + 1).sum(),
            Rule::DependentSchemas(nodes) => nodes.len(),
            _ => 0,
        };
        entries as u64 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_admit_values_as_json_schema_says() {
        let rows: &[(&[&str], Value, Binary, bool)] = &[
            (&["integer"], Value::Int(1), Binary::IsNotText, true),
            (&["integer"], Value::UInt(u64::MAX), Binary::IsNotText, true),
            (&["integer"], Value::Float(1.0), Binary::IsNotText, true),
            (&["integer"], Value::Float(1.5), Binary::IsNotText, false),
            (&["number"], Value::Int(1), Binary::IsNotText, true),
            (&["number"], Value::Float(1.5), Binary::IsNotText, true),
            (&["string", "null"], Value::Null, Binary::IsNotText, true),
            (&["string", "null"], Value::Bool(true), Binary::IsNotText, false),
            (&["string"], Value::Bytes(vec![]), Binary::IsNotText, false),
            (&["string"], Value::Bytes(vec![]), Binary::IsText, true),
            (&["object"], Value::Bytes(vec![]), Binary::IsText, false),
        ];
        for (names, value, binary, expected) in rows {
            let mut types = Types::default();
            for name in *names {
                types.add(name).expect("a type's name");
            }
            assert_eq!(types.admit(value, *binary), *expected, "{names:?} {value:?}");
        }
        assert_eq!(Types::default().add("any"), Err(UnknownType));
    }
}
