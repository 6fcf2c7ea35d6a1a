//! The parameters of an operation as OpenAPI describes them: of the path, the query and the headers.

use serde_json::{Value as Json, json};

use crate::http::catalogue::{Conditional, Idempotency, Operation};
use crate::http::limits::IDEMPOTENCY_KEY_BYTES_MAX;
use crate::http::parameter::{Declared, Family, PathParameter};

use super::components::Components;

/// All parameters of an operation.
pub(super) fn of(operation: &Operation, components: &mut Components) -> Vec<Json> {
    let mut parameters: Vec<Json> =
        operation.path_parameters().map(|name| path_parameter(name, components)).collect();
    if let Some(schema) = operation.query {
        parameters.extend(query_parameters(&Declared::of(schema, components.requests()), components));
    }
    parameters.push(reference("parameters", "RequestId"));
    if operation.idempotency == Idempotency::Keyed {
        parameters.push(reference("parameters", "IdempotencyKey"));
    }
    match operation.conditional {
        Conditional::None => {}
        Conditional::Read => parameters.push(reference("parameters", "IfNoneMatch")),
        Conditional::Write => parameters.push(reference("parameters", "IfMatch")),
    }
    parameters
}

fn path_parameter(name: &str, components: &mut Components) -> Json {
    let known = PathParameter::find(name).expect("a test asserts that every name in a path is known");
    json!({
        "name": name,
        "in": "path",
        "required": true,
        "description": known.description,
        "schema": components.request(known.schema),
    })
}

fn query_parameters(declared: &Declared, components: &mut Components) -> Vec<Json> {
    let fixed = declared.properties.iter().map(|(name, schema)| {
        let mut schema = components.request_part(schema);
        json!({
            "name": name,
            "in": "query",
            "required": declared.required.contains(name),
            "description": description(&mut schema),
            "style": "form",
            "explode": true,
            "schema": without_null(schema),
        })
    });
    let fixed: Vec<Json> = fixed.collect();
    let free = declared.families.iter().map(|Family { pattern, prefix, schema }| {
        let mut schema = components.request_part(schema);
        json!({
            "name": prefix.trim_end_matches('.'),
            "in": "query",
            "required": false,
            "description": description(&mut schema),
            "style": "form",
            "explode": true,
            "schema": {
                "type": "object",
                "propertyNames": { "pattern": pattern },
                "additionalProperties": schema,
            },
        })
    });
    fixed.into_iter().chain(free).collect()
}

/// A parameter's description stands beside its schema, not in it.
fn description(schema: &mut Json) -> Json {
    let taken = schema.as_object_mut().and_then(|members| members.remove("description"));
    taken.unwrap_or_else(|| json!(""))
}

/// A query has no null: an optional parameter is simply absent.
fn without_null(mut schema: Json) -> Json {
    let Some(members) = schema.as_object_mut() else { return schema };
    members.retain(|name, member| !(name == "default" && member.is_null()));
    if let Some(Json::Array(types)) = members.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            members.insert("type".to_owned(), only);
        }
    }
    if let Some(Json::Array(choices)) = members.get_mut("anyOf") {
        choices.retain(|choice| *choice != json!({ "type": "null" }));
        if let [Json::Object(only)] = choices.as_slice() {
            let only = only.clone();
            members.remove("anyOf");
            members.extend(only);
        }
    }
    if let Some(Json::Array(values)) = members.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    schema
}

/// The shared parameters, which are those of headers.
pub(super) fn of_headers() -> Json {
    json!({
        "RequestId": {
            "name": "X-Request-Id",
            "in": "header",
            "required": false,
            "description": "An id of the client's own for this request, up to 128 visible ASCII characters; \
                            anything else is replaced.",
            "schema": { "type": "string" },
        },
        "IdempotencyKey": {
            "name": "Idempotency-Key",
            "in": "header",
            "required": false,
            "description": "Repeating a request with the same key and body repeats the answer, not the effect.",
            "schema": { "type": "string", "pattern": format!("^[!-~]{{1,{IDEMPOTENCY_KEY_BYTES_MAX}}}$") },
        },
        "IfMatch": {
            "name": "If-Match",
            "in": "header",
            "required": false,
            "description": "Entity tags; the request is refused unless the resource has the version of one of them.",
            "schema": {
                "type": "string",
                "pattern": r#"^(\*|((W/)?"[!#-~]*"(, ?(W/)?"[!#-~]*")*)?)$"#,
            },
        },
        "IfNoneMatch": {
            "name": "If-None-Match",
            "in": "header",
            "required": false,
            "description": "Entity tags of the copies that the client has; 304 if one is still right.",
            "schema": { "type": "string" },
        },
    })
}

/// A reference to a shared part.
pub(super) fn reference(kind: &str, name: &str) -> Json {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::sample;

    #[test]
    fn queries_become_parameters() {
        let parameters = of(&sample::OPERATIONS[0], &mut Components::new());
        let seen: Vec<String> = parameters
            .iter()
            .filter(|parameter| parameter["in"] == "query")
            .map(|parameter| format!("{} {}", parameter["name"], parameter["schema"]))
            .collect();
        let expected = [
            r#""cursor" {"type":"string"}"#,
            r#""limit" {"default":50,"maximum":1000,"minimum":1,"type":"integer"}"#,
            r#""tag" {"default":[],"items":{"type":"string"},"type":"array"}"#,
            concat!(
                r#""attribute" {"additionalProperties":{"type":"string"},"#,
                r#""propertyNames":{"pattern":"^attribute\\."},"type":"object"}"#
            ),
        ];
        assert_eq!(seen, expected);
    }
}
