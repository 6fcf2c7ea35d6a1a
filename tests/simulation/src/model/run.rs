//! A run as the model sees it.

use std::rc::Rc;

use super::spec::Spec;

/// A run.
#[derive(Debug)]
pub struct Run {
    /// Its document.
    pub spec: Rc<Spec>,
    /// Where it stands.
    pub phase: Phase,
    /// Its tasks, in document order.
    pub tasks: Vec<TaskState>,
    /// The time of its last event.
    pub at: i64,
    /// Not before this.
    pub start_at: Option<i64>,
    /// Whether its tasks have begun.
    pub started: bool,
    /// When it times out.
    pub deadline: Option<i64>,
    /// From its start, in milliseconds.
    pub execution_timeout: Option<i64>,
    /// The signals it was sent.
    pub signals: Vec<Signal>,
    /// How many events it has.
    pub events: u64,
    /// How often it was stopped, paused, resumed and retried.
    pub stops: u32,
    /// See `stops`.
    pub pauses: u32,
    /// See `stops`.
    pub resumes: u32,
    /// See `stops`.
    pub retries: u32,
    /// A signal that a task has just taken: its completion has to follow.
    pub taking: Option<(usize, String)>,
    /// Whether leases were cut by force in this commit.
    pub forced: bool,
    /// The last thing that happened to a task and made its run stop.
    pub broke: bool,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It is not there.
    Absent,
    /// It waits for its start.
    Scheduled,
    /// It is under way.
    Running,
    /// It is paused.
    Paused,
    /// It will end so, since then.
    Stopping(Ended, i64),
    /// It has ended so.
    Ended(Ended),
}

/// How a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every task is done.
    Completed,
    /// A task failed.
    Failed,
    /// On request.
    Cancelled,
    /// It took too long.
    TimedOut,
}

/// A task of a run.
#[derive(Debug, Clone)]
pub struct TaskState {
    /// Where it stands.
    pub state: State,
    /// Attempts begun, those given back not counted.
    pub attempt: u32,
    /// Those of them that a retry of the run has forgiven.
    pub forgiven: u32,
    /// When it first became ready or began to wait.
    pub ready_at: Option<i64>,
    /// What it answered, as JSON.
    pub output: Option<String>,
}

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Needs are not met.
    Pending,
    /// It may be claimed, since then.
    Ready(i64),
    /// Somebody holds it.
    Held(Held),
    /// Before another attempt, until then.
    Backoff(i64),
    /// Until then.
    Sleeping(i64),
    /// For a signal, since then.
    Listening(i64),
    /// Done.
    Completed,
    /// Failed for good.
    Failed,
    /// Its condition did not hold, or its signal did not come.
    Skipped,
    /// Its run ended before it could.
    Dropped,
    /// It was stopped with its run.
    Cancelled,
}

/// A lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its id.
    pub lease: String,
    /// Whose it is.
    pub worker: String,
    /// Since when.
    pub since: i64,
    /// Until when, heartbeats included.
    pub until: i64,
}

/// A signal.
#[derive(Debug)]
pub struct Signal {
    /// Its name.
    pub name: String,
    /// The sender's id.
    pub id: Option<String>,
    /// What it carries, as JSON.
    pub payload: String,
    /// Whether a task has taken it.
    pub taken: bool,
}

impl Run {
    /// A run that is not there yet.
    pub fn absent(spec: Rc<Spec>) -> Self {
        let fresh =
            TaskState { state: State::Pending, attempt: 0, forgiven: 0, ready_at: None, output: None };
        Self {
            phase: Phase::Absent,
            tasks: vec![fresh; spec.tasks.len()],
            spec,
            at: i64::MIN,
            start_at: None,
            started: false,
            deadline: None,
            execution_timeout: None,
            signals: Vec::new(),
            events: 0,
            stops: 0,
            pauses: 0,
            resumes: 0,
            retries: 0,
            taking: None,
            forced: false,
            broke: false,
        }
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended(_))
    }

    /// Whether its tasks go on.
    pub fn is_under_way(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Paused)
    }

    /// The leases that are held.
    pub fn held(&self) -> impl Iterator<Item = (usize, &Held)> {
        self.tasks.iter().enumerate().filter_map(|(place, task)| match &task.state {
            State::Held(held) => Some((place, held)),
            _ => None,
        })
    }

    /// Whether everything that a task needs has ended well enough.
    pub fn needs_are_met(&self, place: usize) -> bool {
        self.spec.tasks[place].needs.iter().all(|need| match self.tasks[*need].state {
            State::Completed | State::Skipped => true,
            State::Failed => self.spec.tasks[*need].may_fail,
            _ => false,
        })
    }

    /// The word of its status.
    pub fn word(&self) -> &'static str {
        match self.phase {
            Phase::Absent => "absent",
            Phase::Scheduled => "pending",
            Phase::Running => "running",
            Phase::Paused => "paused",
            Phase::Stopping(Ended::Cancelled, _) => "cancelling",
            Phase::Stopping(..) => "running",
            Phase::Ended(ended) => ended.word(),
        }
    }

    /// The word of its state in the tables of the engine.
    pub(super) fn phase_word(&self) -> &'static str {
        match self.phase {
            Phase::Stopping(..) => "stopping",
            _ => self.word(),
        }
    }
}

impl Ended {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Ended::Completed => "completed",
            Ended::Failed => "failed",
            Ended::Cancelled => "cancelled",
            Ended::TimedOut => "timed_out",
        }
    }
}

impl State {
    /// The word of the status.
    pub fn word(&self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Ready(_) => "ready",
            State::Held(_) => "running",
            State::Backoff(_) | State::Sleeping(_) | State::Listening(_) => "waiting",
            State::Completed => "completed",
            State::Failed => "failed",
            State::Skipped | State::Dropped => "skipped",
            State::Cancelled => "cancelled",
        }
    }

    /// Whether it may still change.
    pub fn is_open(&self) -> bool {
        !matches!(self, State::Completed | State::Failed | State::Skipped | State::Dropped | State::Cancelled)
    }
}
