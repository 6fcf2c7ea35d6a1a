//! An attempt is one worker's at a time, and one report ends it.

use std::collections::{BTreeMap, BTreeSet};

use selvedge::engine::event::LeaseEnd;

use super::{Property, Sight};
use crate::scene::Scene;
use crate::store::text;
use crate::street::{Ask, Call, Reply, Report};

/// One holder, one report.
#[derive(Default)]
pub(super) struct OneHolder {
    /// Who was told of which lease.
    told: BTreeMap<String, String>,
    /// The report that each lease was acknowledged to have ended with.
    reports: BTreeMap<String, Report>,
    /// The lease under which each attempt was acknowledged to be complete.
    completed: BTreeMap<(String, String, u32), String>,
}

impl Property for OneHolder {
    fn name(&self) -> &'static str {
        "one holder, one report"
    }

    fn observe(&mut self, sight: &Sight<'_>, scene: &Scene) -> Result<(), String> {
        let Sight::Answered(call, reply) = sight else { return Ok(()) };
        match &call.ask {
            Ask::Claim { worker, .. } if reply.status == 200 => self.claimed(worker, reply),
            Ask::Report(reports) => reported(call, reports, reply)
                .into_iter()
                .filter(|(_, _, status)| *status == 200)
                .try_for_each(|(lease, report, _)| self.accepted(lease, report, scene)),
            _ => Ok(()),
        }
    }

    fn finish(&mut self, scene: &Scene) -> Result<(), String> {
        let rows = scene.store.rows("SELECT lease_id, ended FROM leases ORDER BY lease_id", &[]);
        let rows: BTreeMap<String, String> = rows.iter().map(|row| (text(&row[0]), text(&row[1]))).collect();
        if let Some(id) = rows.keys().find(|id| !scene.leases.contains_key(*id)) {
            return Err(format!("nobody granted lease {id}"));
        }
        for (id, granted) in &scene.leases {
            // That it has completed its task says the task's own row.
            let ended = granted.ended.as_ref().map(|(end, _)| *end).filter(|end| *end != LeaseEnd::Completed);
            let (row, ended) = (rows.get(id).map_or("", String::as_str), ended.map_or("", LeaseEnd::word));
            if row != ended {
                return Err(format!("lease {id} has ended as {ended:?}, its row says {row:?}"));
            }
        }
        // … which has the lease still, as it has one that is held.
        let kept =
            "SELECT lease_id FROM tasks WHERE status IN ('running', 'completed') AND lease_id IS NOT NULL";
        let kept: BTreeSet<String> = scene.store.rows(kept, &[]).iter().map(|row| text(&row[0])).collect();
        let lasting = scene
            .leases
            .iter()
            .filter(|(_, granted)| granted.ended.as_ref().is_none_or(|(end, _)| *end == LeaseEnd::Completed));
        let lasting: BTreeSet<String> = lasting.map(|(id, _)| id.clone()).collect();
        if let Some(id) = kept.symmetric_difference(&lasting).next() {
            return Err(format!(
                "tasks are kept under {} leases, {} are right: {id}",
                kept.len(),
                lasting.len()
            ));
        }
        Ok(())
    }
}

impl OneHolder {
    fn claimed(&mut self, worker: &str, reply: &Reply) -> Result<(), String> {
        for task in reply.body["tasks"].as_array().into_iter().flatten() {
            let lease = task["lease_id"].as_str().unwrap_or_default();
            let first = self.told.entry(lease.to_owned()).or_insert_with(|| worker.to_owned());
            if first != worker {
                return Err(format!("lease {lease} was given to {first} and to {worker}"));
            }
        }
        Ok(())
    }

    fn accepted(&mut self, id: &str, report: &Report, scene: &Scene) -> Result<(), String> {
        let first = self.reports.entry(id.to_owned()).or_insert_with(|| report.clone());
        if first != report {
            return Err(format!("lease {id} has ended with {first:?} and with {report:?}"));
        }
        let (Report::Complete(_), Some(lease)) = (report, scene.leases.get(id)) else { return Ok(()) };
        let attempt = (lease.run.clone(), lease.task.clone(), lease.attempt);
        let first = self.completed.entry(attempt).or_insert_with(|| id.to_owned());
        if first != id {
            return Err(format!("one attempt was completed under {first} and under {id}"));
        }
        Ok(())
    }
}

/// The reports of a request, each with the status of its own.
pub(super) fn reported<'a>(
    call: &'a Call,
    reports: &'a [(String, Report)],
    reply: &Reply,
) -> Vec<(&'a str, &'a Report, u16)> {
    let alone = !call.path.ends_with("/batch");
    let status = |at: usize| match alone {
        true => reply.status,
        false => reply.body["items"][at]["status"].as_u64().unwrap_or(u64::from(reply.status)) as u16,
    };
    reports.iter().enumerate().map(|(at, (lease, report))| (lease.as_str(), report, status(at))).collect()
}
