//! What must be true of a run after each commit: nothing that could have been done in it was left undone.

use super::event::Mark;
use super::run::{Phase, Run, State};
use super::spec::Kind;

impl Run {
    /// Looks at the states before and after a commit: what the run's end made of its tasks, and a retry.
    pub fn transitions_since(&self, before: &[State], marks: &mut Vec<Mark>) {
        for (before, task) in before.iter().zip(&self.tasks) {
            let mark = match (before, &task.state) {
                (State::Pending, State::Dropped) => "pending, the run stops: skipped",
                (State::Ready(_), State::Dropped) => "ready, the run stops: skipped",
                (State::Backoff(_) | State::Sleeping(_) | State::Listening(_), State::Dropped) => {
                    "waiting, the run stops: skipped"
                }
                (State::Pending, State::Cancelled) => "pending, the run stops: cancelled",
                (State::Ready(_), State::Cancelled) => "ready, the run stops: cancelled",
                (State::Backoff(_) | State::Sleeping(_) | State::Listening(_), State::Cancelled) => {
                    "waiting, the run stops: cancelled"
                }
                (State::Failed, state) if *state != State::Failed => "failed, retry: pending",
                (State::Dropped, state) if *state != State::Dropped => "skipped, retry: pending",
                (State::Cancelled, state) if *state != State::Cancelled => "cancelled, retry: pending",
                _ => continue,
            };
            marks.push(mark);
        }
    }

    /// Whether the commit is whole.
    pub fn check_commit(&self) -> Result<(), String> {
        if let Some((place, _)) = &self.taking {
            return Err(format!("task {} took a signal and did not complete", self.spec.tasks[*place].name));
        }
        let open = self.tasks.iter().filter(|task| task.state.is_open()).count();
        let held = self.held().count();
        match self.phase {
            Phase::Absent => Err("it was not created".to_owned()),
            Phase::Scheduled => Ok(()),
            Phase::Running | Phase::Paused => self.check_under_way(open),
            Phase::Stopping(..) if held == 0 => Err("it is stopping and no lease is held".to_owned()),
            Phase::Stopping(..) if open > held => Err("it is stopping and tasks are open".to_owned()),
            Phase::Ended(_) if open > 0 => Err("it has ended and tasks are open".to_owned()),
            Phase::Stopping(..) | Phase::Ended(_) => Ok(()),
        }
    }

    fn check_under_way(&self, open: usize) -> Result<(), String> {
        if self.broke {
            return Err("a task has failed for good and it goes on".to_owned());
        }
        if open == 0 {
            return Err("every task has ended and it has not".to_owned());
        }
        for (place, task) in self.tasks.iter().enumerate() {
            let name = &self.spec.tasks[place].name;
            match &task.state {
                State::Pending if self.started && self.needs_are_met(place) => {
                    return Err(format!("the needs of task {name} are met and it does not begin"));
                }
                State::Listening(_) => {
                    let Kind::Signal(signal) = &self.spec.tasks[place].kind else { continue };
                    if self.signals.iter().any(|sent| sent.name == *signal && !sent.taken) {
                        return Err(format!("task {name} waits beside a signal"));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}
