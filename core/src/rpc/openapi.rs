//! The API as an OpenAPI 3.1 document, made from the catalogue.
//!
//! What the conventions imply (the problems that any operation can answer with, the headers) is added here by
//! rule, so that the rows of the catalogue hold only what is an operation's own.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::{Map, Value as Json, json};

use crate::http::catalogue::{BodyKind, Conditional, Idempotency, Operation, Output, schema};
use crate::http::content::media_types;
use crate::http::negotiate::{self, JSON, MSGPACK, PROBLEM_JSON, PROBLEM_MSGPACK, essence};
use crate::http::operations::OPERATIONS;
use crate::http::problem::{self, Slug};
use crate::value::Value;
use crate::workflow::document_schema::document_schema;

use super::components::Components;
use super::parameters;

/// What the document says of the API as a whole.
#[derive(Debug, Clone, Copy)]
pub struct Info<'a> {
    /// Its name.
    pub title: &'a str,
    /// The program's version.
    pub version: &'a str,
    /// A paragraph, in Markdown.
    pub description: &'a str,
}

/// The document of this server's catalogue, mounted under `base_path` (`""` or `/x/y`).
pub fn document(info: &Info<'_>, base_path: &str) -> Value {
    describe(OPERATIONS, info, base_path)
}

/// The document of any catalogue.
pub fn describe(operations: &[Operation], info: &Info<'_>, base_path: &str) -> Value {
    let mut components = Components::new();
    let mut paths: BTreeMap<&str, Map<String, Json>> = BTreeMap::new();
    for operation in operations {
        let method = operation.method.name().to_ascii_lowercase();
        paths.entry(operation.path).or_default().insert(method, described(operation, &mut components));
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": info.title,
            "version": info.version,
            "description": info.description,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": if base_path.is_empty() { "/" } else { base_path } }],
        "tags": tags(operations),
        "paths": paths,
        "components": { "headers": headers(), "parameters": parameters::of_headers() },
    });
    document["components"]["schemas"] = Json::Object(components.settle(&mut document));
    Value::from_json(document.to_string().as_bytes()).expect("what serde_json writes is JSON")
}

fn described(operation: &Operation, components: &mut Components) -> Json {
    let mut members = json!({
        "operationId": operation.name,
        "tags": [operation.group],
        "summary": operation.summary,
        "description": operation.description,
        "parameters": parameters::of(operation, components),
        "responses": responses(operation, components),
        "x-scope": operation.scope,
    });
    if let Some(body) = request_body(operation, components) {
        members["requestBody"] = body;
    }
    members
}

fn tags(operations: &[Operation]) -> Vec<Json> {
    let mut names: Vec<&str> = Vec::new();
    for operation in operations {
        if !names.contains(&operation.group) {
            names.push(operation.group);
        }
    }
    names.iter().map(|name| json!({ "name": name })).collect()
}

fn request_body(operation: &Operation, components: &mut Components) -> Option<Json> {
    let (schema, required) = match operation.body {
        BodyKind::None => return None,
        BodyKind::Typed(schema) => (components.request(schema), true),
        BodyKind::Optional(schema) => (components.request(schema), false),
        BodyKind::Document => (components.adopt("WorkflowDocument", json_of(&document_schema())), true),
        BodyKind::Draft => (json!(true), true),
        BodyKind::Bytes(_) => (binary(), true),
    };
    let mut content = Map::new();
    for media_type in media_types(operation.body) {
        content.insert(media_type.to_owned(), json!({ "schema": schema }));
    }
    if let Some(example) = operation.example {
        content[JSON]["example"] = serde_json::from_str(example).expect("a test reads every example");
    }
    Some(json!({ "required": required, "content": content }))
}

fn responses(operation: &Operation, components: &mut Components) -> Map<String, Json> {
    let mut responses = Map::new();
    for (status, output) in operation.success {
        let response = responses.entry(status.to_string()).or_insert_with(|| success(operation, *status));
        for (media_type, schema) in content(output, components) {
            response["content"][media_type] = json!({ "schema": schema });
        }
    }
    if operation.conditional == Conditional::Read {
        let headers = header_references(&["RequestId", "ETag"]);
        let description = "The client's copy is still right.";
        responses.insert("304".to_owned(), json!({ "description": description, "headers": headers }));
    }
    let mut by_status: BTreeMap<u16, Vec<Slug>> = BTreeMap::new();
    for slug in problems(operation) {
        by_status.entry(slug.status()).or_default().push(slug);
    }
    for (status, slugs) in by_status {
        responses.insert(status.to_string(), refusal(operation, status, &slugs, components));
    }
    responses
}

