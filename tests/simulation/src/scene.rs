//! What those who check can see: what has been committed, as the model understands it, and what time it is.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use selvedge::engine::event::LeaseEnd;
use selvedge::engine::{Event, What};
use selvedge::store::database::{Cell, Row};

use crate::clock::Clock;
use crate::coverage::Coverage;
use crate::model::{Run, Spec, State};
use crate::property::Commit;
use crate::store::{Store, text};

/// How long servers may take to get over a fault, in milliseconds.
const PATIENCE: u64 = 15_000;

/// The view of a world from outside.
pub struct Scene {
    /// The database.
    pub store: Store,
    /// The world's clock.
    pub clock: Clock,
    /// Every run that was committed, as the model sees it.
    pub runs: BTreeMap<String, Run>,
    /// Every lease that was ever granted.
    pub leases: BTreeMap<String, Lease>,
    /// What has been played.
    pub coverage: Coverage,
    /// Whether several servers may use the database.
    pub shared: bool,
    /// The least time that a server decides by, in milliseconds since 1970.
    pub earliest_now: i64,
    /// The greatest.
    pub latest_now: i64,
    /// By how much clocks were set lately, in milliseconds: on a shared database a server learns of it late.
    pub stepped: i64,
    /// When the clock that a server alone decides by was set forward, and by how much, in milliseconds.
    pub forward: Vec<(i64, i64)>,
    /// Until when, in the world's milliseconds, servers are excused for what went wrong.
    pub excused_until: u64,
    cursor: i64,
    is_migrated: bool,
}

/// A lease that was granted.
#[derive(Debug, Clone)]
pub struct Lease {
    /// The run.
    pub run: String,
    /// The task.
    pub task: String,
    /// The attempt.
    pub attempt: u32,
    /// Whose it is.
    pub worker: String,
    /// How it has ended, with the output as JSON.
    pub ended: Option<(LeaseEnd, Option<String>)>,
}

thread_local! {
    /// Documents by their version, which is a digest: good for every world.
    static SPECS: RefCell<HashMap<String, Rc<Spec>>> = RefCell::default();
}

impl Scene {
    /// An empty scene.
    pub fn new(store: Store, clock: Clock, shared: bool) -> Self {
        let now = clock.now().as_millis();
        Self {
            store,
            clock,
            runs: BTreeMap::new(),
            leases: BTreeMap::new(),
            coverage: Coverage::default(),
            shared,
            earliest_now: now,
            latest_now: now,
            stepped: 0,
            forward: Vec::new(),
            excused_until: 0,
            cursor: 0,
            is_migrated: false,
        }
    }

    /// Something went wrong: servers are excused for a while, and for so many milliseconds more.
    pub fn excuse(&mut self, more: u64) {
        self.excused_until = self.excused_until.max(self.clock.passed() + PATIENCE + more);
    }

    /// How late a timer may be because a server alone sleeps until then: as long as it was away when it lay down,
    /// whatever becomes of its clock meanwhile.
    pub fn overslept(&self, due: i64) -> i64 {
        self.forward.iter().filter(|(at, _)| *at < due).map(|(_, by)| by).sum()
    }

    /// Whether nothing excuses the servers now.
    pub fn is_calm(&self) -> bool {
        self.clock.passed() >= self.excused_until
    }

    /// What has been committed since this was asked last. The error is what the model says against it.
    pub fn look(&mut self) -> Result<Vec<Commit>, String> {
        if !self.is_migrated {
            self.is_migrated = self.store.is_migrated();
            if !self.is_migrated {
                return Ok(Vec::new());
            }
        }
        const SQL: &str = "SELECT run_id, seq, last_seq, cursor, events FROM history WHERE tenant = 'default' AND \
            cursor > ?1 ORDER BY cursor";
        let rows = self.store.rows(SQL, &[Cell::Integer(self.cursor)]);
        if rows.is_empty() {
            self.see_heartbeats();
            return Ok(Vec::new());
        }
        let mut commits = Vec::new();
        for row in rows {
            let commit = self.read(row);
            self.cursor = commit.cursor + (commit.last_seq - commit.seq);
            self.understand(&commit).map_err(|why| format!("run {}: {why}", commit.run))?;
            commits.push(commit);
        }
        Ok(commits)
    }

