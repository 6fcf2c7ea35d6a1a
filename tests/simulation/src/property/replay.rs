//! The rows of a run are what its history makes of it: by the engine's own `apply`, and by the model.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use selvedge::engine::{Counts, Created, Event, Failure, Key, Run, RunPhase, Slice, TaskPhase, What, apply};
use selvedge::ids::LeaseId;
use selvedge::store::database::{Cell, Row};
use selvedge::time::Timestamp;
use selvedge::value::{Payload, Value};
use selvedge::workflow::model::{TaskIx, Workflow};
use selvedge::workflow::parse::parse;

use super::{Property, Sight};
use crate::model;
use crate::scene::Scene;
use crate::store::text;

/// Rows are what history makes of them.
pub(super) struct RowsReplay;

impl Property for RowsReplay {
    fn name(&self) -> &'static str {
        "rows replay"
    }

    fn observe(&mut self, _: &Sight<'_>, _: &Scene) -> Result<(), String> {
        Ok(())
    }

    fn finish(&mut self, scene: &Scene) -> Result<(), String> {
        let stored = rows(scene, "SELECT count(*) FROM runs", &[])[0][0].as_i64();
        if stored != Some(scene.runs.len() as i64) {
            return Err(format!("{} runs were committed, {stored:?} are there", scene.runs.len()));
        }
        scene.runs.iter().try_for_each(|(id, run)| {
            replays(scene, id)
                .and_then(|()| conforms(scene, id, run))
                .map_err(|why| format!("run {id}: {why}"))
        })
    }
}

/// The rows beside the model.
fn conforms(scene: &Scene, id: &str, run: &model::Run) -> Result<(), String> {
    let sql = "SELECT status, last_seq, signals_buffered FROM runs WHERE tenant = 'default' AND id = ?1";
    let row = &rows(scene, sql, &[id])[0];
    let buffered = run.signals.iter().filter(|signal| !signal.taken).count();
    same(
        "the model and the row of the run",
        &[text(&row[0]), text(&row[1]), text(&row[2])],
        &[run.word().to_owned(), run.events.to_string(), buffered.to_string()],
    )?;
    let sql = "SELECT task, status, attempt, output FROM tasks WHERE tenant = 'default' AND run_id = ?1";
    for row in rows(scene, sql, &[id]) {
        let task = &run.tasks[run.spec.place(&text(&row[0]))?];
        let output = task.output.clone().unwrap_or_default();
        same(
            &format!("the model and the row of task {}", text(&row[0])),
            &[text(&row[1]), text(&row[2]), text(&row[3])],
            &[task.state.word().to_owned(), task.attempt.to_string(), output],
        )?;
    }
    Ok(())
}

/// The rows beside the engine's replay.
fn replays(scene: &Scene, id: &str) -> Result<(), String> {
    let events = history(scene, id);
    let Some(What::RunCreated(created)) = events.first().map(|event| &event.what) else {
        return Err("its history does not begin with its creation".to_owned());
    };
    let workflow = workflow(scene, created.version.as_str())?;
    let mut slice = Slice::new(blank(id, created, &events[0], &workflow), workflow.clone());
    for ix in 0..workflow.tasks.len() {
        slice.load(Key::of(TaskIx(ix as u32)), None);
    }
    events.iter().for_each(|event| apply(&mut slice, event));
    compare_run(scene, &slice.run)?;
    let completed = events.iter().filter_map(|event| match &event.what {
        What::TaskCompleted { task, lease_id: Some(lease), .. } => Some((task.key(&workflow), lease)),
        _ => None,
    });
    compare_tasks(scene, &slice, &completed.collect())
}

thread_local! {
    /// Workflows by their version, which is a digest of the document: good for every world.
    static WORKFLOWS: RefCell<HashMap<String, Arc<Workflow>>> = RefCell::default();
}

fn workflow(scene: &Scene, version: &str) -> Result<Arc<Workflow>, String> {
    if let Some(workflow) = WORKFLOWS.with_borrow(|known| known.get(version).cloned()) {
        return Ok(workflow);
    }
    let sql = "SELECT body FROM documents WHERE tenant = 'default' AND version = ?1";
    let body = text(&rows(scene, sql, &[version])[0][0]);
    let document = Value::from_json(body.as_bytes()).expect("JSON");
    let workflow = Arc::new(parse(&document).map_err(|_| "its document does not parse")?);
    WORKFLOWS.with_borrow_mut(|known| known.insert(version.to_owned(), workflow.clone()));
    Ok(workflow)
}

fn history(scene: &Scene, id: &str) -> Vec<Event> {
    let sql = "SELECT events FROM history WHERE tenant = 'default' AND run_id = ?1 ORDER BY seq";
    let of_commit = |row: Row| serde_json::from_str::<Vec<Event>>(&text(&row[0])).expect("events read back");
    rows(scene, sql, &[id]).into_iter().flat_map(of_commit).collect()
}

