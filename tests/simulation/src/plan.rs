//! What a seed's world consists of: servers, clients with what they do, workers, and everything that goes
//! wrong, each a part of its own that can be left out.
//!
//! A part's own choices depend on the seed and its number alone. So a world without some parts is the same
//! world otherwise, as far as one can say so of people who stand in one queue, and a failure can be brought
//! down to the parts that it takes.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::dice::Dice;
use crate::documents::{DOCUMENTS, Document};
use crate::link::{Fate, ReadFate};

/// How many milliseconds a crashed server stays away at the most.
const DOWN_MAX: u64 = 6000;

/// A world to be.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// Whether servers know that others may use the database.
    pub shared: bool,
    /// Whether the world begins with a database that has no tables yet.
    pub unmigrated: bool,
    /// The servers; the first one cannot be left out.
    pub servers: Vec<Server>,
    /// The clients.
    pub clients: Vec<Client>,
    /// The workers; the first one cannot be left out.
    pub workers: Vec<Worker>,
    /// What goes wrong.
    pub mishaps: Vec<Mishap>,
    /// At which step of the scheduler nothing goes wrong any more.
    pub calm_at: u64,
    /// How many parts can be left out.
    pub parts: u32,
    /// Which ones are.
    pub without: Parts,
}

/// A server of a plan.
#[derive(Debug, Clone)]
pub struct Server {
    /// Its number among the parts.
    pub part: u32,
    /// How far its clock is ahead, in milliseconds.
    pub ahead: i64,
    /// Whether it drives itself in short turns, as a function does.
    pub short_turns: bool,
}

/// A client of a plan: it starts a run, does things to it, and sees it through.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its number among the parts.
    pub part: u32,
    /// What it runs.
    pub document: Document,
    /// How it starts it.
    pub start: Start,
    /// Whether the run is to begin later.
    pub start_after: Option<&'static str>,
    /// What it does meanwhile.
    pub steps: Vec<Step>,
}

/// How a client starts a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Start {
    /// Under an id of its own, with the document.
    WithId,
    /// Under an id of its own, by the name of a workflow that it has saved.
    ByName,
    /// With an idempotency key, and the server's choice of id.
    WithKey,
    /// With neither: after a lost answer it starts another one.
    Bare,
}

/// One thing that a client does.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its number among the parts.
    pub part: u32,
    /// How long it waits before, in milliseconds.
    pub after: u64,
    /// Whether it is done beside the others, by another client of the same run.
    pub beside: bool,
    /// What it does.
    pub act: Act,
}

/// What a client does to its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// Pauses it.
    Pause,
    /// Resumes it.
    Resume,
    /// Cancels it.
    Cancel,
    /// Cancels it with force.
    Force,
    /// Retries it.
    Retry,
    /// Sends a signal with an id of the client's.
    Signal,
    /// Sends a signal without an id, under an idempotency key.
    SignalWithKey,
    /// Steers with a condition on the revision that it has read.
    PauseIf,
    /// Runs it again, from a task if the document has one for that.
    Rerun,
    /// Reads its history, page by page.
    Events,
    /// Reads the run.
    Look,
    /// Reads its tasks.
    Tasks,
    /// Waits for its result for a moment.
    Result,
}

/// A worker of a plan.
#[derive(Debug, Clone)]
pub struct Worker {
    /// Its number among the parts.
    pub part: u32,
    /// Which queues it asks on.
    pub queues: &'static [&'static str],
    /// What it carries.
    pub labels: &'static [&'static str],
    /// How long a lease lasts, in seconds.
    pub lease_ttl: u64,
    /// How long it waits for a task, in seconds.
    pub wait: u64,
    /// How many tasks it takes at once.
    pub max_tasks: u64,
    /// Whether its claims have ids.
    pub claim_ids: bool,
    /// Once in so many tasks it behaves.
    pub behaves: u64,
}

/// Something that goes wrong.
#[derive(Debug, Clone)]
pub struct Mishap {
    /// Its number among the parts.
    pub part: u32,
    /// At which step of the scheduler.
    pub step: u64,
    /// Which server it happens to; the last, if there are fewer.
    pub server: usize,
    /// What happens.
    pub trouble: Trouble,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The server's next write has this fate.
    Write(Fate),
    /// The server's next read has this fate.
    Read(ReadFate),
    /// The server's writes stand still for so many milliseconds.
    Slow(u64),
    /// The database is away for so many milliseconds: nothing is done.
    Away(u64),
    /// The process dies and is started again after so many milliseconds. Of the writes in line so many land.
    Crash {
        /// Milliseconds until it is back.
        down: u64,
        /// A number from which follows how many writes land.
        landing: u64,
    },
    /// Somebody who waits for an answer goes away.
    HangUp(u64),
    /// The server's clock is set by so many milliseconds.
    Clock(i64),
    /// The server's machine is offline for so many milliseconds.
    Offline(u64),
}

