//! A small world on one thread: a server, its clients and workers, a database that fails, a process that
//! dies, a clock that steps, all in an order that a seed decides.
//!
//! `SEED=n` plays one seed, `SEEDS=n` so many, and `TRACE=1` prints what happens.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use futures_util::future::select;
use http_body_util::{BodyExt, Full};
use selvedge::platform::Platform;
use selvedge::time::{Duration, Timestamp};
use selvedge::value::Value;
use selvedge::{App, Budget, Settings};
use selvedge_libsql::Local;
use selvedge_puppet::START;
use selvedge_tests::VirtualPlatform;
use selvedge_tests::flaky::{Fate, Flaky};
use selvedge_tests::people::{Fact, Reply, Request, Street};
use selvedge_tests::replay::{assert_replays, cell};
use selvedge_tests::scheduler::{Dice, Task};

/// How many seeds are played.
const SEEDS: u64 = 120;
/// How many steps the faults last.
const STEPS_OF_MISCHIEF: u64 = 1500;
/// More steps than any world needs to its end.
const STEPS_MAX: u64 = 60_000;
/// How long the server may take to get over a fault.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many runs there are.
const RUNS: u32 = 4;
/// How many workers there are.
const WORKERS: u32 = 3;

#[tokio::test]
async fn whatever_fails_nothing_that_was_acknowledged_is_lost_and_every_run_ends() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        let on_failure = Again(seed);
        let first = Simulation::new(seed).run().await;
        let second = Simulation::new(seed).run().await;
        let differs = first.iter().zip(&second).position(|(first, second)| first != second);
        if let Some(at) = differs {
            panic!("one seed, two stories, at {at}:\n{}\n{}", first[at], second[at]);
        }
        assert_eq!(first.len(), second.len(), "one seed, two stories");
        std::mem::forget(on_failure);
    }
}

/// Says on the way out of a failure how to see it again.
struct Again(u64);

impl Drop for Again {
    fn drop(&mut self) {
        eprintln!("again: SEED={} cargo test -p selvedge-tests --test simulation", self.0);
    }
}

/// What a future is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    /// A client or a worker: it outlives the server.
    Person,
    /// The server answers one request.
    Answer,
    /// The server starts, and then drives itself.
    Drive,
}

type Server = Rc<App<Flaky, VirtualPlatform>>;

