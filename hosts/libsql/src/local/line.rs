//! The line before the writer, and who serves it.
//!
//! Nearly always the thread does: whoever comes while it commits shares the next commit. Where one caller at a time
//! writes nothing is shared, and two switches of threads, there and back, take as long as the fsync. So a small call
//! that comes alone, after others that came alone, is committed by the task that awaits it, on its own thread.
//!
//! | the line was             | the last group took | the call is   | it is served by                          |
//! |--------------------------|---------------------|---------------|------------------------------------------|
//! | busy, of late            | any time            | any           | the thread                               |
//! | of one at a time         | longer than `QUICK` | any           | the thread: a task must not block a host |
//! | of one at a time         | less                | large         | the thread                               |
//! | of one at a time         | less                | small         | the task                                 |
//! | … for `TASKS_MAX` groups | less                | small         | the thread, once                         |
//!
//! The last row lets a line be seen again where one thread runs all tasks, which cannot come to stand in it while
//! that thread commits; and the thread alone folds the log, which takes longer than a task should.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use selvedge::store::database::{Batch, Cell, Outcome, Row, Statement};

use super::Reply;

/// Groups of one call, after which the next call may be served by its task.
const ALONE_MIN: u32 = 8;

/// Groups served by tasks, after which the thread serves one.
const TASKS_MAX: u32 = 32;

/// How long a group may take for the next to be served by a task.
const QUICK: Duration = Duration::from_millis(2);

/// Statements of a small call.
const SMALL_STATEMENTS: usize = 32;

/// Bytes of parameters of a small call.
const SMALL_BYTES: usize = 64 * 1024;

/// What the writer is asked to do.
pub(super) enum Job {
    /// Commit batches.
    Write(Call),
    /// Read on the writer's connection; only in memory.
    Read {
        /// The statements of one view.
        reads: Vec<Statement>,
        /// To whom.
        reply: Reply<Vec<Vec<Row>>>,
    },
}

/// One call of `write`.
pub(super) struct Call {
    pub(super) batches: Vec<Batch>,
    pub(super) reply: Reply<Vec<Outcome>>,
    /// Of its parameters.
    pub(super) bytes: usize,
}

/// The jobs that wait, in the order of their calls.
#[derive(Default)]
pub(super) struct Line {
    waiting: Mutex<Waiting>,
    /// The thread sleeps on it.
    called: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    /// The thread has something to do.
    is_called: bool,
    /// No job will come any more.
    is_closed: bool,
    /// The thread is gone: whoever comes is told so at once.
    is_abandoned: bool,
    pace: Pace,
}

/// What the last groups were like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Pace {
    /// How many in a row were of one call, with nobody behind it.
    alone: u32,
    /// How many of these were served by tasks since the thread served one.
    by_tasks: u32,
    /// Whether the last one was quick.
    is_quick: bool,
}

/// Who serves a job that was just put in line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    /// The thread, which has been called.
    Thread,
    /// The task that awaits it, as soon as it does.
    Task,
}

impl Line {
    /// Puts a job in line, unless nobody serves it any more.
    pub(super) fn push(&self, job: Job) -> Option<Server> {
        let mut waiting = self.lock();
        if waiting.is_abandoned {
            return None;
        }
        let is_own = waiting.jobs.is_empty() && waiting.pace.allows_tasks() && job.is_small();
        let server = if is_own { Server::Task } else { Server::Thread };
        waiting.jobs.push_back(job);
        if server == Server::Thread {
            self.call(waiting);
        }
        Some(server)
    }

    /// The first job, if there is one.
    pub(super) fn pop(&self) -> Option<Job> {
        self.lock().jobs.pop_front()
    }

    /// Takes calls of `write` from the head of the line, as long as `takes` wants the next.
    pub(super) fn take_calls(&self, mut takes: impl FnMut(&Call) -> bool, into: &mut Vec<Call>) {
        let mut waiting = self.lock();
        while let Some(Job::Write(call)) = waiting.jobs.front()
            && takes(call)
            && let Some(Job::Write(call)) = waiting.jobs.pop_front()
        {
            into.push(call);
        }
    }

    /// Notes that a group of so many calls was served, and calls the thread if somebody is in line.
    pub(super) fn served(&self, by: Server, calls: usize, took: Duration) {
        let mut waiting = self.lock();
        let is_alone = calls == 1 && waiting.jobs.is_empty();
        waiting.pace = waiting.pace.after(by, is_alone, took <= QUICK);
        if by == Server::Task && !waiting.jobs.is_empty() {
            self.call(waiting);
        }
    }

