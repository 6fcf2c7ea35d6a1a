//! A world: servers, people and a database on one thread, step by step in an order that the seed decides.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;
use selvedge::platform::Platform;
use selvedge::store::database::Batch;

use crate::clock::Clock;
use crate::coverage::Coverage;
use crate::dice::Dice;
use crate::link::{Fate, Link, ReadFate};
use crate::people;
use crate::plan::{Plan, Trouble};
use crate::property::{self, Property, Sight};
use crate::scene::Scene;
use crate::scheduler::Task;
use crate::server::{Server, answer};
use crate::store::Store;
use crate::street::{Call, Person, Reply, Street};
use crate::trace::{Telling, Trace};

/// More steps than any world needs to its end.
const STEPS_MAX: u64 = 150_000;
/// More time than any run needs to its end once nothing goes wrong, in milliseconds.
const CALM_MAX: u64 = 30 * 60_000;
/// How many writes of the line of a process that is not there any more wait for their time at the most.
const GHOSTS_MAX: usize = 8;

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub property: String,
    /// How.
    pub what: String,
    /// After how many steps.
    pub step: u64,
}

/// What came of playing a world.
pub struct Played {
    /// Its story.
    pub trace: Trace,
    /// What was played.
    pub coverage: Coverage,
    /// The promise that was broken, if one was.
    pub violation: Option<Violation>,
}

/// What a future is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    /// A client or a worker: they outlive servers.
    Person,
    /// A server answers a request: the server's place, the call's number.
    Answer(usize, u64),
    /// A server's own life.
    Life(usize),
}

type Broken = (String, String);
type Answers = Rc<RefCell<Vec<(Call, Reply, Bytes)>>>;

struct World {
    plan: Plan,
    dice: Dice,
    clock: Clock,
    scene: Scene,
    properties: Vec<Box<dyn Property>>,
    servers: Vec<Server>,
    street: Street,
    tasks: Vec<Task<Tag>>,
    answers: Answers,
    /// Writes that nobody waits for and that may still be done.
    ghosts: VecDeque<Vec<Batch>>,
    away_until: u64,
    offline: Vec<(u64, usize)>,
    mishaps: usize,
    /// What waits for the next write and the next read of a server.
    fates: Vec<(usize, Trouble)>,
    mischief: bool,
    calm_since: u64,
    step: u64,
    trace: Trace,
}

/// Plays a world from its beginning to its end.
pub fn play(plan: &Plan, telling: Telling) -> Played {
    let store = if plan.unmigrated { Store::empty() } else { Store::migrated() };
    let mut world = World::new(plan.clone(), store.clone(), Trace::new(telling));
    let violation = world.run().err().map(|(property, what)| Violation { property, what, step: world.step });
    if let Some(violation) = &violation {
        world.trace.note(format_args!("broken: {}: {}", violation.property, violation.what));
    }
    world.scene.coverage.steps = world.step;
    world.scene.coverage.millis = world.clock.passed();
    let World { trace, scene, .. } = world;
    store.keep();
    Played { trace, coverage: scene.coverage, violation }
}

impl World {
    fn new(plan: Plan, store: Store, trace: Trace) -> Self {
        let clock = Clock::default();
        let street = Street::new(clock.clone());
        let server = |server| Server::new(store.clone(), clock.clone(), server, plan.shared, plan.seed);
        let mut world = Self {
            dice: Dice::new(plan.seed ^ 0x5eed),
            scene: Scene::new(store.clone(), clock.clone(), plan.shared),
            properties: property::all(&plan),
            servers: plan.servers.iter().map(server).collect(),
            tasks: Vec::new(),
            answers: Answers::default(),
            ghosts: VecDeque::new(),
            away_until: 0,
            offline: Vec::new(),
            mishaps: 0,
            fates: Vec::new(),
            mischief: true,
            calm_since: 0,
            step: 0,
            plan,
            clock,
            street,
            trace,
        };
        world.read_clocks();
        world.populate();
        world
    }

    fn populate(&mut self) {
        let person = |name: String, part: u32| {
            Person::new(self.street.clone(), &name, Dice::of(self.plan.seed, u64::from(part)))
        };
        for plan in &self.plan.clients {
            let client = person(format!("client-{}", plan.part), plan.part);
            self.tasks.push(Task::new(Tag::Person, people::client(client, plan.clone())));
        }
        for plan in &self.plan.workers {
            let worker = person(format!("worker-{}", plan.part), plan.part);
            self.tasks.push(Task::new(Tag::Person, people::worker(worker, plan.clone())));
        }
        for (at, server) in self.servers.iter().enumerate() {
            self.tasks.push(Task::new(Tag::Life(at), server.life(0)));
        }
    }

