//! The table of a run's states, row by row, and every refusal that concerns a run.

use super::script::{play, play_document};

const ONE: &str = "{a: {worker: q, retry: {max_attempts: 1}}}";
const TWO: &str = "{a: {worker: q, retry: {max_attempts: 1}}, b: {worker: q, grace: 5s}}";

#[test]
fn a_run_starts_and_completes() {
    play(
        "{a: {worker: q, with: \"${{ input.n }}\"}, b: {needs: [a], worker: q}}",
        &[
            ("start", "run_created run_started a:ready", "running a=ready b=pending a<3"),
            ("grant a", "a:started", "running a=running a.n=1"),
            ("complete a {\"x\":1}", "a:completed b:ready", "running a=completed b=ready a>{\"x\":1}"),
            ("grant b", "b:started", "running"),
            ("complete b", "b:completed run_completed", "completed >null"),
        ],
    );
}

#[test]
fn a_run_answers_its_output() {
    play_document(
        "{selvedge: 1, name: t, tasks: {a: {worker: q}}, output: {got: \"${{ tasks.a.output.x }}\"}}",
        &[
            ("start", "run_created run_started a:ready", "running"),
            ("grant a", "a:started", ""),
            ("complete a {\"x\":1}", "a:completed run_completed", "completed >{\"got\":1}"),
        ],
    );
    play_document(
        "{selvedge: 1, name: t, tasks: {a: {worker: q}}, output: \"${{ tasks.a.output.x }}\"}",
        &[
            ("start", "run_created run_started a:ready", "running"),
            ("grant a", "a:started", ""),
            ("complete a {}", "a:completed run_stopping run_failed", "failed !expression a=completed"),
            ("retry", "run_retried run_stopping run_failed", "failed !expression"),
        ],
    );
}

#[test]
fn a_run_waits_for_its_start() {
    play(
        ONE,
        &[
            ("start in 10s", "run_created", "pending a=pending"),
            ("+5s wake", "", "pending"),
            ("+5s wake", "run_started a:ready", "running"),
        ],
    );
    play(
        ONE,
        &[
            ("start in 10s", "run_created", "pending"),
            ("pause", "! only a running or paused run can be paused: this one is pending", ""),
            ("resume", "! only a running or paused run can be resumed: this one is pending", ""),
            ("retry", "! only a failed, timed out or cancelled run can be retried: this one is pending", ""),
            ("cancel", "run_stopping run_cancelled", "cancelled a=cancelled !cancelled"),
            ("+20s wake", "", "cancelled"),
            ("retry", "run_retried run_started a:ready", "running a=ready"),
        ],
    );
}

#[test]
fn a_paused_run_neither_claims_nor_fires_timers() {
    play(
        "{a: {worker: q}, b: {needs: [a], worker: q, queue_timeout: 5s}, s: {sleep: 10s}}",
        &[
            ("start", "run_created run_started a:ready s:waiting", "running"),
            ("grant a", "a:started", ""),
            ("pause", "run_paused", "paused a=running s=waiting"),
            ("pause", "", "paused"),
            ("+1s complete a", "a:completed b:ready", "paused b=ready"),
            ("grant b", "! the tasks cannot be claimed any more", ""),
            ("+10s wake", "", "paused b=ready s=waiting"),
            ("wake b s", "", "paused b=ready s=waiting"),
            ("resume", "run_resumed", "running"),
            ("resume", "", "running"),
            ("wake s", "s:completed", "s=completed"),
            ("wake b", "b:failed run_stopping run_failed", "failed b!queue_timeout"),
            ("pause", "! only a running or paused run can be paused: this one is failed", ""),
        ],
    );
}

#[test]
fn a_lease_of_a_paused_run_ends_as_usual() {
    play(
        "{a: {worker: q, retry: {max_attempts: 2, backoff: none}}}",
        &[
            ("start", "run_created run_started a:ready", "running"),
            ("grant a", "a:started", ""),
            ("pause", "run_paused", "paused"),
            ("+31s wake", "a:attempt_failed a:ready", "paused a=ready"),
            ("resume", "run_resumed", "running"),
            ("grant a", "a:started", "a.n=2"),
            ("pause", "run_paused", "paused"),
            ("complete a", "a:completed run_completed", "completed"),
        ],
    );
}

#[test]
fn a_failure_for_good_stops_the_run() {
    play(
        TWO,
        &[
            ("start", "run_created run_started a:ready b:ready", "running"),
            ("grant a b", "a:started b:started", ""),
            ("fail a", "a:failed run_stopping", "running a=failed b=running !broken"),
            ("pause", "! only a running or paused run can be paused: this one is being stopped", ""),
            ("retry", "! only a failed, timed out or cancelled run can be retried: this one is running", ""),
            ("grant b", "! the tasks cannot be claimed any more", ""),
            ("cancel", "", "running b=running"),
            ("complete b 7", "b:completed run_failed", "failed b=completed b>7"),
            ("cancel", "! the run has ended: it is failed", ""),
            ("signal go", "! the run has ended: it is failed", ""),
        ],
    );
}

#[test]
fn what_has_not_begun_is_skipped_when_the_run_fails() {
    play(
        "{a: {worker: q, retry: {max_attempts: 1}}, b: {worker: q}, c: {needs: [a], worker: q}, d: {sleep: 1h}}",
        &[
            ("start", "run_created run_started a:ready b:ready d:waiting", "running"),
            ("grant a", "a:started", ""),
            ("fail a", "a:failed run_stopping run_failed", "failed b=skipped c=skipped d=skipped"),
        ],
    );
}