    /// Waits until somebody is in line, with true, or nobody will be any more. For the thread.
    pub(super) fn wait(&self) -> bool {
        let mut waiting = self.lock();
        loop {
            if !waiting.jobs.is_empty() && (waiting.is_called || waiting.is_closed) {
                return true;
            }
            if waiting.is_closed {
                return false;
            }
            waiting.is_called = false;
            waiting = self.called.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Has the thread serve the line.
    pub(super) fn call_thread(&self) {
        self.call(self.lock());
    }

    /// Lets the thread end when nobody is in line any more.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.called.notify_one();
    }

    /// Sends everybody away, now and later: a job that is dropped has no answer.
    pub(super) fn abandon(&self) {
        let mut waiting = self.lock();
        waiting.is_abandoned = true;
        let jobs = std::mem::take(&mut waiting.jobs);
        drop(waiting);
        drop(jobs);
    }

    /// Makes the line one of one at a time.
    #[cfg(test)]
    pub(super) fn quiet(&self) {
        self.lock().pace = Pace { alone: ALONE_MIN, by_tasks: 0, is_quick: true };
    }

    fn call(&self, mut waiting: MutexGuard<'_, Waiting>) {
        let was_called = std::mem::replace(&mut waiting.is_called, true);
        drop(waiting);
        if !was_called {
            self.called.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Every change of it is whole before anything can panic.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pace {
    fn allows_tasks(self) -> bool {
        self.alone >= ALONE_MIN && self.by_tasks < TASKS_MAX && self.is_quick
    }

    fn after(self, by: Server, is_alone: bool, is_quick: bool) -> Self {
        Pace {
            alone: if is_alone { self.alone.saturating_add(1) } else { 0 },
            by_tasks: match by {
                Server::Task => self.by_tasks + 1,
                Server::Thread => 0,
            },
            is_quick,
        }
    }
}

impl Job {
    pub(super) fn write(batches: Vec<Batch>, reply: Reply<Vec<Outcome>>) -> Self {
        Job::Write(Call::new(batches, reply))
    }

    fn is_small(&self) -> bool {
        match self {
            Job::Write(call) => call.statements() <= SMALL_STATEMENTS && call.bytes <= SMALL_BYTES,
            Job::Read { reads, .. } => reads.len() <= SMALL_STATEMENTS,
        }
    }
}

impl Call {
    pub(super) fn new(batches: Vec<Batch>, reply: Reply<Vec<Outcome>>) -> Self {
        let writes = batches.iter().flat_map(|batch| &batch.writes);
        let bytes = writes.flat_map(|(statement, _)| &statement.params).map(cell_bytes).sum();
        Call { batches, reply, bytes }
    }

    fn statements(&self) -> usize {
        self.batches.iter().map(|batch| batch.writes.len()).sum()
    }
}

impl AsRef<[Batch]> for Call {
    fn as_ref(&self) -> &[Batch] {
        &self.batches
    }
}

fn cell_bytes(cell: &Cell) -> usize {
    match cell {
        Cell::Null | Cell::Integer(_) | Cell::Real(_) => size_of::<Cell>(),
        Cell::Text(text) => text.len(),
        Cell::Blob(bytes) => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALONE: Pace = Pace { alone: ALONE_MIN, by_tasks: 0, is_quick: true };

    #[test]
    fn a_task_serves_itself_where_one_at_a_time_writes() {
        let small = || job(1, SMALL_BYTES);
        let rows: [(&str, Pace, Job, Server); 7] = [
            ("a new line", Pace::default(), small(), Server::Thread),
            ("few alone", Pace { alone: ALONE_MIN - 1, ..ALONE }, small(), Server::Thread),
            ("enough alone", ALONE, small(), Server::Task),
            ("a slow disk", Pace { is_quick: false, ..ALONE }, small(), Server::Thread),
            ("the thread's turn", Pace { by_tasks: TASKS_MAX, ..ALONE }, small(), Server::Thread),
            ("many statements", ALONE, job(SMALL_STATEMENTS + 1, 1), Server::Thread),
            ("many bytes", ALONE, job(1, SMALL_BYTES + 1), Server::Thread),
        ];
        for (name, pace, job, expected) in rows {
            let line = Line::default();
            line.lock().pace = pace;
            assert_eq!(line.push(job), Some(expected), "{name}");
            assert_eq!(line.lock().is_called, expected == Server::Thread, "{name}");
            // Behind somebody nobody serves himself.
            assert_eq!(line.push(small()), Some(Server::Thread), "{name}");
        }
    }

    #[test]
    fn nobody_stands_in_a_line_that_is_abandoned() {
        let line = Line::default();
        assert_eq!(line.push(job(1, 1)), Some(Server::Thread));
        line.abandon();
        assert!(line.pop().is_none());
        assert_eq!(line.push(job(1, 1)), None);
        assert!(line.pop().is_none());
    }

    #[test]
    fn the_pace_follows_the_groups() {
        let quick = Duration::ZERO;
        let line = Line::default();
        for _ in 0..ALONE_MIN {
            line.served(Server::Thread, 1, quick);
        }
        assert_eq!(line.lock().pace, ALONE);
        line.served(Server::Task, 1, quick);
        assert_eq!(line.lock().pace, Pace { alone: ALONE_MIN + 1, by_tasks: 1, is_quick: true });
        line.served(Server::Thread, 1, QUICK * 2);
        assert_eq!(line.lock().pace, Pace { alone: ALONE_MIN + 2, by_tasks: 0, is_quick: false });
        line.served(Server::Thread, 2, quick);
        assert_eq!(line.lock().pace.alone, 0);
        line.lock().pace = ALONE;
        line.lock().jobs.push_back(job(1, 1));
        line.served(Server::Task, 1, quick);
        assert_eq!(line.lock().pace.alone, 0, "somebody was behind it");
        assert!(line.lock().is_called, "and is served by the thread");
    }

    fn job(statements: usize, bytes: usize) -> Job {
        let mut batch = Batch::default();
        batch.push(Statement::new("SELECT ?1", vec![Cell::Blob(vec![0; bytes].into())]));
        (1..statements).for_each(|_| batch.push(Statement::new("SELECT 1", vec![])));
        Job::write(vec![batch], futures_channel::oneshot::channel().0)
    }
}