fn success(operation: &Operation, status: u16) -> Json {
    let mut names = vec!["RequestId"];
    if operation.conditional != Conditional::None && status != 204 {
        names.push("ETag");
    }
    if status == 201 {
        names.push("Location");
    }
    if operation.idempotency == Idempotency::Keyed {
        names.push("IdempotencyReplayed");
    }
    json!({ "description": reason(status), "headers": header_references(&names) })
}

fn content(output: &Output, components: &mut Components) -> Vec<(&'static str, Json)> {
    let text = json!({ "type": "string" });
    match output {
        Output::None => vec![],
        Output::Json(schema) => {
            let schema = components.answer(*schema);
            vec![(JSON, schema.clone()), (MSGPACK, schema)]
        }
        Output::Text(names) => names.iter().map(|name| (essence(name), text.clone())).collect(),
        Output::Bytes(name) => vec![(*name, binary())],
        Output::Html => vec![("text/html", text)],
    }
}

fn binary() -> Json {
    json!({ "type": "string", "format": "binary" })
}

/// Every problem that an operation can answer with, once its path and method are right.
fn problems(operation: &Operation) -> Vec<Slug> {
    let mut slugs = vec![
        Slug::MalformedRequest,
        Slug::InvalidParameter,
        Slug::UriTooLong,
        Slug::HeadersTooLarge,
        Slug::Internal,
        Slug::Unavailable,
    ];
    if !negotiate::offers(operation).is_empty() {
        slugs.push(Slug::NotAcceptable);
    }
    if !media_types(operation.body).is_empty() {
        slugs.extend([Slug::BodyTooLarge, Slug::UnsupportedMediaType]);
    }
    if operation.idempotency == Idempotency::Keyed {
        slugs.extend([Slug::IdempotencyMismatch, Slug::IdempotencyInProgress]);
    }
    if operation.conditional == Conditional::Write {
        slugs.push(Slug::PreconditionFailed);
    }
    slugs.extend(operation.problems);
    slugs.sort_unstable();
    slugs.dedup();
    slugs
}

fn refusal(operation: &Operation, status: u16, slugs: &[Slug], components: &mut Components) -> Json {
    let schema = components.answer(schema::<problem::Document>);
    let lines = slugs.iter().map(|slug| format!("`{}`: {}.", slug.slug(), slug.title()));
    let mut names = vec!["RequestId"];
    if matches!(status, 429 | 503) {
        names.push("RetryAfter");
    }
    // A refusal that says how things stand is kept under the key like a success.
    if operation.idempotency == Idempotency::Keyed && status < 500 && status != 429 {
        names.push("IdempotencyReplayed");
    }
    json!({
        "description": lines.collect::<Vec<_>>().join(" "),
        "headers": header_references(&names),
        "content": { PROBLEM_JSON: { "schema": schema }, PROBLEM_MSGPACK: { "schema": schema } },
    })
}

fn json_of(value: &Value) -> Json {
    serde_json::from_str(&value.to_json()).expect("a value's text is JSON")
}

fn reason(status: u16) -> &'static str {
    let status = StatusCode::from_u16(status).ok();
    status.and_then(|status| status.canonical_reason()).unwrap_or("Success")
}

fn header_references(names: &[&str]) -> Map<String, Json> {
    let wire_name = |name: &str| {
        match name {
            "RequestId" => "X-Request-Id",
            "IdempotencyReplayed" => "Idempotency-Replayed",
            "RetryAfter" => "Retry-After",
            _ => return name.to_owned(),
        }
        .to_owned()
    };
    names.iter().map(|name| (wire_name(name), parameters::reference("headers", name))).collect()
}