    fn read(&self, row: Row) -> Commit {
        let number = |at: usize| row[at].as_i64().expect("a number");
        let text = text(&row[4]);
        Commit {
            run: row[0].as_text().expect("a run id").to_string(),
            seq: number(1),
            last_seq: number(2),
            cursor: number(3),
            events: serde_json::from_str::<Vec<Event>>(&text).expect("events read back"),
            text,
            landed_at: self.clock.now(),
        }
    }

    fn understand(&mut self, commit: &Commit) -> Result<(), String> {
        if !self.runs.contains_key(&commit.run) {
            let Some(What::RunCreated(created)) = commit.events.first().map(|event| &event.what) else {
                return Err("its history does not begin with its creation".to_owned());
            };
            let run = Run::absent(self.spec(created.version.as_str()));
            self.coverage.runs += 1;
            self.runs.insert(commit.run.clone(), run);
        }
        let run = self.runs.get_mut(&commit.run).expect("it was put there");
        let before: Vec<State> = run.tasks.iter().map(|task| task.state.clone()).collect();
        let mut marks = Vec::new();
        for event in &commit.events {
            self.coverage.event(&event.what);
            if let What::TaskCancelled { failure, .. } = &event.what {
                run.forced |= failure.message.contains("force");
            }
            run.take(event, &mut marks).map_err(|why| format!("{} cannot be: {why}", event.what.word()))?;
        }
        run.transitions_since(&before, &mut marks);
        run.check_commit()?;
        marks.into_iter().for_each(|mark| self.coverage.cell(mark));
        commit.events.iter().for_each(|event| self.keep_lease(&commit.run, &event.what));
        Ok(())
    }

    fn keep_lease(&mut self, run: &str, what: &What) {
        if let What::TaskStarted { task, attempt, lease } = what {
            let lease_fact = Lease {
                run: run.to_owned(),
                task: task.task.to_string(),
                attempt: *attempt,
                worker: lease.worker.to_string(),
                ended: None,
            };
            self.leases.insert(lease.id.to_string(), lease_fact);
        }
        if let Some((id, end)) = what.lease_ended() {
            let output = match what {
                What::TaskCompleted { output, .. } => Some(output.as_str().to_owned()),
                _ => None,
            };
            if let Some(lease) = self.leases.get_mut(id.as_str()) {
                lease.ended = Some((end, output));
            }
        }
    }

    /// Heartbeats are no events: how long leases last is in their rows.
    fn see_heartbeats(&mut self) {
        const SQL: &str = "SELECT run_id, lease_id, lease_expires_at FROM tasks WHERE tenant = 'default' AND \
            worker_id IS NOT NULL AND status = 'running'";
        for row in self.store.rows(SQL, &[]) {
            let Some(run) = row[0].as_text().and_then(|run| self.runs.get_mut(&**run)) else { continue };
            for task in &mut run.tasks {
                if let State::Held(held) = &mut task.state
                    && row[1].as_text().is_some_and(|lease| **lease == *held.lease)
                {
                    held.until = row[2].as_i64().unwrap_or(held.until);
                }
            }
        }
    }

    fn spec(&self, version: &str) -> Rc<Spec> {
        SPECS.with_borrow_mut(|specs| {
            let spec = specs.entry(version.to_owned()).or_insert_with(|| {
                let sql = "SELECT body FROM documents WHERE tenant = 'default' AND version = ?1";
                let rows = self.store.rows(sql, &[Cell::from(version)]);
                let body = rows[0][0].as_text().expect("a document").to_string();
                Rc::new(Spec::read(&serde_json::from_str(&body).expect("JSON")))
            });
            spec.clone()
        })
    }
}
