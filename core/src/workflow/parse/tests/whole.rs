//! Documents that are right, those at the limits, and large ones.

use super::workflow;
use crate::ids::Label;
use crate::time::Duration;
use crate::value::{Object, Value};
use crate::workflow::format::{self, DocumentFormat};
use crate::workflow::model::{
    Backoff, DOCUMENT_BYTES_MAX, GRACE_DEFAULT, Kind, LABELS_MAX, NEEDS_MAX, OnFailure, OnTimeout, Retry,
    TASKS_MAX, TaskIx,
};
use crate::workflow::parse::{Limit, parse};

#[test]
fn a_whole_document_is_compiled() {
    let workflow = workflow(
        "
        selvedge: 1
        name: order
        description: Reserve, get approval, ship.
        input: { type: object }
        vars: { approved_by: null }
        execution_timeout: 48h
        output: '${{ tasks.total.output }}'
        tasks:
          reserve:
            worker: inventory.reserve
            with: { sku: '${{ input.sku }}' }
            labels: [os=linux, docker]
            timeout: 30s
            retry: { max_attempts: 5, backoff: fixed, delay: 2s, max_delay: 90s, jitter: 0 }
            queue_timeout: 1h
            total_timeout: 2h
            grace: 5s
            priority: -10
          approve: { needs: [reserve], signal: approval, timeout: 24h, on_timeout: skip }
          notify: { needs: [reserve], http: { url: 'https://example.org/${{ input.sku }}' }, continue_on_error: true }
          settle: { needs: [notify, approve], sleep: 10m, if: '${{ tasks.reserve.output.ok }}' }
          total: { needs: [settle], value: '${{ tasks.reserve.output.amount }}', if: true }
        ",
    );
    assert_eq!(workflow.name.as_str(), "order");
    assert_eq!(workflow.description.as_deref(), Some("Reserve, get approval, ship."));
    assert_eq!(workflow.vars, Object::from([("approved_by".to_owned(), Value::Null)]));
    assert_eq!(workflow.execution_timeout, Some(Duration::from_secs(48 * 3600)));
    assert!(workflow.input.is_some() && workflow.output.is_some());

    let order: Vec<&str> = workflow.tasks.iter().map(|task| task.name.as_str()).collect();
    assert_eq!(order, ["reserve", "approve", "notify", "settle", "total"]);
    for (ix, name) in order.iter().enumerate() {
        assert_eq!(workflow.index(name), Some(TaskIx(ix as u32)));
    }
    let needs: Vec<Vec<u32>> = workflow.tasks.iter().map(|task| numbers(&task.needs)).collect();
    assert_eq!(needs, [vec![], vec![0], vec![0], vec![1, 2], vec![3]]);
    let dependents: Vec<Vec<u32>> = workflow.tasks.iter().map(|task| numbers(&task.dependents)).collect();
    assert_eq!(dependents, [vec![1, 2], vec![3], vec![3], vec![4], vec![]]);

    let reserve = workflow.task(TaskIx(0));
    assert!(
        matches!(&reserve.kind, Kind::Worker { queue, with: Some(_) } if queue.as_str() == "inventory.reserve")
    );
    assert_eq!(reserve.labels.iter().map(Label::as_str).collect::<Vec<_>>(), ["docker", "os=linux"]);
    assert_eq!(
        reserve.retry,
        Retry {
            max_attempts: 5,
            backoff: Backoff::Fixed,
            delay: Duration::from_secs(2),
            max_delay: Duration::from_secs(90),
            jitter: 0.0
        }
    );
    assert_eq!(reserve.timeout, Some(Duration::from_secs(30)));
    assert_eq!(reserve.queue_timeout, Some(Duration::from_secs(3600)));
    assert_eq!(reserve.total_timeout, Some(Duration::from_secs(7200)));
    assert_eq!((reserve.grace, reserve.priority), (Duration::from_secs(5), Some(-10)));
    assert_eq!(reserve.on_failure, OnFailure::FailRun);

    let approve = workflow.task(TaskIx(1));
    assert!(matches!(approve.kind, Kind::Signal { on_timeout: OnTimeout::Skip, .. }));
    assert_eq!((approve.retry.max_attempts, approve.priority), (1, None));

    let notify = workflow.task(TaskIx(2));
    let Kind::Http { request } = &notify.kind else { panic!("{notify:?}") };
    assert_eq!(request.source().get("method"), Some(&Value::from("GET")));
    assert_eq!((notify.on_failure, notify.grace), (OnFailure::Continue, GRACE_DEFAULT));
    assert_eq!(notify.retry, Retry::default());

    assert!(workflow.task(TaskIx(3)).condition.is_some());
    assert!(workflow.task(TaskIx(4)).condition.is_none());
}

fn numbers(tasks: &[TaskIx]) -> Vec<u32> {
    tasks.iter().map(|ix| ix.0).collect()
}

#[test]
fn the_version_is_of_the_content_as_given() {
    let first =
        workflow("selvedge: 1\nname: x\ntasks: { a: { value: 1 }, b: { http: { url: 'http://a' } } }");
    let reordered =
        workflow("tasks: { b: { http: { url: 'http://a' } }, a: { value: 1 } }\nname: x\nselvedge: 1");
    let filled = workflow(
        "selvedge: 1\nname: x\ntasks: { a: { value: 1 }, b: { http: { url: 'http://a', method: GET } } }",
    );
    assert_eq!(first.version, reordered.version);
    assert_ne!(first.version, filled.version);
    assert_eq!(
        &*first.canonical,
        r#"{"name":"x","selvedge":1,"tasks":{"a":{"value":1},"b":{"http":{"url":"http://a"}}}}"#
    );
    // From `printf '%s' "$canonical" | sha256sum`.
    assert_eq!(first.version.as_str(), "a6ab42c4e0ceacee4b185d46b4dddf600276f30541009f3978922d2d9eb23147");
}

