//! What compiles, what is refused, what is said about values, and that all of it stays within bounds.

use serde_json::{Value as Json, json};

use crate::value::{Pointer, Value};
use crate::workflow::fault::Fault;

use super::Schema;
use super::keyword::{KEYWORDS, REFUSED};

mod suite;

mod faults;

mod bounds;

mod schemars;

#[test]
fn binary_is_a_string_only_where_it_is_declared() {
    let binary = Value::Bytes(vec![1, 2, 3]);
    let table: &[(Json, &[(&str, &str)])] = &[
        (json!({}), &[]),
        (json!({ "minLength": 10, "pattern": "x", "minimum": 3 }), &[]),
        (json!({ "type": "string", "contentEncoding": "base64", "minLength": 10 }), &[]),
        (json!({ "type": "string" }), &[("", "expected string, found binary")]),
        (
            json!({ "type": "string", "contentEncoding": "quoted-printable" }),
            &[("", "expected string, found binary")],
        ),
        (json!({ "type": ["null", "object"] }), &[("", "expected null or object, found binary")]),
        (json!({ "const": "AQID" }), &[("", "expected \"AQID\", found binary")]),
    ];
    for (schema, expected) in table {
        let schema = compile(schema).expect("a sound schema");
        assert_eq!(
            texts(schema.validate(&binary, &Pointer::root())),
            rows(expected),
            "{:?}",
            schema.document()
        );
    }
}

#[test]
fn the_page_names_every_keyword() {
    let page = include_str!("../../../../../docs/json-schema.md");
    let (supported, rest) = page.split_once("## Refused").expect("a heading");
    let (refused, _) = rest.split_once("## Limits").expect("a heading");
    let quoted = |name: &str| format!("`{name}`");
    for (name, _) in KEYWORDS {
        assert!(supported.contains(&quoted(name)), "{name} is supported");
    }
    for (name, _) in REFUSED {
        assert!(refused.contains(&quoted(name)) && !supported.contains(&quoted(name)), "{name} is refused");
    }
}

fn compile(schema: &Json) -> Result<Schema, Vec<(String, String)>> {
    Schema::compile(&value(schema), &Pointer::from("/input")).map_err(texts)
}

fn validate(schema: &Json, instance: &Json) -> Vec<(String, String)> {
    let schema = compile(schema).unwrap_or_else(|faults| panic!("{schema}: {faults:?}"));
    texts(schema.validate(&value(instance), &Pointer::from("/at")))
}

fn texts(faults: Vec<Fault>) -> Vec<(String, String)> {
    faults.into_iter().map(|fault| (fault.pointer.as_str().to_owned(), fault.message)).collect()
}

fn rows(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(pointer, message)| ((*pointer).to_owned(), (*message).to_owned())).collect()
}

/// The value of a JSON text that has been read.
fn value(json: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(integer), _) => Value::Int(integer),
            (None, Some(integer)) => Value::UInt(integer),
            (None, None) => Value::Float(number.as_f64().expect("a finite number")),
        },
        Json::String(text) => Value::String(text.clone()),
        Json::Array(items) => Value::Array(items.iter().map(value).collect()),
        Json::Object(members) => {
            Value::Object(members.iter().map(|(name, member)| (name.clone(), value(member))).collect())
        }
    }
}
