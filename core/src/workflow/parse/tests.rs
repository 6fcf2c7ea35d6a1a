//! Documents and what is wrong with them.

mod whole;

use super::*;

/// A document, and each of its faults: where it is, and words that its message has.
type Row<'r> = (&'r str, &'r [(&'r str, &'r str)]);

fn yaml(text: &str) -> Value {
    Value::from_yaml(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn workflow(text: &str) -> Workflow {
    parse(&yaml(text)).unwrap_or_else(|faults| panic!("{faults:#?}: {text}"))
}

fn check(text: &str, expected: &[(&str, &str)]) {
    let faults = parse(&yaml(text)).err().unwrap_or_default();
    let same = faults.len() == expected.len()
        && faults.iter().zip(expected).all(|(fault, (pointer, words))| {
            fault.pointer.as_str() == *pointer && fault.message.contains(words)
        });
    assert!(same, "{text}\nexpected {expected:#?}\nfound {faults:#?}");
}

fn check_tasks(rows: &[Row]) {
    for (tasks, expected) in rows {
        let indented = tasks.trim_matches('\n').replace('\n', "\n  ");
        check(&format!("selvedge: 1\nname: x\ntasks:\n  {indented}\n"), expected);
    }
}

#[test]
fn documents_are_checked_as_a_whole() {
    let rows: &[Row] = &[
        (
            "[]",
            &[(
                "",
                "expected a workflow document: an object with `selvedge`, `name` and `tasks`, found array",
            )],
        ),
        (
            "description: 5",
            &[
                ("", "`name` is missing"),
                ("", "`selvedge: 1` is missing"),
                ("", "`tasks` is missing: a workflow needs at least one task"),
                ("/description", "expected a text, found integer 5"),
            ],
        ),
        (
            "{ selvedge: '1', name: a/b, tasks: {} }",
            &[
                ("/name", "a workflow name must match ^[A-Za-z0-9._-]{1,128}$, found \"a/b\""),
                ("/selvedge", "expected 1, the version of the document format, found string \"1\""),
                ("/tasks", "a workflow needs at least one task"),
            ],
        ),
        (
            "{ selvedge: 2, name: 5, tasks: [a] }",
            &[
                ("/name", "expected a workflow name, found integer 5"),
                ("/selvedge", "found integer 2"),
                ("/tasks", "expected an object of tasks by name, found array"),
            ],
        ),
        (
            "{ selvedge: 1, name: x, discription: d, retention: 30d, updates: {}, colour: red, tasks: { a: { value: 1 } } }",
            &[
                ("/colour", "unknown field `colour`"),
                ("/discription", "unknown field `discription`, did you mean `description`?"),
                ("/retention", "`retention` is not supported by this version of selvedge"),
                ("/updates", "`updates` is not supported by this version of selvedge"),
            ],
        ),
        (
            "{ selvedge: 1, name: 'x${{ now }}', description: '${{ now }}', execution_timeout: 0s, tasks: { a: { value: 1 } } }",
            &[
                ("/description", "`description` takes no expressions"),
                ("/execution_timeout", "`execution_timeout` must be longer than 0s"),
                ("/name", "`name` takes no expressions"),
            ],
        ),
        (
            "{ selvedge: 1, name: x, vars: { a-b: 1, c: [1, '${{ now }}'] }, input: { type: object, title: '${{ a }}' }, tasks: { a: { value: 1 } } }",
            &[
                ("/input/title", "`input` takes no expressions"),
                ("/vars/a-b", "a variable's name must match"),
                ("/vars/c/1", "`vars` takes no expressions"),
            ],
        ),
        (
            "{ selvedge: 1, name: x, input: { type: objekt }, vars: 5, tasks: { a: { value: 1 } } }",
            &[
                ("/input/type", "objekt"),
                ("/vars", "expected an object of variables and their first values, found integer 5"),
            ],
        ),
        (
            "{ selvedge: 1, name: x, output: { a: ['${{ tasks.b.output }}'], b: '${{ 1 + }}' }, tasks: { bb: { value: 1 } } }",
            &[("/output/a/0", "there is no task `b`"), ("/output/b", "1 +")],
        ),
    ];
    for (text, expected) in rows {
        check(text, expected);
    }
}

#[test]
fn fields_are_checked_by_type() {
    check_tasks(&[
        (
            "a: { worker: shell, timeout: 30 }",
            &[("/tasks/a/timeout", "expected a duration such as 30s, found integer 30")],
        ),
        (
            "a: { worker: shell, timeout: soon, grace: -1s, queue_timeout: null, total_timeout: 0s }",
            &[
                ("/tasks/a/grace", "expected a duration such as 1500ms, 30s, 5m, 24h or P2D, found \"-1s\""),
                ("/tasks/a/queue_timeout", "expected a duration such as 30s, found null"),
                ("/tasks/a/timeout", "found \"soon\""),
                (
                    "/tasks/a/total_timeout",
                    "`total_timeout` must be longer than 0s: leave it out for no limit",
                ),
            ],
        ),
        (
            "a: { worker: shell, tiemout: 30s, neds: [], for_each: [], max_parallel: 5, compensates: b }",
            &[
                ("/tasks/a/compensates", "`compensates` is not supported by this version of selvedge"),
                ("/tasks/a/for_each", "`for_each` is not supported by this version of selvedge"),
                ("/tasks/a/max_parallel", "`max_parallel` is not supported"),
                ("/tasks/a/neds", "unknown field `neds`, did you mean `needs`?"),
                ("/tasks/a/tiemout", "unknown field `tiemout`, did you mean `timeout`?"),
            ],
        ),
        (
            "a: { worker: shell, priority: 1001, continue_on_error: 1, labels: [a b, x, x, 5] }",
            &[
                ("/tasks/a/continue_on_error", "expected true or false, found integer 1"),
                ("/tasks/a/labels/0", "a label must match"),
                ("/tasks/a/labels/2", "label `x` is listed twice"),
                ("/tasks/a/labels/3", "expected a string, found integer 5"),
                ("/tasks/a/priority", "expected an integer from -1000 to 1000, found integer 1001"),
            ],
        ),
        (
            "a: { worker: shell, priority: 1.5, labels: docker }",
            &[
                ("/tasks/a/labels", "expected a list of labels such as [docker], found string \"docker\""),
                ("/tasks/a/priority", "found number 1.5"),
            ],
        ),
        (
            "a: { worker: shell, retry: { max_attempts: 0, backoff: exponental, delay: 1, jitter: 1.1, tries: 2 } }",
            &[
                (
                    "/tasks/a/retry/backoff",
                    "expected one of none, fixed, exponential, found string \"exponental\", did you mean `exponential`?",
                ),
                ("/tasks/a/retry/delay", "expected a duration such as 30s, found integer 1"),
                ("/tasks/a/retry/jitter", "expected a number from 0 to 1, found number 1.1"),
                ("/tasks/a/retry/max_attempts", "expected an integer from 1 to 1000, found integer 0"),
                ("/tasks/a/retry/tries", "unknown field `tries`"),
            ],
        ),
        (
            "a: { worker: shell, retry: { max_attempts: 1001, jitter: -0.1 } }",
            &[
                ("/tasks/a/retry/jitter", "found number -0.1"),
                ("/tasks/a/retry/max_attempts", "found integer 1001"),
            ],
        ),
        (
            "a: { worker: shell, retry: 5 }",
            &[("/tasks/a/retry", "expected an object such as {max_attempts: 5}, found integer 5")],
        ),
        (
            "a-b: { value: 1 }\n'9': { value: 1 }",
            &[("/tasks/9", "a task name must match"), ("/tasks/a-b", "found \"a-b\"")],
        ),
        ("a:", &[("/tasks/a", "expected an object such as {worker: shell}, found null")]),
    ]);
}

#[test]
fn a_task_has_one_kind_and_its_fields() {
    check_tasks(&[
        ("a: {}", &[("/tasks/a", "a task needs one of worker, http, wasm, value, sleep, signal")]),
        ("a: { value: 1, sleep: 1s }", &[("/tasks/a", "a task has one kind, found `value` and `sleep`")]),
        ("a: { wasm: { module: m } }", &[("/tasks/a/wasm", "`function` is missing")]),
        (
            "a: { wasm: price, labels: [a] }",
            &[
                ("/tasks/a/labels", "`labels` is for tasks of kind worker, http; this one is `wasm`"),
                ("/tasks/a/wasm", "expected an object such as {module: price, function: price}"),
            ],
        ),
        (
            "a: { wasm: { module: ./price.wasm, function: 9, modul: x } }",
            &[
                ("/tasks/a/wasm/function", "expected the name of a function such as price"),
                ("/tasks/a/wasm/modul", "unknown field `modul`, did you mean `module`?"),
                ("/tasks/a/wasm/module", "found the path \"./price.wasm\""),
            ],
        ),
        (
            "a: { wasm: { module: 'sha256:12', function: 'a b' } }",
            &[
                ("/tasks/a/wasm/function", "a function name must match"),
                ("/tasks/a/wasm/module", "a module must match"),
            ],
        ),
        (
            "a: { wasm: { module: '${{ input.m }}', function: f } }",
            &[("/tasks/a/wasm/module", "`module` takes no expressions")],
        ),
        ("a: { workflow: billing, with: { a: 1 } }", &[("/tasks/a/workflow", "`workflow` is not supported")]),
        ("a: { worker: a b }", &[("/tasks/a/worker", "a queue name must match")]),
        ("a: { worker: '${{ input.queue }}' }", &[("/tasks/a/worker", "`worker` takes no expressions")]),
        (
            "a: { signal: [go] }",
            &[("/tasks/a/signal", "expected the name of a signal such as approval, found array")],
        ),
        ("a: { signal: '' }", &[("/tasks/a/signal", "a signal name must match")]),
        ("a: { sleep: 30 }", &[("/tasks/a/sleep", "expected a duration such as 30s, found integer 30")]),
        ("a: { sleep: a while }", &[("/tasks/a/sleep", "found \"a while\"")]),
        (
            "a: { value: 1, with: 2, labels: [a], retry: {}, timeout: 1s, total_timeout: 1s, queue_timeout: 1s, grace: 1s, priority: 1 }",
            &[
                ("/tasks/a/grace", "`grace` is for tasks of kind worker, http, wasm; this one is `value`"),
                ("/tasks/a/labels", "`labels` is for tasks of kind worker, http"),
                ("/tasks/a/priority", "`priority` is for tasks of kind worker, http, wasm"),
                ("/tasks/a/queue_timeout", "`queue_timeout` is for tasks of kind worker, http, wasm"),
                ("/tasks/a/retry", "`retry` is for tasks of kind worker, http, wasm"),
                ("/tasks/a/timeout", "`timeout` is for tasks of kind worker, http, wasm, signal"),
                (
                    "/tasks/a/total_timeout",
                    "`total_timeout` is for tasks of kind worker, http, wasm, sleep, signal",
                ),
                ("/tasks/a/with", "`with` is for tasks of kind worker, wasm"),
            ],
        ),
        (
            "a: { worker: shell, on_timeout: skip, timeout: 1s }",
            &[("/tasks/a/on_timeout", "`on_timeout` is for tasks of kind signal")],
        ),
        ("a: { signal: go, on_timeout: skip }", &[("/tasks/a/on_timeout", "add a `timeout`")]),
        (
            "a: { signal: go, timeout: 1s, on_timeout: stop }",
            &[("/tasks/a/on_timeout", "expected one of fail, skip, continue, found string \"stop\"")],
        ),
    ]);
}

#[test]
fn http_requests_are_checked() {
    check_tasks(&[
        (
            "a: { http: 'http://a' }",
            &[("/tasks/a/http", "expected an object such as {url: \"https://example.org\"}")],
        ),
        (
            "a: { http: { method: Get, query: {}, headers: { a b: c, Accept: x, accept: y, n: 1, bad: \"a\\nb\" } } }",
            &[
                ("/tasks/a/http", "`url` is missing"),
                ("/tasks/a/http/headers/a b", "expected the name of a header, found \"a b\""),
                ("/tasks/a/http/headers/accept", "header `accept` is given twice"),
                ("/tasks/a/http/headers/bad", "expected the value of a header"),
                ("/tasks/a/http/headers/n", "expected the value of a header, found integer 1"),
                (
                    "/tasks/a/http/method",
                    "expected one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, found string \"Get\"",
                ),
                ("/tasks/a/http/query", "unknown field `query`"),
            ],
        ),
        (
            "a: { http: { url: example.org/x } }",
            &[(
                "/tasks/a/http/url",
                "expected an http or https URL such as https://example.org/path, found string \"example.org/x\"",
            )],
        ),
        (
            "a: { http: { url: 'ftp://example.org' } }",
            &[("/tasks/a/http/url", "found string \"ftp://example.org\"")],
        ),
        (
            "a: { http: { url: 5, headers: [] } }",
            &[
                ("/tasks/a/http/headers", "expected an object of headers"),
                ("/tasks/a/http/url", "found integer 5"),
            ],
        ),
        (
            "a: { http: { url: '${{ input.url }}', body: ['${{ tasks.b.output }}'] } }",
            &[("/tasks/a/http/body/0", "there is no task `b`")],
        ),
    ]);
}

#[test]
fn conditions_are_whole_expressions() {
    check_tasks(&[
        (
            "a: { value: 1, if: input.a == 1 }",
            &[("/tasks/a/if", "`if` is an expression: wrap it, as in \"${{ input.a == 1 }}\"")],
        ),
        (
            "a: { value: 1, if: '${{ input.a }} == ${{ input.b }}' }",
            &[("/tasks/a/if", "expected one whole expression")],
        ),
        ("a: { value: 1, if: 'not ${{ input.a }}' }", &[("/tasks/a/if", "expected one whole expression")]),
        (
            "a: { value: 1, if: 1 }",
            &[(
                "/tasks/a/if",
                "expected true, false or an expression such as ${{ input.ok }}, found integer 1",
            )],
        ),
        ("a: { value: 1, if: '${{ }}' }", &[("/tasks/a/if", "")]),
        ("a: { value: 1, if: '${{ tasks.a.output }}' }", &[("/tasks/a/if", "`tasks.a` is the task itself")]),
    ]);
}

#[test]
fn needs_are_resolved() {
    check_tasks(&[
        (
            "a: { value: 1, needs: [a, biuld, build, build, 5, '${{ b }}'] }\nbuild: { value: 1 }",
            &[
                ("/tasks/a/needs/0", "task `a` needs itself"),
                ("/tasks/a/needs/1", "there is no task `biuld`, did you mean `build`?"),
                ("/tasks/a/needs/3", "`build` is listed twice"),
                ("/tasks/a/needs/4", "expected a string, found integer 5"),
                ("/tasks/a/needs/5", "`needs` takes no expressions"),
            ],
        ),
        (
            "a: { value: 1, needs: b }\nb: { value: 1 }",
            &[("/tasks/a/needs", "expected a list of task names such as [build, test], found string \"b\"")],
        ),
        ("a: { value: 1, needs: [b] }\nb: {}", &[("/tasks/b", "a task needs one of")]),
        ("a: { value: 1, needs: [b-c] }\nb-c: { value: 1 }", &[("/tasks/b-c", "a task name must match")]),
    ]);
}

#[test]
fn each_cycle_is_named_once_and_whole() {
    check_tasks(&[
        (
            "a: { value: 1, needs: [b] }\nb: { value: 1, needs: [c] }\nc: { value: 1, needs: [a] }",
            &[("/tasks/a/needs/0", "needs form a cycle: a → b → c → a")],
        ),
        (
            "start: { value: 1 }\nb: { value: 1, needs: [start, c] }\nc: { value: 1, needs: [b] }\nend: { value: 1, needs: [c] }",
            &[("/tasks/b/needs/1", "needs form a cycle: b → c → b")],
        ),
        (
            // Two rings that share a task: the shorter is named.
            "a: { value: 1, needs: [b] }\nb: { value: 1, needs: [c] }\nc: { value: 1, needs: [a, d] }\nd: { value: 1, needs: [c] }",
            &[("/tasks/c/needs/1", "needs form a cycle: c → d → c")],
        ),
        (
            "a: { value: 1, needs: [b] }\nb: { value: 1, needs: [a, d] }\nd: { value: 1, needs: [e] }\ne: { value: 1, needs: [d, x] }",
            &[
                ("/tasks/a/needs/0", "a → b → a"),
                ("/tasks/d/needs/0", "d → e → d"),
                ("/tasks/e/needs/1", "there is no task `x`"),
            ],
        ),
    ]);
}

#[test]
fn expressions_see_upstream_tasks_only() {
    check_tasks(&[
        (
            "a: { value: '${{ tasks.b.output }}' }\nb: { value: 1 }",
            &[("/tasks/a/value", "`tasks.b` is not upstream of `a`: add it to needs")],
        ),
        (
            "a: { value: { x: ['${{ tasks.b.output }}', '${{ tasks.c.output }}', '${{ tasks.bb.output }}'] } }\nb: { value: 1, needs: [a] }\nc: { value: 1 }",
            &[
                ("/tasks/a/value/x/0", "`tasks.b` runs after `a`"),
                ("/tasks/a/value/x/1", "`tasks.c` is not upstream of `a`"),
                ("/tasks/a/value/x/2", "there is no task `bb`"),
            ],
        ),
        (
            "a: { value: 1 }\nb: { value: 1, needs: [a] }\nc: { value: '${{ tasks.a.output }}', needs: [b] }\nd: { worker: shell, needs: [a], with: { x: '${{ tasks.c.output }}' }, if: '${{ tasks.b.output }}' }",
            &[("/tasks/d/if", "`tasks.b` is not upstream"), ("/tasks/d/with/x", "`tasks.c` is not upstream")],
        ),
        (
            "a: { value: 1, needs: [b] }\nb: { value: '${{ tasks.c.output }}', needs: [a] }\nc: { value: '${{ tasks.d.output }}' }\nd: { value: 1 }",
            &[("/tasks/a/needs/0", "a → b → a"), ("/tasks/c/value", "`tasks.d` is not upstream of `c`")],
        ),
    ]);
}

/// More tasks mentioned than fit one word of bits: a chain whose every task reads the one two above.
#[test]
fn upstream_is_asked_in_batches() {
    let mut text = String::from(
        "selvedge: 1\nname: x\ntasks:\n  t000: { value: 0 }\n  t001: { value: 1, needs: [t000] }\n",
    );
    for ix in 2..200 {
        let (above, far) = (ix - 1, ix - 2);
        text +=
            &format!("  t{ix:03}: {{ needs: [t{above:03}], value: '${{{{ tasks.t{far:03}.output }}}}' }}\n");
    }
    workflow(&text);
    text += "  u: { needs: [t100], value: '${{ tasks.t000.output + tasks.t100.output + tasks.t101.output + tasks.t199.output }}' }\n";
    check(
        &text,
        &[
            ("/tasks/u/value", "`tasks.t101` is not upstream of `u`"),
            ("/tasks/u/value", "`tasks.t199` is not upstream of `u`"),
        ],
    );
}
