//! The shape of one row of the catalogue: everything that is to be known about an operation.
//!
//! The rows are in [`operations`](super::operations). Router, dispatch, negotiation, strictness and the
//! OpenAPI document all read them, so that nothing restates what an operation is.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::operations::OperationId;
use super::problem::Slug;

/// One operation of the API.
#[derive(Debug)]
pub struct Operation {
    /// What dispatch matches on.
    pub id: OperationId,
    /// The `operationId`, in snake case: `start_run`.
    pub name: &'static str,
    /// How it is asked for; `HEAD` comes with every `GET`.
    pub method: Method,
    /// The path below the base path, with `{name}` for each parameter: `/api/v1/runs/{id}`.
    pub path: &'static str,
    /// The tag under which documents list it.
    pub group: &'static str,
    /// The scope that a caller must hold: `runs:read`.
    pub scope: &'static str,
    /// One line.
    pub summary: &'static str,
    /// A paragraph, in Markdown.
    pub description: &'static str,
    /// The query parameters, as the schema of an object. Without one, any parameter is refused.
    pub query: Option<SchemaOf>,
    /// What the request carries.
    pub body: BodyKind,
    /// What a success answers, by status. Several outputs of one status are alternatives for `Accept`; the
    /// first is the default.
    pub success: &'static [(u16, Output)],
    /// The problems of its own, beside those that the conventions imply.
    pub problems: &'static [Slug],
    /// Whether `Idempotency-Key` holds.
    pub idempotency: Idempotency,
    /// Which conditional headers hold.
    pub conditional: Conditional,
    /// A request body that works, as JSON text.
    pub example: Option<&'static str>,
}

/// A method that operations use. `HEAD` and `OPTIONS` are derived from these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// Reads.
    Get,
    /// Replaces under a name that the caller knows.
    Put,
    /// Creates, or asks for an action.
    Post,
    /// Changes a part.
    Patch,
    /// Removes.
    Delete,
}

/// How a type's schema is made, with its parts left in the generator.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// The [`SchemaOf`] of a type: `body: BodyKind::Typed(schema::<StartRun>)`.
pub fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// What a request carries.
#[derive(Debug, Clone, Copy)]
pub enum BodyKind {
    /// Nothing; a body is refused.
    None,
    /// A value of this shape, in JSON or MessagePack.
    Typed(SchemaOf),
    /// As `Typed`, but an absent body means `{}`: all defaults.
    Optional(SchemaOf),
    /// A workflow document in JSON, YAML, TOML or MessagePack.
    Document,
    /// As `Document`, but one whose faults are the answer: any value is taken.
    Draft,
    /// Bytes of this media type, as they are.
    Bytes(&'static str),
}

/// What a success carries.
#[derive(Debug, Clone, Copy)]
pub enum Output {
    /// Nothing.
    None,
    /// A value of this shape, in JSON or MessagePack.
    Json(SchemaOf),
    /// Text in one of these media types, chosen by `Accept`.
    Text(&'static [&'static str]),
    /// Bytes of this media type, where `Accept` asks for them.
    Bytes(&'static str),
    /// A page for people.
    Html,
}

/// Whether a repeated `Idempotency-Key` repeats the answer instead of the effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idempotency {
    /// The key holds; for every POST that changes something.
    Keyed,
    /// The key is not looked at.
    Exempt,
}

/// Which conditional headers an operation obeys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conditional {
    /// None.
    None,
    /// `ETag` on the answer; `If-None-Match` gives 304.
    Read,
    /// `If-Match`, or 412.
    Write,
}

impl Method {
    /// The method's name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Put => "PUT",
            Method::Post => "POST",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}

impl BodyKind {
    /// The schema of the body, where it has one.
    pub fn schema(self) -> Option<SchemaOf> {
        match self {
            BodyKind::Typed(schema) | BodyKind::Optional(schema) => Some(schema),
            BodyKind::None | BodyKind::Document | BodyKind::Draft | BodyKind::Bytes(_) => None,
        }
    }
}

impl Operation {
    /// The names in the braces of the path, in order.
    pub fn path_parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    }
}
