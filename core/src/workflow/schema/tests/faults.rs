//! What is said about values and schemas: message and place.

use serde_json::{Value as Json, json};

use super::{compile, rows, validate};

#[test]
fn faults_of_values_say_what_and_where() {
    let order = json!({
        "type": "object",
        "required": ["sku", "qty"],
        "properties": {
            "sku": { "type": "string", "minLength": 3, "pattern": "^[A-Z]+$" },
            "qty": { "type": "integer", "minimum": 1, "exclusiveMaximum": 10, "multipleOf": 2 },
            "quantity": {},
            "tags": { "items": { "enum": ["red", "blue"] }, "uniqueItems": true, "maxItems": 2 },
            "a/b~c": { "type": "null" },
        },
        "additionalProperties": false,
    });
    let table: &[(&Json, Json, &[(&str, &str)])] = &[
        (&order, json!({ "sku": "ABC", "qty": 2.0 }), &[]),
        (&order, json!("x"), &[("/at", "expected object, found string \"x\"")]),
        (&order, json!({}), &[("/at", "`sku` is required"), ("/at", "`qty` is required")]),
        (
            &order,
            json!({ "sku": "a", "qty": "x", "quantitty": 1, "zzz": null, "a/b~c": 0 }),
            &[
                ("/at/quantitty", "unknown member `quantitty`, did you mean `quantity`?"),
                ("/at/zzz", "unknown member `zzz`"),
                ("/at/a~1b~0c", "expected null, found integer 0"),
                ("/at/qty", "expected integer, found string \"x\""),
                ("/at/sku", "expected at least 3 characters, found 1"),
                ("/at/sku", "expected a match of `^[A-Z]+$`, found string \"a\""),
            ],
        ),
        (
            &order,
            json!({ "sku": "ABC", "qty": 0, "tags": ["rad", "red", "red"] }),
            &[
                ("/at/qty", "expected at least 1, found 0"),
                ("/at/tags", "expected at most 2 elements, found 3"),
                ("/at/tags", "the elements must differ, but 1 and 2 are equal"),
                ("/at/tags/0", "expected \"red\" or \"blue\", found string \"rad\", did you mean \"red\"?"),
            ],
        ),
        (
            &order,
            json!({ "sku": "ABC", "qty": 11 }),
            &[
                ("/at/qty", "expected less than 10, found 11"),
                ("/at/qty", "expected a multiple of 2, found 11"),
            ],
        ),
        (&json!({ "minimum": 1.5 }), json!(1), &[("/at", "expected at least 1.5, found 1")]),
        (&json!({ "maximum": 1 }), json!(1.5), &[("/at", "expected at most 1, found 1.5")]),
        (&json!({ "exclusiveMinimum": 1 }), json!(1), &[("/at", "expected more than 1, found 1")]),
        (&json!({ "maxLength": 1 }), json!("ab"), &[("/at", "expected at most 1 character, found 2")]),
        (&json!({ "minProperties": 2 }), json!({}), &[("/at", "expected at least 2 members, found 0")]),
        (&json!({ "const": { "a": 1 } }), json!([]), &[("/at", "expected a certain object, found array")]),
        (&json!(false), json!(null), &[("/at", "nothing is allowed here")]),
        (
            &json!({ "properties": { "a": false } }),
            json!({ "a": 1 }),
            &[("/at/a", "nothing is allowed here")],
        ),
        (
            &json!({ "prefixItems": [true], "items": false }),
            json!([1, 2, 3]),
            &[("/at", "expected at most 1 element, found 3")],
        ),
        (
            &json!({ "prefixItems": [true], "unevaluatedItems": false }),
            json!([1, 2]),
            &[("/at/1", "no further element is allowed")],
        ),
        (&json!({ "unevaluatedProperties": false }), json!({ "a": 1 }), &[("/at/a", "unknown member `a`")]),
        (
            &json!({ "propertyNames": { "maxLength": 2 } }),
            json!({ "abc": 1, "ab": 1 }),
            &[("/at/abc", "the name `abc` is not allowed: expected at most 2 characters, found 3")],
        ),
        (
            &json!({ "dependentRequired": { "card": ["holder"] } }),
            json!({ "card": 1 }),
            &[("/at", "`holder` is required beside `card`")],
        ),
        (
            &json!({ "contains": { "type": "null" }, "minContains": 2 }),
            json!([null]),
            &[("/at", "expected at least 2 elements to fit `contains`, found 1")],
        ),
        (
            &json!({ "contains": { "type": "null" }, "maxContains": 1 }),
            json!([null, null]),
            &[("/at", "expected at most 1 element to fit `contains`, found 2")],
        ),
        (
            &json!({ "not": { "type": "null" } }),
            json!(null),
            &[("/at", "the value is one that `not` excludes")],
        ),
        (
            &json!({ "if": { "required": ["a"] }, "then": { "required": ["b"] }, "else": { "required": ["c"] } }),
            json!({ "a": 1 }),
            &[("/at", "`b` is required")],
        ),
    ];
    for (schema, instance, expected) in table {
        assert_eq!(validate(schema, instance), rows(expected), "{instance} under {schema}");
    }
}

