//! No question is answered as it cannot be: no fault of the server's own, nothing unknown that is known.

use super::{Property, Sight};
use crate::scene::Scene;
use crate::street::Ask;

/// No answer is out of place.
pub(super) struct NoAnswerOutOfPlace;

impl Property for NoAnswerOutOfPlace {
    fn name(&self) -> &'static str {
        "no answer is out of place"
    }

    fn observe(&mut self, sight: &Sight<'_>, scene: &Scene) -> Result<(), String> {
        match sight {
            Sight::Answered(call, reply) => {
                let found = reply.status;
                let expected = expected(&call.ask, scene);
                match found == 503 || expected.contains(&found) {
                    true => Ok(()),
                    false => Err(format!("{} {}: {found} {}", call.method, call.path, reply.body)),
                }
            }
            // What a server says of faults that it was dealt.
            Sight::Logged(line) if line.contains("unavailable") || line.contains("no room left") => Ok(()),
            Sight::Logged(line) => Err(format!("a server has logged: {line}")),
            _ => Ok(()),
        }
    }
}

/// What a question may be answered with, besides 503.
fn expected(ask: &Ask, scene: &Scene) -> &'static [u16] {
    match ask {
        Ask::Save => &[200, 201],
        Ask::Start { id: Some(_), .. } | Ask::Rerun { .. } => &[201, 409],
        // 409: the first request of this key is still under way.
        Ask::Start { id: None, .. } => &[201, 409],
        Ask::Steer { .. } => &[200, 202, 409, 412],
        Ask::Signal { .. } => &[202, 409],
        Ask::Claim { .. } => &[200],
        Ask::Report(reports) => match reports.iter().all(|(lease, _)| scene.leases.contains_key(lease)) {
            // 422: the key was used for another report.
            true => &[200, 409, 422],
            false => &[404, 422],
        },
        Ask::Heartbeat { .. } => &[200, 409],
        Ask::Result { .. } => &[200, 408, 422],
        Ask::Events { .. } | Ask::Look { .. } | Ask::Tasks { .. } => &[200],
    }
}
