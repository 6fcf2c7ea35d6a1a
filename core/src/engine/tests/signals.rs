//! Signals: before and after somebody waits, in order, against time-outs, and never twice.

use super::script::play;
use super::stored::{Stored, compiled, created};
use crate::engine::{Command, Refusal, SIGNALS_BUFFERED_MAX};
use crate::value::{Payload, Value};

#[test]
fn a_signal_reaches_whoever_waits() {
    play(
        "{s: {signal: go}, b: {needs: [s], value: \"${{ tasks.s.output.by }}\"}}",
        &[
            ("start", "run_created run_started s:waiting", "s=waiting"),
            ("signal stop 1", "signal_received", "s=waiting"),
            (
                "signal go {\"by\":\"me\"}",
                "signal_received s:signal_consumed s:completed b:completed run_completed",
                "completed s>{\"by\":\"me\"} b>\"me\"",
            ),
        ],
    );
}

#[test]
fn a_signal_waits_for_whoever_comes() {
    play(
        "{a: {worker: q}, s: {needs: [a], signal: go}}",
        &[
            ("start in 5s", "run_created", "pending"),
            ("signal go 1", "signal_received", "pending"),
            ("+5s wake", "run_started a:ready", ""),
            ("signal go 2", "signal_received", "running"),
            ("grant a", "a:started", ""),
            ("complete a", "a:completed s:signal_consumed s:completed run_completed", "completed s>1"),
        ],
    );
}

#[test]
fn signals_are_taken_in_order_each_once() {
    play(
        "{s: {signal: go}, t: {needs: [s], signal: go}, u: {needs: [t], signal: go}, w: {needs: [u], signal: other}}",
        &[
            ("start", "run_created run_started s:waiting", ""),
            ("signal other 9", "signal_received", ""),
            ("pause", "run_paused", "paused"),
            (
                "signal go 1",
                "signal_received s:signal_consumed s:completed t:waiting",
                "paused s>1 t=waiting",
            ),
            ("signal go 2", "signal_received t:signal_consumed t:completed u:waiting", "t>2"),
            ("resume", "run_resumed", ""),
            (
                "signal go 3",
                "signal_received u:signal_consumed u:completed w:signal_consumed w:completed run_completed",
                "completed u>3 w>9",
            ),
        ],
    );
    play(
        "{a: {worker: q}, s: {needs: [a], signal: go}, t: {needs: [a], signal: go}, u: {needs: [s, t], worker: q}}",
        &[
            ("start", "run_created run_started a:ready", ""),
            ("signal go 1", "signal_received", ""),
            ("signal go 2", "signal_received", ""),
            ("signal go 3", "signal_received", ""),
            ("grant a", "a:started", ""),
            (
                "complete a",
                "a:completed s:signal_consumed s:completed t:signal_consumed t:completed u:ready",
                "s>1 t>2",
            ),
        ],
    );
}

#[test]
fn who_began_to_wait_first_is_served_first() {
    play(
        "{z: {signal: go}, a: {worker: q}, b: {needs: [a], signal: go}}",
        &[
            ("start", "run_created run_started a:ready z:waiting", ""),
            ("grant a", "a:started", ""),
            ("+1s complete a", "a:completed b:waiting", "b=waiting z=waiting"),
            ("signal go 1", "signal_received z:signal_consumed z:completed", "z>1 b=waiting"),
            ("signal go 2", "signal_received b:signal_consumed b:completed run_completed", "b>2"),
        ],
    );
    play(
        "{z: {signal: go}, y: {signal: go}}",
        &[
            ("start", "run_created run_started y:waiting z:waiting", ""),
            ("signal go 1", "signal_received y:signal_consumed y:completed", "y>1"),
            ("signal go 2", "signal_received z:signal_consumed z:completed run_completed", "z>2"),
        ],
    );
}

#[test]
fn a_signal_id_counts_once() {
    play(
        "{s: {signal: go}, t: {signal: go}}",
        &[
            ("start", "run_created run_started s:waiting t:waiting", ""),
            ("signal go 1 id=x", "signal_received s:signal_consumed s:completed", "s>1"),
            ("signal go 1 id=x", "", "t=waiting"),
            ("signal stop 5 id=x", "", "t=waiting"),
            ("signal go 2 id=y", "signal_received t:signal_consumed t:completed run_completed", "completed"),
            ("signal go 2 id=y", "", "completed"),
            ("signal go 2 id=z", "! the run has ended: it is completed", ""),
        ],
    );
}

#[test]
fn a_timeout_ends_the_wait_as_the_document_says() {
    for (on_timeout, events, holds) in [
        ("fail", "s:failed run_stopping run_failed", "failed s!signal_timeout"),
        ("skip", "s:skipped b:completed run_completed", "completed s=skipped b>\"skipped\""),
        ("continue", "s:completed b:completed run_completed", "completed s>null b>\"completed\""),
    ] {
        let tasks = format!(
            "{{s: {{signal: go, timeout: 10s, on_timeout: {on_timeout}}}, b: {{needs: [s], value: \"${{{{ tasks.s.status }}}}\"}}}}"
        );
        play(
            &tasks,
            &[
                ("start", "run_created run_started s:waiting", ""),
                ("+9s wake", "", "s=waiting"),
                ("+1s wake", events, holds),
            ],
        );
        // Both at one instant: the first commit wins.
        play(
            &tasks,
            &[
                ("start", "run_created run_started s:waiting", ""),
                (
                    "+10s signal go 1",
                    "signal_received s:signal_consumed s:completed b:completed run_completed",
                    "s>1",
                ),
                ("wake s", "", "completed"),
            ],
        );
    }
}

#[test]
fn a_signal_after_the_timeout_stays_for_the_next() {
    play(
        "{s: {signal: go, timeout: 10s, on_timeout: skip}, t: {needs: [s], sleep: 5s}, u: {needs: [t], signal: go}}",
        &[
            ("start", "run_created run_started s:waiting", ""),
            ("+10s wake", "s:skipped t:waiting", ""),
            ("signal go 1", "signal_received", "s=skipped"),
            ("+5s wake", "t:completed u:signal_consumed u:completed run_completed", "completed u>1"),
        ],
    );
}

#[test]
fn a_stopping_run_stores_signals_and_gives_them_to_nobody() {
    play(
        "{a: {worker: q}, s: {signal: go}}",
        &[
            ("start", "run_created run_started a:ready s:waiting", ""),
            ("grant a", "a:started", ""),
            ("cancel", "run_stopping", "s=cancelled"),
            ("signal go 1", "signal_received", "cancelling s=cancelled"),
            ("complete a", "a:completed run_cancelled", "cancelled"),
            ("signal go 2", "! the run has ended: it is cancelled", ""),
        ],
    );
}

#[test]
fn so_many_signals_wait_and_no_more() {
    let workflow = compiled("{selvedge: 1, name: t, tasks: {s: {signal: go}}}");
    let created = created(&workflow, &Value::Null);
    let mut stored = Stored::start(workflow, created, Vec::new());
    let signal = |name: &str| Command::Signal {
        name: name.parse().expect("a signal's name"),
        signal_id: None,
        payload: Payload::null(),
    };
    for _ in 0..SIGNALS_BUFFERED_MAX {
        stored.command(&signal("other")).expect("there is room");
    }
    let refused = stored.command(&signal("other"));
    assert_eq!(refused, Err(Refusal::TooManySignals(SIGNALS_BUFFERED_MAX)));
    // One that somebody waits for takes no room.
    stored.command(&signal("go")).expect("it is taken at once");
    assert!(stored.run.is_terminal());
}
