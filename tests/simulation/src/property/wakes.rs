//! Nobody waits in vain: once nothing goes wrong any more, timers fire, claims get what is ready, and who waits
//! for a run to end learns of it.

use std::collections::BTreeMap;

use super::{Property, Sight};
use crate::model::{Phase, Run, State};
use crate::plan::Plan;
use crate::scene::Scene;
use crate::street::{Ask, Call};

/// How late a timer may be where servers look for each other's timers, in milliseconds: they do every 5 s, with
/// clocks that are off a little.
const LATE_SHARED: i64 = 12_000;
/// How long somebody may wait where servers look for each other's commits, in milliseconds: they do every second.
const WAIT_SHARED: u64 = 5000;

/// No wake-up is lost.
pub(super) struct NoLostWakeUp {
    late: i64,
    wait: u64,
    /// Questions under way that may be waiting.
    waiting: BTreeMap<u64, Call>,
    /// Since when something is there for them, in the world's milliseconds.
    since: BTreeMap<u64, u64>,
}

impl NoLostWakeUp {
    /// None in this world.
    pub(super) fn new(plan: &Plan) -> Self {
        let (late, wait) = if plan.shared { (LATE_SHARED, WAIT_SHARED) } else { (0, 0) };
        Self { late, wait, waiting: BTreeMap::new(), since: BTreeMap::new() }
    }
}

impl Property for NoLostWakeUp {
    fn name(&self) -> &'static str {
        "no wake-up is lost"
    }

    fn observe(&mut self, sight: &Sight<'_>, scene: &Scene) -> Result<(), String> {
        match sight {
            Sight::Asked(call) if matches!(call.ask, Ask::Claim { wait: 1.., .. } | Ask::Result { .. }) => {
                self.waiting.insert(call.number, (*call).clone());
            }
            Sight::Answered(call, _) => self.forget(call.number),
            Sight::Dropped(number) => self.forget(*number),
            Sight::Trouble => self.since.clear(),
            Sight::Quiet if scene.is_calm() => {
                self.check_timers(scene)?;
                return self.check_waits(scene);
            }
            _ => {}
        }
        Ok(())
    }
}

impl NoLostWakeUp {
    fn forget(&mut self, number: u64) {
        self.waiting.remove(&number);
        self.since.remove(&number);
    }

    fn check_timers(&self, scene: &Scene) -> Result<(), String> {
        for (id, run) in &scene.runs {
            let Some(due) = run.first_timer() else { continue };
            let late = scene.earliest_now - due.at;
            if late > self.late + scene.overslept(due.at) {
                let of = due
                    .task
                    .map_or(String::new(), |place| format!(" of task {}", run.spec.tasks[place].name));
                return Err(format!("run {id}: {}{of} is {late} ms late", due.what));
            }
        }
        Ok(())
    }

    fn check_waits(&mut self, scene: &Scene) -> Result<(), String> {
        let now = scene.clock.passed();
        for (number, call) in &self.waiting {
            let Some(what) = there_is(call, scene) else {
                self.since.remove(number);
                continue;
            };
            let since = *self.since.entry(*number).or_insert(now);
            if now - since >= self.wait.max(1) || self.wait == 0 {
                return Err(format!("{} waits with {} {}, and {what}", call.person, call.method, call.path));
            }
        }
        Ok(())
    }
}

/// What there is for the one who waits.
fn there_is(call: &Call, scene: &Scene) -> Option<String> {
    match &call.ask {
        Ask::Claim { queues, labels, .. } => scene.runs.iter().find_map(|(id, run)| {
            ready(run, queues, labels).map(|task| format!("task {task} of run {id} is ready"))
        }),
        Ask::Result { run } => {
            scene.runs.get(run).filter(|run| run.has_ended()).map(|_| format!("run {run} has ended"))
        }
        _ => None,
    }
}

fn ready<'a>(run: &'a Run, queues: &[&str], labels: &[&str]) -> Option<&'a str> {
    if run.phase != Phase::Running {
        return None;
    }
    let mut tasks = run.spec.tasks.iter().zip(&run.tasks);
    let found = tasks.find(|(spec, task)| {
        let queue = spec.queue.as_deref().is_some_and(|queue| queues.contains(&queue));
        let carries = spec.labels.iter().all(|label| labels.contains(&label.as_str()));
        queue && carries && matches!(task.state, State::Ready(_))
    });
    found.map(|(spec, _)| spec.name.as_str())
}
