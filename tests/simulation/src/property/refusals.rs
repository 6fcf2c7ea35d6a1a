//! A refusal is true: at some moment between the question and the answer, what was committed was such that
//! the thing could not be done.

use std::collections::{BTreeMap, BTreeSet};

use super::leases::reported;
use super::{Property, Sight};
use crate::model::{Ended, Phase, State};
use crate::plan::Act;
use crate::scene::Scene;
use crate::street::{Ask, Call, Reply};

/// By how much a server may be wrong about the time of a shared database, in milliseconds.
const CLOCK_ERROR: i64 = 3000;

/// Refusals are true.
#[derive(Default)]
pub(super) struct Refusals {
    windows: BTreeMap<u64, Window>,
    /// How many requests to retry a run may have done so: those that were not refused.
    retries: BTreeMap<String, u32>,
    /// Idempotency keys that were used: who uses one again gets the first answer, however long ago it was true.
    keys: BTreeSet<String>,
}

/// What was so while a question was under way.
struct Window {
    run: String,
    /// The latest time that a server may have decided by.
    latest_now: i64,
    phases: Vec<Phase>,
    /// Leases that were not held at some moment.
    lost: Vec<String>,
    leases: Vec<String>,
}

impl Property for Refusals {
    fn name(&self) -> &'static str {
        "refusals are true"
    }

    fn observe(&mut self, sight: &Sight<'_>, scene: &Scene) -> Result<(), String> {
        match sight {
            Sight::Asked(call) => self.asked(call, scene),
            // The clock may be set back next.
            Sight::Trouble => {
                for window in self.windows.values_mut() {
                    window.latest_now = window.latest_now.max(scene.latest_now);
                }
            }
            Sight::Committed(commit) => {
                for window in self.windows.values_mut() {
                    if window.run == commit.run {
                        window.phases.extend(scene.runs.get(&commit.run).map(|run| run.phase));
                    }
                    window.see_leases(scene);
                }
            }
            Sight::Answered(call, reply) => {
                self.own_doing(call, reply, scene)?;
                let window = self.windows.remove(&call.number);
                return window.map_or(Ok(()), |window| window.answered(call, reply, scene));
            }
            Sight::Dropped(number) => drop(self.windows.remove(number)),
            _ => {}
        }
        Ok(())
    }
}

impl Refusals {
    /// A request is not refused for what it has done itself.
    fn own_doing(&mut self, call: &Call, reply: &Reply, scene: &Scene) -> Result<(), String> {
        let Ask::Steer { run, act: Act::Retry } = &call.ask else { return Ok(()) };
        if reply.status != 409 {
            return Ok(());
        }
        let others = self.retries.get_mut(run).map_or(0, |retries| {
            *retries -= 1;
            *retries
        });
        match scene.runs.get(run) {
            Some(found) if found.retries > others => Err(format!(
                "run {run} was retried by this request, which is refused: {}",
                reply.body["detail"]
            )),
            _ => Ok(()),
        }
    }

    fn asked(&mut self, call: &Call, scene: &Scene) {
        if call.key.as_ref().is_some_and(|key| !self.keys.insert(key.clone())) {
            return;
        }
        if let Ask::Steer { run, act: Act::Retry } = &call.ask {
            *self.retries.entry(run.clone()).or_default() += 1;
        }
        let (run, leases) = match &call.ask {
            Ask::Steer { run, .. } | Ask::Signal { run, .. } => (run.clone(), Vec::new()),
            Ask::Report(reports) => (String::new(), reports.iter().map(|(lease, _)| lease.clone()).collect()),
            Ask::Heartbeat { lease } => (String::new(), vec![lease.clone()]),
            _ => return,
        };
        let phases = scene.runs.get(&run).map(|run| run.phase).into_iter().collect();
        let latest_now = scene.latest_now;
        let mut window = Window { run, latest_now, phases, lost: Vec::new(), leases };
        window.see_leases(scene);
        self.windows.insert(call.number, window);
    }
}

impl Window {
    fn see_leases(&mut self, scene: &Scene) {
        for lease in &self.leases {
            if scene.leases.get(lease).is_none_or(|lease| lease.ended.is_some()) && !self.lost.contains(lease)
            {
                self.lost.push(lease.clone());
            }
        }
    }

    fn answered(&self, call: &Call, reply: &Reply, scene: &Scene) -> Result<(), String> {
        let problem = reply.body["type"].as_str().unwrap_or_default();
        if problem.contains("idempotency") {
            return Ok(());
        }
        let phases = |fits: fn(&Phase) -> bool| self.phases.iter().any(fits);
        let ended = |phase: &Phase| matches!(phase, Phase::Ended(_));
        let is_true = match &call.ask {
            _ if reply.status != 409 && !call.path.ends_with("/batch") => return Ok(()),
            Ask::Steer { act: Act::Pause | Act::PauseIf | Act::Resume, .. } => {
                phases(|phase| !matches!(phase, Phase::Running | Phase::Paused))
            }
            Ask::Steer { act: Act::Cancel | Act::Force, .. } => phases(|phase| {
                matches!(phase, Phase::Ended(Ended::Completed | Ended::Failed | Ended::TimedOut))
            }),
            Ask::Steer { .. } => {
                phases(|phase| !matches!(phase, Phase::Ended(ended) if *ended != Ended::Completed))
            }
            Ask::Signal { .. } => phases(ended),
            Ask::Report(reports) => {
                let mut refused =
                    reported(call, reports, reply).into_iter().filter(|(_, _, status)| *status == 409);
                return refused.try_for_each(|(lease, ..)| self.lease_lost(lease, scene));
            }
            Ask::Heartbeat { lease } => return self.lease_lost(lease, scene),
            _ => true,
        };
        match is_true {
            true => Ok(()),
            false => Err(format!(
                "{:?} was refused ({}), and all the while the run was {:?}",
                call.ask, reply.body["detail"], self.phases
            )),
        }
    }

    fn lease_lost(&self, id: &str, scene: &Scene) -> Result<(), String> {
        if self.lost.iter().any(|lost| lost == id) {
            return Ok(());
        }
        let Some(lease) = scene.leases.get(id) else { return Ok(()) };
        let Some(run) = scene.runs.get(&lease.run) else { return Ok(()) };
        let error = if scene.shared { CLOCK_ERROR + scene.stepped } else { 0 };
        let now = (scene.latest_now.max(self.latest_now) + error).max(run.at);
        for (place, held) in run.held() {
            let timeout = run.spec.tasks[place].timeout.map_or(i64::MAX, |millis| held.since + millis);
            if held.lease == id && held.until.min(timeout) > now {
                return Err(format!(
                    "lease {id} is held until {}, and a report on it is refused at {now}",
                    held.until
                ));
            }
        }
        let is_held =
            run.tasks.iter().any(|task| matches!(&task.state, State::Held(held) if held.lease == id));
        debug_assert!(is_held, "a lease that has not ended is held");
        Ok(())
    }
}
