//! What a request brings along to a commit: its condition, and the record by which its repetition is known.

use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::engine::{Decided, Run};
use crate::http::answer::{Answer, AnswerBody, Replayed};
use crate::http::call::Call;
use crate::http::etag::Condition;
use crate::http::problem::Problem;
use crate::ids::{TenantId, hex};
use crate::planted::{self, Bug};
use crate::store::database::Batch;
use crate::store::idempotency;
use crate::store::projection::Extras;
use crate::time::{Duration, Timestamp};
use crate::value::{Payload, Value};

use super::commit::Along;
use super::fault::Fault;

/// How long answers are kept.
pub(super) const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);

/// The record of a request that carries an `Idempotency-Key`.
#[derive(Debug)]
pub(super) struct Keep {
    pub(super) tenant: TenantId,
    pub(super) scope: String,
    pub(super) digest: String,
    pub(super) now: Timestamp,
    kept: AtomicBool,
}

/// An answer or a problem as the record holds it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Stored {
    /// A success.
    Answer { status: u16, body: Option<Payload>, location: Option<String>, version: Option<String> },
    /// A refusal.
    Problem(Problem),
}

impl Keep {
    /// The record of a call, if it carries a key. `principal` is who calls.
    pub(super) fn of(call: &Call<'_>, tenant: &TenantId, now: Timestamp) -> Result<Option<Self>, Problem> {
        let Some(key) = call.idempotency_key()? else { return Ok(None) };
        let fingerprint = call.fingerprint()?;
        Ok(Some(Self {
            tenant: tenant.clone(),
            scope: digest(&[call.operation.method.name(), call.target(), &key]),
            digest: hex(&fingerprint),
            now,
            kept: AtomicBool::new(false),
        }))
    }

    /// Answers kept before this are forgotten.
    pub(super) fn since(&self) -> Timestamp {
        Timestamp::from_millis(self.now.as_millis() - KEPT_FOR.as_millis() as i64)
    }

    /// Adds the record to a batch that commits with the effect.
    pub(super) fn add(&self, batch: &mut Batch, stored: &Stored) {
        let text = serde_json::to_string(stored).expect("answers have string keys and finite numbers");
        idempotency::keep(batch, &self.tenant, &self.scope, &self.digest, &text, self.now, self.since());
        self.kept.store(true, Ordering::SeqCst);
    }

    /// Whether the record went along with a commit.
    pub(super) fn is_kept(&self) -> bool {
        self.kept.load(Ordering::SeqCst)
    }
}

impl Stored {
    /// The stored form of an answer that is a resource or nothing.
    pub(super) fn of(answer: &Answer) -> Self {
        let body = match &answer.body {
            AnswerBody::Json(payload) => Some(payload.clone()),
            AnswerBody::Text { text, .. } => Some(Payload::from(&Value::from(text.as_str()))),
            AnswerBody::Bytes { bytes, .. } => Some(Payload::from(&Value::Bytes(bytes.to_vec()))),
            AnswerBody::Empty => None,
        };
        let (location, version) = (answer.location.clone(), answer.version.clone());
        Self::Answer { status: answer.status, body, location, version }
    }

    /// The answer again, marked as a repetition.
    pub(super) fn replay(self) -> Result<Answer, Problem> {
        match self {
            Stored::Answer { status, body, location, version } => {
                let body = body.map_or(AnswerBody::Empty, AnswerBody::Json);
                Ok(Answer { status, body, location, version, replayed: Replayed::Yes })
            }
            Stored::Problem(problem) => Err(Problem { replayed: Replayed::Yes, ..problem }),
        }
    }
}

/// A request's own part of a commit on a run.
pub(super) struct Ask<'a, F> {
    pub(super) if_match: Option<Condition>,
    pub(super) keep: Option<&'a Keep>,
    pub(super) digest: Option<&'a str>,
    /// The answer that the decision leads to, before it is committed.
    pub(super) answer: F,
}

impl<F: Fn(&Decided) -> Answer> Along for Ask<'_, F> {
    fn check(&self, run: &Run) -> Result<(), Fault> {
        match &self.if_match {
            Some(condition) => condition
                .require(Some(&run.revision.to_string()))
                .map_err(|problem| Fault::Condition(Box::new(problem))),
            None => Ok(()),
        }
    }

    fn add(&self, decided: &Decided, batch: &mut Batch) {
        if let Some(keep) = self.keep.filter(|_| !planted::is(Bug::KeptLater)) {
            keep.add(batch, &Stored::of(&(self.answer)(decided)));
        }
    }

    fn extras(&self) -> Extras<'_> {
        Extras { digest: self.digest, ..Extras::default() }
    }
}

/// SHA-256 of texts, each with its length before it, in hexadecimal.
pub(super) fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex(&hash.finalize())
}
