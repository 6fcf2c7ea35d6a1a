//! A run's history only grows: without a gap, in one order with all others, and what was said stays said.

use std::collections::BTreeMap;

use super::{Property, Sight};
use crate::scene::Scene;
use crate::store::text;

/// History only grows.
#[derive(Default)]
pub(super) struct HistoryGrows {
    last: BTreeMap<String, i64>,
    cursor: i64,
    rows: Vec<(String, i64, String)>,
}

impl Property for HistoryGrows {
    fn name(&self) -> &'static str {
        "history only grows"
    }

    fn observe(&mut self, sight: &Sight<'_>, _: &Scene) -> Result<(), String> {
        let Sight::Committed(commit) = sight else { return Ok(()) };
        let last = self.last.entry(commit.run.clone()).or_default();
        if commit.seq != *last + 1 {
            return Err(format!("event {} of run {} follows event {last}", commit.seq, commit.run));
        }
        if commit.last_seq - commit.seq + 1 != commit.events.len() as i64 {
            return Err(format!("the row at {} of run {} counts wrongly", commit.seq, commit.run));
        }
        if commit.cursor <= self.cursor {
            return Err(format!("cursor {} comes after {}", commit.cursor, self.cursor));
        }
        (*last, self.cursor) = (commit.last_seq, commit.cursor);
        self.rows.push((commit.run.clone(), commit.seq, commit.text.clone()));
        Ok(())
    }

    fn finish(&mut self, scene: &Scene) -> Result<(), String> {
        let sql = "SELECT run_id, seq, events FROM history ORDER BY cursor";
        let rows = scene.store.rows(sql, &[]);
        if rows.len() != self.rows.len() {
            return Err(format!("{} rows were seen to come, {} are there", self.rows.len(), rows.len()));
        }
        for (row, (run, seq, events)) in rows.iter().zip(&self.rows) {
            if text(&row[0]) != *run || row[1].as_i64() != Some(*seq) || text(&row[2]) != *events {
                return Err(format!("what was at {seq} of run {run} is not what it was"));
            }
        }
        Ok(())
    }
}
