//! That faults, time and stack stay within their limits, whatever the schema and the value.

use serde_json::{Value as Json, json};

use crate::value::{DEPTH_MAX, Pointer, Value};
use crate::workflow::schema::pattern::PATTERN_BYTES_MAX;
use crate::workflow::schema::{FAULT_BYTES_MAX, FAULTS_MAX, IN_PLACE_MAX, STEPS_MAX, Schema};

use super::{compile, rows, validate};

#[test]
fn faults_are_limited_in_number_and_length() {
    let array = |length: usize| Json::Array(vec![json!("x"); length]);
    let integers = json!({ "items": { "type": "integer" } });
    assert_eq!(validate(&integers, &array(FAULTS_MAX - 1)).len(), FAULTS_MAX - 1);
    assert_eq!(validate(&integers, &array(FAULTS_MAX + 1)).len(), FAULTS_MAX);
    let names: Vec<String> = (0..FAULTS_MAX * 2).map(|number| number.to_string()).collect();
    assert_eq!(validate(&json!({ "required": names }), &json!({})).len(), FAULTS_MAX);
    let many = json!({ "anyOf": [integers, { "type": "null" }] });
    assert_eq!(validate(&many, &array(FAULTS_MAX * 20)).len(), FAULTS_MAX);

    let long = "n".repeat(FAULT_BYTES_MAX / 10);
    let instance = json!({ &long: array(FAULTS_MAX) });
    let faults = validate(&json!({ "additionalProperties": integers }), &instance);
    assert_eq!(faults.len(), 10, "the tenth crosses the limit");

    let wrong = Json::Array(vec![json!(1); FAULTS_MAX + 1]);
    assert_eq!(compile(&json!({ "allOf": wrong })).expect_err("no schemas").len(), FAULTS_MAX);
    let faults = compile(&json!({ "$defs": { &long: { "allOf": wrong } } })).expect_err("no schemas");
    assert_eq!(faults.len(), 10, "the tenth crosses the limit");
}

/// `{"$ref": "#/$defs/0"}` that goes through so many definitions, each `link` made of the next one's name.
fn chain(length: usize, link: fn(Json) -> Json) -> Json {
    let mut definitions = serde_json::Map::new();
    for number in 0..length {
        let next = if number + 1 == length {
            json!(true)
        } else {
            json!({ "$ref": format!("#/$defs/{}", number + 1) })
        };
        definitions.insert(number.to_string(), link(next));
    }
    json!({ "$ref": "#/$defs/0", "$defs": definitions })
}

#[test]
fn chains_of_references_are_limited() {
    // The root, then every definition and the reference in it: 1 + 2n nodes, 2n steps.
    let link = |next| json!({ "allOf": [next] });
    assert!(compile(&chain(IN_PLACE_MAX / 2, link)).is_ok());
    let faults = compile(&chain(IN_PLACE_MAX / 2 + 1, link)).expect_err("too long a chain");
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].1, "more than 100 schemas apply to one value, each through the one before");
}

#[test]
fn exponential_schemas_are_cut_off() {
    let all = chain(40, |next| json!({ "allOf": [next, next] }));
    let none = chain(40, |next| json!({ "oneOf": [next, next] }));
    let expected = format!("checking this value against its schema takes more than {STEPS_MAX} steps");
    for schema in [all, none] {
        assert_eq!(validate(&schema, &json!(1)), rows(&[("/at", &expected)]));
    }
    let pattern = format!("^(?:a?){{{}}}b$", 500);
    let text = "a".repeat(1 << 20);
    assert_eq!(validate(&json!({ "pattern": pattern }), &json!(text)), rows(&[("/at", &expected)]));
    assert_eq!(validate(&json!({ "pattern": "^a*$" }), &json!(text)), rows(&[]));
    assert!(compile(&json!({ "pattern": "a".repeat(PATTERN_BYTES_MAX + 1) })).is_err());
}

#[test]
fn deep_values_and_deep_schemas_need_little_stack() {
    let nested =
        |innermost: Value, wrap: fn(Value) -> Value| (1..DEPTH_MAX).fold(innermost, |inner, _| wrap(inner));
    let deep = move || {
        // Each level of the value goes through eight schemas of the tree.
        let tree = json!({
            "$ref": "#/$defs/tree",
            "$defs": { "tree": { "anyOf": [
                { "type": "null" },
                { "allOf": [{ "oneOf": [{ "not": { "not": { "items": { "$ref": "#" }, "type": "array" } } }] }] },
            ] } },
        });
        let tree = compile(&tree).expect("a sound schema");
        let value = nested(Value::Null, |inner| Value::Array(vec![inner]));
        assert_eq!(tree.validate(&value, &Pointer::root()), vec![]);
        let wrong = nested(Value::Bool(true), |inner| Value::Array(vec![inner]));
        assert_eq!(tree.validate(&wrong, &Pointer::root()).len(), 1);

        let schema = nested(Value::from([("type", Value::from("null"))]), |inner| {
            Value::from([("items", inner), ("uniqueItems", Value::from(true))])
        });
        let schema = Schema::compile(&schema, &Pointer::root()).expect("a sound schema");
        assert_eq!(schema.validate(&value, &Pointer::root()), vec![]);
        assert_eq!(schema.validate(&wrong, &Pointer::root()).len(), 1);
    };
    let thread = std::thread::Builder::new().stack_size(512 << 10).spawn(deep).expect("a thread");
    thread.join().expect("no overflow and no failure");
}
