//! The pure engine: `decide` says what happens, `apply` makes it so.
//!
//! Nothing here does I/O, asks a clock or rolls dice: the time and the run's seed are arguments. The input
//! is a [`Slice`] of a run, the output a list of [`Event`]s; both are plain data.
//!
//! ```text
//!             Command, now                            Slice
//!                  │                                    │  header, the instance concerned, its dependents
//!                  ▼                                    ▼
//!   decide ── needs more? ── Missing(needs) ──► the caller loads them and asks again
//!      │
//!      ├── may not be ────── Refused(why)
//!      ▼
//!   Vec<Event> ── apply ──► the slice after, which the store projects onto rows
//! ```
//!
//! # States
//!
//! A run:
//!
//! | from | command or cause | to |
//! | --- | --- | --- |
//! | – | start | pending (`start_at` ahead), running |
//! | pending | wake at `start_at` | running |
//! | pending | cancel | cancelled |
//! | running | pause | paused |
//! | paused | resume | running |
//! | running, paused | last task ends | completed; failed, if the output's expression fails |
//! | running, paused | a task fails for good | stopping (failed) |
//! | running, paused | wake at the deadline | stopping (timed out) |
//! | running, paused | cancel | stopping (cancelled) |
//! | stopping | last lease ends | failed, timed_out, cancelled |
//! | stopping | cancel with force | every lease is cut: failed, timed_out, cancelled |
//! | failed, timed_out, cancelled | retry | running |
//!
//! A task instance:
//!
//! | from | command or cause | to |
//! | --- | --- | --- |
//! | pending | last need met, `if` holds | ready (worker, http); waiting (sleep, signal); completed (value; a signal that is there; a sleep of no time) |
//! | pending | last need met, `if` does not hold | skipped |
//! | pending | last need met, an expression fails | failed |
//! | ready | grant | running |
//! | ready | wake at `queue_timeout` or `total_timeout` | failed |
//! | running | complete | completed |
//! | running | fail, lease expired, `timeout`; attempts left | waiting (backoff) |
//! | running | the same; none left, or not retryable, or `total_timeout` | failed |
//! | running | release | ready, same attempt number |
//! | running, run stopping | complete | completed |
//! | running, run stopping | fail, release, lease expired, `timeout`, grace over, force | cancelled |
//! | waiting (backoff) | wake | ready |
//! | waiting (sleep) | wake | completed |
//! | waiting (signal) | signal | completed |
//! | waiting (signal) | wake at `timeout` | failed, skipped or completed, as `on_timeout` says |
//! | waiting (backoff, sleep, signal) | wake at `total_timeout` | failed |
//! | pending, ready, waiting | the run stops | skipped; cancelled, if the run is cancelled |
//! | failed, skipped by the run's end, cancelled | retry | pending, and on from there |

pub mod apply;
pub mod backoff;
pub mod command;
mod context;
mod decide;
mod end;
pub mod event;
mod lease;
mod ready;
pub mod run;
pub mod slice;
mod start;
pub mod task;
mod turn;

#[cfg(test)]
mod tests;

pub use apply::apply;
pub use command::{Command, Decided, Force, Refusal, Repeated, RetryWish, Undecided};
pub use decide::{decide, prefetch};
pub use event::{Created, Event, Grant, TaskRef, What};
pub use run::{Category, Counts, Failure, Run, RunPhase, RunStatus};
pub use slice::{Buffered, Missing, Need, Seen, Slice};
pub use start::{NewRun, Reused, start};
pub use task::{Instance, Key, Lease, Skip, TaskPhase, TaskStatus, Wait};

/// A run may hold at most this many signals that no task has consumed.
pub const SIGNALS_BUFFERED_MAX: u32 = 1000;
/// A run whose history is this long fails instead of growing further.
pub const HISTORY_EVENTS_MAX: u64 = 1_000_000;
/// One decision carries out at most this many `value` tasks; the rest follow in commits of their own.
pub const CASCADE_MAX: usize = 1000;
