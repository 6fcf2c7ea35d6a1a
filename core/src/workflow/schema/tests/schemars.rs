//! That the schemas which `schemars` makes of Rust types, as the API's shapes are made, compile and hold.

use schemars::{JsonSchema, schema_for};
use serde_json::{Value as Json, json};

use super::{rows, validate};

/// What `schemars` makes of types like those of the API.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "only the schema of the type is used")]
#[schemars(deny_unknown_fields)]
struct StartRun {
    /// The workflow's name.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z0-9._-]{1,128}$"))]
    workflow: String,
    version: Option<String>,
    #[schemars(range(min = -100, max = 100))]
    priority: Option<i32>,
    attempts: u32,
    share: f64,
    #[schemars(default)]
    tags: std::collections::BTreeSet<String>,
    attributes: std::collections::BTreeMap<String, Attribute>,
    kind: Kind,
    parent: Option<Box<StartRun>>,
    timeouts: [u64; 2],
    pair: (String, bool),
    anything: Json,
    nothing: (),
}

#[derive(JsonSchema)]
#[allow(dead_code, reason = "only the schema of the type is used")]
#[schemars(untagged)]
enum Attribute {
    Number(i64),
    Text(String),
    Texts(Vec<String>),
}

#[derive(JsonSchema)]
#[allow(dead_code, reason = "only the schema of the type is used")]
#[schemars(tag = "type", rename_all = "snake_case")]
enum Kind {
    /// Waits.
    Sleep {
        seconds: u8,
    },
    /// Asks.
    Call(Call),
    Nothing,
}

#[derive(JsonSchema)]
#[allow(dead_code, reason = "only the schema of the type is used")]
struct Call {
    method: Method,
    #[schemars(flatten)]
    more: More,
}

#[derive(JsonSchema)]
#[allow(dead_code, reason = "only the schema of the type is used")]
struct More {
    url: String,
}

#[derive(JsonSchema)]
#[allow(dead_code, reason = "only the schema of the type is used")]
enum Method {
    /// Reads.
    Get,
    /// Writes.
    #[schemars(rename = "POST")]
    Post,
    Other(String),
}

#[test]
fn schemas_of_schemars_compile_and_hold() {
    let schema = serde_json::to_value(schema_for!(StartRun)).expect("JSON");
    let whole = json!({
        "workflow": "order", "version": null, "priority": 5, "attempts": 3, "share": 1, "tags": ["a", "b"],
        "attributes": { "n": 1, "t": "x", "l": ["y"] },
        "kind": { "type": "call", "method": "POST", "url": "http://localhost" },
        "parent": null, "timeouts": [1, 2], "pair": ["x", true], "anything": { "$binary": 1 }, "nothing": null,
    });
    let changed = |path: &str, to: Json| {
        let mut changed = whole.clone();
        *changed.pointer_mut(path).expect("a place in the whole") = to;
        changed
    };
    let table: &[(Json, &[(&str, &str)])] = &[
        (whole.clone(), &[]),
        (changed("/parent", whole.clone()), &[]),
        (changed("/kind", json!({ "type": "nothing" })), &[]),
        (changed("/kind/method", json!({ "Other": "PUT" })), &[]),
        (changed("/attempts", json!(-1)), &[("/at/attempts", "expected at least 0, found -1")]),
        (
            changed("/workflow", json!("a b")),
            &[("/at/workflow", "expected a match of `^[A-Za-z0-9._-]{1,128}$`, found string \"a b\"")],
        ),
        (changed("/version", json!(1)), &[("/at/version", "expected null or string, found integer 1")]),
        (
            changed("/tags", json!(["a", "a"])),
            &[("/at/tags", "the elements must differ, but 0 and 1 are equal")],
        ),
        (changed("/timeouts", json!([1, 2, 3])), &[("/at/timeouts", "expected at most 2 elements, found 3")]),
        (
            changed("/attributes/n", json!(null)),
            &[("/at/attributes/n", "expected integer, string or array, found null")],
        ),
        (
            changed("/kind", json!({ "type": "sleep", "seconds": 300 })),
            &[("/at/kind/seconds", "expected at most 255, found 300")],
        ),
    ];
    for (instance, expected) in table {
        assert_eq!(validate(&schema, instance), rows(expected), "{instance} under {schema}");
    }
    let mut extra = whole.clone();
    extra["prioritty"] = json!(1);
    assert_eq!(
        validate(&schema, &extra),
        rows(&[("/at/prioritty", "unknown member `prioritty`, did you mean `priority`?")])
    );
}
