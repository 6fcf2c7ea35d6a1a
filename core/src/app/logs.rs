//! What tasks print: appended under a lease, read as pages.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::http::answer::Answer;
use crate::http::call::Call;
use crate::http::page::{Cursor, FilterHash, Limit, Page};
use crate::http::problem::{FieldError, Problem, Slug};
use crate::ids::{LeaseId, RunId};
use crate::platform::Platform;
use crate::store::database::Database;
use crate::store::leases::LeaseRow;
use crate::store::logs::{self, ChunkRow, NewChunk, Wanted};
use crate::time::Timestamp;
use crate::value::Value;

use super::App;
use super::leases;
use super::request::{Keep, Stored};
use super::shapes::LogShape;
use super::workflows::cut;

/// An attempt may print at most this much; then one mark says that the rest is missing.
pub(crate) const LOG_BYTES_MAX: i64 = 16 << 20;
/// One call may bring at most this many chunks.
const CHUNKS_MAX: usize = 1000;
/// The text of the mark.
const TRUNCATED: &str = "[selvedge: this attempt has printed more than 16 MiB, the rest is not kept]\n";

/// What `POST /leases/{lease_id}/logs` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AppendLogs {
    /// The chunks, in order.
    #[schemars(length(min = 1, max = 1000))]
    chunks: Vec<Chunk>,
}

/// A piece of what a task printed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Chunk {
    /// The worker's number for it: the same number again is ignored.
    #[serde(default)]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    seq: Option<i64>,
    /// `stdout`, `stderr` or a name of the task's own.
    #[schemars(regex(pattern = "^[A-Za-z0-9._-]{1,64}$"))]
    stream: String,
    /// What it printed.
    text: String,
    /// When; the time of the call, unless it is given.
    #[serde(default)]
    at: Option<Timestamp>,
}

/// How much was kept.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Appended {
    /// How many chunks were new and are stored now.
    appended: u32,
    /// Whether the attempt has printed as much as it may.
    truncated: bool,
}

/// The query of log pages.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogsQuery {
    /// Only of this stream.
    #[serde(default)]
    stream: Option<String>,
    /// Only of this attempt.
    #[serde(default)]
    attempt: Option<u32>,
    /// Only chunks whose `cursor` is higher.
    #[serde(default)]
    #[schemars(regex(pattern = "^[0-9]{1,18}$"))]
    after: Option<String>,
    /// How many items the page may have.
    #[serde(default, skip_serializing)]
    limit: Limit,
    /// The `next_cursor` of the page before.
    #[serde(default, skip_serializing)]
    cursor: Option<String>,
}

impl<D: Database, P: Platform> App<D, P> {
    pub(super) async fn append_logs(&self, call: &Call<'_>, keep: Option<&Keep>) -> Result<Answer, Problem> {
        let id: LeaseId = call.path("lease_id")?;
        let AppendLogs { chunks } = call.body()?;
        check(&chunks)?;
        let lease = self.lease(&id).await?;
        let now = self.now();
        let chunks = self.unknown_chunks(&lease, chunks, now).await?;
        let (chunks, bytes, truncated) = fitting(chunks, lease.log_bytes, now);
        let answer = Answer::json(200, &Appended { appended: chunks.len() as u32, truncated });
        let mut batch = logs::append(&self.tenant, &lease, &chunks, bytes);
        if let Some(keep) = keep {
            keep.add(&mut batch, &Stored::of(&answer));
        }
        if self.write(batch).await? {
            return Ok(answer);
        }
        let lease = self.lease(&id).await?;
        Err(leases::ended(lease.ended.as_deref()))
    }

    /// The chunks whose numbers are not stored yet, each number once.
    async fn unknown_chunks(
        &self,
        lease: &LeaseRow,
        chunks: Vec<Chunk>,
        now: Timestamp,
    ) -> Result<Vec<NewChunk>, Problem> {
        let seqs = || chunks.iter().filter_map(|chunk| chunk.seq);
        let mut known = std::collections::BTreeSet::new();
        if let (Some(from), Some(to)) = (seqs().min(), seqs().max()) {
            let rows = self.read(vec![logs::stored_seqs(&self.tenant, &lease.id, from, to)]).await?;
            for row in rows.into_iter().flatten() {
                known.insert(logs::read_seq(row).map_err(|error| self.problem(&error))?);
            }
        }
        let new = |chunk: &Chunk| chunk.seq.is_none_or(|seq| known.insert(seq));
        let mut unknown = Vec::new();
        let mut new = new;
        for chunk in chunks {
            if new(&chunk) {
                let at = chunk.at.unwrap_or(now);
                unknown.push(NewChunk { seq: chunk.seq, stream: chunk.stream, text: chunk.text, at });
            }
        }
        Ok(unknown)
    }