struct Simulation {
    dice: Dice,
    platform: VirtualPlatform,
    database: Local,
    flaky: Flaky,
    server: Rc<RefCell<Option<Server>>>,
    tasks: Vec<Task<Tag>>,
    street: Street,
    facts: Vec<Fact>,
    trace: Rc<RefCell<Vec<String>>>,
    mischief: bool,
    /// When the world will have had the time to get over the last fault.
    calm_from: Timestamp,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let platform = VirtualPlatform::new(seed);
        let database = Local::memory().expect("a database in memory opens");
        let street = Street {
            requests: Rc::default(),
            facts: Rc::default(),
            waiting: Rc::default(),
            mischief: Rc::new(RefCell::new(true)),
            ended: Rc::default(),
            dice: Rc::new(RefCell::new(Dice::new(seed ^ 0x5eed))),
            platform: platform.clone(),
        };
        let mut world = Self {
            dice: Dice::new(seed),
            platform,
            flaky: Flaky::new(database.clone()),
            database,
            server: Rc::default(),
            tasks: Vec::new(),
            street,
            facts: Vec::new(),
            trace: Rc::default(),
            mischief: true,
            calm_from: START,
        };
        for run in 0..RUNS {
            let client = world.street.clone().client(format!("r{run}"));
            world.tasks.push(Task::new(Tag::Person, client));
        }
        for worker in 0..WORKERS {
            let worker = world.street.clone().worker(format!("w{worker}"));
            world.tasks.push(Task::new(Tag::Person, worker));
        }
        world.boot();
        world
    }

    /// Plays to the end; what happened.
    async fn run(mut self) -> Vec<String> {
        for step in 0.. {
            assert!(step < STEPS_MAX, "not every run comes to its end: {:?}", self.states().await);
            if step == STEPS_OF_MISCHIEF {
                self.note("nothing fails any more".to_owned());
                self.mischief = false;
                *self.street.mischief.borrow_mut() = false;
            }
            if *self.street.ended.borrow() == RUNS {
                break;
            }
            self.step().await;
            self.look_up_facts().await;
        }
        for fact in self.facts.clone() {
            self.look_up(&fact).await;
        }
        for run in 0..RUNS {
            assert_replays(&self.database, &format!("r{run}")).await;
        }
        self.note(format!("{:?}", self.states().await));
        let held = "SELECT count(*) FROM leases WHERE ended IS NULL";
        assert_eq!(cell(&self.database, held, &[]).await, "0", "every lease of an ended run has ended");
        assert_eq!(self.platform.errors_beyond("unavailable"), Vec::<String>::new());
        self.trace.take()
    }

    async fn step(&mut self) {
        if self.mischief && self.strike().await {
            return self.be_patient();
        }
        let woken: Vec<usize> = (0..self.tasks.len()).filter(|at| self.tasks[*at].is_woken()).collect();
        let (woken_count, line) = (woken.len() as u64, self.flaky.waiting() as u64);
        if woken_count + line == 0 {
            self.when_quiet().await;
            return self.move_clock();
        }
        if self.dice.below(woken_count + line.min(4)) < woken_count {
            let at = woken[self.dice.below(woken_count) as usize];
            if self.tasks[at].poll() {
                drop(self.tasks.remove(at));
            }
            self.deliver();
        } else {
            let fate = self.fate();
            if fate != Fate::Done {
                self.note(format!("the database: {fate:?}"));
                self.be_patient();
            }
            self.flaky.land(fate).await;
        }
    }

    /// Something bad, now and then; whether it happened.
    async fn strike(&mut self) -> bool {
        match self.dice.below(1000) {
            0 | 1 => {
                let landing = self.dice.below(self.flaky.waiting() as u64 + 1) as usize;
                self.note(format!("the process dies, {landing} writes land"));
                self.tasks.retain(|task| task.tag == Tag::Person);
                *self.server.borrow_mut() = None;
                self.flaky.crash(landing).await;
                self.flaky = Flaky::new(self.database.clone());
                self.boot();
                true
            }
            2..8 => {
                let answers: Vec<usize> =
                    (0..self.tasks.len()).filter(|at| self.tasks[*at].tag == Tag::Answer).collect();
                if answers.is_empty() {
                    return false;
                }
                let at = answers[self.dice.below(answers.len() as u64) as usize];
                self.note("a client hangs up".to_owned());
                drop(self.tasks.remove(at));
                true
            }
            8 => {
                let back = Duration::from_millis(self.dice.below(40_000));
                self.note(format!("the clock steps back by {back}"));
                self.platform.step_back(back);
                true
            }
            _ => false,
        }
    }

    fn fate(&mut self) -> Fate {
        if !self.mischief {
            return Fate::Done;
        }
        match self.dice.below(60) {
            0 => Fate::Unavailable,
            1 => Fate::LostBefore,
            2 => Fate::LostAfter,
            _ => Fate::Done,
        }
    }

    fn be_patient(&mut self) {
        self.calm_from = self.platform.now().plus(PATIENCE);
    }

    fn move_clock(&mut self) {
        let by = Duration::from_millis(1 + self.dice.below(3000));
        self.platform.advance(by);
    }

    /// The server opens the database, again if need be, and drives itself from then on.
    fn boot(&mut self) {
        let (flaky, platform, server) = (self.flaky.clone(), self.platform.clone(), self.server.clone());
        let drive = async move {
            let app = loop {
                match App::open(flaky.clone(), platform.clone(), Settings::default()).await {
                    Ok(app) => break Rc::new(app),
                    Err(_) => platform.sleep(Duration::from_secs(1)).await,
                }
            };
            *server.borrow_mut() = Some(app.clone());
            loop {
                let next = app.drive(Budget::Idle).await;
                let woken = std::pin::pin!(app.woken());
                match next {
                    None => woken.await,
                    Some(next) => {
                        let wait = std::pin::pin!(platform.sleep(next.since(platform.now())));
                        select(woken, wait).await;
                    }
                }
            }
        };
        self.tasks.push(Task::new(Tag::Drive, drive));
    }

    /// Hands new requests to the server, if there is one.
    fn deliver(&mut self) {
        let requests: Vec<Request> = self.street.requests.borrow_mut().drain(..).collect();
        for request in requests {
            let Some(server) = self.server.borrow().clone() else { continue };
            self.tasks.push(Task::new(Tag::Answer, handle(server, request, self.trace.clone())));
        }
    }

    async fn look_up_facts(&mut self) {
        let facts = self.street.facts.take();
        for fact in facts {
            self.look_up(&fact).await;
            // A lease's time and a run's revision are facts of the moment: the rest holds for ever.
            if !fact.what.starts_with("heartbeat") {
                self.facts.push(fact);
            }
        }
    }

    async fn look_up(&self, fact: &Fact) {
        let params: Vec<&str> = fact.params.iter().map(String::as_str).collect();
        let found = cell(&self.database, fact.sql, &params).await;
        assert!(fact.expected.contains(&found.as_str()), "{}: found {found:?}", fact.what);
    }

    /// Nobody can go on until the clock moves: then nothing that could be done may be left undone.
    async fn when_quiet(&self) {
        if self.platform.now() < self.calm_from {
            return;
        }
        let now = self.platform.now().as_millis().to_string();
        let tasks = "SELECT count(*) FROM tasks WHERE wake_at <= CAST(?1 AS INTEGER) AND parked = 0";
        assert_eq!(cell(&self.database, tasks, &[&now]).await, "0", "a task's timer is due and nobody looks");
        let runs = "SELECT count(*) FROM runs WHERE wake_at <= CAST(?1 AS INTEGER)";
        assert_eq!(cell(&self.database, runs, &[&now]).await, "0", "a run's timer is due and nobody looks");
        if *self.street.waiting.borrow() > 0 {
            let ready = "SELECT count(*) FROM tasks WHERE status = 'ready' AND parked = 0 AND lane = 'q'";
            assert_eq!(cell(&self.database, ready, &[]).await, "0", "a claim waits beside a ready task");
        }
    }

    async fn states(&self) -> Vec<String> {
        let sql = "SELECT status || ' ' || counts || ' ' || last_seq FROM runs WHERE id = ?1";
        let mut states = Vec::new();
        for run in 0..RUNS {
            states.push(cell(&self.database, sql, &[&format!("r{run}")]).await);
        }
        states
    }

    fn note(&self, line: String) {
        note(&self.trace, line);
    }
}

