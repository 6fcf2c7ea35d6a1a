//! The JSON Schema of workflow documents, for editors and for `/schemas/workflow.json`.
//!
//! It is a file of its own, so that tools can read it without building anything. It says less than
//! [`parse`](super::parse::parse), which knows cycles and expressions too, but nothing else: what it refuses,
//! parsing refuses, which the tests below hold it to.

use crate::value::Value;

/// The schema's JSON text (draft 2020-12). Fields that take expressions are marked `x-expressions`.
pub const DOCUMENT_SCHEMA: &str = include_str!("document.schema.json");

/// The schema as a value.
pub fn document_schema() -> Value {
    Value::from_json(DOCUMENT_SCHEMA.as_bytes()).expect("the schema's file is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Pointer;
    use crate::workflow::model::{LABELS_MAX, NEEDS_MAX, TASKS_MAX};
    use crate::workflow::parse::{parse, vocabulary};
    use crate::workflow::schema::Schema;

    /// Who refuses a document.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum RefusedBy {
        Nobody,
        Both,
        ParseOnly,
    }
    use RefusedBy::{Both, Nobody, ParseOnly};

    /// One task `a`, with another `b` beside it.
    fn with_task(task: &str) -> String {
        format!("selvedge: 1\nname: x\ntasks:\n  b: {{ value: 1 }}\n  a: {task}\n")
    }

    fn with_field(field: &str) -> String {
        format!("selvedge: 1\nname: x\ntasks: {{ a: {{ value: 1 }} }}\n{field}\n")
    }

    #[test]
    fn what_the_schema_refuses_parse_refuses() {
        let schema = Schema::compile(&document_schema(), &Pointer::root()).expect("a schema");
        for (text, expected) in documents() {
            let document = Value::from_yaml(&text).expect("valid YAML");
            let by_schema = schema.validate(&document, &Pointer::root());
            let by_parse = parse(&document).err().unwrap_or_default();
            let refused = match (by_schema.is_empty(), by_parse.is_empty()) {
                (true, true) => Nobody,
                (false, false) => Both,
                (true, false) => ParseOnly,
                (false, true) => panic!("the schema alone refuses {text}: {by_schema:?}"),
            };
            assert_eq!(refused, expected, "{text}: schema {by_schema:?}, parse {by_parse:?}");
        }
    }

    fn documents() -> Vec<(String, RefusedBy)> {
        let tasks = [
            ("{ worker: shell }", Nobody),
            ("{ worker: 'a b' }", Both),
            ("{ worker: 5 }", Both),
            ("{ worker: shell, with: [1, '${{ input }}'], labels: [docker, 'os=linux'] }", Nobody),
            ("{ worker: shell, labels: docker }", Both),
            ("{ worker: shell, labels: [a, a] }", Both),
            ("{ worker: shell, labels: ['a b'] }", Both),
            ("{ worker: shell, priority: -1000, timeout: 1h30m, queue_timeout: PT1H, grace: 0s }", Nobody),
            ("{ worker: shell, priority: 1001 }", Both),
            ("{ worker: shell, priority: high }", Both),
            ("{ worker: shell, timeout: 30 }", Both),
            ("{ worker: shell, timeout: 1.5s, total_timeout: P1DT12H }", Nobody),
            ("{ worker: shell, timeout: soon }", Both),
            ("{ worker: shell, timeout: 0s }", ParseOnly),
            ("{ worker: shell, timeout: 1m1h }", ParseOnly),
            ("{ worker: shell, timeout: '${{ input.t }}' }", Both),
            ("{ worker: shell, tiemout: 30s }", Both),
            ("{ worker: shell, for_each: [1] }", Both),
            (
                "{ worker: shell, retry: { max_attempts: 1000, backoff: none, delay: 1s, max_delay: 1m, jitter: 1 } }",
                Nobody,
            ),
            ("{ worker: shell, retry: { max_attempts: 0 } }", Both),
            ("{ worker: shell, retry: { max_attempts: 1001 } }", Both),
            ("{ worker: shell, retry: { backoff: linear } }", Both),
            ("{ worker: shell, retry: { jitter: 1.5 } }", Both),
            ("{ worker: shell, retry: { attempts: 5 } }", Both),
            ("{ worker: shell, retry: 5 }", Both),
            ("{ worker: shell, if: true }", Nobody),
            ("{ worker: shell, if: '${{ input.ok }}' }", Nobody),
            ("{ worker: shell, if: input.ok }", Both),
            ("{ worker: shell, if: 1 }", Both),
            ("{ worker: shell, continue_on_error: true, needs: [b] }", Nobody),
            ("{ worker: shell, continue_on_error: 'yes' }", Both),
            ("{ worker: shell, needs: b }", Both),
            ("{ worker: shell, needs: [b, b] }", Both),
            ("{ worker: shell, needs: [c] }", ParseOnly),
            ("{ worker: shell, on_timeout: skip, timeout: 1s }", Both),
            ("{ worker: shell, value: 1 }", Both),
            ("{ needs: [b] }", Both),
            ("[]", Both),
            (
                "{ wasm: { module: price, function: price }, with: { a: '${{ input }}' }, timeout: 1s }",
                Nobody,
            ),
            (
                "{ wasm: { module: 'sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef', function: f } }",
                Nobody,
            ),
            ("{ wasm: { module: 'sha256:12', function: f } }", Both),
            ("{ wasm: { module: ./price.wasm, function: f } }", Both),
            ("{ wasm: { module: '..', function: f } }", ParseOnly),
            ("{ wasm: { module: m, function: '9' } }", Both),
            ("{ wasm: { module: m } }", Both),
            ("{ wasm: { module: m, function: f, input: 1 } }", Both),
            ("{ wasm: m }", Both),
            ("{ wasm: { module: m, function: f }, labels: [a] }", Both),
            ("{ value: null }", Nobody),
            ("{ value: 1, with: 2 }", Both),
            ("{ value: 1, labels: [a] }", Both),
            ("{ value: 1, retry: {} }", Both),
            ("{ value: 1, timeout: 1s }", Both),
            ("{ value: 1, total_timeout: 1s }", Both),
            ("{ sleep: 10m, total_timeout: 1h }", Nobody),
            ("{ sleep: '${{ input.pause }}' }", Nobody),
            ("{ sleep: 10 }", Both),
            ("{ sleep: long }", Both),
            ("{ sleep: 1s, priority: 1 }", Both),
            ("{ signal: go, timeout: 1s, on_timeout: continue }", Nobody),
            ("{ signal: go, on_timeout: continue }", Both),
            ("{ signal: go, timeout: 1s, on_timeout: explode }", Both),
            ("{ signal: go, grace: 1s }", Both),
            ("{ signal: '' }", Both),
            ("{ http: { url: 'https://example.org/a?b=c' } }", Nobody),
            (
                "{ http: { url: '${{ input.url }}', method: POST, headers: { a: b }, body: { c: 1 } } }",
                Nobody,
            ),
            ("{ http: { url: 'http://${{ input.host }}/', method: '${{ input.method }}' } }", Nobody),
            ("{ http: { url: 'http://' } }", Both),
            ("{ http: { url: 'http://a b/' } }", ParseOnly),
            ("{ http: { url: 'ftp://example.org' } }", Both),
            ("{ http: { method: GET } }", Both),
            ("{ http: { url: 'http://a', method: get } }", Both),
            ("{ http: { url: 'http://a', headers: { 'a b': c } } }", Both),
            ("{ http: { url: 'http://a', headers: { a: 1 } } }", Both),
            ("{ http: { url: 'http://a', query: {} } }", Both),
            ("{ http: 'http://a' }", Both),
        ];
        let fields = [
            ("description: text", Nobody),
            ("description: [text]", Both),
            ("vars: { a: null, _b9: [1] }", Nobody),
            ("vars: { a-b: 1 }", Both),
            ("vars: [a]", Both),
            ("input: { type: object }", Nobody),
            ("input: true", Nobody),
            ("input: text", Both),
            ("output: '${{ tasks.a.output }}'", Nobody),
            ("execution_timeout: 48h", Nobody),
            ("execution_timeout: 48", Both),
            ("retention: 30d", Both),
            ("colour: red", Both),
        ];
        let whole = [
            ("[]", Both),
            ("text", Both),
            ("{ name: x, tasks: { a: { value: 1 } } }", Both),
            ("{ selvedge: '1', name: x, tasks: { a: { value: 1 } } }", Both),
            ("{ selvedge: 1, tasks: { a: { value: 1 } } }", Both),
            ("{ selvedge: 1, name: 'a b', tasks: { a: { value: 1 } } }", Both),
            ("{ selvedge: 1, name: x }", Both),
            ("{ selvedge: 1, name: x, tasks: {} }", Both),
            ("{ selvedge: 1, name: x, tasks: [a] }", Both),
            ("{ selvedge: 1, name: x, tasks: { 9a: { value: 1 } } }", Both),
            ("{ selvedge: 1, name: x, tasks: { a-b: { value: 1 } } }", Both),
        ];
        let tasks = tasks.into_iter().map(|(text, refused)| (with_task(text), refused));
        let fields = fields.into_iter().map(|(text, refused)| (with_field(text), refused));
        let whole = whole.into_iter().map(|(text, refused)| (text.to_owned(), refused));
        tasks.chain(fields).chain(whole).collect()
    }

    #[test]
    fn fields_and_limits_are_those_of_parse() {
        let schema = document_schema();
        let at = |path: &[&str]| path.iter().fold(&schema, |value, name| value.get(name).expect(name));
        for (path, fields) in [
            (&["properties"][..], vocabulary::DOCUMENT),
            (&["$defs", "task", "properties"], vocabulary::TASK),
            (&["$defs", "request", "properties"], vocabulary::HTTP),
            (&["$defs", "call", "properties"], vocabulary::WASM),
            (&["$defs", "retry", "properties"], vocabulary::RETRY),
        ] {
            let named: Vec<&str> =
                at(path).as_object().expect("an object").keys().map(String::as_str).collect();
            let mut known = fields.to_vec();
            known.sort_unstable();
            assert_eq!(named, known, "{path:?}");
        }
        for (path, limit) in [
            (&["properties", "tasks", "maxProperties"], TASKS_MAX),
            (&["$defs", "task", "properties", "needs", "maxItems"], NEEDS_MAX),
            (&["$defs", "task", "properties", "labels", "maxItems"], LABELS_MAX),
        ] as [(&[&str], usize); 3]
        {
            assert_eq!(at(path).as_i64(), i64::try_from(limit).ok(), "{path:?}");
        }
    }

    #[test]
    fn exactly_the_fields_with_expressions_are_marked() {
        let mut marked = Vec::new();
        collect_marked(&document_schema(), &Pointer::root(), &mut marked);
        assert_eq!(
            marked,
            [
                "/$defs/request/properties/body",
                "/$defs/request/properties/headers",
                "/$defs/request/properties/method",
                "/$defs/request/properties/url",
                "/$defs/request",
                "/$defs/task/properties/if",
                "/$defs/task/properties/sleep",
                "/$defs/task/properties/value",
                "/$defs/task/properties/with",
                "/properties/output",
            ]
        );
    }

    fn collect_marked(value: &Value, at: &Pointer, marked: &mut Vec<String>) {
        for (name, member) in value.as_object().into_iter().flatten() {
            match name.as_str() {
                "x-expressions" => marked.push(at.to_string()),
                _ => collect_marked(member, &at.push(name), marked),
            }
        }
    }
}