    fn run(&mut self) -> Result<(), Broken> {
        while !self.is_over() {
            self.step += 1;
            if self.mischief && self.step >= self.plan.calm_at {
                self.calm_down();
            }
            if self.mischief {
                self.strike()?;
            }
            self.step()?;
            if self.step > STEPS_MAX || (!self.mischief && self.clock.passed() > self.calm_since + CALM_MAX) {
                return Err(("every run ends".to_owned(), self.what_is_left()));
            }
        }
        let scene = &self.scene;
        if !scene.store.is_migrated() {
            // Whoever was there left before a server was.
            return Ok(());
        }
        for property in &mut self.properties {
            property.finish(scene).map_err(|what| (property.name().to_owned(), what))?;
        }
        Ok(())
    }

    /// Clients have seen their runs end, and those that nobody looks after have ended, too.
    fn is_over(&self) -> bool {
        self.street.content() == self.plan.clients.len()
            && self.scene.runs.values().all(|run| run.has_ended())
    }

    fn what_is_left(&self) -> String {
        let runs = self.scene.runs.iter().filter(|(_, run)| !run.has_ended());
        let runs: Vec<(&str, &str)> = runs.map(|(id, run)| (id.as_str(), run.word())).collect();
        let clients = self.plan.clients.len() - self.street.content();
        let answers = self.tasks.iter().filter(|task| matches!(task.tag, Tag::Answer(..))).count();
        format!(
            "{clients} clients still wait, {answers} answers are under way, these runs are open: {runs:?}"
        )
    }

    fn calm_down(&mut self) {
        self.trace.note(format_args!("nothing goes wrong any more"));
        self.mischief = false;
        self.calm_since = self.clock.passed();
        self.street.calm_down();
        self.away_until = 0;
        self.fates.clear();
        self.offline.clear();
        for server in &mut self.servers {
            server.slow_until = 0;
            server.host.set_online(true);
        }
        self.scene.excuse(0);
    }

    fn step(&mut self) -> Result<(), Broken> {
        let woken = self.tasks.iter().filter(|task| task.is_woken()).count() as u64;
        let passed = self.clock.passed();
        let reads: u64 = self.servers.iter().map(|server| server.link.reads() as u64).sum();
        let may_write = |server: &&Server| server.slow_until <= passed && server.link.writes() > 0;
        let lines = self.servers.iter().filter(may_write).count() as u64;
        if woken + reads + lines == 0 && self.ghosts.is_empty() {
            self.tell(&Sight::Quiet)?;
            return self.let_time_pass();
        }
        if self.mischief && self.dice.one_in(80) {
            let by = self.dice.below(300);
            self.move_clock(passed + by);
            return Ok(());
        }
        let ghosts =
            u64::from(!self.ghosts.is_empty() && (self.dice.one_in(4) || woken + reads + lines == 0));
        let at = self.dice.below(woken + reads + lines + ghosts);
        if at < woken {
            self.poll(at as usize)
        } else if at < woken + reads {
            self.read(at - woken)
        } else if at < woken + reads + lines {
            self.write((at - woken - reads) as usize)
        } else {
            self.haunt()
        }
    }

    /// Somebody goes on.
    fn poll(&mut self, nth: usize) -> Result<(), Broken> {
        let mut woken = (0..self.tasks.len()).filter(|at| self.tasks[*at].is_woken());
        let at = woken.nth(nth).expect("so many are woken");
        if self.tasks[at].poll() {
            drop(self.tasks.swap_remove(at));
        }
        for server in 0..self.servers.len() {
            for line in self.servers[server].host.take_errors() {
                self.tell(&Sight::Logged(&line))?;
            }
        }
        let answers: Vec<_> = self.answers.borrow_mut().drain(..).collect();
        for (call, reply, bytes) in answers {
            let text = String::from_utf8_lossy(&bytes);
            self.trace
                .note(format_args!("{} {} {}: {} {text}", call.person, call.method, call.path, reply.status));
            self.scene.coverage.answer(call.ask.word(), reply.status);
            self.tell(&Sight::Answered(&call, &reply))?;
        }
        self.deliver()
    }

