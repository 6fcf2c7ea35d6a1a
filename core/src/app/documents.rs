//! Documents without state: validate, draw.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::http::answer::Answer;
use crate::http::call::Call;
use crate::http::negotiate::Media;
use crate::http::problem::{FieldError, Problem, Slug};
use crate::ids::{Version, WorkflowName};
use crate::platform::Platform;
use crate::store::database::Database;
use crate::value::{Locations, Pointer, Value};
use crate::workflow::fault::Fault;
use crate::workflow::format;
use crate::workflow::graph;
use crate::workflow::model::{DOCUMENT_BYTES_MAX, Workflow};
use crate::workflow::parse::parse;

use super::App;

/// What validation found.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Validation {
    /// Whether the document may be saved and run.
    valid: bool,
    /// Its name, if it is valid.
    name: Option<WorkflowName>,
    /// Its version, if it is valid.
    version: Option<Version>,
    /// Every fault.
    errors: Vec<FieldError>,
}

/// The query of `POST /documents/graph`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GraphQuery {
    /// The form of the graph; chosen by `Accept` unless it is given.
    #[serde(default)]
    format: Option<GraphFormat>,
}

/// The forms of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GraphFormat {
    /// Nodes, edges and waves.
    Json,
    /// Graphviz.
    Dot,
    /// Mermaid.
    Mermaid,
}

/// The media types of graphs as text.
pub(crate) const DOT: &str = "text/vnd.graphviz";
/// Mermaid has no registered type.
pub(crate) const MERMAID: &str = "text/vnd.mermaid";

impl<D: Database, P: Platform> App<D, P> {
    pub(super) fn validate_document(&self, call: &Call<'_>) -> Result<Answer, Problem> {
        let (value, locations) = self.read_document(call)?;
        let validation = match parse(&value) {
            Ok(workflow) => Validation {
                valid: true,
                name: Some(workflow.name),
                version: Some(workflow.version),
                errors: Vec::new(),
            },
            Err(faults) => {
                let errors = field_errors(faults, &Pointer::root(), Some(&locations));
                Validation { valid: false, name: None, version: None, errors }
            }
        };
        Ok(Answer::json(200, &validation))
    }

    pub(super) fn document_graph(&self, call: &Call<'_>) -> Result<Answer, Problem> {
        let query: GraphQuery = call.query()?;
        let (value, locations) = self.read_document(call)?;
        let workflow = self.compile(&value, &Pointer::root(), Some(&locations))?;
        let form = query.format.unwrap_or(match call.media {
            Media::Text(DOT) => GraphFormat::Dot,
            Media::Text(MERMAID) => GraphFormat::Mermaid,
            _ => GraphFormat::Json,
        });
        Ok(match form {
            GraphFormat::Json => Answer::value(200, &graph::json(&workflow)),
            GraphFormat::Dot => Answer::text(200, DOT, graph::dot(&workflow)),
            GraphFormat::Mermaid => Answer::text(200, MERMAID, graph::mermaid(&workflow)),
        })
    }

    /// The document in a request's body, and where its parts stand in the text.
    pub(super) fn read_document(&self, call: &Call<'_>) -> Result<(Value, Locations), Problem> {
        let (bytes, format) = call.document()?;
        if bytes.len() > DOCUMENT_BYTES_MAX {
            let detail =
                format!("the document has {} bytes, at most {DOCUMENT_BYTES_MAX} are taken", bytes.len());
            return Err(Problem::new(Slug::DocumentTooLarge, detail));
        }
        format::read(bytes, format).map_err(|error| Problem::unreadable(format.media_type(), &error))
    }

    /// A document compiled, or the problem that names all its faults.
    pub(super) fn compile(
        &self,
        document: &Value,
        at: &Pointer,
        locations: Option<&Locations>,
    ) -> Result<Workflow, Problem> {
        let text = document.canonical();
        if text.len() > DOCUMENT_BYTES_MAX {
            let detail =
                format!("the document has {} bytes, at most {DOCUMENT_BYTES_MAX} are taken", text.len());
            return Err(Problem::new(Slug::DocumentTooLarge, detail));
        }
        parse(document).map_err(|faults| {
            Problem::with_errors(Slug::InvalidDocument, field_errors(faults, at, locations))
        })
    }
}

/// Faults as problems name them: the pointer below `at`, line and column where the text has them.
pub(super) fn field_errors(
    faults: Vec<Fault>,
    at: &Pointer,
    locations: Option<&Locations>,
) -> Vec<FieldError> {
    let place = |fault: &Fault| locations.and_then(|locations| locations.get(&fault.pointer));
    let error = |fault: Fault| {
        let (line, column) = place(&fault).unzip();
        let pointer = format!("{at}{}", fault.pointer);
        FieldError { line, column, ..FieldError::new(pointer, fault.message) }
    };
    faults.into_iter().map(error).collect()
}