fn blank(id: &str, created: &Created, first: &Event, workflow: &Workflow) -> Run {
    Run {
        tenant: "default".parse().expect("a tenant"),
        id: id.parse().expect("a run id"),
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
        created_at: first.at,
        start_at: created.start_at,
        started_at: None,
        finished_at: None,
        updated_at: first.at,
        execution_timeout: created.execution_timeout,
        deadline: None,
        counts: Counts::all_pending(workflow.tasks.len() as u32),
        last_seq: 0,
        signals_received: 0,
        signals_buffered: 0,
        fair_order: 0,
    }
}

fn compare_run(scene: &Scene, run: &Run) -> Result<(), String> {
    let sql = "SELECT status, output, failure, started_at, finished_at, updated_at, deadline, counts, last_seq, \
               signals_received, signals_buffered, wake_at FROM runs WHERE tenant = 'default' AND id = ?1";
    let stored: Vec<String> = rows(scene, sql, &[run.id.as_str()])[0].iter().map(text).collect();
    let replayed = [
        run.status().word().to_owned(),
        payload(run.output.as_ref()),
        failure(run.failure.as_ref()),
        time(run.started_at),
        time(run.finished_at),
        time(Some(run.updated_at)),
        time(run.deadline),
        serde_json::to_string(&run.counts).expect("plain data"),
        run.last_seq.to_string(),
        run.signals_received.to_string(),
        run.signals_buffered.to_string(),
        time(run.wake_at()),
    ];
    same("the row and its history", &stored, &replayed)?;
    let sql = "SELECT count(*) FROM signals WHERE tenant = 'default' AND run_id = ?1 AND consumed_by IS NULL";
    let buffered = text(&rows(scene, sql, &[run.id.as_str()])[0][0]);
    same("the signals and their count", &[buffered], &[run.signals_buffered.to_string()])
}

/// `completed` has the leases that the row of a completed instance keeps.
fn compare_tasks(scene: &Scene, slice: &Slice, completed: &HashMap<Key, &LeaseId>) -> Result<(), String> {
    let sql = "SELECT task, status, unmet, attempt, attempts_before, input, output, failure, lease_id, parked, \
               ready_at, started_at, finished_at FROM tasks WHERE tenant = 'default' AND run_id = ?1";
    let stored = rows(scene, sql, &[slice.run.id.as_str()]);
    for (key, instance) in slice.instances() {
        let name = &slice.task(key).name;
        let row = stored.iter().find(|row| row[0].as_text().is_some_and(|task| **task == *name.as_str()));
        let Some(row) = row else {
            let untouched = instance.unmet as usize == slice.task(key).needs.len();
            if untouched && instance.attempt == 0 {
                continue;
            }
            return Err(format!("task {name} has no row"));
        };
        let kept = completed.get(&key).copied();
        let idle = matches!(instance.phase, TaskPhase::Ready { .. } | TaskPhase::Waiting(_));
        let replayed = [
            instance.status().word().to_owned(),
            instance.unmet.to_string(),
            instance.attempt.to_string(),
            instance.attempts_before.to_string(),
            payload(instance.input.as_ref()),
            payload(instance.output.as_ref()),
            failure(instance.failure.as_ref()),
            instance.lease().map(|lease| &lease.id).or(kept).map_or(String::new(), LeaseId::to_string),
            i64::from(slice.run.phase == RunPhase::Paused && idle).to_string(),
            time(instance.ready_at),
            time(instance.started_at),
            time(instance.finished_at),
        ];
        let stored: Vec<String> = row[1..].iter().map(text).collect();
        same(&format!("the row of task {name} and its history"), &stored, &replayed)?;
    }
    Ok(())
}

fn rows(scene: &Scene, sql: &'static str, params: &[&str]) -> Vec<Row> {
    let params: Vec<Cell> = params.iter().map(|text| Cell::from(*text)).collect();
    scene.store.rows(sql, &params)
}

fn same(what: &str, found: &[String], expected: &[String]) -> Result<(), String> {
    match found == expected {
        true => Ok(()),
        false => Err(format!("{what} differ: {found:?}, {expected:?}")),
    }
}

fn payload(payload: Option<&Payload>) -> String {
    payload.map_or(String::new(), |payload| payload.as_str().to_owned())
}

fn time(time: Option<Timestamp>) -> String {
    time.map_or(String::new(), |time| time.as_millis().to_string())
}

fn failure(failure: Option<&Failure>) -> String {
    failure.map_or(String::new(), |failure| serde_json::to_string(failure).expect("plain data"))
}
