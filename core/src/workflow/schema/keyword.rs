//! The vocabulary: every keyword of draft 2020-12 that is supported, the shape of its value, and those that
//! are known and refused.
//!
//! The table is checked before anything is compiled, so that the compiler only meets right shapes.

use std::collections::BTreeSet;

use crate::value::Value;

use super::number::Number;
use super::rule::Types;
use super::words;

/// The address of the only dialect.
pub(super) const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Every supported keyword with the shape of its value.
pub(super) const KEYWORDS: &[(&str, Shape)] = &[
    ("$schema", Shape::Dialect),
    ("$id", Shape::Address),
    ("$anchor", Shape::Anchor),
    ("$ref", Shape::Text),
    ("$defs", Shape::SchemaMap),
    ("$comment", Shape::Text),
    ("type", Shape::Types),
    ("enum", Shape::List),
    ("const", Shape::Any),
    ("multipleOf", Shape::PositiveNumber),
    ("minimum", Shape::Number),
    ("maximum", Shape::Number),
    ("exclusiveMinimum", Shape::Number),
    ("exclusiveMaximum", Shape::Number),
    ("minLength", Shape::Count),
    ("maxLength", Shape::Count),
    ("pattern", Shape::Text),
    ("prefixItems", Shape::SchemaList),
    ("items", Shape::Schema),
    ("contains", Shape::Schema),
    ("minContains", Shape::Count),
    ("maxContains", Shape::Count),
    ("minItems", Shape::Count),
    ("maxItems", Shape::Count),
    ("uniqueItems", Shape::Flag),
    ("unevaluatedItems", Shape::Schema),
    ("properties", Shape::SchemaMap),
    ("patternProperties", Shape::SchemaMap),
    ("additionalProperties", Shape::Schema),
    ("propertyNames", Shape::Schema),
    ("required", Shape::Names),
    ("dependentRequired", Shape::NamesMap),
    ("dependentSchemas", Shape::SchemaMap),
    ("minProperties", Shape::Count),
    ("maxProperties", Shape::Count),
    ("unevaluatedProperties", Shape::Schema),
    ("allOf", Shape::SchemaList),
    ("anyOf", Shape::SchemaList),
    ("oneOf", Shape::SchemaList),
    ("not", Shape::Schema),
    ("if", Shape::Schema),
    ("then", Shape::Schema),
    ("else", Shape::Schema),
    ("title", Shape::Text),
    ("description", Shape::Text),
    ("default", Shape::Any),
    ("examples", Shape::List),
    ("deprecated", Shape::Flag),
    ("readOnly", Shape::Flag),
    ("writeOnly", Shape::Flag),
    ("format", Shape::Text),
    ("contentEncoding", Shape::Text),
    ("contentMediaType", Shape::Text),
    ("contentSchema", Shape::Schema),
];

/// Keywords that exist, or did, and are refused, with what to do about it.
pub(super) const REFUSED: &[(&str, &str)] = &[
    ("$dynamicRef", "is not supported, use `$ref`"),
    ("$dynamicAnchor", "is not supported, use `$anchor`"),
    ("$vocabulary", "is not supported"),
    ("$recursiveRef", "is of an older draft, use `$ref`"),
    ("$recursiveAnchor", "is of an older draft, use `$anchor`"),
    ("additionalItems", "is of an older draft, use `prefixItems` and `items`"),
    ("definitions", "is of an older draft, use `$defs`"),
    ("dependencies", "is of an older draft, use `dependentRequired` or `dependentSchemas`"),
    ("id", "is of an older draft, use `$id`"),
];

/// Names with this prefix are the author's own and mean nothing here.
pub(super) const EXTENSION_PREFIX: &str = "x-";

/// What the value of a keyword must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Anything.
    Any,
    /// [`DIALECT`].
    Dialect,
    /// A URI reference without a fragment.
    Address,
    /// A plain name.
    Anchor,
    /// A string.
    Text,
    /// A boolean.
    Flag,
    /// A number.
    Number,
    /// A number above zero.
    PositiveNumber,
    /// An integer from zero.
    Count,
    /// An array.
    List,
    /// A type's name or a list of them.
    Types,
    /// Different strings.
    Names,
    /// Lists of different strings, by name.
    NamesMap,
    /// A schema; whether it is one shows when it is compiled.
    Schema,
    /// A list of schemas, not empty.
    SchemaList,
    /// Schemas by name.
    SchemaMap,
}

