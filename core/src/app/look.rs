//! What a claim reads before it grants: one batch, so that a claim on a remote database is one read and one
//! write.
//!
//! Which lanes a queue has is remembered, so that their heads are read in the same batch as the lanes
//! themselves; only a lane that is new costs a second one. Where the database is far, the runs of the heads
//! are read along.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::ids::{Label, QueueName, RunId};
use crate::platform::Platform;
use crate::store::claims::{self, Candidate, Lane};
use crate::store::database::{Batch, Database, Row, Statement};
use crate::store::{StoreError, runs, tasks, workers};
use crate::time::Duration;

use super::App;
use super::claim::Asked;
use super::commit::ROWS_READ_ALONG;
use super::fault::Fault;
use super::hot::HotRun;

/// How often at the most a worker's claims are written down.
const SEEN_EVERY: Duration = Duration::from_secs(10);
/// How many heads of one lane a claim looks at, at the most.
const HEADS_MAX: usize = 2000;
/// Of how many heads the runs are read along.
const RUNS_READ_ALONG: usize = 16;

/// What a claim has found.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// The heads of the lanes that the worker may claim from, in the order of claims.
    pub(super) candidates: Vec<Candidate>,
    /// Their runs, as far as they were read along.
    pub(super) runs: HashMap<RunId, HotRun>,
    /// Whether these are all that there are.
    pub(super) is_all: bool,
    /// Whether the worker is to get anything.
    pub(super) claimant: Claimant,
}

/// A worker as the database knows it.
#[derive(Debug, Default)]
pub(super) enum Claimant {
    /// It gets tasks, and what is to be written down of it.
    Welcome(Option<Batch>),
    /// It gets no more.
    Draining,
    /// An executor of this server, which needs no row.
    #[default]
    Own,
}

/// What is written down of a worker that claims.
#[derive(Debug, Clone, Copy)]
pub(super) struct Note<'a> {
    pub(super) queues: &'a [QueueName],
    pub(super) labels: &'a [Label],
    pub(super) capacity: u32,
}

/// The answers of one batch, taken in the order in which they were asked for.
struct Answers(std::vec::IntoIter<Vec<Row>>);

impl Answers {
    fn next(&mut self) -> Vec<Row> {
        self.0.next().unwrap_or_default()
    }
}

impl<D: Database, P: Platform> App<D, P> {
    /// Looks at what there is to claim.
    pub(super) async fn look(&self, asked: &Asked<'_>) -> Result<Looked, Fault> {
        // Once for the question and its answer: other claims come and go meanwhile.
        let limit = (asked.max_tasks + self.queues.in_flight()).min(HEADS_MAX);
        let mut reads = Vec::new();
        if asked.note.is_some() {
            reads.push(workers::presence(asked.tenant, asked.worker));
        }
        reads.extend(asked.queues.iter().map(|queue| claims::lanes(asked.tenant, queue)));
        let known: Vec<(Arc<str>, Arc<str>)> = asked
            .queues
            .iter()
            .flat_map(|queue| {
                let lanes = self.queues.lanes(asked.tenant, queue).into_iter();
                lanes.filter(|lane| fits(lane, asked)).map(|lane| (queue.clone(), lane.lane))
            })
            .collect();
        self.ask_heads(asked, &known, limit, &mut reads);
        let mut answers = Answers(self.database.read(reads).await?.into_iter());
        let claimant = match asked.note {
            Some(note) => self.claimant(asked, note, answers.next())?,
            None => Claimant::Own,
        };
        let mut new = Vec::new();
        for queue in &asked.queues {
            let lanes: Result<Vec<Lane>, StoreError> =
                answers.next().into_iter().map(claims::read_lane).collect();
            for lane in lanes? {
                if fits(&lane, asked) && !known.iter().any(|(_, known)| *known == lane.lane) {
                    new.push((queue.clone(), lane.lane.clone()));
                }
                self.queues.learn(asked.tenant, queue, lane);
            }
        }
        let mut looked = Looked { claimant, ..Looked::default() };
        self.take_heads(asked, &known, limit, &mut answers, &mut looked).await?;
        if !new.is_empty() {
            let mut reads = Vec::new();
            self.ask_heads(asked, &new, limit, &mut reads);
            let mut answers = Answers(self.database.read(reads).await?.into_iter());
            self.take_heads(asked, &new, limit, &mut answers, &mut looked).await?;
        }
        looked.is_all = looked.candidates.len() < limit;
        looked.candidates.sort_by_key(|candidate| (-candidate.priority, candidate.fair_order));
        Ok(looked)
    }

