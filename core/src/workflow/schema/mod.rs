//! JSON Schema, draft 2020-12: a validator of a declared subset.
//!
//! The complete validators cost several hundred kilobytes of WebAssembly, so Selvedge has a small one of its
//! own. Nothing is ignored: what it does not know is a fault when the schema is compiled, so a schema that
//! compiles means what it says. The official test suite runs in this module's tests, group by group, and
//! `docs/json-schema.md` says what passes.
//!
//! # Supported
//!
//! - Any value: `type`, `enum`, `const`. Numbers compare mathematically: 1 and 1.0 are equal, both integers.
//! - Numbers: `multipleOf` (in decimal, without rounding), `minimum`, `maximum`, `exclusiveMinimum`,
//!   `exclusiveMaximum`.
//! - Strings: `minLength` and `maxLength` in code points; `pattern` in the syntax of ECMA-262's Unicode mode.
//! - Arrays: `prefixItems`, `items`, `contains`, `minContains`, `maxContains`, `minItems`, `maxItems`,
//!   `uniqueItems`, `unevaluatedItems`.
//! - Objects: `properties`, `patternProperties`, `additionalProperties`, `propertyNames`, `required`,
//!   `dependentRequired`, `dependentSchemas`, `minProperties`, `maxProperties`, `unevaluatedProperties`.
//! - Combinations: `allOf`, `anyOf`, `oneOf`, `not`, `if`, `then`, `else`, and the schemas `true` and `false`.
//! - References: `$ref`, `$defs`, `$anchor`, `$id`, all within the one document; recursion down into a value.
//! - Annotations, which assert nothing: `title`, `description`, `default`, `examples`, `deprecated`,
//!   `readOnly`, `writeOnly`, `$comment`, `format`, `contentEncoding`, `contentMediaType`, `contentSchema`,
//!   and every name that begins with `x-`.
//!
//! # Refused
//!
//! - References to other documents, to the meta-schema too, and to places that are no schemas.
//! - References that lead back to themselves without going down into the value.
//! - `$dynamicRef`, `$dynamicAnchor`, `$vocabulary`, and any other `$schema` than draft 2020-12's.
//! - Keywords of older drafts (`definitions`, `dependencies`, `additionalItems`, `id`, `$recursiveRef`,
//!   `$recursiveAnchor`) and unknown keywords.
//! - In patterns: look-around, back-references, `\p{…}`, and what ECMA-262 does not know.
//!
//! # Binary
//!
//! [`Value::Bytes`] is no type of JSON. It fits a schema without `type`, and `type: string` together with
//! `contentEncoding: base64`; keywords for strings say nothing about it.

mod rule;

mod keyword;

mod compile;

mod references;

mod uri;

mod pattern;

mod evaluate;

mod parts;

mod evaluated;

mod assertion;

mod number;

mod order;

mod complaint;

mod alternatives;

mod words;

#[cfg(test)]
mod tests;

use crate::value::{Pointer, Value};

use super::fault::Fault;
use rule::Program;

/// At most so many faults are reported, of a schema or of a value.
pub const FAULTS_MAX: usize = 100;
/// No further fault is reported once the texts of the faults exceed this, in bytes.
pub const FAULT_BYTES_MAX: usize = 1 << 18;
/// A validation that takes more steps than this is given up with one fault. A step is about one keyword
/// asked of one value.
pub const STEPS_MAX: u64 = 5_000_000;
/// So many schemas may apply to one and the same value, each through `$ref`, `allOf` and their like in the
/// one before.
pub const IN_PLACE_MAX: usize = 100;

/// A compiled schema.
#[derive(Debug, Clone)]
pub struct Schema {
    document: Value,
    program: Program,
}

impl Schema {
    /// Compiles a schema. Its faults are reported together (at most [`FAULTS_MAX`]), with pointers below `at`.
    pub fn compile(document: &Value, at: &Pointer) -> Result<Self, Vec<Fault>> {
        let program = compile::compile(document, at)?;
        Ok(Self { document: document.clone(), program })
    }

    /// All faults of the instance (at most [`FAULTS_MAX`]), each with its pointer below `at`; none if the
    /// instance is valid.
    pub fn validate(&self, instance: &Value, at: &Pointer) -> Vec<Fault> {
        evaluate::faults(&self.program, instance, at)
    }

    /// The schema as it was written.
    pub fn document(&self) -> &Value {
        &self.document
    }
}