    pub(super) async fn run_logs(&self, call: &Call<'_>) -> Result<Answer, Problem> {
        let id: RunId = call.path("id")?;
        self.require_run(&id).await?;
        self.log_page(call, &id, None).await
    }

    pub(super) async fn task_logs(&self, call: &Call<'_>) -> Result<Answer, Problem> {
        let id: RunId = call.path("id")?;
        let task: String = call.path("task")?;
        let run = self.run(&id).await?;
        let workflow = self.workflow_of(&run).await.map_err(|error| self.problem(&error))?;
        let key = super::tasks::find(&workflow, &task).ok_or_else(|| Problem::not_found("task", &task))?;
        let name = workflow.task(key.task).name.text();
        self.log_page(call, &id, Some((name, key.index))).await
    }

    async fn log_page(
        &self,
        call: &Call<'_>,
        run: &RunId,
        task: Option<(std::sync::Arc<str>, Option<u32>)>,
    ) -> Result<Answer, Problem> {
        let query: LogsQuery = call.query()?;
        let filters = FilterHash::of(&("logs", run.as_str(), &task, &query));
        let after = match (&query.cursor, &query.after) {
            (Some(cursor), _) => match Cursor::decode(cursor, filters)?.as_slice() {
                [Value::Int(cursor)] => *cursor,
                _ => return Err(Cursor::malformed()),
            },
            (None, Some(after)) => {
                after.parse::<i64>().ok().filter(|after| *after >= 0).ok_or_else(|| {
                    Problem::invalid_parameter("/query/after", "expected a chunk's cursor, a decimal number")
                })?
            }
            (None, None) => 0,
        };
        let limit = query.limit.get();
        let wanted = Wanted { task, stream: query.stream.clone(), attempt: query.attempt };
        let rows = self.read(vec![logs::after(&self.tenant, run, &wanted, after, limit + 1)]).await?;
        let rows: Result<Vec<ChunkRow>, _> = rows.into_iter().flatten().map(logs::read).collect();
        let rows = rows.map_err(|error| self.problem(&error))?;
        let bytes: i64 = rows.iter().map(|row| row.text.len() as i64).sum();
        let place = |row: &ChunkRow| Cursor::encode(filters, &[Value::Int(row.cursor)]);
        let last = rows.last().map(place);
        let (rows, next) = cut(rows, limit, place);
        // Where the page is cut by its length, more may follow.
        let next = next.or(last.filter(|_| bytes >= logs::PAGE_BYTES_MAX));
        Ok(Answer::json(200, &Page::new(rows.into_iter().map(LogShape::from).collect(), next)))
    }
}

fn check(chunks: &[Chunk]) -> Result<(), Problem> {
    let mut errors = Vec::new();
    if chunks.is_empty() || chunks.len() > CHUNKS_MAX {
        errors.push(FieldError::new(
            "/chunks",
            format!("expected 1 to {CHUNKS_MAX} chunks, found {}", chunks.len()),
        ));
    }
    for (index, chunk) in chunks.iter().enumerate() {
        let name = &chunk.stream;
        let fits = (1..=64).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if !fits {
            let message = format!("a stream's name must match ^[A-Za-z0-9._-]{{1,64}}$, found {name:?}");
            errors.push(FieldError::new(format!("/chunks/{index}/stream"), message));
        }
        if chunk.seq.is_some_and(|seq| !(0..=9_007_199_254_740_991).contains(&seq)) {
            errors
                .push(FieldError::new(format!("/chunks/{index}/seq"), "expected a number from 0 to 2^53-1"));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Problem::with_errors(Slug::MalformedRequest, errors)) }
}

/// What of these an attempt that has printed `printed` bytes may still keep, with the mark where it ends.
fn fitting(chunks: Vec<NewChunk>, printed: i64, now: Timestamp) -> (Vec<NewChunk>, i64, bool) {
    let mut kept = Vec::new();
    let mut bytes = 0;
    let mut truncated = printed > LOG_BYTES_MAX;
    for chunk in chunks {
        if truncated {
            break;
        }
        bytes += chunk.text.len() as i64;
        if printed + bytes > LOG_BYTES_MAX {
            truncated = true;
            let (stream, text) = (chunk.stream, TRUNCATED.to_owned());
            kept.push(NewChunk { seq: chunk.seq, stream, text, at: now });
        } else {
            kept.push(chunk);
        }
    }
    (kept, bytes, truncated)
}