/// The shape of a supported keyword's value, or why the keyword is refused.
pub(super) fn shape(name: &str) -> Result<Shape, String> {
    if let Some((_, shape)) = KEYWORDS.iter().find(|(known, _)| *known == name) {
        return Ok(*shape);
    }
    if let Some((_, reason)) = REFUSED.iter().find(|(known, _)| *known == name) {
        return Err(format!("{} {reason}", words::name(name)));
    }
    let suggestion = words::suggestion(name, KEYWORDS.iter().map(|(known, _)| *known));
    Err(format!("unknown keyword {}{suggestion}", words::name(name)))
}

impl Shape {
    /// Whether a value has this shape, or what it should be instead.
    pub(super) fn check(self, value: &Value) -> Result<(), String> {
        let (fits, expected) = match self {
            Shape::Any | Shape::Schema => (true, "anything"),
            Shape::Dialect => (is_dialect(value), "\"https://json-schema.org/draft/2020-12/schema\""),
            Shape::Address => (is_address(value), "a URI reference without a fragment"),
            Shape::Anchor => (is_anchor(value), "a name like `an_anchor-1.0`"),
            Shape::Text => (value.as_str().is_some(), "a string"),
            Shape::Flag => (value.as_bool().is_some(), "true or false"),
            Shape::Number => (Number::of(value).is_some(), "a number"),
            Shape::PositiveNumber => (is_positive(value), "a number above zero"),
            Shape::Count => (count(value).is_some(), "an integer from zero"),
            Shape::List => (value.as_array().is_some(), "an array"),
            Shape::Types => return types(value).map(drop),
            Shape::Names => (is_names(value), "an array of different strings"),
            Shape::NamesMap => (
                value.as_object().is_some_and(|lists| lists.values().all(is_names)),
                "an object of arrays of different strings",
            ),
            Shape::SchemaList => {
                (value.as_array().is_some_and(|list| !list.is_empty()), "an array of schemas, not empty")
            }
            Shape::SchemaMap => (value.as_object().is_some(), "an object of schemas"),
        };
        if fits { Ok(()) } else { Err(format!("expected {expected}, found {}", words::found(value))) }
    }
}

/// An integer from zero; one that exceeds 64 bits limits nothing, so it is the largest.
pub(super) fn count(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::UInt(number) => Some(*number),
        Value::Float(number) if *number >= 0.0 && number.fract() == 0.0 => Some(*number as u64),
        _ => None,
    }
}

/// The set that the value of `type` names.
pub(super) fn types(value: &Value) -> Result<Types, String> {
    let listed = match value {
        Value::Array(names) if !names.is_empty() => names.as_slice(),
        one => std::slice::from_ref(one),
    };
    let mut types = Types::default();
    for entry in listed {
        let name = entry.as_str().ok_or_else(|| {
            format!("expected a type's name or an array of them, found {}", words::found(entry))
        })?;
        if types.has(name) {
            return Err(format!("the type {} is named twice", words::name(name)));
        }
        types.add(name).map_err(|_| {
            let suggestion = words::suggestion(name, Types::NAMES.into_iter());
            format!("{} is no type{suggestion}", words::name(name))
        })?;
    }
    Ok(types)
}

/// The strings of a list of names.
pub(super) fn names(value: &Value) -> Vec<String> {
    let items = value.as_array().unwrap_or_default();
    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn is_names(value: &Value) -> bool {
    let Some(items) = value.as_array() else { return false };
    let distinct: BTreeSet<&str> = items.iter().filter_map(Value::as_str).collect();
    distinct.len() == items.len()
}

fn is_dialect(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.strip_suffix('#').unwrap_or(text) == DIALECT)
}

fn is_address(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.split_once('#').is_none_or(|(_, fragment)| fragment.is_empty()))
}

fn is_anchor(value: &Value) -> bool {
    value.as_str().is_some_and(|text| {
        text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    })
}

fn is_positive(value: &Value) -> bool {
    Number::of(value).is_some_and(|number| number.compare(Number::Integer(0)).is_gt())
}
