//! What clients read is what was committed: no less than when they asked, nothing that is not there, and no
//! event ever reads differently.

use std::collections::BTreeMap;

use selvedge::time::Timestamp;

use super::{Property, Sight};
use crate::scene::Scene;
use crate::street::{Ask, Call, Reply};

/// Reads agree with what was committed.
#[derive(Default)]
pub(super) struct ReadsAgree {
    events: BTreeMap<String, Vec<(&'static str, Timestamp)>>,
    /// The latest revision of a run that anybody was told.
    revisions: BTreeMap<String, i64>,
    /// How many events there were, and the latest revision, when a question was asked.
    asked: BTreeMap<u64, (usize, i64)>,
}

impl Property for ReadsAgree {
    fn name(&self) -> &'static str {
        "reads agree"
    }

    fn observe(&mut self, sight: &Sight<'_>, _: &Scene) -> Result<(), String> {
        match sight {
            Sight::Committed(commit) => {
                let events = commit.events.iter().map(|event| (event.what.word(), event.at));
                self.events.entry(commit.run.clone()).or_default().extend(events);
                Ok(())
            }
            Sight::Asked(call) => {
                if let Ask::Events { run, .. } | Ask::Look { run } = &call.ask {
                    let events = self.events.get(run).map_or(0, Vec::len);
                    self.asked.insert(call.number, (events, self.revisions.get(run).copied().unwrap_or(0)));
                }
                Ok(())
            }
            Sight::Answered(call, reply) => self.answered(call, reply),
            Sight::Dropped(number) => {
                self.asked.remove(number);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl ReadsAgree {
    fn answered(&mut self, call: &Call, reply: &Reply) -> Result<(), String> {
        let asked = self.asked.remove(&call.number);
        if let (Ask::Look { run } | Ask::Steer { run, .. }, Some(revision)) = (&call.ask, reply.revision) {
            if let Some((_, known)) = asked
                && revision < known
            {
                return Err(format!("run {run} was read at revision {revision} after {known} was known"));
            }
            let known = self.revisions.entry(run.clone()).or_default();
            *known = revision.max(*known);
        }
        match (&call.ask, asked) {
            (Ask::Events { run, after }, Some((known, _))) if reply.status == 200 => {
                self.page(run, *after, known, reply)
            }
            _ => Ok(()),
        }
    }

    fn page(&self, run: &str, after: usize, known: usize, reply: &Reply) -> Result<(), String> {
        let items = reply.body["items"].as_array().ok_or("a page has items")?;
        let committed = self.events.get(run).map_or(&[][..], Vec::as_slice);
        for (at, item) in items.iter().enumerate() {
            let place = after + at;
            let Some((word, when)) = committed.get(place) else {
                return Err(format!("event {} of run {run} is read before it is there", place + 1));
            };
            let same = item["seq"] == place + 1 && item["type"] == *word && item["at"] == when.to_string();
            if !same {
                return Err(format!("event {} of run {run} is {word} at {when}, it reads {item}", place + 1));
            }
        }
        let is_last = reply.body["next_cursor"].is_null();
        if is_last && after + items.len() < known {
            return Err(format!("run {run} had {known} events, a reader got to {}", after + items.len()));
        }
        Ok(())
    }
}