#[test]
fn a_cancelled_run_waits_for_its_leases() {
    for (end, event, status) in [
        ("complete b", "b:completed run_cancelled", "b=completed"),
        ("fail b", "b:cancelled run_cancelled", "b=cancelled b!broken"),
        ("release b", "b:cancelled run_cancelled", "b=cancelled b!cut"),
        ("+4s fail b", "b:cancelled run_cancelled", "b=cancelled"),
        ("+5s wake", "b:cancelled run_cancelled", "b=cancelled b!cut"),
        ("force", "b:cancelled run_cancelled", "b=cancelled b!cut"),
    ] {
        play(
            TWO,
            &[
                ("start", "run_created run_started a:ready b:ready", "running"),
                ("grant b", "b:started", ""),
                ("cancel", "run_stopping", "cancelling a=cancelled b=running"),
                ("cancel", "", "cancelling"),
                ("+1ms wake", "", "cancelling"),
                ("-1ms wake", "", "cancelling"),
                (end, event, status),
                ("cancel", "", "cancelled"),
                ("force", "", "cancelled"),
            ],
        );
    }
}

#[test]
fn a_lease_that_expires_while_its_run_stops_is_cancelled() {
    play(
        "{a: {worker: q, grace: 1h}}",
        &[
            ("start", "run_created run_started a:ready", ""),
            ("grant a", "a:started", ""),
            ("cancel", "run_stopping", "cancelling"),
            ("+30s wake", "a:cancelled run_cancelled", "cancelled a!lease_expired"),
        ],
    );
    play(
        "{a: {worker: q, grace: 1h, timeout: 3s}}",
        &[
            ("start", "run_created run_started a:ready", ""),
            ("grant a", "a:started", ""),
            ("cancel", "run_stopping", "cancelling"),
            ("+3s wake", "a:cancelled run_cancelled", "cancelled a!timeout"),
        ],
    );
}

#[test]
fn a_total_timeout_does_not_touch_a_run_that_stops() {
    play(
        "{a: {worker: q, grace: 20s, total_timeout: 10s}}",
        &[
            ("start", "run_created run_started a:ready", ""),
            ("grant a", "a:started", ""),
            ("cancel", "run_stopping", "cancelling"),
            ("+10s wake", "", "cancelling a=running"),
            ("+10s wake", "a:cancelled run_cancelled", "cancelled a!cut"),
        ],
    );
}

#[test]
fn force_cuts_every_lease_at_once() {
    play(
        TWO,
        &[
            ("start", "run_created run_started a:ready b:ready", "running"),
            ("grant a b", "a:started b:started", ""),
            ("force", "run_stopping a:cancelled b:cancelled run_cancelled", "cancelled a!cut b!cut"),
            (
                "complete b",
                "! the lease is no longer held: another lease has taken its place, or the task has ended",
                "",
            ),
        ],
    );
    play(
        TWO,
        &[
            ("start", "run_created run_started a:ready b:ready", "running"),
            ("grant a b", "a:started b:started", ""),
            ("fail a", "a:failed run_stopping", "running"),
            ("force", "b:cancelled run_failed", "failed b=cancelled !broken"),
        ],
    );
    play(
        ONE,
        &[
            ("start", "run_created run_started a:ready", "running"),
            ("force", "run_stopping run_cancelled", "cancelled a=cancelled"),
        ],
    );
}

#[test]
fn a_run_times_out() {
    let document =
        "{selvedge: 1, name: t, execution_timeout: 1m, tasks: {a: {worker: q, timeout: 2m}, b: {worker: q}}}";
    play_document(
        document,
        &[
            ("start", "run_created run_started a:ready b:ready", "running deadline=1m"),
            ("grant a", "a:started", ""),
            ("+29s wake", "", "running"),
            ("+1s wake", "a:attempt_failed", "running"),
            ("+30s wake", "run_stopping run_timed_out", "timed_out a=skipped b=skipped !execution_timeout"),
            ("cancel", "! the run has ended: it is timed_out", ""),
            ("+1m retry", "run_retried a:ready b:ready", "running deadline=3m"),
        ],
    );
    play_document(
        document,
        &[
            ("start", "run_created run_started a:ready b:ready", ""),
            ("pause", "run_paused", "paused"),
            ("+1m wake", "run_stopping run_timed_out", "timed_out"),
        ],
    );
    play_document(
        document,
        &[
            ("start in 5s", "run_created", "pending deadline=none"),
            ("+10s wake", "run_started a:ready b:ready", "deadline=70s"),
            ("+40s grant a", "a:started", ""),
            ("+20s wake", "run_stopping", "running a=running b=skipped"),
            ("fail a", "a:cancelled run_timed_out", "timed_out"),
        ],
    );
}

#[test]
fn an_ended_run_refuses_what_needs_one_that_goes_on() {
    play(
        ONE,
        &[
            ("start", "run_created run_started a:ready", ""),
            ("grant a", "a:started", ""),
            ("complete a", "a:completed run_completed", "completed"),
            ("cancel", "! the run has ended: it is completed", ""),
            ("force", "! the run has ended: it is completed", ""),
            ("pause", "! only a running or paused run can be paused: this one is completed", ""),
            ("resume", "! only a running or paused run can be resumed: this one is completed", ""),
            (
                "retry",
                "! only a failed, timed out or cancelled run can be retried: this one is completed",
                "",
            ),
            ("signal go", "! the run has ended: it is completed", ""),
            ("grant a", "! the tasks cannot be claimed any more", ""),
            ("wake a", "", "completed"),
        ],
    );
}
