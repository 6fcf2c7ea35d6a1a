//! The first decision of a run, before there is anything to load.

use std::sync::Arc;

use crate::ids::{RunId, TenantId};
use crate::time::Timestamp;
use crate::value::Payload;
use crate::workflow::model::{TaskIx, Workflow};

use super::command::Decided;
use super::event::{Created, What};
use super::ready::begin;
use super::run::{Counts, Run, RunPhase};
use super::slice::{Missing, Slice};
use super::task::Key;
use super::turn::Turn;

/// A run to be.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Who owns it.
    pub tenant: TenantId,
    /// Its id.
    pub id: RunId,
    /// Everything that its first event says.
    pub created: Created,
    /// Results taken over from another run, in a rerun from a task.
    pub reused: Vec<Reused>,
}

/// One result taken over.
#[derive(Debug, Clone)]
pub struct Reused {
    /// The task.
    pub task: TaskIx,
    /// What it answered.
    pub output: Payload,
    /// In which run.
    pub from: RunId,
}

/// Creates a run and, unless its `start_at` lies ahead, begins its first tasks.
pub fn start(new: NewRun, workflow: Arc<Workflow>, now: Timestamp) -> Decided {
    let NewRun { tenant, id, created, reused } = new;
    let mut slice = Slice::new(header(tenant, id, &created, &workflow, now), workflow.clone());
    for ix in 0..workflow.tasks.len() {
        // Nothing of a new run is stored, so that every instance is known to be fresh.
        slice.load(Key::of(TaskIx(ix as u32)), None);
    }
    let mut turn = Turn::new(slice, now);
    let start_at = created.start_at;
    turn.emit(What::RunCreated(Box::new(created)));
    for Reused { task, output, from } in reused {
        let reference = turn.task_ref(Key::of(task));
        let reused_from = Some(from);
        turn.emit(What::TaskCompleted { task: reference, attempt: 0, lease_id: None, output, reused_from });
    }
    if start_at.is_none_or(|at| at <= now) {
        begin_run(&mut turn).expect("every instance of a new run is loaded and it has no signals");
    }
    turn.done()
}

/// Starts the clock of a run and begins what has no unmet need.
pub(super) fn begin_run(turn: &mut Turn) -> Result<(), Missing> {
    let deadline = turn.slice.run.execution_timeout.map(|timeout| turn.now.plus(timeout));
    turn.emit(What::RunStarted { deadline });
    let candidates = roots(turn);
    begin(turn, candidates)
}

/// Tasks without needs, and those whose needs may have been met by results taken over.
fn roots(turn: &Turn) -> Vec<Key> {
    let workflow = &turn.slice.workflow;
    let reuse = turn.slice.run.counts.completed > 0;
    (0..workflow.tasks.len())
        .map(|ix| TaskIx(ix as u32))
        .filter(|ix| reuse || workflow.task(*ix).needs.is_empty())
        .map(Key::of)
        .collect()
}

fn header(tenant: TenantId, id: RunId, created: &Created, workflow: &Workflow, now: Timestamp) -> Run {
    Run {
        tenant,
        id,
        workflow: created.workflow.clone(),
        version: created.version.clone(),
        revision: 0,
        commit: 0,
        phase: RunPhase::Pending,
        input: created.input.clone(),
        output: None,
        failure: None,
        vars: created.vars.clone(),
        attributes: created.attributes.clone(),
        tags: created.tags.clone(),
        session_id: created.session_id.clone(),
        rerun_of: created.rerun_of.clone(),
        priority: created.priority,
        seed: created.seed,
        created_at: now,
        start_at: created.start_at,
        started_at: None,
        finished_at: None,
        updated_at: now,
        execution_timeout: created.execution_timeout,
        deadline: None,
        counts: Counts::all_pending(workflow.tasks.len() as u32),
        last_seq: 0,
        signals_received: 0,
        signals_buffered: 0,
        fair_order: 0,
    }
}