    fn ask_heads(
        &self,
        asked: &Asked<'_>,
        lanes: &[(Arc<str>, Arc<str>)],
        limit: usize,
        reads: &mut Vec<Statement>,
    ) {
        for (_, lane) in lanes {
            reads.push(claims::head(asked.tenant, lane, limit));
            if self.settings.shared {
                let heads = limit.min(RUNS_READ_ALONG);
                reads.push(runs::of_heads(asked.tenant, lane, heads));
                reads.push(tasks::few_of_heads(asked.tenant, lane, heads, heads * ROWS_READ_ALONG));
            }
        }
    }

    async fn take_heads(
        &self,
        asked: &Asked<'_>,
        lanes: &[(Arc<str>, Arc<str>)],
        limit: usize,
        answers: &mut Answers,
        looked: &mut Looked,
    ) -> Result<(), Fault> {
        for (queue, _) in lanes {
            let read: Result<Vec<Candidate>, StoreError> =
                answers.next().into_iter().map(claims::read_candidate).collect();
            let read = read?;
            if let Some(head) = read.first() {
                self.queues.advance(asked.tenant, queue, head.fair_order);
            }
            looked.candidates.extend(read);
            if self.settings.shared {
                let (headers, rows) = (answers.next(), answers.next());
                self.take_runs(headers, rows, limit.min(RUNS_READ_ALONG) * ROWS_READ_ALONG, looked).await?;
            }
        }
        Ok(())
    }

    /// Puts runs together from their headers and rows, of which `asked` were asked for.
    async fn take_runs(
        &self,
        headers: Vec<Row>,
        rows: Vec<Row>,
        asked: usize,
        looked: &mut Looked,
    ) -> Result<(), Fault> {
        let is_cut = rows.len() >= asked;
        let mut by_run: BTreeMap<RunId, Vec<Row>> = BTreeMap::new();
        for mut row in rows {
            let id = row.remove(0);
            if let Some(id) = id.as_text() {
                by_run.entry(RunId::trusted(id.clone())).or_default().push(row);
            }
        }
        if is_cut {
            // The last run may have more rows than were read.
            by_run.pop_last();
        }
        for header in headers {
            let run = runs::read_run(header)?;
            let Some(rows) = by_run.remove(&run.id) else { continue };
            let workflow = self.workflow_of(&run).await?;
            let asked = rows.len() + 1;
            looked.runs.insert(run.id.clone(), HotRun::read(run, workflow, rows, asked)?);
        }
        Ok(())
    }

    /// What of the worker is to be written down, from its row.
    fn claimant(&self, asked: &Asked<'_>, note: Note<'_>, rows: Vec<Row>) -> Result<Claimant, StoreError> {
        let now = self.now();
        let Some(row) = rows.into_iter().next().map(workers::read_presence).transpose()? else {
            let batch =
                workers::register(asked.tenant, asked.worker, note.queues, note.labels, note.capacity, now);
            return Ok(Claimant::Welcome(Some(batch)));
        };
        if row.draining {
            return Ok(Claimant::Draining);
        }
        let is_due = row.last_seen_at.plus(SEEN_EVERY) <= now;
        Ok(Claimant::Welcome(is_due.then(|| workers::seen(asked.tenant, asked.worker, now))))
    }
}

/// Whether the worker carries what a lane asks for.
fn fits(lane: &Lane, asked: &Asked<'_>) -> bool {
    lane.labels.iter().all(|label| asked.labels.contains(label))
}