fn headers() -> Json {
    json!({
        "RequestId": {
            "description": "The id of the request: the client's, or one made by the server.",
            "schema": { "type": "string" },
        },
        "ETag": {
            "description": "The version of the resource in this format and coding.",
            "schema": { "type": "string" },
        },
        "Location": {
            "description": "Where the new resource is.",
            "schema": { "type": "string", "format": "uri-reference" },
        },
        "IdempotencyReplayed": {
            "description": "Present if this is the stored answer to an earlier request of the same key.",
            "schema": { "type": "string", "const": "true" },
        },
        "RetryAfter": {
            "description": "After how many seconds another try is worth it.",
            "schema": { "type": "integer", "minimum": 1 },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::sample;

    fn described_sample() -> Json {
        let info = Info { title: "Things", version: "1.2.3", description: "About things." };
        json_of(&describe(sample::OPERATIONS, &info, "/base"))
    }

    #[test]
    fn rows_become_operations() {
        let document = described_sample();
        for (pointer, expected) in [
            ("/openapi", json!("3.1.0")),
            ("/info/version", json!("1.2.3")),
            ("/servers/0/url", json!("/base")),
            ("/tags", json!([{ "name": "things" }])),
            ("/paths/~1things/post/operationId", json!("make_thing")),
            ("/paths/~1things/post/requestBody/required", json!(true)),
            ("/paths/~1things/post/requestBody/content/application~1json/example/id", json!("x")),
            (
                "/paths/~1things/post/requestBody/content/application~1msgpack/schema/$ref",
                json!("#/components/schemas/MakeThing"),
            ),
            (
                "/paths/~1things~1{id}/put/requestBody/content/application~1toml/schema/$ref",
                json!("#/components/schemas/WorkflowDocument"),
            ),
            ("/components/schemas/WorkflowDocument/type", json!("object")),
            ("/paths/~1things~1{id}~1stop/post/requestBody/required", json!(false)),
            ("/paths/~1things~1{id}/get/parameters/0/name", json!("id")),
            ("/paths/~1things~1{id}/get/parameters/0/schema/$ref", json!("#/components/schemas/RunId")),
            (
                "/paths/~1things/get/responses/200/content/application~1json/schema/$ref",
                json!("#/components/schemas/PageOfThing"),
            ),
            (
                "/paths/~1things~1{id}~1picture/get/responses/200/content/text~1vnd.mermaid/schema/type",
                json!("string"),
            ),
            ("/paths/~1things~1{id}/delete/responses/204/content", Json::Null),
            ("/components/schemas/Problem/properties/errors/type", json!("array")),
            ("/components/schemas/ListThings", Json::Null),
        ] {
            assert_eq!(document.pointer(pointer).cloned().unwrap_or_default(), expected, "{pointer}");
        }
    }

    #[test]
    fn conventions_become_responses() {
        let document = described_sample();
        let statuses = |path: &str, method: &str| -> Vec<String> {
            let responses = document["paths"][path][method]["responses"].as_object().expect("an object");
            responses.keys().cloned().collect()
        };
        for (path, method, expected) in [
            ("/things", "get", "200 400 406 414 431 500 503"),
            ("/things", "post", "201 400 406 409 413 414 415 431 500 503"),
            ("/things/{id}", "get", "200 304 400 404 406 414 431 500 503"),
            ("/things/{id}", "put", "200 400 406 412 413 414 415 422 431 500 503"),
            ("/things/{id}", "delete", "204 400 404 412 414 431 500 503"),
        ] {
            assert_eq!(statuses(path, method).join(" "), expected, "{method} {path}");
        }
        let conflict = &document["paths"]["/things"]["post"]["responses"]["409"];
        let text = conflict["description"].as_str().expect("a text");
        assert!(text.contains("`run-exists`") && text.contains("`idempotency-mismatch`"), "{text}");
        assert!(conflict["content"][PROBLEM_MSGPACK]["schema"]["$ref"] == "#/components/schemas/Problem");
    }

    #[test]
    fn no_reference_leads_nowhere() {
        let info = Info { title: "Selvedge", version: "0", description: "" };
        for document in [described_sample(), json_of(&document(&info, ""))] {
            let text = document.to_string();
            for part in text.split("\"$ref\":\"#").skip(1) {
                let pointer = part.split('"').next().unwrap_or_default();
                assert!(document.pointer(pointer).is_some(), "{pointer}");
            }
        }
    }

    #[test]
    fn every_example_is_json() {
        for operation in OPERATIONS {
            if let Some(example) = operation.example {
                assert!(serde_json::from_str::<Json>(example).is_ok(), "{}", operation.name);
            }
        }
    }
}
