//! What is known about parameters: those of paths by their name, those of queries by their schema.
//!
//! The names in a path mean the same wherever they stand, so one table holds their types.

use schemars::{Schema, SchemaGenerator};
use serde_json::Value as Json;

use crate::ids::{CheckpointKey, LeaseId, RunId, TaskName, Version, WorkerId, WorkflowName};

use super::catalogue::{SchemaOf, schema};
use super::slug::Slug;

/// What stands in the braces of a path.
#[derive(Debug, Clone, Copy)]
pub struct PathParameter {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub schema: SchemaOf,
    /// What it names.
    pub description: &'static str,
}

/// Every name that may stand in the braces of a path.
pub const PATH_PARAMETERS: &[PathParameter] = &[
    PathParameter { name: "id", schema: schema::<RunId>, description: "The run." },
    PathParameter { name: "name", schema: schema::<WorkflowName>, description: "The name." },
    PathParameter { name: "version", schema: schema::<Version>, description: "The version." },
    PathParameter { name: "task", schema: schema::<TaskName>, description: "The task." },
    PathParameter { name: "lease_id", schema: schema::<LeaseId>, description: "The lease." },
    PathParameter { name: "worker_id", schema: schema::<WorkerId>, description: "The worker." },
    PathParameter { name: "key", schema: schema::<CheckpointKey>, description: "The key." },
    PathParameter { name: "slug", schema: slug, description: "The last part of a problem's `type`." },
];

/// The parameters that a query struct declares.
#[derive(Debug, Clone, Default)]
pub struct Declared {
    /// Name and schema of each, by name.
    pub properties: Vec<(String, Json)>,
    /// Those without which the query is refused.
    pub required: Vec<String>,
    /// Those of free names.
    pub families: Vec<Family>,
}

/// Parameters whose names are free but for a pattern.
#[derive(Debug, Clone)]
pub struct Family {
    /// What their names match, a regular expression.
    pub pattern: String,
    /// What each match begins with, up to a dot.
    pub prefix: String,
    /// The schema of their values.
    pub schema: Json,
}

impl PathParameter {
    /// The parameter of this name.
    pub fn find(name: &str) -> Option<&'static PathParameter> {
        PATH_PARAMETERS.iter().find(|parameter| parameter.name == name)
    }
}

impl Declared {
    /// What this schema declares. The query struct itself does not stay among the generator's definitions.
    pub fn of(schema: SchemaOf, generator: &mut SchemaGenerator) -> Self {
        let reference = schema(generator).to_value();
        let name = reference.get("$ref").and_then(Json::as_str).and_then(|path| path.rsplit('/').next());
        let object = match name {
            Some(name) => generator.definitions_mut().remove(name).unwrap_or_default(),
            None => reference,
        };
        let members = |key: &str| object.get(key).and_then(Json::as_object).cloned().unwrap_or_default();
        let required = object.get("required").and_then(Json::as_array).cloned().unwrap_or_default();
        Self {
            properties: members("properties").into_iter().collect(),
            required: required.iter().filter_map(|name| Some(name.as_str()?.to_owned())).collect(),
            families: members("patternProperties")
                .into_iter()
                .map(|(pattern, schema)| Family { prefix: prefix_of(&pattern), pattern, schema })
                .collect(),
        }
    }

    /// The names of the fixed parameters.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.properties.iter().map(|(name, _)| name.as_str())
    }

    /// Whether this parameter belongs to a family of free names.
    pub fn is_free(&self, name: &str) -> bool {
        self.families.iter().any(|family| name.starts_with(family.prefix.as_str()))
    }
}

/// What every match of the pattern begins with: `attribute.` for `^attribute\.[a-z]+$`.
fn prefix_of(pattern: &str) -> String {
    let mut prefix = String::new();
    let mut letters = pattern.strip_prefix('^').unwrap_or_default().chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => prefix.extend(letters.next()),
            '*' | '?' | '{' => {
                prefix.pop();
                break;
            }
            '.' | '[' | '(' | '+' | '$' => break,
            _ => prefix.push(letter),
        }
    }
    prefix
}

fn slug(_: &mut SchemaGenerator) -> Schema {
    let slugs: Vec<&str> = Slug::ALL.iter().map(|slug| slug.slug()).collect();
    schemars::json_schema!({ "type": "string", "enum": slugs })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::operations::OPERATIONS;

    #[test]
    fn prefixes_end_where_patterns_vary() {
        for (pattern, prefix) in [
            (r"^attribute\.", "attribute."),
            (r"^attribute\.[A-Za-z_][A-Za-z0-9_]{0,63}(\.(gte|gt|lte|lt))?$", "attribute."),
            ("attribute", ""),
        ] {
            assert_eq!(prefix_of(pattern), prefix, "{pattern}");
        }
    }

    #[test]
    fn every_parameter_of_a_path_has_a_type() {
        for operation in OPERATIONS {
            for name in operation.path_parameters() {
                assert!(PathParameter::find(name).is_some(), "{}: {name}", operation.path);
            }
        }
    }
}
