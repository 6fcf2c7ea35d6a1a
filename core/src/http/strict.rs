//! Why a body was refused: every fault, by the same schema that the OpenAPI document publishes.
//!
//! A body is read straight into its type, which is fast and stops at the first fault. Only when that fails is
//! it read once more as a plain value and held against the schema of its operation.

use schemars::generate::SchemaSettings;

use crate::value::{Pointer, ReadError, Value};
use crate::workflow::format::DocumentFormat;
use crate::workflow::schema::Schema;

use super::catalogue::{BodyKind, SchemaOf};
use super::problem::{FieldError, Problem, Slug};

/// The problem of a body that its type refused with `error`.
pub(super) fn explain(kind: BodyKind, format: DocumentFormat, bytes: &[u8], error: &ReadError) -> Problem {
    let value = match value(format, bytes) {
        Ok(value) => value,
        Err(problem) => return problem,
    };
    let faults = match kind.schema().and_then(compile) {
        Some(schema) => schema.validate(&value, &Pointer::root()),
        None => Vec::new(),
    };
    if faults.is_empty() {
        return Problem::with_errors(Slug::MalformedRequest, vec![error.into()]);
    }
    let errors = faults.into_iter().map(|fault| {
        // Of a text or a number the type knows more to say than a pattern does.
        let told_by_type = fault.pointer == error.pointer && is_scalar_at(&value, &fault.pointer);
        let message = if told_by_type { error.message.clone() } else { fault.message };
        FieldError::new(fault.pointer.as_str(), message)
    });
    Problem::with_errors(Slug::MalformedRequest, errors.collect())
}

/// A body as a plain value.
pub(super) fn value(format: DocumentFormat, bytes: &[u8]) -> Result<Value, Problem> {
    match format {
        DocumentFormat::MessagePack => {
            Value::from_msgpack(bytes).map_err(|error| Problem::unreadable("MessagePack", &error))
        }
        _ => Value::from_json(bytes).map_err(|error| Problem::unreadable("JSON", &error)),
    }
}

fn is_scalar_at(value: &Value, pointer: &Pointer) -> bool {
    let mut steps =
        pointer.as_str().split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~"));
    let found = steps.try_fold(value, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        other => other.get(&step),
    });
    found.is_some_and(|value| !matches!(value, Value::Array(_) | Value::Object(_)))
}

/// The schema of a body by itself, its parts in `$defs`.
fn compile(schema: SchemaOf) -> Option<Schema> {
    let mut generator = SchemaSettings::draft2020_12().for_deserialize().into_generator();
    let mut document = schema(&mut generator);
    let definitions = generator.take_definitions(true);
    document.ensure_object().insert("$defs".to_owned(), definitions.into());
    let document = Value::from_json(document.to_value().to_string().as_bytes()).ok()?;
    Schema::compile(&document, &Pointer::root()).ok()
}
