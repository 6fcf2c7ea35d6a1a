//! The shared schemas of a description: what requests carry and what answers carry, under one set of names.
//!
//! A type may look different in the two directions: a field with a default need not be sent but is always
//! answered. Each direction has a generator of its own; where the same name means two things, the request's
//! is called `…Input`.

use std::collections::BTreeSet;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value as Json, json};

use crate::http::catalogue::SchemaOf;

/// Where the shared schemas are.
const SCHEMAS: &str = "#/components/schemas/";

/// Collects the schemas that a description refers to.
pub(super) struct Components {
    requests: SchemaGenerator,
    answers: SchemaGenerator,
    adopted: Map<String, Json>,
}

impl Components {
    pub(super) fn new() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        Self {
            requests: settings.clone().for_deserialize().into_generator(),
            answers: settings.for_serialize().into_generator(),
            adopted: Map::new(),
        }
    }

    /// The generator of what clients send.
    pub(super) fn requests(&mut self) -> &mut SchemaGenerator {
        &mut self.requests
    }

    /// The schema of something that clients send.
    pub(super) fn request(&mut self, schema: SchemaOf) -> Json {
        mark(schema(&mut self.requests).to_value())
    }

    /// A part of the schema of something that clients send.
    pub(super) fn request_part(&self, part: &Json) -> Json {
        mark(part.clone())
    }

    /// A schema that stands by itself, under this name; its `$defs` become schemas of their own.
    pub(super) fn adopt(&mut self, name: &str, mut schema: Json) -> Json {
        rewrite(&mut schema, &|text| Some(format!("{SCHEMAS}{name}.{}", text.strip_prefix("#/$defs/")?)));
        if let Some(members) = schema.as_object_mut() {
            members.remove("$schema");
            members.remove("$id");
            if let Some(Json::Object(parts)) = members.remove("$defs") {
                self.adopted
                    .extend(parts.into_iter().map(|(part, schema)| (format!("{name}.{part}"), schema)));
            }
        }
        self.adopted.insert(name.to_owned(), schema);
        json!({ "$ref": format!("{SCHEMAS}{name}") })
    }

    /// The schema of something that clients get.
    pub(super) fn answer(&mut self, schema: SchemaOf) -> Json {
        schema(&mut self.answers).to_value()
    }

    /// All shared schemas, and `document` with its references to them settled.
    pub(super) fn settle(mut self, document: &mut Json) -> Map<String, Json> {
        let mut schemas = self.answers.take_definitions(true);
        schemas.append(&mut self.adopted);
        let requests: Map<String, Json> = self
            .requests
            .take_definitions(true)
            .into_iter()
            .map(|(name, schema)| (name, mark(schema)))
            .collect();
        let differing = differing(&requests, &schemas);
        for (name, mut schema) in requests {
            rewrite(&mut schema, &|text| settled(text, &differing));
            schemas.insert(if differing.contains(&name) { format!("{name}Input") } else { name }, schema);
        }
        rewrite(document, &|text| settled(text, &differing));
        schemas
    }
}

/// What stands before a reference of a request until it is known whether its name is its own.
const MARK: &str = "request:";

/// Marks the references in a schema of a request.
fn mark(mut schema: Json) -> Json {
    rewrite(&mut schema, &|text| text.starts_with(SCHEMAS).then(|| format!("{MARK}{text}")));
    schema
}

/// The final form of a marked reference.
fn settled(text: &str, differing: &BTreeSet<String>) -> Option<String> {
    let reference = text.strip_prefix(MARK)?;
    let name = reference.strip_prefix(SCHEMAS)?;
    Some(if differing.contains(name) { format!("{reference}Input") } else { reference.to_owned() })
}

/// The names that mean something else in requests than in answers, directly or through what they refer to.
fn differing(requests: &Map<String, Json>, answers: &Map<String, Json>) -> BTreeSet<String> {
    let mut differing = BTreeSet::new();
    loop {
        let more = requests.iter().filter(|(name, schema)| {
            let mut schema = (*schema).clone();
            rewrite(&mut schema, &|text| settled(text, &differing));
            answers.get(*name).is_some_and(|answer| *answer != schema)
        });
        let more: BTreeSet<String> = more.map(|(name, _)| name.clone()).collect();
        if more.is_subset(&differing) {
            return differing;
        }
        differing.extend(more);
    }
}

/// Replaces the text of every `$ref` for which there is a replacement.
fn rewrite(schema: &mut Json, replacement: &impl Fn(&str) -> Option<String>) {
    match schema {
        Json::Object(members) => {
            for (name, member) in members {
                match member.as_str().filter(|_| name == "$ref").and_then(replacement) {
                    Some(text) => *member = text.into(),
                    None => rewrite(member, replacement),
                }
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| rewrite(item, replacement)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::http::catalogue::schema;

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Same {
        a: u8,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Differs {
        #[serde(default)]
        a: u8,
        same: Same,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Holds {
        differs: Vec<Differs>,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Sent {
        holds: Holds,
    }

    #[test]
    fn one_name_means_one_thing() {
        let mut components = Components::new();
        let mut document = json!({
            "sent": components.request(schema::<Sent>),
            "held": components.request(schema::<Holds>),
            "got": components.answer(schema::<Holds>),
        });
        let schemas = components.settle(&mut document);
        let names: Vec<&str> = schemas.keys().map(String::as_str).collect();
        assert_eq!(names, ["Differs", "DiffersInput", "Holds", "HoldsInput", "Same", "Sent"]);
        assert_eq!(document["held"]["$ref"], "#/components/schemas/HoldsInput");
        assert_eq!(document["got"]["$ref"], "#/components/schemas/Holds");
        let inner = |name: &str, member: &str| schemas[name]["properties"][member].to_string();
        assert_eq!(inner("Sent", "holds"), r##"{"$ref":"#/components/schemas/HoldsInput"}"##);
        assert!(inner("HoldsInput", "differs").contains("DiffersInput\""));
        assert!(inner("Holds", "differs").contains("Differs\""));
        assert_eq!(schemas["Differs"]["required"], json!(["a", "same"]));
        assert_eq!(schemas["DiffersInput"]["required"], json!(["same"]));
        assert!(!Json::Object(schemas).to_string().contains(MARK));
    }

    #[test]
    fn an_adopted_schema_keeps_its_parts() {
        let mut components = Components::new();
        let mut document = components.adopt(
            "Whole",
            json!({ "$id": "urn:x", "items": { "$ref": "#/$defs/part" }, "$defs": { "part": { "type": "null" } } }),
        );
        let schemas = components.settle(&mut document);
        assert_eq!(document, json!({ "$ref": "#/components/schemas/Whole" }));
        assert_eq!(schemas["Whole"], json!({ "items": { "$ref": "#/components/schemas/Whole.part" } }));
        assert_eq!(schemas["Whole.part"], json!({ "type": "null" }));
    }
}
