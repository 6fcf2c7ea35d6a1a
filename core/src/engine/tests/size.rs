//! What a decision costs, and what bounds it: degree, cascades, history.

use super::script::Script;
use super::stored::{Stored, compiled, created};
use crate::engine::run::{Category, RunStatus};
use crate::engine::{CASCADE_MAX, Command, HISTORY_EVENTS_MAX, Need, TaskStatus, prefetch};
use crate::value::Value;

fn script(document: &str) -> Script {
    let workflow = compiled(document);
    let created = created(&workflow, &Value::Null);
    Script::of(Stored::start(workflow, created, Vec::new()))
}

/// How many instances the last decision asked for.
fn asked(script: &Script) -> usize {
    script.stored.asked.iter().filter(|need| matches!(need, Need::Instance(_))).count()
}

/// A first task, 998 in the middle, and a last one.
fn fan() -> String {
    let names: Vec<String> = (0..998).map(|n| format!("m{n:03}")).collect();
    let middle: String = names
        .iter()
        .map(|name| {
            format!("{name}: {{needs: [first], worker: q, with: \"${{{{ tasks.first.output }}}}\"}}, ")
        })
        .collect();
    let needs = names.join(", ");
    format!(
        "{{selvedge: 1, name: t, tasks: {{first: {{worker: q}}, {middle}last: {{needs: [{needs}], worker: q}}}}}}"
    )
}

#[test]
fn a_decision_costs_its_degree_not_the_size_of_the_run() {
    let mut script = script(&fan());
    script.step("grant first");
    assert_eq!(asked(&script), 1);
    script.step("complete first 1");
    assert_eq!(asked(&script), 999, "its dependents are its degree");
    for name in ["m000", "m500", "m997"] {
        script.step(&format!("grant {name}"));
        assert_eq!(asked(&script), 2, "the task itself and the one whose output goes with it");
        script.step(&format!("complete {name}"));
        assert_eq!(asked(&script), 2, "the task itself and the one that needs it");
    }
    script.step("grant m001");
    script.step("fail m001");
    assert_eq!(asked(&script), 2);
    script.step("+1h wake m001");
    assert_eq!(asked(&script), 1);
    script.step("grant m001");
    script.step("release m001");
    assert_eq!(asked(&script), 1);
    for whole in ["pause", "resume", "cancel"] {
        script.step(whole);
        assert_eq!(asked(&script), 0, "{whole}");
    }
}

#[test]
fn what_a_report_needs_is_loaded_in_one_go() {
    let workflow = compiled(
        "{selvedge: 1, name: t, tasks: {a: {worker: q}, b: {needs: [a], worker: q},
          c: {needs: [b], worker: q, with: [\"${{ tasks.a.output }}\", \"${{ tasks.b.output }}\"]},
          d: {needs: [c], value: \"${{ tasks.a.status }}\"}}}",
    );
    let created = created(&workflow, &Value::Null);
    let mut script = Script::of(Stored::start(workflow.clone(), created, Vec::new()));
    for name in ["a", "b", "c"] {
        script.step(&format!("grant {name}"));
        let key = crate::engine::Key::of(workflow.index(name).expect("a task"));
        let lease = script.stored.rows[&key].lease().expect("it was just granted").id.clone();
        let command = Command::Complete { key, lease, output: crate::value::Payload::null() };
        let likely = prefetch(&workflow, &command);
        script.stored.command(&command).expect("its lease is held");
        assert_eq!(script.stored.asked, likely, "{name}");
    }
    assert!(script.stored.run.is_terminal());
}

#[test]
fn a_long_cascade_goes_on_in_commits_of_its_own() {
    let count = CASCADE_MAX + 500;
    let tasks: String = (1..count)
        .map(|n| {
            format!("v{n}: {{needs: [v{}], value: \"${{{{ tasks.v{}.output + 1 }}}}\"}}, ", n - 1, n - 1)
        })
        .collect();
    let mut script = script(&format!("{{selvedge: 1, name: t, tasks: {{{tasks}v0: {{value: 0}}}}}}"));
    assert_eq!(script.stored.run.counts.completed as usize, CASCADE_MAX);
    assert_eq!(script.stored.run.counts.ready, 1);
    assert_eq!(script.stored.next_timer(), Some(script.stored.now), "the rest is due at once");
    script.step("wake");
    assert_eq!(script.stored.run.status(), RunStatus::Completed);
    let last = script.stored.workflow.index(&format!("v{}", count - 1)).expect("the last");
    let output = script.stored.rows[&crate::engine::Key::of(last)].output.clone();
    assert_eq!(output.expect("it completed").as_str(), (count - 1).to_string());
}

#[test]
fn a_wide_cascade_goes_on_too() {
    let tasks: String = (0..2 * CASCADE_MAX + 10).map(|n| format!("v{n}: {{value: {n}}}, ")).collect();
    let mut script = script(&format!("{{selvedge: 1, name: t, tasks: {{{tasks}s: {{signal: go}}}}}}"));
    let mut done = vec![script.stored.run.counts.completed as usize];
    while script.stored.run.counts.ready > 0 {
        script.step("wake");
        done.push(script.stored.run.counts.completed as usize);
    }
    assert_eq!(done, [CASCADE_MAX, 2 * CASCADE_MAX, 2 * CASCADE_MAX + 10]);
}

#[test]
fn a_deferred_value_ends_with_its_run() {
    let tasks: String = (0..CASCADE_MAX + 1).map(|n| format!("v{n}: {{value: {n}}}, ")).collect();
    let mut script = script(&format!("{{selvedge: 1, name: t, tasks: {{{tasks}s: {{signal: go}}}}}}"));
    assert_eq!(script.step("cancel"), "run_stopping run_cancelled");
    assert_eq!(script.stored.run.counts.cancelled, 2);
}

#[test]
fn a_history_may_be_so_long_and_no_longer() {
    let document = "{selvedge: 1, name: t, tasks: {a: {worker: q}, b: {worker: q}}}";
    let near = |events: u64| {
        let mut script = script(document);
        // The run has lived long: what it was does not matter here, only how much.
        script.stored.skip_to(HISTORY_EVENTS_MAX - events);
        script
    };
    let mut script = near(2);
    assert_eq!(script.step("grant a"), "a:started");
    assert_eq!(script.step("complete a"), "a:completed run_stopping run_failed");
    assert_eq!(script.stored.run.status(), RunStatus::Failed);
    let failure = script.stored.run.failure.clone().expect("it failed");
    assert_eq!((failure.category, failure.code.as_deref()), (Category::Resource, Some("history_limit")));

    let mut script = near(1);
    assert_eq!(script.step("grant a"), "a:started run_stopping", "its lease is still held");
    assert_eq!(script.stored.run.status(), RunStatus::Running);
    assert_eq!(script.step("complete a"), "a:completed run_failed");
    let b = script.stored.workflow.index("b").expect("a task");
    assert_eq!(script.stored.instance(crate::engine::Key::of(b)).status(), TaskStatus::Skipped);
}
