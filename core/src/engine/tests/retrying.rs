//! Runs that did not complete, retried and rerun.

use super::script::{Script, play};
use super::stored::{Stored, compiled, created};
use crate::engine::Reused;
use crate::value::{Payload, Value};

#[test]
fn a_retry_goes_on_from_what_did_not_succeed() {
    play(
        "{a: {worker: q}, b: {needs: [a], worker: q, retry: {max_attempts: 1}}, c: {needs: [b], worker: q}}",
        &[
            ("start", "run_created run_started a:ready", ""),
            ("grant a", "a:started", ""),
            ("complete a", "a:completed b:ready", ""),
            ("grant b", "b:started", "b.n=1"),
            ("fail b", "b:failed run_stopping run_failed", "failed c=skipped"),
            ("retry", "run_retried b:ready", "running a=completed b=ready c=pending"),
            ("grant b", "b:started", "b.n=2"),
            ("complete b", "b:completed c:ready", ""),
            ("grant c", "c:started", "c.n=1"),
            ("complete c", "c:completed run_completed", "completed"),
        ],
    );
}

#[test]
fn a_retry_has_a_budget_of_its_own() {
    play(
        "{a: {worker: q, retry: {max_attempts: 2, backoff: none}}}",
        &[
            ("start", "run_created run_started a:ready", ""),
            ("grant a", "a:started", ""),
            ("fail a", "a:attempt_failed a:ready", ""),
            ("grant a", "a:started", ""),
            ("fail a", "a:failed run_stopping run_failed", "failed"),
            ("retry", "run_retried a:ready", ""),
            ("grant a", "a:started", "a.n=3"),
            ("release a", "a:released", "a=ready"),
            ("grant a", "a:started", "a.n=3"),
            ("fail a", "a:attempt_failed a:ready", ""),
            ("grant a", "a:started", "a.n=4"),
            ("fail a", "a:failed run_stopping run_failed", "failed"),
        ],
    );
}

/// The end of a task while its run stops meets the needs of tasks that no event has reached before.
#[test]
fn a_need_that_was_met_while_the_run_stopped_stays_met() {
    play(
        "{a: {worker: q}, b: {worker: q, retry: {max_attempts: 1}}, c: {needs: [a], worker: q}}",
        &[
            ("start", "run_created run_started a:ready b:ready", ""),
            ("grant a b", "a:started b:started", ""),
            ("fail b", "b:failed run_stopping", "running c=skipped"),
            ("complete a", "a:completed run_failed", "failed c=skipped"),
            ("retry", "run_retried b:ready c:ready", "running"),
        ],
    );
    play(
        "{a: {worker: q}, b: {worker: q}, c: {needs: [a, b], worker: q}, d: {needs: [c], value: 1}}",
        &[
            ("start", "run_created run_started a:ready b:ready", ""),
            ("grant a b", "a:started b:started", ""),
            ("cancel", "run_stopping", "cancelling c=cancelled"),
            ("complete a", "a:completed", "cancelling c=cancelled d=cancelled"),
            ("fail b", "b:cancelled run_cancelled", "cancelled"),
            ("retry", "run_retried b:ready", "running c=pending d=pending"),
            ("grant b", "b:started", "b.n=2"),
            ("complete b", "b:completed c:ready", ""),
            ("grant c", "c:started", ""),
            ("complete c", "c:completed d:completed run_completed", "completed"),
        ],
    );
}

#[test]
fn a_retry_leaves_what_was_decided_on_purpose() {
    play(
        "{a: {value: 1, if: \"${{ !input.yes }}\"}, b: {worker: q, continue_on_error: true, retry: {max_attempts: 1}},
          c: {needs: [a, b], worker: q, retry: {max_attempts: 1}}, s: {signal: go, timeout: 1s, on_timeout: skip}}",
        &[
            ("start", "run_created run_started a:skipped b:ready s:waiting", "a=skipped"),
            ("+1s wake", "s:skipped", ""),
            ("grant b", "b:started", ""),
            ("fail b", "b:failed c:ready", "running b=failed"),
            ("grant c", "c:started", ""),
            ("fail c", "c:failed run_stopping run_failed", "failed"),
            ("retry", "run_retried c:ready", "running a=skipped b=failed s=skipped c=ready"),
        ],
    );
}

#[test]
fn a_retried_task_counts_its_times_anew() {
    play(
        "{a: {worker: q, total_timeout: 10s}}",
        &[
            ("start", "run_created run_started a:ready", ""),
            ("+10s wake", "a:failed run_stopping run_failed", "a!total_timeout"),
            ("+1h retry", "run_retried a:ready", "running"),
            ("+9s wake", "", "a=ready"),
            ("+1s wake", "a:failed run_stopping run_failed", "failed"),
        ],
    );
}

#[test]
fn a_retried_signal_task_takes_what_came_meanwhile() {
    play(
        "{a: {worker: q, retry: {max_attempts: 1}}, s: {signal: go}}",
        &[
            ("start", "run_created run_started a:ready s:waiting", ""),
            ("grant a", "a:started", ""),
            ("cancel", "run_stopping", "cancelling s=cancelled"),
            ("signal go 1", "signal_received", "cancelling"),
            ("fail a", "a:cancelled run_cancelled", "cancelled"),
            ("retry", "run_retried a:ready s:signal_consumed s:completed", "running s>1"),
        ],
    );
}

#[test]
fn a_rerun_takes_over_results() {
    let workflow = compiled(
        "{selvedge: 1, name: t, tasks: {a: {worker: q}, b: {needs: [a], worker: q},
          c: {needs: [b], worker: q, with: \"${{ tasks.b.output + 1 }}\"}, other: {worker: q}}}",
    );
    let reused = ["a", "b"].map(|name| Reused {
        task: workflow.index(name).expect("a task"),
        output: Payload::from(&Value::Int(4)),
        from: "first".parse().expect("a run id"),
    });
    let created = created(&workflow, &Value::Null);
    let mut rerun = Script::of(Stored::start(workflow, created, reused.into()));
    rerun.play(&[
        ("nothing", "", "running a=completed b=completed c=ready other=ready c<5 a>4"),
        ("grant c", "c:started", ""),
        ("complete c", "c:completed", "running"),
        ("grant other", "other:started", ""),
        ("complete other", "other:completed run_completed", "completed"),
    ]);
}

#[test]
fn a_rerun_that_waited_for_its_start_goes_on_from_what_it_took_over() {
    let workflow = compiled("{selvedge: 1, name: t, tasks: {a: {worker: q}, b: {needs: [a], worker: q}}}");
    let reused = vec![Reused {
        task: workflow.index("a").expect("a task"),
        output: Payload::null(),
        from: "first".parse().expect("a run id"),
    }];
    let mut created = created(&workflow, &Value::Null);
    created.start_at = Some(super::stored::START.plus(crate::time::Duration::from_secs(5)));
    let mut rerun = Script::of(Stored::start(workflow, created, reused));
    rerun.play(&[
        ("nothing", "", "pending a=completed b=pending"),
        ("cancel", "run_stopping run_cancelled", "cancelled a=completed b=cancelled"),
        ("retry", "run_retried run_started b:ready", "running b=ready"),
    ]);
}
