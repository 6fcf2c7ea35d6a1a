//! A request that is repeated has one effect.

use std::collections::{BTreeMap, BTreeSet};

use selvedge::engine::What;

use super::{Property, Sight};
use crate::plan::Start;
use crate::scene::Scene;
use crate::street::Ask;

/// One effect of one request.
#[derive(Default)]
pub(super) struct OneEffect {
    /// The run of each mark.
    marks: BTreeMap<String, String>,
    /// What signals carry: no two were sent with the same.
    payloads: BTreeSet<String>,
}

impl Property for OneEffect {
    fn name(&self) -> &'static str {
        "one effect of one request"
    }

    fn observe(&mut self, sight: &Sight<'_>, _: &Scene) -> Result<(), String> {
        match sight {
            Sight::Committed(commit) => {
                for event in &commit.events {
                    match &event.what {
                        What::RunCreated(created) if created.rerun_of.is_none() => {
                            for tag in &created.tags {
                                let first =
                                    self.marks.entry(tag.to_string()).or_insert_with(|| commit.run.clone());
                                if *first != commit.run {
                                    return Err(format!("{tag} started {first} and {}", commit.run));
                                }
                            }
                        }
                        What::SignalReceived { payload, .. }
                            if !self.payloads.insert(payload.as_str().to_owned()) =>
                        {
                            return Err(format!("signal {} was received twice", payload.as_str()));
                        }
                        _ => {}
                    }
                }
                Ok(())
            }
            Sight::Answered(call, reply) if reply.status == 201 => {
                let Ask::Start { mark, start, .. } = &call.ask else { return Ok(()) };
                let found = reply.body["id"].as_str().unwrap_or_default();
                match self.marks.get(mark) {
                    Some(run) if *start != Start::Bare && run != found => {
                        Err(format!("{mark} started {run}, and the answer names {found}"))
                    }
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}