impl Trouble {
    /// A word for counting.
    pub fn word(&self) -> String {
        match self {
            Trouble::Write(fate) => format!("write: {fate:?}"),
            Trouble::Read(fate) => format!("read: {fate:?}"),
            Trouble::Slow(_) => "slow".to_owned(),
            Trouble::Away(_) => "away".to_owned(),
            Trouble::Crash { .. } => "crash".to_owned(),
            Trouble::HangUp(_) => "hang up".to_owned(),
            Trouble::Clock(by) if *by < 0 => "clock back".to_owned(),
            Trouble::Clock(_) => "clock forward".to_owned(),
            Trouble::Offline(_) => "offline".to_owned(),
        }
    }

    /// Every word.
    pub fn words() -> Vec<String> {
        let others = [
            Trouble::Slow(0),
            Trouble::Away(0),
            Trouble::Crash { down: 0, landing: 0 },
            Trouble::HangUp(0),
            Trouble::Clock(-1),
            Trouble::Clock(1),
            Trouble::Offline(0),
        ];
        let writes = Fate::FAULTS.map(Trouble::Write);
        let reads = ReadFate::FAULTS.map(Trouble::Read);
        writes.iter().chain(&reads).chain(&others).map(Trouble::word).collect()
    }
}

impl Plan {
    /// The world of a seed, without some of its parts.
    pub fn new(seed: u64, without: &Parts) -> Self {
        let mut planner = Planner { dice: Dice::new(seed), next: 1 };
        let calm_at = planner.dice.between(300, 2200);
        let crowd = planner.dice.below(10);
        let (servers, shared) = match crowd {
            0..4 => (1, false),
            4 => (1, true),
            5..8 => (2, true),
            _ => (3, true),
        };
        let mut plan = Plan {
            seed,
            shared,
            unmigrated: planner.dice.one_in(40),
            servers: (0..servers).map(|_| planner.server()).collect(),
            clients: Vec::new(),
            workers: Vec::new(),
            mishaps: Vec::new(),
            calm_at,
            parts: 0,
            without: without.clone(),
        };
        let clients = planner.dice.between(4, 9);
        plan.clients = (0..clients).map(|_| planner.client()).collect();
        let workers = planner.dice.between(2, 5);
        plan.workers = (0..workers).map(|at| planner.worker(at)).collect();
        // Some worlds are calm throughout: what goes wrong there has no excuse.
        let mishaps = if planner.dice.one_in(8) { 0 } else { planner.dice.below(50) };
        plan.mishaps = (0..mishaps).map(|_| planner.mishap(servers, shared, calm_at)).collect();
        plan.mishaps.sort_by_key(|mishap| mishap.step);
        plan.parts = planner.next;
        plan.leave_out();
        plan
    }

    /// The numbers of the parts that are there and can be left out, what matters least first.
    pub fn removable(&self) -> Vec<u32> {
        let mishaps = self.mishaps.iter().map(|mishap| mishap.part);
        let steps = self.clients.iter().flat_map(|client| client.steps.iter().map(|step| step.part));
        let people = self.clients.iter().map(|client| client.part);
        let workers = self.workers.iter().skip(1).map(|worker| worker.part);
        let servers = self.servers.iter().skip(1).map(|server| server.part);
        people.chain(mishaps).chain(steps).chain(workers).chain(servers).collect()
    }

    fn leave_out(&mut self) {
        let without = self.without.0.clone();
        let is_there = |part: u32| !without.contains(&part);
        let mut first = true;
        self.servers.retain(|server| std::mem::take(&mut first) || is_there(server.part));
        let mut first = true;
        self.workers.retain(|worker| std::mem::take(&mut first) || is_there(worker.part));
        self.clients.retain(|client| is_there(client.part));
        for client in &mut self.clients {
            client.steps.retain(|step| is_there(step.part));
        }
        self.mishaps.retain(|mishap| is_there(mishap.part));
    }
}

/// Makes a plan, part by part.
struct Planner {
    dice: Dice,
    next: u32,
}

impl Planner {
    fn number(&mut self) -> u32 {
        self.next += 1;
        self.next - 1
    }

    fn server(&mut self) -> Server {
        let ahead = match self.dice.below(3) {
            0 => 0,
            _ => self.dice.below(60_000) as i64 - 30_000,
        };
        Server { part: self.number(), ahead, short_turns: self.dice.one_in(4) }
    }