#[test]
fn limits_hold_at_their_edges() {
    let chain = |tasks: usize| {
        let task = |ix: usize| (format!("t{ix}"), Value::from([("value", Value::Null)]));
        document((0..tasks).map(task))
    };
    assert!(parse(&chain(TASKS_MAX)).is_ok());
    assert_crosses(&chain(TASKS_MAX + 1), Limit::Tasks, "/tasks");

    let join = |needs: usize| {
        let names = (0..needs).map(|ix| format!("t{ix}"));
        let join = Value::from([
            ("value", Value::Null),
            ("needs", Value::Array(names.clone().map(Value::from).collect())),
        ]);
        let leaves = names.map(|name| (name, Value::from([("value", Value::Null)])));
        document(leaves.chain([("join".to_owned(), join)]))
    };
    assert!(parse(&join(NEEDS_MAX)).is_ok());
    assert_crosses(&join(NEEDS_MAX + 1), Limit::Needs, "/tasks/join/needs");

    let labelled = |labels: usize| {
        let labels = Value::Array((0..labels).map(|ix| Value::from(format!("l{ix}"))).collect());
        document([("t".to_owned(), Value::from([("worker", Value::from("w")), ("labels", labels)]))])
    };
    assert!(parse(&labelled(LABELS_MAX)).is_ok());
    let faults = parse(&labelled(LABELS_MAX + 1)).expect_err("beyond the limit");
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0].message, "a task may have at most 64 labels, found 65");

    let long = |bytes: usize| {
        let filled = |text: String| document([("t".to_owned(), Value::from([("value", Value::from(text))]))]);
        let frame = filled(String::new()).canonical().len();
        filled("x".repeat(bytes - frame))
    };
    assert!(parse(&long(DOCUMENT_BYTES_MAX)).is_ok());
    assert_crosses(&long(DOCUMENT_BYTES_MAX + 1), Limit::DocumentBytes, "");
}

fn document(tasks: impl IntoIterator<Item = (String, Value)>) -> Value {
    Value::from([
        ("selvedge", Value::Int(1)),
        ("name", Value::from("x")),
        ("tasks", Value::Object(tasks.into_iter().collect())),
    ])
}

fn assert_crosses(document: &Value, limit: Limit, pointer: &str) {
    let faults = parse(document).expect_err("beyond the limit");
    let crossed: Vec<_> =
        faults.iter().map(|fault| (fault.pointer.as_str(), Limit::crossed_by(&fault.message))).collect();
    assert_eq!(crossed, [(pointer, Some(limit))], "{faults:?}");
}

/// Shapes that break recursion, tables of pairs, or searches from every task.
#[test]
fn large_graphs_are_parsed_and_refused() {
    let need = |name: String| ("needs", Value::Array(vec![Value::from(name)]));
    let value = |text: String| ("value", Value::from(text));
    let output = |ix: usize| format!("${{{{ tasks.t{ix:05}.output }}}}");
    let count = TASKS_MAX;
    let ring = |reads: bool, closed: bool| {
        let task = |ix: usize| {
            let far = if reads && ix >= 2 { output(ix / 2 - 1) } else { String::new() };
            let task = match (ix, closed) {
                (0, false) => Value::from([value(far)]),
                _ => Value::from([value(far), need(format!("t{:05}", (ix + count - 1) % count))]),
            };
            (format!("t{ix:05}"), task)
        };
        document((0..count).map(task))
    };
    let chain = parse(&ring(true, false)).expect("a chain");
    assert_eq!(numbers(&chain.task(TaskIx(9_999)).needs), [9_998]);

    let faults = parse(&ring(false, true)).expect_err("a ring");
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].message.starts_with("needs form a cycle: t00000 → t09999 → t09998"), "{faults:?}");
    assert!(faults[0].message.contains("… 9900 more …"), "{faults:?}");

    let layers = document((0..200).map(|ix| {
        let above = (0..100).map(|above| Value::from(format!("t{above:05}")));
        let needs = if ix < 100 { Vec::new() } else { above.collect() };
        (format!("t{ix:05}"), Value::from([("value", Value::Null), ("needs", Value::Array(needs))]))
    }));
    let layers = parse(&layers).expect("two full layers");
    assert_eq!(layers.task(TaskIx(7)).dependents.len(), 100);
}

/// The documents that the README tells a newcomer to run.
#[test]
fn the_examples_are_workflows() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder of examples") {
        let path = entry.expect("readable").path();
        let Some(format) = DocumentFormat::from_path(&path) else { continue };
        let bytes = std::fs::read(&path).expect("readable");
        let (document, _) = format::read(&bytes, format).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let workflow = parse(&document).unwrap_or_else(|faults| panic!("{path:?}: {faults:#?}"));
        assert_eq!(path.file_stem().and_then(|stem| stem.to_str()), Some(workflow.name.as_str()));
        names.push(workflow.name.to_string());
    }
    for name in ["approval", "diamond", "flaky", "hello", "http"] {
        assert!(names.iter().any(|found| found == name), "{name} is not among {names:?}");
    }
}