    /// Hands new requests to servers that are there.
    fn deliver(&mut self) -> Result<(), Broken> {
        for request in self.street.take_requests() {
            let up: Vec<usize> = (0..self.servers.len()).filter(|at| self.servers[*at].is_up()).collect();
            if up.is_empty() {
                continue;
            }
            let at = up[(request.call.server % up.len() as u64) as usize];
            let app = self.servers[at].app.borrow().clone().expect("it is up");
            self.tell(&Sight::Asked(&request.call))?;
            let (answers, tag) = (self.answers.clone(), Tag::Answer(at, request.call.number));
            self.tasks.push(Task::new(tag, async move {
                let (reply, bytes) = answer(app, &request.call).await;
                answers.borrow_mut().push((request.call, reply.clone(), bytes));
                // Whoever asked may be gone.
                let _ = request.reply.send(reply);
            }));
        }
        Ok(())
    }

    fn read(&mut self, nth: u64) -> Result<(), Broken> {
        let mut nth = nth as usize;
        for at in 0..self.servers.len() {
            let reads = self.servers[at].link.reads();
            if nth >= reads {
                nth -= reads;
                continue;
            }
            let fate = match self.fate(at, |trouble| matches!(trouble, Trouble::Read(_))) {
                _ if self.is_away() => ReadFate::Error,
                Some(Trouble::Read(fate)) => fate,
                _ => ReadFate::Done,
            };
            self.servers[at].link.land_read(nth, fate);
            return Ok(());
        }
        Ok(())
    }

    fn write(&mut self, nth: usize) -> Result<(), Broken> {
        let passed = self.clock.passed();
        let may_write =
            |at: &usize| self.servers[*at].slow_until <= passed && self.servers[*at].link.writes() > 0;
        let at = (0..self.servers.len()).filter(may_write).nth(nth).expect("so many lines wait");
        let fate = match self.fate(at, |trouble| matches!(trouble, Trouble::Write(_))) {
            _ if self.is_away() => Fate::ErrorBefore,
            Some(Trouble::Write(fate)) => fate,
            _ => Fate::Done,
        };
        if let Some(batches) = self.servers[at].link.land_write(fate) {
            self.keep_ghost(batches);
        }
        self.look()
    }

    /// A write of somebody who is not there any more is done, or never will be.
    fn haunt(&mut self) -> Result<(), Broken> {
        let Some(batches) = self.ghosts.pop_front() else { return Ok(()) };
        if !self.dice.one_in(4) {
            self.trace.note(format_args!("a write is done after all"));
            self.scene
                .store
                .commit(&batches)
                .map_err(|error| ("the database".to_owned(), error.to_string()))?;
        }
        self.look()
    }

    fn keep_ghost(&mut self, batches: Vec<Batch>) {
        if self.ghosts.len() < GHOSTS_MAX {
            self.ghosts.push_back(batches);
        }
    }

    /// Looks at what has been committed.
    fn look(&mut self) -> Result<(), Broken> {
        let commits = self.scene.look().map_err(|what| ("the model".to_owned(), what))?;
        for commit in commits {
            self.trace
                .note(format_args!("committed: run {} from {}: {}", commit.run, commit.seq, commit.text));
            self.tell(&Sight::Committed(&commit))?;
        }
        Ok(())
    }

    fn is_away(&self) -> bool {
        self.clock.passed() < self.away_until
    }

    /// What was planned for the next thing that a server asks of its database.
    fn fate(&mut self, server: usize, fits: impl Fn(&Trouble) -> bool) -> Option<Trouble> {
        let at = self.fates.iter().position(|(of, trouble)| *of == server && fits(trouble))?;
        let (_, trouble) = self.fates.remove(at);
        self.trouble(&trouble, server, 0).ok();
        Some(trouble)
    }

    /// Notes that something went wrong.
    fn trouble(&mut self, trouble: &Trouble, server: usize, more: u64) -> Result<(), Broken> {
        self.trace.note(format_args!("server {server}: {trouble:?}"));
        self.scene.coverage.fault(trouble.word());
        self.scene.excuse(more);
        self.tell(&Sight::Trouble)
    }