    fn client(&mut self) -> Client {
        let document = self.dice.pick(&DOCUMENTS);
        let start = match self.dice.below(6) {
            0 => Start::WithKey,
            1 => Start::ByName,
            2 if document.ends_alone => Start::Bare,
            _ => Start::WithId,
        };
        let start_after = self.dice.one_in(5).then_some("3s");
        let part = self.number();
        let steps = self.dice.below(9);
        let steps = (0..steps).map(|_| self.step()).collect();
        Client { part, document, start, start_after, steps }
    }

    fn step(&mut self) -> Step {
        let act = match self.dice.below(24) {
            0..3 => Act::Pause,
            3 | 4 => Act::Resume,
            5 | 6 => Act::Cancel,
            7 | 8 => Act::Force,
            9..12 => Act::Retry,
            12..15 => Act::Signal,
            15 | 16 => Act::SignalWithKey,
            17 => Act::PauseIf,
            18 => Act::Rerun,
            19 | 20 => Act::Events,
            21 => Act::Look,
            22 => Act::Tasks,
            _ => Act::Result,
        };
        let after = if self.dice.one_in(3) { self.dice.below(40) } else { self.dice.below(6000) };
        Step { part: self.number(), after, beside: self.dice.one_in(3), act }
    }

    fn worker(&mut self, at: u64) -> Worker {
        // The first can take whatever there is, so that everything is done in the end.
        let everything = at == 0 || self.dice.one_in(2);
        let queues = if everything { &["q", "r"][..] } else { self.dice.pick(&[&["q"][..], &["r"][..]]) };
        Worker {
            part: self.number(),
            queues,
            labels: if everything { &["gpu", "big"] } else { &[] },
            lease_ttl: self.dice.between(2, 9),
            wait: self.dice.pick(&[0, 1, 5, 20]),
            max_tasks: self.dice.between(1, 5),
            claim_ids: !self.dice.one_in(3),
            behaves: self.dice.between(1, 4),
        }
    }

    fn mishap(&mut self, servers: u64, shared: bool, calm_at: u64) -> Mishap {
        let dice = &mut self.dice;
        let trouble = match dice.below(30) {
            0..3 => Trouble::Write(dice.pick(&[Fate::ErrorAfter, Fate::ReplyLost])),
            3..13 => Trouble::Write(match dice.pick(&Fate::FAULTS) {
                Fate::DoneAfterAll | Fate::Conflict if !shared => Fate::LostBefore,
                fate => fate,
            }),
            13..17 => Trouble::Read(dice.pick(&ReadFate::FAULTS)),
            17 | 18 => Trouble::Slow(dice.below(3000)),
            19 => Trouble::Away(dice.below(8000)),
            20..23 => {
                let down = if dice.one_in(2) { 0 } else { dice.below(DOWN_MAX) };
                Trouble::Crash { down, landing: dice.number() }
            }
            23..27 => Trouble::HangUp(dice.number()),
            27 => Trouble::Clock(-(dice.below(20_000) as i64)),
            28 => Trouble::Clock(dice.below(20_000) as i64),
            _ => Trouble::Offline(dice.below(10_000)),
        };
        let (step, server) = (dice.below(calm_at), dice.below(servers) as usize);
        Mishap { part: self.number(), step, server, trouble }
    }
}

/// Numbers of parts, written as `3,7-12`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parts(pub BTreeSet<u32>);

impl fmt::Display for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for part in &self.0 {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == *part => *last = *part,
                _ => ranges.push((*part, *part)),
            }
        }
        let texts = ranges.into_iter().map(|(first, last)| match last - first {
            0 => first.to_string(),
            _ => format!("{first}-{last}"),
        });
        f.write_str(&texts.collect::<Vec<_>>().join(","))
    }
}

impl FromStr for Parts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            text.parse::<u32>().map_err(|_| format!("expected numbers such as 3,7-12, found {text:?}"))
        };
        let mut parts = BTreeSet::new();
        for range in text.split(',').filter(|range| !range.is_empty()) {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            parts.extend(number(first)?..=number(last)?);
        }
        Ok(Self(parts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_written_as_they_are_read() {
        for text in ["", "3", "3,7-12", "1-2,9"] {
            assert_eq!(text.parse::<Parts>().map(|parts| parts.to_string()), Ok(text.to_owned()));
        }
        assert!("3,x".parse::<Parts>().is_err());
    }

    #[test]
    fn a_plan_is_that_of_its_seed_less_what_is_left_out() {
        for seed in 0..50 {
            let whole = Plan::new(seed, &Parts::default());
            assert_eq!(format!("{whole:?}"), format!("{:?}", Plan::new(seed, &Parts::default())));
            let removable = whole.removable();
            let Some(part) = removable.first() else { continue };
            let less = Plan::new(seed, &Parts([*part].into()));
            assert!(less.removable().len() < removable.len() && !less.removable().contains(part));
        }
    }
}