/// Writes down what happens.
fn note(trace: &RefCell<Vec<String>>, line: String) {
    if std::env::var_os("TRACE").is_some() {
        eprintln!("{line}");
    }
    trace.borrow_mut().push(line);
}

/// Answers one request.
async fn handle(server: Server, request: Request, trace: Rc<RefCell<Vec<String>>>) {
    let Request { method, path, body, reply } = request;
    let mut builder = http::Request::builder().method(method).uri(&path);
    let body = body.map(|body| Bytes::from(body.to_json()));
    if body.is_some() {
        builder = builder.header("content-type", "application/json");
    }
    let request = builder.body(Full::new(body.unwrap_or_default())).expect("a valid request");
    let response = server.handle(request).await;
    let status = response.status().as_u16();
    let etag = response.headers().get("etag").and_then(|etag| etag.to_str().ok());
    let etag = etag.map(|etag| etag.trim_start_matches("W/").trim_matches('"').to_owned());
    let bytes = response.into_body().collect().await.expect("bodies cannot fail").to_bytes();
    let body = if bytes.is_empty() { Value::Null } else { Value::from_json(&bytes).expect("JSON") };
    note(&trace, format!("{method} {path}: {status} {}", body.to_json()));
    // Whoever asked may be gone.
    let _ = reply.send(Reply { status, body, etag });
}
