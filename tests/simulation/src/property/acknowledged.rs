//! What was acknowledged is in the database when the answer leaves. That it stays there is the business of
//! [history](super::history), which only grows.

use selvedge::engine::event::LeaseEnd;
use selvedge::store::database::Cell;
use selvedge::time::Timestamp;

use super::leases::reported;
use super::{Property, Sight};
use crate::model::{Ended, Phase, Run, State};
use crate::plan::Act;
use crate::scene::Scene;
use crate::street::{Ask, Call, Reply, Report};

/// Nothing acknowledged is lost.
#[derive(Default)]
pub(super) struct Acknowledged {
    /// Revisions that were acknowledged.
    revisions: Vec<(String, i64)>,
}

impl Property for Acknowledged {
    fn name(&self) -> &'static str {
        "nothing acknowledged is lost"
    }

    fn observe(&mut self, sight: &Sight<'_>, scene: &Scene) -> Result<(), String> {
        let Sight::Answered(call, reply) = sight else { return Ok(()) };
        match &call.ask {
            Ask::Start { id, .. } => started(id.as_deref(), reply, scene),
            Ask::Rerun { id } if reply.status == 201 => run(scene, id).map(drop),
            Ask::Steer { run: id, act } if reply.status < 300 => {
                let revision = reply.revision.ok_or("a run has a revision")?;
                self.revisions.push((id.clone(), revision));
                require_revision(scene, id, revision)?;
                steered(run(scene, id)?, *act)
            }
            Ask::Signal { run: of, payload, .. } if reply.status == 202 => {
                let payload = format!("\"{payload}\"");
                let there = run(scene, of)?.signals.iter().any(|signal| signal.payload == payload);
                require(there, || format!("signal {payload} is not there"))
            }
            Ask::Claim { worker, .. } if reply.status == 200 => claimed(worker, reply, scene),
            Ask::Report(reports) => reported(call, reports, reply)
                .into_iter()
                .filter(|(_, _, status)| *status == 200)
                .try_for_each(|(lease, report, _)| ended(lease, report, scene)),
            Ask::Heartbeat { lease } if reply.status == 200 => extended(lease, reply, scene),
            Ask::Result { run: id } => result(run(scene, id)?, reply),
            _ => known(call, reply, scene),
        }
    }

    fn finish(&mut self, scene: &Scene) -> Result<(), String> {
        self.revisions.iter().try_for_each(|(run, revision)| require_revision(scene, run, *revision))
    }
}

fn started(id: Option<&str>, reply: &Reply, scene: &Scene) -> Result<(), String> {
    match (reply.status, id) {
        (201, _) => {
            let found = reply.body["id"].as_str().unwrap_or_default();
            require(id.is_none_or(|id| id == found), || {
                format!("run {found} was started instead of {id:?}")
            })?;
            run(scene, found).map(drop)
        }
        (409, Some(id)) => run(scene, id).map(drop),
        _ => Ok(()),
    }
}

fn steered(run: &Run, act: Act) -> Result<(), String> {
    let done = match act {
        Act::Pause | Act::PauseIf => run.pauses > 0,
        // A run that was not paused when it was looked at goes on as it is.
        Act::Resume => true,
        Act::Cancel | Act::Force => run.stops > 0,
        _ => run.retries > 0,
    };
    require(done, || format!("{act:?} has not happened"))
}

fn claimed(worker: &str, reply: &Reply, scene: &Scene) -> Result<(), String> {
    for task in reply.body["tasks"].as_array().into_iter().flatten() {
        let id = task["lease_id"].as_str().unwrap_or_default();
        let lease = scene.leases.get(id).ok_or_else(|| format!("lease {id} was not granted"))?;
        let same = lease.worker == worker
            && task["run_id"] == lease.run.as_str()
            && task["task"] == lease.task.as_str()
            && task["attempt"] == lease.attempt;
        require(same, || format!("lease {id} is {lease:?}, {worker} was told {task}"))?;
    }
    Ok(())
}

fn ended(id: &str, report: &Report, scene: &Scene) -> Result<(), String> {
    let lease = scene.leases.get(id).ok_or_else(|| format!("lease {id} was not granted"))?;
    let as_said = match (&lease.ended, report) {
        (Some((LeaseEnd::Completed, output)), Report::Complete(number)) => {
            output.as_deref() == Some(number.to_string().as_str())
        }
        (Some((LeaseEnd::Failed | LeaseEnd::Cancelled, _)), Report::Fail { .. }) => true,
        (Some((LeaseEnd::Released | LeaseEnd::Cancelled, _)), Report::Release) => true,
        _ => false,
    };
    require(as_said, || format!("{report:?} on lease {id}, which is {lease:?}"))
}

fn extended(id: &str, reply: &Reply, scene: &Scene) -> Result<(), String> {
    let until = reply.body["lease_expires_at"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let until = until.ok_or("a heartbeat says until when")?.as_millis();
    let lease = scene.leases.get(id).ok_or_else(|| format!("lease {id} was not granted"))?;
    let held = run(scene, &lease.run)?.tasks.iter().find_map(|task| match &task.state {
        State::Held(held) if held.lease == id => Some(held.until),
        _ => None,
    });
    let kept = held.is_none_or(|held| held >= until);
    require(kept, || format!("lease {id} lasts until {held:?}, its holder was told {until}"))
}

fn result(run: &Run, reply: &Reply) -> Result<(), String> {
    match reply.status {
        200 => require(run.phase == Phase::Ended(Ended::Completed), || "it has not completed".to_owned()),
        422 => require(run.stops > 0, || "it was not stopped".to_owned()),
        _ => Ok(()),
    }
}

/// Whatever is read of a run: it is there.
fn known(call: &Call, reply: &Reply, scene: &Scene) -> Result<(), String> {
    match &call.ask {
        Ask::Events { run: id, .. } | Ask::Look { run: id } | Ask::Tasks { run: id }
            if reply.status == 200 =>
        {
            run(scene, id).map(drop)
        }
        _ => Ok(()),
    }
}

fn run<'a>(scene: &'a Scene, id: &str) -> Result<&'a Run, String> {
    scene.runs.get(id).ok_or_else(|| format!("run {id} is not there"))
}

fn require_revision(scene: &Scene, run: &str, revision: i64) -> Result<(), String> {
    let sql = "SELECT revision FROM runs WHERE tenant = 'default' AND id = ?1";
    let found = scene.store.rows(sql, &[Cell::from(run)]).first().and_then(|row| row[0].as_i64());
    require(found >= Some(revision), || {
        format!("run {run} has revision {found:?}, {revision} was acknowledged")
    })
}

fn require(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}
