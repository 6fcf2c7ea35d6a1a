//! Checkpoints: what an attempt remembers for the later attempts of its task instance.
//!
//! The first value of a key stays. So a program that writes each step's result under a key of its own, and
//! takes the value of the answer instead of its own, goes on where an earlier attempt stopped, whatever
//! became of that attempt.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::http::answer::Answer;
use crate::http::call::Call;
use crate::http::problem::{Problem, Slug};
use crate::ids::{CheckpointKey, LeaseId};
use crate::platform::Platform;
use crate::store::checkpoints::{self, CheckpointRow, Place, Room};
use crate::store::database::Database;
use crate::time::Timestamp;
use crate::value::{Payload, Value};

use super::App;
use super::leases;
use super::runs::payload;

/// A task instance may have at most this many checkpoints.
pub(crate) const CHECKPOINTS_MAX: u32 = 1000;
/// The values of all checkpoints of a task instance may have at most this many bytes together, as JSON. Every
/// claim of the instance carries them all.
pub(crate) const CHECKPOINT_BYTES_MAX: usize = 4 << 20;
/// How often a write that was refused looks again for the reason.
const TRIES_MAX: usize = 8;

/// What `PUT /leases/{lease_id}/checkpoints/{key}` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutCheckpoint {
    /// What to remember. At most 1 MiB as JSON; null is a value.
    value: Value,
}

/// A checkpoint as it is stored, which may be what an earlier attempt wrote.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Checkpoint")]
pub(crate) struct CheckpointShape {
    /// Its name in the task instance.
    key: CheckpointKey,
    /// The first value that was written.
    value: Payload,
    /// The attempt that wrote it.
    attempt: u32,
    /// When.
    created_at: Timestamp,
}

impl<D: Database, P: Platform> App<D, P> {
    pub(super) async fn put_checkpoint(&self, call: &Call<'_>) -> Result<Answer, Problem> {
        let lease: LeaseId = call.path("lease_id")?;
        let key: CheckpointKey = call.path("key")?;
        let PutCheckpoint { value } = call.body()?;
        let value = payload(&value, "/value")?;
        let stored = self.checkpoint(&lease, &key, value).await?;
        let CheckpointRow { value, attempt, created_at } = stored;
        Ok(Answer::json(200, &CheckpointShape { key, value, attempt, created_at }))
    }

    /// Remembers a value under a lease that is held, and answers with what is stored under the key: this
    /// value, or the first one.
    pub(super) async fn checkpoint(
        &self,
        lease: &LeaseId,
        key: &CheckpointKey,
        value: Payload,
    ) -> Result<CheckpointRow, Problem> {
        const ROOM: Room = Room { count_max: CHECKPOINTS_MAX as i64, bytes_max: CHECKPOINT_BYTES_MAX as i64 };
        let of = self.subject(lease).await?;
        for _ in 0..TRIES_MAX {
            let now = self.now();
            let row = self.first_row(checkpoints::place(&self.tenant, lease, &of, key, now)).await?;
            let row = row.ok_or_else(|| Problem::not_found("lease", lease))?;
            let place = checkpoints::read_place(row).map_err(|error| self.problem(&error))?;
            if !place.held {
                return Err(lost(&place));
            }
            if let Some(stored) = place.stored {
                return Ok(stored);
            }
            has_room(&place, &value)?;
            let batch = checkpoints::insert(&self.tenant, lease, &place, key, &value, ROOM, now);
            if self.write(batch).await? {
                return Ok(CheckpointRow { value, attempt: place.attempt, created_at: now });
            }
            // Somebody else was quicker: with the same key, with the last room, or with the end of the lease.
        }
        Err(Problem::unavailable("other writes kept coming first; try again"))
    }
}

fn lost(place: &Place) -> Problem {
    match place.ended.as_deref() {
        None => leases::lost("it has expired"),
        ended => leases::ended(ended),
    }
}

fn has_room(place: &Place, value: &Payload) -> Result<(), Problem> {
    let detail = if place.count >= i64::from(CHECKPOINTS_MAX) {
        format!("the task instance has {} checkpoints, which is as many as it may have", place.count)
    } else if place.bytes + value.byte_len() as i64 > CHECKPOINT_BYTES_MAX as i64 {
        format!(
            "the checkpoints of the task instance have {} bytes as JSON, and this one {}: at most \
             {CHECKPOINT_BYTES_MAX} are kept",
            place.bytes,
            value.byte_len()
        )
    } else {
        return Ok(());
    };
    Err(Problem::new(Slug::TooManyCheckpoints, detail))
}
