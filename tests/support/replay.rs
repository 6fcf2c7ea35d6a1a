//! What the tables say of a run, beside what its history says.

use std::sync::Arc;

use selvedge::engine::{Counts, Created, Event, Failure, Key, Run, RunPhase, Slice, TaskPhase, What, apply};
use selvedge::store::database::{Cell, Database, Row, Statement};
use selvedge::value::{Payload, Value};
use selvedge::workflow::model::{TaskIx, Workflow};
use selvedge::workflow::parse::parse;
use selvedge_libsql::Local;

/// The rows of a statement.
pub async fn rows(database: &Local, sql: &'static str, params: &[&str]) -> Vec<Row> {
    let params = params.iter().map(|text| Cell::from(*text)).collect();
    let answers = database.read(vec![Statement::new(sql, params)]).await.expect("the test's own statement");
    answers.into_iter().flatten().collect()
}

/// The only cell of a statement's only row, as text; empty where there is no row.
pub async fn cell(database: &Local, sql: &'static str, params: &[&str]) -> String {
    rows(database, sql, params).await.first().and_then(|row| row.first()).map_or(String::new(), text)
}

fn text(cell: &Cell) -> String {
    match cell {
        Cell::Null => "null".to_owned(),
        Cell::Integer(number) => number.to_string(),
        Cell::Text(text) => text.to_string(),
        other => format!("{other:?}"),
    }
}

/// The history of a run, in order.
pub async fn history(database: &Local, run: &str) -> Vec<Event> {
    let sql = "SELECT seq, last_seq, events FROM history WHERE run_id = ?1 ORDER BY seq";
    let mut events: Vec<Event> = Vec::new();
    for row in rows(database, sql, &[run]).await {
        let (first, last) = (row[0].as_i64().expect("seq"), row[1].as_i64().expect("last_seq"));
        assert_eq!(first, events.len() as i64 + 1, "the history of {run} has a gap");
        let more: Vec<Event> =
            serde_json::from_str(row[2].as_text().expect("JSON")).expect("events read back");
        events.extend(more);
        assert_eq!(last, events.len() as i64, "the history of {run} counts wrongly");
    }
    events
}

/// Asserts that a run's rows are what its history makes of it.
pub async fn assert_replays(database: &Local, run: &str) {
    let events = history(database, run).await;
    let Some(What::RunCreated(created)) = events.first().map(|event| &event.what) else {
        panic!("the history of {run} does not begin with its creation")
    };
    let body =
        cell(database, "SELECT body FROM documents WHERE version = ?1", &[created.version.as_str()]).await;
    let document = Value::from_json(body.as_bytes()).expect("JSON");
    let workflow = Arc::new(parse(&document).expect("it was saved"));
    let mut slice = Slice::new(blank(run, created, &events[0], &workflow), workflow.clone());
    for ix in 0..workflow.tasks.len() {
        slice.load(Key::of(TaskIx(ix as u32)), None);
    }
    let mut before = slice.run.updated_at;
    for event in &events {
        assert!(event.at >= before, "the time of run {run} goes back");
        before = event.at;
        apply(&mut slice, event);
    }
    compare_run(database, &slice.run).await;
    compare_tasks(database, &slice).await;
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

async fn compare_run(database: &Local, run: &Run) {
    let sql = "SELECT status, output, failure, started_at, finished_at, updated_at, deadline, counts, last_seq, \
               signals_received, signals_buffered, wake_at FROM runs WHERE id = ?1";
    let row = rows(database, sql, &[run.id.as_str()]).await.pop().expect("the run has a row");
    let stored: Vec<String> = row.iter().map(text).collect();
    let time = |time: Option<selvedge::time::Timestamp>| {
        time.map_or("null".to_owned(), |time| time.as_millis().to_string())
    };
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
    assert_eq!(stored, replayed, "the row of run {} and its history differ", run.id);
    let buffered = cell(
        database,
        "SELECT count(*) FROM signals WHERE run_id = ?1 AND consumed_by IS NULL",
        &[run.id.as_str()],
    )
    .await;
    assert_eq!(buffered, run.signals_buffered.to_string(), "unconsumed signals of run {}", run.id);
}

async fn compare_tasks(database: &Local, slice: &Slice) {
    let sql = "SELECT task, status, unmet, attempt, attempts_before, input, output, failure, lease_id, parked \
               FROM tasks WHERE run_id = ?1";
    let stored = rows(database, sql, &[slice.run.id.as_str()]).await;
    for (key, instance) in slice.instances() {
        let name = &slice.task(key).name;
        let row = stored.iter().find(|row| row[0].as_text().is_some_and(|task| **task == *name.as_str()));
        let Some(row) = row else {
            let untouched = instance.unmet as usize == slice.task(key).needs.len();
            assert!(untouched && instance.attempt == 0, "task {name} of run {} has no row", slice.run.id);
            continue;
        };
        let idle = matches!(instance.phase, TaskPhase::Ready { .. } | TaskPhase::Waiting(_));
        let replayed = [
            instance.status().word().to_owned(),
            instance.unmet.to_string(),
            instance.attempt.to_string(),
            instance.attempts_before.to_string(),
            payload(instance.input.as_ref()),
            payload(instance.output.as_ref()),
            failure(instance.failure.as_ref()),
            instance.lease().map_or("null".to_owned(), |lease| lease.id.to_string()),
            i64::from(slice.run.phase == RunPhase::Paused && idle).to_string(),
        ];
        let stored: Vec<String> = row[1..].iter().map(text).collect();
        assert_eq!(stored, replayed, "the row of task {name} of run {} and its history differ", slice.run.id);
    }
}

fn payload(payload: Option<&Payload>) -> String {
    payload.map_or("null".to_owned(), |payload| payload.as_str().to_owned())
}

fn failure(failure: Option<&Failure>) -> String {
    failure.map_or("null".to_owned(), |failure| serde_json::to_string(failure).expect("plain data"))
}