#[test]
fn of_several_alternatives_the_nearest_speaks() {
    let optional = json!({
        "anyOf": [{ "$ref": "#/$defs/point" }, { "type": "null" }],
        "$defs": { "point": { "type": "object", "required": ["x"], "properties": { "x": { "type": "integer" } } } },
    });
    let shapes = json!({ "oneOf": [
        { "properties": { "kind": { "const": "circle" }, "r": { "minimum": 0 } }, "required": ["kind", "r"] },
        { "properties": { "kind": { "const": "square" }, "side": { "minimum": 0 } }, "required": ["kind", "side"] },
    ] });
    let colours = json!({ "anyOf": [
        { "oneOf": [{ "const": "red" }, { "const": "blue" }, { "enum": [1, 2] }] },
        { "type": "null" },
    ] });
    let table: &[(&Json, Json, &[(&str, &str)])] = &[
        (&optional, json!({}), &[("/at", "`x` is required")]),
        (&optional, json!({ "x": null }), &[("/at/x", "expected integer, found null")]),
        (&optional, json!(3), &[("/at", "expected object or null, found integer 3")]),
        (&shapes, json!({ "kind": "square" }), &[("/at", "`side` is required")]),
        (&shapes, json!({ "kind": "circle", "r": -1 }), &[("/at/r", "expected at least 0, found -1")]),
        (
            &shapes,
            json!({ "kind": "oval" }),
            &[("/at", "fits none of the 2 alternatives (`r` is required; `side` is required)")],
        ),
        (
            &colours,
            json!("blu"),
            &[(
                "/at",
                "expected \"red\", \"blue\", 1, 2 or null, found string \"blu\", did you mean \"blue\"?",
            )],
        ),
        (
            &json!({ "oneOf": [{ "minimum": 1 }, { "maximum": 5 }] }),
            json!(3),
            &[("/at", "fits several of the alternatives, expected exactly one")],
        ),
        (
            &json!({ "items": { "anyOf": [{ "minItems": 1 }, { "maxItems": 0, "items": false }, { "not": {} }] } }),
            json!([[], 1]),
            &[],
        ),
        (
            &json!({ "anyOf": [{ "items": { "minimum": 2 } }, { "items": { "maximum": 0 } }] }),
            json!([1]),
            &[(
                "/at",
                "fits none of the 2 alternatives (at /0 expected at least 2, found 1; at /0 expected at most 0, found 1)",
            )],
        ),
    ];
    for (schema, instance, expected) in table {
        assert_eq!(validate(schema, instance), rows(expected), "{instance} under {schema}");
    }
}

