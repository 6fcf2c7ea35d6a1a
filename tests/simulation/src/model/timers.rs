//! What must happen by itself, and when: the model's own view of timers, without looking at any row.

use super::run::{Phase, Run, State};
use super::spec::Kind;

/// A timer.
#[derive(Debug, Clone, Copy)]
pub struct Due {
    /// When, by the server's clock.
    pub at: i64,
    /// What.
    pub what: &'static str,
    /// Of which task, if it is not the run's.
    pub task: Option<usize>,
}

impl Run {
    /// The timer that is due first.
    pub fn first_timer(&self) -> Option<Due> {
        let of_run = match self.phase {
            Phase::Absent | Phase::Ended(_) => return None,
            Phase::Scheduled => self.start_at.map(|at| (at, "the start of the run")),
            Phase::Running | Phase::Paused => self.deadline.map(|at| (at, "the end of its time")),
            Phase::Stopping(..) => None,
        };
        let of_run = of_run.map(|(at, what)| Due { at, what, task: None });
        let of_tasks = (0..self.tasks.len()).filter_map(|place| self.first_timer_of(place));
        of_tasks.chain(of_run).min_by_key(|due| due.at)
    }

    fn first_timer_of(&self, place: usize) -> Option<Due> {
        let (task, spec) = (&self.tasks[place], &self.spec.tasks[place]);
        let rests = self.phase == Phase::Paused && !matches!(task.state, State::Held(_));
        if !task.state.is_open() || rests {
            return None;
        }
        let stopping = match self.phase {
            Phase::Stopping(_, since) => Some(since),
            _ => None,
        };
        let after = |from: i64, millis: Option<i64>| millis.map(|millis| from + millis);
        let total = task.ready_at.filter(|_| stopping.is_none());
        let total = (total.and_then(|ready_at| after(ready_at, spec.total_timeout)), "total_timeout");
        let none = (None, "");
        let own = match &task.state {
            State::Held(held) => [
                (Some(held.until), "the end of its lease"),
                (after(held.since, spec.timeout), "timeout"),
                (stopping.map(|since| since + spec.grace), "the end of its grace"),
            ],
            State::Ready(since) if spec.kind == Kind::Leased => {
                [(after(*since, spec.queue_timeout), "queue_timeout"), none, none]
            }
            State::Ready(since) => [(Some(*since), "its turn"), none, none],
            State::Backoff(until) => [(Some(*until), "the next attempt"), none, none],
            State::Sleeping(until) => [(Some(*until), "the end of its sleep"), none, none],
            State::Listening(since) => [(after(*since, spec.timeout), "the end of its wait"), none, none],
            State::Pending
            | State::Completed
            | State::Failed
            | State::Skipped
            | State::Dropped
            | State::Cancelled => [none, none, none],
        };
        let due = own.into_iter().chain([total]).filter_map(|(at, what)| Some((at?, what)));
        due.min_by_key(|(at, _)| *at).map(|(at, what)| Due { at, what, task: Some(place) })
    }
}