    /// Lets happen what was planned for this step.
    fn strike(&mut self) -> Result<(), Broken> {
        let passed = self.clock.passed();
        while let Some(at) = self.offline.iter().position(|(until, _)| *until <= passed) {
            let (_, server) = self.offline.remove(at);
            self.trace.note(format_args!("server {server} is online again"));
            self.servers[server].host.set_online(true);
        }
        while let Some(mishap) = self.plan.mishaps.get(self.mishaps).filter(|mishap| mishap.step <= self.step)
        {
            self.mishaps += 1;
            let (trouble, server) = (mishap.trouble, mishap.server.min(self.servers.len() - 1));
            match trouble {
                Trouble::Write(_) | Trouble::Read(_) => self.fates.push((server, trouble)),
                Trouble::Slow(millis) => {
                    self.servers[server].slow_until = passed + millis;
                    // Somebody has to be there when it goes on.
                    self.trouble(&trouble, server, millis)?;
                }
                Trouble::Away(millis) => {
                    self.away_until = passed + millis;
                    self.trouble(&trouble, server, millis)?;
                }
                Trouble::Crash { down, landing } => {
                    self.trouble(&trouble, server, down)?;
                    self.crash(server, down, landing)?;
                }
                Trouble::HangUp(number) => self.hang_up(number, &trouble)?,
                Trouble::Clock(by) => {
                    self.trouble(&trouble, server, by.unsigned_abs())?;
                    self.servers[server].host.step(by);
                    self.scene.stepped += by.abs();
                    if by > 0 && !self.plan.shared {
                        self.scene.forward.push((self.scene.earliest_now, by));
                    }
                    self.read_clocks();
                }
                Trouble::Offline(millis) => {
                    self.trouble(&trouble, server, millis)?;
                    self.servers[server].host.set_online(false);
                    self.offline.push((passed + millis, server));
                }
            }
        }
        Ok(())
    }

    /// A process dies. Its futures are dropped wherever they are; of its writes in line some land.
    fn crash(&mut self, server: usize, down: u64, landing: u64) -> Result<(), Broken> {
        let dropped = |tag: &Tag| match tag {
            Tag::Answer(of, number) if *of == server => Some(*number),
            _ => None,
        };
        let numbers: Vec<u64> = self.tasks.iter().filter_map(|task| dropped(&task.tag)).collect();
        self.tasks.retain(|task| match task.tag {
            Tag::Answer(of, _) | Tag::Life(of) => of != server,
            Tag::Person => true,
        });
        self.servers[server].app.replace(None);
        let mut line = self.servers[server].link.abandon();
        line.truncate((landing % (line.len() as u64 + 1)) as usize);
        if self.plan.shared {
            line.into_iter().for_each(|batches| self.keep_ghost(batches));
        } else {
            // The only process of a database takes what is in line with it, or along.
            for batches in line {
                self.scene
                    .store
                    .commit(&batches)
                    .map_err(|error| ("the database".to_owned(), error.to_string()))?;
            }
        }
        for number in numbers {
            self.tell(&Sight::Dropped(number))?;
        }
        self.look()?;
        self.servers[server].link = Link::new(self.scene.store.clone(), self.clock.clone());
        self.tasks.push(Task::new(Tag::Life(server), self.servers[server].life(down)));
        Ok(())
    }

    /// Somebody who waits for an answer goes away, and asks again.
    fn hang_up(&mut self, number: u64, trouble: &Trouble) -> Result<(), Broken> {
        let answers = |at: &usize| matches!(self.tasks[*at].tag, Tag::Answer(..));
        let answers: Vec<usize> = (0..self.tasks.len()).filter(answers).collect();
        if answers.is_empty() {
            return Ok(());
        }
        let at = answers[(number % answers.len() as u64) as usize];
        let task = self.tasks.swap_remove(at);
        let Tag::Answer(server, call) = task.tag else { return Ok(()) };
        drop(task);
        self.trouble(trouble, server, 0)?;
        self.tell(&Sight::Dropped(call))
    }

    /// Nothing goes on: the clock moves to where something does.
    fn let_time_pass(&mut self) -> Result<(), Broken> {
        let passed = self.clock.passed();
        let slow =
            self.servers.iter().filter(|server| server.link.writes() > 0).map(|server| server.slow_until);
        let others = slow.chain(self.offline.iter().map(|(until, _)| *until)).filter(|until| *until > passed);
        match others.chain(self.clock.next()).min() {
            Some(next) => self.move_clock(next),
            None => {
                return Err(("every run ends".to_owned(), "nobody waits for anything any more".to_owned()));
            }
        }
        Ok(())
    }

    fn move_clock(&mut self, passed: u64) {
        self.clock.advance_to(passed);
        self.read_clocks();
    }

    /// By which times servers decide: alone by their own clock, together by the database's.
    fn read_clocks(&mut self) {
        if self.scene.is_calm() {
            self.scene.stepped = 0;
        }
        let now = match self.plan.shared {
            true => self.clock.now(),
            false => self.servers[0].host.now(),
        };
        (self.scene.earliest_now, self.scene.latest_now) = (now.as_millis(), now.as_millis());
    }

    fn tell(&mut self, sight: &Sight<'_>) -> Result<(), Broken> {
        let scene = &self.scene;
        for property in &mut self.properties {
            property.observe(sight, scene).map_err(|what| (property.name().to_owned(), what))?;
        }
        Ok(())
    }
}
