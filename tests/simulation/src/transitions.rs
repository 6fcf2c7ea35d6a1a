//! The transition tables of the engine as data: each line of its documentation, with the cells that a world
//! can reach.
//!
//! A test holds the lines against the documentation itself, so that a transition that is added there is
//! missed here, and then in the worlds.

/// A line of one of the tables.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    /// As the documentation of `selvedge::engine` has it.
    pub text: &'static str,
    /// Each of its cases, by the name under which the model marks it.
    pub cells: &'static [&'static str],
}

const fn line(text: &'static str, cells: &'static [&'static str]) -> Line {
    Line { text, cells }
}

/// Both tables, that of runs first.
pub const LINES: &[Line] = &[
    line("– | start | pending (`start_at` ahead), running", &["start: pending", "start: running"]),
    line("pending | wake at `start_at` | running", &["pending, its time comes: running"]),
    line("pending | cancel | cancelled", &["pending, cancel: cancelled"]),
    line("running | pause | paused", &["running, pause: paused"]),
    line("paused | resume | running", &["paused, resume: running"]),
    line(
        "running, paused | last task ends | completed; failed, if the output's expression fails",
        &[
            "running, last task ends: completed",
            "paused, last task ends: completed",
            "running, last task ends: failed",
            "paused, last task ends: failed",
        ],
    ),
    line(
        "running, paused | a task fails for good | stopping (failed)",
        &["running, a task fails: stopping", "paused, a task fails: stopping"],
    ),
    line(
        "running, paused | wake at the deadline | stopping (timed out)",
        &["running, deadline: stopping", "paused, deadline: stopping"],
    ),
    line(
        "running, paused | cancel | stopping (cancelled)",
        &["running, cancel: stopping", "paused, cancel: stopping"],
    ),
    line(
        "stopping | last lease ends | failed, timed_out, cancelled",
        &[
            "stopping, last lease ends: failed",
            "stopping, last lease ends: timed_out",
            "stopping, last lease ends: cancelled",
        ],
    ),
    line(
        "stopping | cancel with force | every lease is cut: failed, timed_out, cancelled",
        &["stopping, force: failed", "stopping, force: timed_out", "stopping, force: cancelled"],
    ),
    line(
        "failed, timed_out, cancelled | retry | running",
        &["failed, retry: running", "timed_out, retry: running", "cancelled, retry: running"],
    ),
    line(
        "pending | last need met, `if` holds | ready (worker, http); waiting (sleep, signal); completed (value; \
         a signal that is there; a sleep of no time)",
        &[
            "pending, last need met: ready",
            "pending, last need met: waiting (sleep)",
            "pending, last need met: waiting (signal)",
            "pending, last need met: completed (value)",
            "pending, last need met: completed (signal)",
            "pending, last need met: completed (no sleep)",
        ],
    ),
    line("pending | last need met, `if` does not hold | skipped", &["pending, if does not hold: skipped"]),
    line("pending | last need met, an expression fails | failed", &["pending, an expression fails: failed"]),
    line("ready | grant | running", &["ready, grant: running"]),
    line(
        "ready | wake at `queue_timeout` or `total_timeout` | failed",
        &["ready, queue_timeout: failed", "ready, total_timeout: failed"],
    ),
    line("running | complete | completed", &["running, complete: completed"]),
    line(
        "running | fail, lease expired, `timeout`; attempts left | waiting (backoff)",
        &["running, fail: waiting", "running, lease expired: waiting", "running, timeout: waiting"],
    ),
    line(
        "running | the same; none left, or not retryable, or `total_timeout` | failed",
        &[
            "running, fail: failed",
            "running, lease expired: failed",
            "running, timeout: failed",
            "running, not retryable: failed",
            "running, total_timeout: failed",
        ],
    ),
    line("running | release | ready, same attempt number", &["running, release: ready"]),
    line("running, run stopping | complete | completed", &["stopping, complete: completed"]),
    line(
        "running, run stopping | fail, release, lease expired, `timeout`, grace over, force | cancelled",
        &[
            "stopping, fail: cancelled",
            "stopping, release: cancelled",
            "stopping, lease expired: cancelled",
            "stopping, timeout: cancelled",
            "stopping, grace over: cancelled",
            "stopping, force: cut",
        ],
    ),
    line("waiting (backoff) | wake | ready", &["waiting (backoff), wake: ready"]),
    line("waiting (sleep) | wake | completed", &["waiting (sleep), wake: completed"]),
    line("waiting (signal) | signal | completed", &["waiting (signal), signal: completed"]),
    line(
        "waiting (signal) | wake at `timeout` | failed, skipped or completed, as `on_timeout` says",
        &[
            "waiting (signal), timeout: failed",
            "waiting (signal), timeout: skipped",
            "waiting (signal), timeout: completed",
        ],
    ),
    line(
        "waiting (backoff, sleep, signal) | wake at `total_timeout` | failed",
        &[
            "waiting (backoff), total_timeout: failed",
            "waiting (sleep), total_timeout: failed",
            "waiting (signal), total_timeout: failed",
        ],
    ),
    line(
        "pending, ready, waiting | the run stops | skipped; cancelled, if the run is cancelled",
        &[
            "pending, the run stops: skipped",
            "ready, the run stops: skipped",
            "waiting, the run stops: skipped",
            "pending, the run stops: cancelled",
            "ready, the run stops: cancelled",
            "waiting, the run stops: cancelled",
        ],
    ),
    line(
        "failed, skipped by the run's end, cancelled | retry | pending, and on from there",
        &["failed, retry: pending", "skipped, retry: pending", "cancelled, retry: pending"],
    ),
];

/// The name of every cell.
pub fn cells() -> impl Iterator<Item = &'static str> {
    LINES.iter().flat_map(|line| line.cells.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_are_those_of_the_engines_documentation() {
        const ENGINE: &str = include_str!("../../../core/src/engine/mod.rs");
        let documented = ENGINE.lines().filter_map(|line| line.strip_prefix("//! | ")?.strip_suffix(" |"));
        let documented: Vec<&str> =
            documented.filter(|line| !line.starts_with("from |") && !line.starts_with("---")).collect();
        let known: Vec<&str> = LINES.iter().map(|line| line.text).collect();
        assert_eq!(known, documented);
    }
}
