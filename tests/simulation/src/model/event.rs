//! What an event makes of a run, and why it may not be.

use selvedge::engine::run::{End, Failure};
use selvedge::engine::{Created, Event, Skip, Wait, What};
use selvedge::time::Timestamp;

use super::run::{Ended, Held, Phase, Run, Signal, State};
use super::spec::Kind;

/// A cell of the transition tables that was reached.
pub type Mark = &'static str;

type Taken = Result<Option<Mark>, String>;

impl Run {
    /// Takes an event over, unless it may not be.
    pub fn take(&mut self, event: &Event, marks: &mut Vec<Mark>) -> Result<(), String> {
        let at = event.at.as_millis();
        require(at >= self.at, || format!("its time goes back from {} to {at}", self.at))?;
        if let Some((place, _)) = &self.taking {
            let name = &self.spec.tasks[*place].name;
            let follows =
                matches!(&event.what, What::TaskCompleted { task, .. } if task.task.as_str() == name);
            require(follows, || format!("task {name} took a signal and did not complete"))?;
        }
        self.at = at;
        self.events += 1;
        marks.extend(self.take_run(&event.what, at)?);
        marks.extend(self.take_task(&event.what, at)?);
        Ok(())
    }

    fn take_run(&mut self, what: &What, at: i64) -> Taken {
        match what {
            What::RunCreated(created) => self.create(created, at),
            What::RunStarted { deadline } => self.start(*deadline, at),
            What::RunPaused {} => {
                self.require_phase(&[Phase::Running])?;
                (self.phase, self.pauses) = (Phase::Paused, self.pauses + 1);
                Ok(Some("running, pause: paused"))
            }
            What::RunResumed {} => {
                self.require_phase(&[Phase::Paused])?;
                (self.phase, self.resumes) = (Phase::Running, self.resumes + 1);
                Ok(Some("paused, resume: running"))
            }
            What::RunStopping { end, failure } => self.stop(*end, failure, at),
            What::RunCompleted { .. } => {
                self.require_phase(&[Phase::Running, Phase::Paused])?;
                let open = self.tasks.iter().any(|task| task.state.is_open());
                require(!open, || "it completes with open tasks".to_owned())?;
                let paused = self.phase == Phase::Paused;
                self.phase = Phase::Ended(Ended::Completed);
                Ok(Some(if paused {
                    "paused, last task ends: completed"
                } else {
                    "running, last task ends: completed"
                }))
            }
            What::RunFailed {} => self.end(Ended::Failed),
            What::RunCancelled {} => self.end(Ended::Cancelled),
            What::RunTimedOut {} => self.end(Ended::TimedOut),
            What::RunRetried { deadline } => self.retry(*deadline),
            What::SignalReceived { name, number, signal_id, payload } => {
                let open = !matches!(self.phase, Phase::Absent | Phase::Ended(_));
                require(open, || format!("a signal is received by a run that is {}", self.word()))?;
                let id = signal_id.as_ref().map(|id| id.to_string());
                let next = self.signals.len() as u64 + 1;
                require(*number == next, || format!("signal {number} follows signal {}", next - 1))?;
                let twice = id.is_some() && self.signals.iter().any(|signal| signal.id == id);
                require(!twice, || format!("signal {id:?} is received twice"))?;
                let (name, payload) = (name.as_str().to_owned(), payload.as_str().to_owned());
                self.signals.push(Signal { name, id, payload, taken: false });
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    fn create(&mut self, created: &Created, at: i64) -> Taken {
        self.require_phase(&[Phase::Absent])?;
        self.phase = Phase::Scheduled;
        self.start_at = created.start_at.map(Timestamp::as_millis);
        self.execution_timeout = created.execution_timeout.map(|timeout| timeout.as_millis() as i64);
        let documented = self.execution_timeout == self.spec.execution_timeout || created.rerun_of.is_some();
        require(documented, || "its execution_timeout is not that of its document".to_owned())?;
        Ok(self.start_at.is_some_and(|start| start > at).then_some("start: pending"))
    }

    fn start(&mut self, deadline: Option<Timestamp>, at: i64) -> Taken {
        let begun = self.phase == Phase::Scheduled;
        let retried = self.phase == Phase::Running && !self.started;
        require(begun || retried, || format!("it starts although it is {}", self.word()))?;
        let early = begun && self.start_at.is_some_and(|start| start > at);
        require(!early, || "it starts before its time".to_owned())?;
        self.set_deadline(deadline, at)?;
        let mark = match (begun, self.start_at) {
            (false, _) => None,
            (true, None) => Some("start: running"),
            (true, Some(_)) => Some("pending, its time comes: running"),
        };
        (self.phase, self.started) = (Phase::Running, true);
        Ok(mark)
    }

    fn set_deadline(&mut self, deadline: Option<Timestamp>, at: i64) -> Result<(), String> {
        let expected = self.execution_timeout.map(|timeout| at + timeout);
        let found = deadline.map(Timestamp::as_millis);
        require(found == expected, || format!("its deadline is {found:?}, expected {expected:?}"))?;
        self.deadline = found;
        Ok(())
    }

    fn stop(&mut self, end: End, failure: &Failure, at: i64) -> Taken {
        self.require_phase(&[Phase::Scheduled, Phase::Running, Phase::Paused])?;
        let (ended, paused) = (ended(end), self.phase == Phase::Paused);
        let mark = match ended {
            Ended::Cancelled if self.phase == Phase::Scheduled => "pending, cancel: cancelled",
            Ended::Cancelled if paused => "paused, cancel: stopping",
            Ended::Cancelled => "running, cancel: stopping",
            Ended::TimedOut => {
                let due =
                    self.phase != Phase::Scheduled && self.deadline.is_some_and(|deadline| deadline <= at);
                require(due, || "it times out before its deadline".to_owned())?;
                if paused { "paused, deadline: stopping" } else { "running, deadline: stopping" }
            }
            Ended::Failed | Ended::Completed if self.broke => {
                if paused {
                    "paused, a task fails: stopping"
                } else {
                    "running, a task fails: stopping"
                }
            }
            Ended::Failed | Ended::Completed => {
                let over = !self.tasks.iter().any(|task| task.state.is_open());
                let spoilt = over && failure.code.as_deref() == Some("expression");
                require(spoilt, || "it fails although no task has failed for good".to_owned())?;
                if paused { "paused, last task ends: failed" } else { "running, last task ends: failed" }
            }
        };
        (self.phase, self.broke, self.stops) = (Phase::Stopping(ended, at), false, self.stops + 1);
        for task in &mut self.tasks {
            if task.state.is_open() && !matches!(task.state, State::Held(_)) {
                task.state = if ended == Ended::Cancelled { State::Cancelled } else { State::Dropped };
            }
        }
        Ok(Some(mark))
    }

    fn end(&mut self, ended: Ended) -> Taken {
        let stopping = matches!(self.phase, Phase::Stopping(end, _) if end == ended);
        require(stopping, || format!("it ends as {} although it is {:?}", ended.word(), self.phase))?;
        require(self.held().next().is_none(), || "it ends while a lease is held".to_owned())?;
        self.phase = Phase::Ended(ended);
        Ok(Some(match (ended, std::mem::take(&mut self.forced)) {
            (Ended::Cancelled, true) => "stopping, force: cancelled",
            (Ended::Cancelled, false) => "stopping, last lease ends: cancelled",
            (Ended::TimedOut, true) => "stopping, force: timed_out",
            (Ended::TimedOut, false) => "stopping, last lease ends: timed_out",
            (_, true) => "stopping, force: failed",
            (_, false) => "stopping, last lease ends: failed",
        }))
    }

    fn retry(&mut self, deadline: Option<Timestamp>) -> Taken {
        let mark = match self.phase {
            Phase::Ended(Ended::Failed) => "failed, retry: running",
            Phase::Ended(Ended::Cancelled) => "cancelled, retry: running",
            Phase::Ended(Ended::TimedOut) => "timed_out, retry: running",
            _ => return Err(format!("it is retried although it is {}", self.word())),
        };
        (self.phase, self.retries, self.deadline) = (Phase::Running, self.retries + 1, None);
        if self.started {
            self.set_deadline(deadline, self.at)?;
        }
        for (task, spec) in self.tasks.iter_mut().zip(&self.spec.tasks) {
            let again = match task.state {
                State::Failed => !spec.may_fail,
                State::Dropped | State::Cancelled => true,
                _ => false,
            };
            if again {
                (task.state, task.forgiven, task.ready_at) = (State::Pending, task.attempt, None);
            }
        }
        Ok(Some(mark))
    }

    fn take_task(&mut self, what: &What, at: i64) -> Taken {
        let Some(task) = what.task().map(|task| task.task.as_str()) else { return Ok(None) };
        match what {
            What::TaskReady { .. } => self.ready(task, at),
            What::TaskStarted { attempt, lease, .. } => {
                let place = self.place(task)?;
                let from = self.tasks[place].state.clone();
                self.require_phase(&[Phase::Running])?;
                require(matches!(from, State::Ready(_)), || {
                    format!("{task} is granted while {}", from.word())
                })?;
                require(self.spec.tasks[place].kind == Kind::Leased, || format!("{task} is granted"))?;
                let expected = self.tasks[place].attempt + 1;
                require(*attempt == expected, || format!("{task}: attempt {attempt}, expected {expected}"))?;
                let most = self.tasks[place].forgiven + self.spec.tasks[place].max_attempts;
                require(*attempt <= most, || format!("{task}: attempt {attempt} of {most}"))?;
                let held = Held {
                    lease: lease.id.to_string(),
                    worker: lease.worker.to_string(),
                    since: lease.granted_at.as_millis(),
                    until: lease.expires_at.as_millis(),
                };
                require(held.since == at, || format!("{task} is granted at another time"))?;
                (self.tasks[place].state, self.tasks[place].attempt) = (State::Held(held), *attempt);
                Ok(Some("ready, grant: running"))
            }
            What::TaskWaiting { wait, .. } => self.wait(task, wait, at),
            What::AttemptFailed { attempt, lease_id, failure, retry_at, .. } => {
                let (place, held) = self.holder(task, Some(lease_id.as_str()))?;
                require(self.is_under_way(), || format!("{task} is to be tried again"))?;
                let mark = self.why_failed(place, &held, failure, at)?;
                let left = *attempt - self.tasks[place].forgiven < self.spec.tasks[place].max_attempts;
                require(left, || format!("{task}: another attempt after {attempt}"))?;
                require(*attempt == self.tasks[place].attempt, || {
                    format!("{task}: attempt {attempt} fails")
                })?;
                self.tasks[place].state = State::Backoff(retry_at.as_millis());
                Ok(Some(match mark {
                    Why::Expired => "running, lease expired: waiting",
                    Why::Timeout => "running, timeout: waiting",
                    Why::Reported => "running, fail: waiting",
                    Why::TotalTimeout => return Err(format!("{task}: another attempt after total_timeout")),
                }))
            }
            What::TaskReleased { lease_id, .. } => {
                let (place, held) = self.holder(task, Some(lease_id.as_str()))?;
                require(self.is_under_way(), || format!("{task} goes back to its queue"))?;
                self.require_in_time(place, &held, at)?;
                self.tasks[place].state = State::Ready(at);
                self.tasks[place].attempt -= 1;
                Ok(Some("running, release: ready"))
            }
            What::TaskCompleted { lease_id, output, reused_from, .. } => {
                let lease = lease_id.as_ref().map(|lease| lease.as_str());
                let mark = match reused_from {
                    Some(_) => self.take_over(task)?,
                    None => self.complete(task, lease, output.as_str(), at)?,
                };
                let place = self.place(task)?;
                self.tasks[place].output = Some(output.as_str().to_owned());
                self.close(place, State::Completed, at);
                Ok(mark)
            }
            What::TaskFailed { lease_id, failure, attempt, .. } => {
                let lease = lease_id.as_ref().map(|lease| lease.as_str());
                let mark = self.fail(task, lease, failure, *attempt, at)?;
                let place = self.place(task)?;
                self.close(place, State::Failed, at);
                self.broke |= !self.spec.tasks[place].may_fail;
                Ok(Some(mark))
            }
            What::TaskSkipped { reason, .. } => {
                let place = self.place(task)?;
                let mark = match (reason, &self.tasks[place].state) {
                    (Skip::Condition, State::Pending) if self.spec.tasks[place].has_condition => {
                        self.require_its_turn(place)?;
                        "pending, if does not hold: skipped"
                    }
                    (Skip::Timeout, State::Listening(since))
                        if self.spec.tasks[place].on_timeout == "skip" =>
                    {
                        let since = *since;
                        self.require_waited(place, since, at)?;
                        "waiting (signal), timeout: skipped"
                    }
                    (reason, state) => {
                        return Err(format!("{task} is skipped for {reason:?} while {}", state.word()));
                    }
                };
                self.close(place, State::Skipped, at);
                Ok(Some(mark))
            }
            What::TaskCancelled { lease_id, failure, .. } => {
                let (place, held) = self.holder(task, Some(lease_id.as_str()))?;
                let Phase::Stopping(_, since) = self.phase else {
                    return Err(format!("{task} is cut although its run goes on"));
                };
                let mark = self.why_cut(place, &held, failure, since, at)?;
                self.close(place, State::Cancelled, at);
                Ok(Some(mark))
            }
            What::SignalConsumed { name, number, .. } => self.consume(name.as_str(), *number, task),
            _ => Ok(None),
        }
    }

    fn ready(&mut self, task: &str, at: i64) -> Taken {
        let place = self.place(task)?;
        require(self.spec.tasks[place].kind == Kind::Leased, || format!("{task} becomes ready"))?;
        let mark = match self.tasks[place].state {
            State::Pending => {
                self.require_its_turn(place)?;
                "pending, last need met: ready"
            }
            State::Backoff(until) => {
                require(self.is_under_way() && until <= at, || format!("{task} is tried again too early"))?;
                "waiting (backoff), wake: ready"
            }
            ref state => return Err(format!("{task} becomes ready while {}", state.word())),
        };
        self.tasks[place].state = State::Ready(at);
        self.tasks[place].ready_at.get_or_insert(at);
        Ok(Some(mark))
    }

    fn wait(&mut self, task: &str, wait: &Wait, at: i64) -> Taken {
        let place = self.place(task)?;
        self.require_its_turn(place)?;
        let (state, mark) = match (wait, &self.spec.tasks[place].kind) {
            (Wait::Sleep { until }, Kind::Sleep) => {
                (State::Sleeping(until.as_millis()), "pending, last need met: waiting (sleep)")
            }
            (Wait::Signal { since, .. }, Kind::Signal(_)) => {
                (State::Listening(since.as_millis()), "pending, last need met: waiting (signal)")
            }
            (wait, kind) => return Err(format!("{task}, a {kind:?}, waits for {wait:?}")),
        };
        self.tasks[place].state = state;
        self.tasks[place].ready_at.get_or_insert(at);
        Ok(Some(mark))
    }

    /// A result of another run.
    fn take_over(&mut self, task: &str) -> Taken {
        self.require_phase(&[Phase::Scheduled])?;
        let place = self.place(task)?;
        let pending = self.tasks[place].state == State::Pending;
        require(pending, || format!("the result of {task} is taken over twice"))?;
        Ok(None)
    }

    fn complete(&mut self, task: &str, lease: Option<&str>, output: &str, at: i64) -> Taken {
        let place = self.place(task)?;
        if lease.is_some() {
            let (place, held) = self.holder(task, lease)?;
            self.require_in_time(place, &held, at)?;
            return Ok(Some(match self.phase {
                Phase::Stopping(..) => "stopping, complete: completed",
                _ => "running, complete: completed",
            }));
        }
        require(self.is_under_way(), || format!("{task} completes by itself"))?;
        let taken = self.taking.take();
        let kind = &self.spec.tasks[place].kind;
        Ok(Some(match (kind, self.tasks[place].state.clone()) {
            (Kind::Value, State::Pending) => {
                self.require_its_turn(place)?;
                "pending, last need met: completed (value)"
            }
            (Kind::Sleep, State::Pending) => {
                self.require_its_turn(place)?;
                "pending, last need met: completed (no sleep)"
            }
            (Kind::Sleep, State::Sleeping(until)) => {
                require(until <= at, || format!("{task} wakes too early"))?;
                "waiting (sleep), wake: completed"
            }
            (Kind::Signal(_), State::Pending | State::Listening(_)) if taken.is_some() => {
                let (_, payload) = taken.expect("it was looked at");
                require(payload == output, || format!("{task} answers something else than its signal"))?;
                match self.tasks[place].state {
                    State::Pending => "pending, last need met: completed (signal)",
                    _ => "waiting (signal), signal: completed",
                }
            }
            (Kind::Signal(_), State::Listening(since)) if self.spec.tasks[place].on_timeout == "continue" => {
                self.require_waited(place, since, at)?;
                "waiting (signal), timeout: completed"
            }
            (kind, state) => return Err(format!("{task}, a {kind:?}, completes while {}", state.word())),
        }))
    }

    fn fail(
        &mut self,
        task: &str,
        lease: Option<&str>,
        failure: &Failure,
        attempt: u32,
        at: i64,
    ) -> Result<Mark, String> {
        let place = self.place(task)?;
        require(self.is_under_way(), || format!("{task} fails for good"))?;
        require(attempt == self.tasks[place].attempt, || format!("{task}: attempt {attempt} fails"))?;
        let (state, code) = (self.tasks[place].state.clone(), failure.code.as_deref().unwrap_or_default());
        if let State::Held(_) = state {
            let (_, held) = self.holder(task, lease)?;
            let why = self.why_failed(place, &held, failure, at)?;
            let spent = attempt - self.tasks[place].forgiven >= self.spec.tasks[place].max_attempts;
            return match why {
                Why::TotalTimeout => Ok("running, total_timeout: failed"),
                Why::Expired if spent => Ok("running, lease expired: failed"),
                Why::Timeout if spent => Ok("running, timeout: failed"),
                Why::Reported if spent => Ok("running, fail: failed"),
                Why::Reported => Ok("running, not retryable: failed"),
                Why::Expired | Why::Timeout => Err(format!("{task} fails for good with attempts left")),
            };
        }
        require(lease.is_none(), || format!("{task} has no lease"))?;
        let total = || self.is_total_over(place, at);
        match (state, code) {
            (State::Pending, "expression") => {
                self.require_its_turn(place)?;
                Ok("pending, an expression fails: failed")
            }
            (State::Ready(since), "queue_timeout") => {
                let over = self.spec.tasks[place].queue_timeout.is_some_and(|millis| since + millis <= at);
                require(over, || format!("{task}: queue_timeout too early"))?;
                Ok("ready, queue_timeout: failed")
            }
            (State::Ready(_), "total_timeout") if total() => Ok("ready, total_timeout: failed"),
            (State::Backoff(_), "total_timeout") if total() => Ok("waiting (backoff), total_timeout: failed"),
            (State::Sleeping(_), "total_timeout") if total() => Ok("waiting (sleep), total_timeout: failed"),
            (State::Listening(_), "total_timeout") if total() => {
                Ok("waiting (signal), total_timeout: failed")
            }
            (State::Listening(since), "signal_timeout") if self.spec.tasks[place].on_timeout == "fail" => {
                self.require_waited(place, since, at)?;
                Ok("waiting (signal), timeout: failed")
            }
            (state, code) => Err(format!("{task} fails with {code} while {}", state.word())),
        }
    }

    /// A signal goes to the task that has waited longest, or to one whose turn it is.
    fn consume(&mut self, name: &str, number: u64, task: &str) -> Taken {
        let place = self.place(task)?;
        require(self.is_under_way(), || format!("{task} takes a signal"))?;
        let listens = |at: usize| self.spec.tasks[at].kind == Kind::Signal(name.to_owned());
        require(listens(place), || format!("{task} takes a signal {name}"))?;
        let oldest = self.signals.iter().position(|signal| signal.name == name && !signal.taken);
        let found = oldest.map(|at| at as u64 + 1);
        require(found == Some(number), || format!("{task} takes signal {number}, the oldest is {found:?}"))?;
        let longest = (0..self.tasks.len())
            .filter(|at| listens(*at))
            .filter_map(|at| match self.tasks[at].state {
                State::Listening(since) => Some((since, at)),
                _ => None,
            })
            .min();
        match (&self.tasks[place].state, longest) {
            (State::Listening(_), Some((_, first))) => {
                require(first == place, || format!("{task} takes a signal before its turn"))?;
            }
            (State::Pending, None) => self.require_its_turn(place)?,
            (state, _) => return Err(format!("{task} takes a signal while {}", state.word())),
        }
        let signal = &mut self.signals[number as usize - 1];
        signal.taken = true;
        self.taking = Some((place, signal.payload.clone()));
        Ok(None)
    }

    fn why_failed(&self, place: usize, held: &Held, failure: &Failure, at: i64) -> Result<Why, String> {
        let spec = &self.spec.tasks[place];
        match failure.code.as_deref() {
            Some("lease_expired") => {
                require(held.until <= at, || {
                    format!("the lease of {} expires at {at}, it was good until {}", spec.name, held.until)
                })?;
                Ok(Why::Expired)
            }
            Some("timeout") => {
                let over = spec.timeout.is_some_and(|millis| held.since + millis <= at);
                require(over, || format!("{}: timeout too early", spec.name))?;
                Ok(Why::Timeout)
            }
            Some("total_timeout") => {
                require(self.is_total_over(place, at), || format!("{}: total_timeout too early", spec.name))?;
                Ok(Why::TotalTimeout)
            }
            _ => {
                self.require_in_time(place, held, at)?;
                Ok(Why::Reported)
            }
        }
    }

    fn why_cut(
        &self,
        place: usize,
        held: &Held,
        failure: &Failure,
        since: i64,
        at: i64,
    ) -> Result<Mark, String> {
        let name = &self.spec.tasks[place].name;
        let code = failure.code.as_deref();
        if code == Some("cut") && failure.message.contains("grace") {
            let over = since + self.spec.tasks[place].grace <= at;
            require(over, || format!("{name} is cut within its grace"))?;
            return Ok("stopping, grace over: cancelled");
        }
        if code == Some("cut") && failure.message.contains("force") {
            return Ok("stopping, force: cut");
        }
        if code == Some("cut") {
            self.require_in_time(place, held, at)?;
            return Ok("stopping, release: cancelled");
        }
        Ok(match self.why_failed(place, held, failure, at)? {
            Why::Expired => "stopping, lease expired: cancelled",
            Why::Timeout => "stopping, timeout: cancelled",
            Why::Reported => "stopping, fail: cancelled",
            Why::TotalTimeout => return Err(format!("{name} fails by total_timeout while its run stops")),
        })
    }

    fn is_total_over(&self, place: usize, at: i64) -> bool {
        let (ready_at, total) = (self.tasks[place].ready_at, self.spec.tasks[place].total_timeout);
        ready_at.zip(total).is_some_and(|(ready_at, total)| ready_at + total <= at)
    }

    /// A report counts only while the lease lasts.
    fn require_in_time(&self, place: usize, held: &Held, at: i64) -> Result<(), String> {
        let spec = &self.spec.tasks[place];
        require(at < held.until, || {
            format!("a report on {} counts at {at}, its lease ended at {}", spec.name, held.until)
        })?;
        let over = spec.timeout.is_some_and(|millis| held.since + millis <= at);
        require(!over, || format!("a report on {} counts after its timeout", spec.name))
    }

    fn require_its_turn(&self, place: usize) -> Result<(), String> {
        let name = &self.spec.tasks[place].name;
        let pending = self.tasks[place].state == State::Pending;
        require(pending && self.is_under_way() && self.started, || format!("{name} begins"))?;
        require(self.needs_are_met(place), || format!("{name} begins before its needs are met"))
    }

    fn require_waited(&self, place: usize, since: i64, at: i64) -> Result<(), String> {
        let spec = &self.spec.tasks[place];
        let over = spec.timeout.is_some_and(|millis| since + millis <= at);
        require(over, || format!("{} stops waiting too early", spec.name))
    }

    fn holder(&self, task: &str, lease: Option<&str>) -> Result<(usize, Held), String> {
        let place = self.place(task)?;
        match &self.tasks[place].state {
            State::Held(held) if Some(held.lease.as_str()) == lease => Ok((place, held.clone())),
            State::Held(held) => Err(format!("{task} is held under {}, not {lease:?}", held.lease)),
            state => Err(format!("a report under {lease:?} counts, and {task} is {}", state.word())),
        }
    }

    fn close(&mut self, place: usize, state: State, at: i64) {
        if matches!(state, State::Completed | State::Failed) {
            self.tasks[place].ready_at.get_or_insert(at);
        }
        self.tasks[place].state = state;
    }

    fn require_phase(&self, phases: &[Phase]) -> Result<(), String> {
        require(phases.contains(&self.phase), || format!("it is {}", self.phase_word()))
    }

    fn place(&self, task: &str) -> Result<usize, String> {
        self.spec.place(task)
    }
}

/// Why an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Expired,
    Timeout,
    TotalTimeout,
    Reported,
}

fn ended(end: End) -> Ended {
    match end {
        End::Failed => Ended::Failed,
        End::Cancelled => Ended::Cancelled,
        End::TimedOut => Ended::TimedOut,
    }
}

fn require(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}
