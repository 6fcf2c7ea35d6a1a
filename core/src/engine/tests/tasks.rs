//! The table of a task's states, row by row: readiness, leases, attempts and their times.

use super::script::{Row, play};

const LOST: &str = "! the lease is no longer held: another lease has taken its place, or the task has ended";
const STARTED: Row = ("start", "run_created run_started a:ready", "running a=ready");
const GRANTED: Row = ("grant a", "a:started", "a=running");

#[test]
fn kinds_begin_as_they_are() {
    play(
        "{w: {worker: q, with: {n: \"${{ input.n + 1 }}\"}}, h: {http: {url: \"http://x/${{ input.n }}\"}},
          v: {value: \"${{ input.n * 2 }}\"}, s: {sleep: \"${{ input.n }}s\"}, z: {sleep: 0s}, g: {signal: go}}",
        &[(
            "start",
            "run_created run_started g:waiting h:ready s:waiting v:completed w:ready z:completed",
            "w<{\"n\":4} h<{\"method\":\"GET\",\"url\":\"http://x/3\"} v>6 s=waiting s<\"3s\" z>null g=waiting w.n=0",
        )],
    );
}

#[test]
fn conditions_skip_and_what_needs_the_skipped_goes_on() {
    play(
        "{a: {worker: q, if: \"${{ !input.yes }}\"}, b: {needs: [a], value: \"${{ tasks.a.status }}\"},
          c: {needs: [b], worker: q, if: \"${{ input.yes }}\"}, d: {needs: [a], if: \"${{ tasks.a.status == 'completed' }}\", value: 1},
          e: {needs: [d], value: \"${{ tasks.d.output == null }}\"}}",
        &[(
            "start",
            "run_created run_started a:skipped b:completed d:skipped c:ready e:completed",
            "a=skipped b>\"skipped\" d=skipped e>true c=ready",
        )],
    );
    play(
        "{a: {worker: q, if: false}, b: {needs: [a], worker: q, if: false}}",
        &[("start", "run_created run_started a:skipped b:skipped run_completed", "completed")],
    );
}

#[test]
fn expressions_that_fail_fail_their_task() {
    for task in [
        "worker: q, with: \"${{ input.no.such }}\"",
        "worker: q, if: \"${{ input.no.such }}\"",
        "worker: q, if: \"${{ input.n }}\"",
        "http: {url: \"${{ input.no.such }}\"}",
        "value: \"${{ 1 / (input.n - 3) }}\"",
        "sleep: \"${{ input.no.such }}\"",
        "sleep: \"${{ input.n }}\"",
        "sleep: \"${{ 'soon' }}\"",
    ] {
        play(
            &format!("{{a: {{{task}}}, b: {{worker: q}}}}"),
            &[(
                "start",
                "run_created run_started a:failed run_stopping run_failed",
                "failed a!expression !expression b=skipped",
            )],
        );
        let next = "b: {needs: [a], value: \"${{ tasks.a.failure.code }}\"}";
        play(
            &format!("{{a: {{{task}, continue_on_error: true}}, {next}}}"),
            &[(
                "start",
                "run_created run_started a:failed b:completed run_completed",
                "completed a=failed b>\"expression\"",
            )],
        );
    }
}

#[test]
fn attempts_are_spent_with_backoff() {
    play(
        "{a: {worker: q, retry: {max_attempts: 4, backoff: exponential, delay: 2s, max_delay: 5s, jitter: 0}}}",
        &[
            STARTED,
            GRANTED,
            ("fail a", "a:attempt_failed", "running a=waiting a.n=1 a!broken"),
            ("grant a", "! the tasks cannot be claimed any more", ""),
            ("+1999ms wake", "", "a=waiting"),
            ("+1ms wake", "a:ready", "a=ready a.n=1"),
            ("grant a", "a:started", "a.n=2"),
            ("fail a", "a:attempt_failed", ""),
            ("+4s wake", "a:ready", ""),
            GRANTED,
            ("fail a", "a:attempt_failed", ""),
            ("+4s wake", "", "a=waiting"),
            ("+1s wake", "a:ready", ""),
            ("grant a", "a:started", "a.n=4"),
            ("fail a", "a:failed run_stopping run_failed", "failed a=failed a!broken"),
        ],
    );
    play(
        "{a: {worker: q, retry: {max_attempts: 2, backoff: fixed, delay: 3s, jitter: 0}}}",
        &[
            STARTED,
            GRANTED,
            ("fail a", "a:attempt_failed", ""),
            ("+3s wake", "a:ready", ""),
            GRANTED,
            ("complete a", "a:completed run_completed", "completed a.n=2"),
        ],
    );
}

#[test]
fn workers_have_a_say_in_retries() {
    play(
        "{a: {worker: q, retry: {max_attempts: 9, backoff: fixed, delay: 1s, jitter: 0}}}",
        &[
            STARTED,
            GRANTED,
            ("fail a after 1m", "a:attempt_failed", "a=waiting"),
            ("+59s wake", "", "a=waiting"),
            ("+1s wake", "a:ready", ""),
            GRANTED,
            ("fail a after 0s", "a:attempt_failed a:ready", "a=ready"),
            GRANTED,
            ("fail a never", "a:failed run_stopping run_failed", "failed a.n=3"),
        ],
    );
}

/// The default: exponential from 1 s, varied by up to a fifth.
#[test]
fn jitter_stays_within_its_share() {
    play(
        "{a: {worker: q}}",
        &[
            STARTED,
            GRANTED,
            ("fail a", "a:attempt_failed", "a=waiting"),
            ("+799ms wake", "", "a=waiting"),
            ("+401ms wake", "a:ready", "a=ready"),
        ],
    );
}

#[test]
fn a_release_spends_nothing() {
    play(
        "{a: {worker: q, retry: {max_attempts: 1}}}",
        &[
            STARTED,
            ("grant a", "a:started", "a.n=1"),
            ("release a", "a:released", "a=ready a.n=0"),
            ("release a", LOST, ""),
            ("grant a", "a:started", "a.n=1"),
            ("complete a#1", LOST, "a=running"),
            ("complete a", "a:completed run_completed", "completed"),
        ],
    );
}

#[test]
fn only_the_lease_of_now_counts() {
    let tasks = "{a: {worker: q, retry: {max_attempts: 2, backoff: none}}, b: {needs: [a], worker: q}}";
    for report in ["complete a#1 1", "fail a#1", "release a#1"] {
        play(
            tasks,
            &[
                STARTED,
                (report, LOST, "a=ready"),
                GRANTED,
                ("+30s wake", "a:attempt_failed a:ready", "a=ready a!lease_expired"),
                (report, LOST, "a=ready"),
                ("grant a", "a:started", "a=running a.n=2"),
                (report, LOST, "a=running"),
                ("complete a 2", "a:completed b:ready", "a>2"),
                (report, LOST, "a>2"),
                ("complete a 2", LOST, "a>2"),
            ],
        );
    }
}

#[test]
fn a_lease_is_over_before_anybody_has_looked() {
    for report in ["complete a", "fail a", "release a"] {
        play(
            "{a: {worker: q, retry: {max_attempts: 1}}}",
            &[
                STARTED,
                GRANTED,
                ("+30s nothing", "", "a=running"),
                (report, "! the lease is no longer held: it has expired", "a=running"),
                ("wake", "a:failed run_stopping run_failed", "failed a!lease_expired !lease_expired"),
            ],
        );
        play(
            "{a: {worker: q, timeout: 5s, retry: {max_attempts: 2, backoff: none}}}",
            &[
                STARTED,
                GRANTED,
                ("+5s nothing", "", "a=running"),
                (report, "! the lease is no longer held: the attempt's timeout has passed", "a=running"),
                ("wake", "a:attempt_failed a:ready", "a=ready a!timeout"),
                GRANTED,
                ("+5s wake", "a:failed run_stopping run_failed", "failed a!timeout"),
            ],
        );
    }
}

#[test]
fn a_task_waits_in_its_queue_for_so_long_only() {
    play(
        "{a: {worker: q, queue_timeout: 10s, retry: {max_attempts: 5, backoff: none}}}",
        &[
            STARTED,
            ("+9s wake", "", "a=ready"),
            GRANTED,
            ("+20s release a", "a:released", "a=ready"),
            ("+9s wake", "", "a=ready"),
            ("+1s wake", "a:failed run_stopping run_failed", "failed a!queue_timeout"),
        ],
    );
}

#[test]
fn a_task_takes_so_long_in_all_and_no_longer() {
    let retry = "retry: {max_attempts: 9, backoff: fixed, delay: 8s, jitter: 0}";
    let over = "a:failed run_stopping run_failed";
    let tasks = format!("{{a: {{worker: q, total_timeout: 20s, {retry}}}}}");
    play(&tasks, &[STARTED, ("+20s wake", over, "a!total_timeout a.n=0")]);
    play(&tasks, &[STARTED, ("+1s grant a", "a:started", ""), ("+19s wake", over, "a!total_timeout a.n=1")]);
    play(
        &tasks,
        &[
            STARTED,
            ("+14s grant a", "a:started", ""),
            ("fail a", "a:attempt_failed", "a=waiting"),
            ("+6s wake", over, "a!total_timeout"),
        ],
    );
    play(
        "{a: {sleep: 1h, total_timeout: 5s}}",
        &[("start", "run_created run_started a:waiting", ""), ("+5s wake", over, "a!total_timeout")],
    );
    play(
        "{a: {signal: go, total_timeout: 5s}}",
        &[("start", "run_created run_started a:waiting", ""), ("+5s wake", over, "a!total_timeout")],
    );
}

#[test]
fn a_failure_may_be_gone_on_from() {
    play(
        "{a: {worker: q, continue_on_error: true, retry: {max_attempts: 1}},
          b: {needs: [a], value: [\"${{ tasks.a.status }}\", \"${{ tasks.a.failure.code }}\", \"${{ tasks.a.output }}\"]}}",
        &[
            STARTED,
            GRANTED,
            ("fail a", "a:failed b:completed run_completed", "completed a=failed b>[\"failed\",\"broken\",null]"),
        ],
    );
    for (timeout, holds) in
        [("queue_timeout: 5s", "running a!queue_timeout"), ("total_timeout: 5s", "running a!total_timeout")]
    {
        let tasks =
            format!("{{a: {{worker: q, continue_on_error: true, {timeout}}}, b: {{needs: [a], worker: q}}}}");
        play(&tasks, &[STARTED, ("+5s wake", "a:failed b:ready", holds)]);
    }
}

#[test]
fn a_sleep_ends_when_its_time_has_come() {
    play(
        "{a: {sleep: 10s}, b: {needs: [a], value: \"${{ tasks.a.output == null }}\"}}",
        &[
            ("start", "run_created run_started a:waiting", "a=waiting b=pending"),
            ("+9999ms wake a", "", "a=waiting"),
            ("+1ms wake", "a:completed b:completed run_completed", "completed b>true"),
        ],
    );
}

#[test]
fn a_claim_takes_what_is_ready_and_leaves_the_rest() {
    play(
        "{a: {worker: q}, b: {worker: q}, c: {needs: [a], worker: q}, v: {needs: [a], value: 1}, s: {sleep: 1h}}",
        &[
            ("start", "run_created run_started a:ready b:ready s:waiting", ""),
            GRANTED,
            ("grant a b c v s", "b:started", "b=running c=pending"),
            ("grant a b c", "! the tasks cannot be claimed any more", ""),
            ("grant b b", "! the tasks cannot be claimed any more", ""),
        ],
    );
    play("{a: {worker: q}}", &[STARTED, ("grant a a", "a:started", "a.n=1")]);
}

/// The clock of the host steps back by an hour: the run's own time stands still meanwhile.
#[test]
fn time_never_goes_back() {
    play(
        "{a: {worker: q, retry: {max_attempts: 2, backoff: fixed, delay: 10s, jitter: 0}}, s: {sleep: 1m}}",
        &[
            ("start", "run_created run_started a:ready s:waiting", ""),
            ("+5s grant a", "a:started", ""),
            ("-1h fail a", "a:attempt_failed", "a=waiting"),
            ("wake", "", "a=waiting s=waiting"),
            ("+1h nothing", "", ""),
            ("+10s wake", "a:ready", "a=ready"),
            ("-1h grant a", "a:started", "a.n=2"),
            ("wake", "", "a=running"),
            ("complete a", "a:completed", "a=completed"),
            ("+2h wake", "s:completed run_completed", "completed"),
        ],
    );
}

#[test]
fn a_wake_of_what_is_not_due_does_nothing() {
    play(
        "{a: {worker: q}, b: {needs: [a], worker: q}, s: {signal: go}}",
        &[
            ("start", "run_created run_started a:ready s:waiting", ""),
            ("wake a b s", "", "a=ready b=pending s=waiting"),
            GRANTED,
            ("wake a b s", "", "a=running"),
            ("complete a", "a:completed b:ready", ""),
            ("wake a b s", "", "a=completed b=ready"),
        ],
    );
}

/// One timer stops the run while another of the same round is due.
#[test]
fn timers_of_one_round_see_each_other() {
    play(
        "{a: {worker: q, queue_timeout: 5s}, b: {worker: q, timeout: 5s}, s: {sleep: 5s}}",
        &[
            ("start", "run_created run_started a:ready b:ready s:waiting", ""),
            ("grant b", "b:started", ""),
            ("+5s wake", "a:failed run_stopping b:cancelled run_failed", "failed b!timeout s=skipped"),
        ],
    );
}