#[test]
fn faults_of_schemas_are_found_all_at_once() {
    let table: &[(Json, &[(&str, &str)])] = &[
        (json!(3), &[("/input", "expected a schema, found integer 3")]),
        (
            json!({
                "$schema": "http://json-schema.org/draft-07/schema#",
                "type": "strin",
                "propertys": {},
                "definitions": {},
                "minLength": -1,
                "pattern": "(?=a)",
                "x-anything": [{ "type": 1 }],
                "items": { "requird": ["a"], "enum": {} },
            }),
            &[
                (
                    "/input/$schema",
                    "expected \"https://json-schema.org/draft/2020-12/schema\", found string \"http://json-schema.org/draft-07/schema#\"",
                ),
                ("/input/definitions", "`definitions` is of an older draft, use `$defs`"),
                ("/input/minLength", "expected an integer from zero, found integer -1"),
                ("/input/propertys", "unknown keyword `propertys`, did you mean `properties`?"),
                ("/input/type", "`strin` is no type, did you mean `string`?"),
                ("/input/pattern", "look-around is not supported"),
                ("/input/items/enum", "expected an array, found object"),
                ("/input/items/requird", "unknown keyword `requird`, did you mean `required`?"),
            ],
        ),
        (
            json!({ "$ref": "#/$defs/b", "$defs": { "a": true } }),
            &[("/input/$ref", "there is nothing at `#/$defs/b`")],
        ),
        (
            json!({ "$ref": "#/default", "default": {} }),
            &[("/input/$ref", "what is at `#/default` is no schema")],
        ),
        (
            json!({ "$ref": "#her", "$defs": { "a": { "$anchor": "here" }, "b": { "$anchor": "here" } } }),
            &[
                ("/input/$defs/b/$anchor", "`here` is the anchor of another schema"),
                ("/input/$ref", "there is no anchor `her`, did you mean `here`?"),
            ],
        ),
        (
            json!({ "items": { "$ref": "https://json-schema.org/draft/2020-12/schema" } }),
            &[(
                "/input/items/$ref",
                "`https://json-schema.org/draft/2020-12/schema` is no `$id` in this document, and no other is read",
            )],
        ),
        (
            json!({ "$id": "http://a/b", "$defs": { "c": { "$id": "b" }, "d": { "$id": "e#f" } } }),
            &[
                ("/input/$defs/c/$id", "`http://a/b` is the `$id` of another schema"),
                ("/input/$defs/d/$id", "expected a URI reference without a fragment, found string \"e#f\""),
            ],
        ),
        (
            json!({ "$ref": "#" }),
            &[("/input/$ref", "the reference leads back to itself without going down into the value")],
        ),
        (
            json!({
                "items": { "$ref": "#/$defs/a" },
                "$defs": { "a": { "allOf": [{ "$ref": "#/$defs/b" }] }, "b": { "not": { "$ref": "#/$defs/a" } } },
            }),
            &[
                (
                    "/input/$defs/a/allOf/0/$ref",
                    "the reference leads back to itself without going down into the value",
                ),
                (
                    "/input/$defs/b/not/$ref",
                    "the reference leads back to itself without going down into the value",
                ),
            ],
        ),
        (
            json!({ "allOf": [], "required": ["a", "a"], "multipleOf": 0, "properties": [], "uniqueItems": 1 }),
            &[
                ("/input/allOf", "expected an array of schemas, not empty, found array"),
                ("/input/multipleOf", "expected a number above zero, found integer 0"),
                ("/input/properties", "expected an object of schemas, found array"),
                ("/input/required", "expected an array of different strings, found array"),
                ("/input/uniqueItems", "expected true or false, found integer 1"),
            ],
        ),
        (
            json!({ "type": ["null", "null"], "patternProperties": { "[": {}, "a/": 1 } }),
            &[
                ("/input/type", "the type `null` is named twice"),
                ("/input/patternProperties/[", "`[` is never closed"),
                ("/input/patternProperties/a~1", "expected a schema, found integer 1"),
            ],
        ),
        (
            json!({ "$dynamicRef": "#a", "$vocabulary": {}, "$anchor": "1" }),
            &[
                ("/input/$anchor", "expected a name like `an_anchor-1.0`, found string \"1\""),
                ("/input/$dynamicRef", "`$dynamicRef` is not supported, use `$ref`"),
                ("/input/$vocabulary", "`$vocabulary` is not supported"),
            ],
        ),
    ];
    for (schema, expected) in table {
        let faults = compile(schema).expect_err("a faulty schema");
        assert_eq!(faults, rows(expected), "{schema}");
    }
}
