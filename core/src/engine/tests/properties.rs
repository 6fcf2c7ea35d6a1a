//! Random runs under random commands at random times: what [`Stored`] checks after every step holds for all
//! of them, and each comes to its end once somebody works on it.

use std::fmt::Write;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::stored::{START, Stored, compiled, created};
use crate::engine::run::{Category, Failure};
use crate::engine::*;
use crate::ids::LeaseId;
use crate::time::{Duration, Timestamp};
use crate::value::{Payload, Value};

/// How many random runs are played; `ENGINE_SEEDS` says otherwise.
const SEEDS: u64 = 400;
/// How many commands each gets before it is brought to its end.
const STEPS: u64 = 60;
/// More steps than any of these runs needs to its end.
const STEPS_TO_END_MAX: u32 = 2000;

#[test]
fn whatever_happens_the_run_stays_whole_and_comes_to_its_end() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ENGINE_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        let outcome = std::panic::catch_unwind(|| Play::new(seed).run());
        assert!(
            outcome.is_ok(),
            "again: SEED={seed} cargo test -p selvedge --lib whatever_happens_the_run_stays_whole"
        );
    }
}

/// Numbers of one seed.
struct Dice(ChaCha8Rng);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0.next_u64() % limit
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }
}

/// A document of up to nine tasks with something of everything.
fn document(dice: &mut Dice) -> String {
    let mut text = String::from("{selvedge: 1, name: t, ");
    if dice.one_in(4) {
        let timeout = dice.pick(&["2s", "20s", "2m"]);
        write!(text, "execution_timeout: {timeout}, ").expect("a string takes it");
    }
    text += "tasks: {";
    let count = 1 + dice.below(9);
    for index in 0..count {
        let needs: Vec<String> = (0..index).filter(|_| dice.one_in(3)).map(|n| format!("t{n}")).collect();
        text += &task(dice, index, &needs);
    }
    text += "}";
    if dice.one_in(3) {
        let output = dice.pick(&["tasks.t0.output", "run.tasks.completed", "tasks.t0.output.x"]);
        write!(text, ", output: \"${{{{ {output} }}}}\"").expect("a string takes it");
    }
    text + "}"
}

fn task(dice: &mut Dice, index: u64, needs: &[String]) -> String {
    let reads = match needs.first() {
        Some(need) => {
            let field = dice.pick(&["output", "status", "failure"]);
            format!("tasks.{need}.{field}")
        }
        None => "input.n".to_owned(),
    };
    let mut text = format!("t{index}: {{");
    let mut add = |field: String| {
        text += &field;
        text += ", ";
    };
    if !needs.is_empty() {
        add(format!("needs: [{}]", needs.join(", ")));
    }
    if dice.one_in(5) {
        add(format!(
            "if: \"${{{{ {} }}}}\"",
            dice.pick(&["input.yes", "!input.yes", "input.no", "input.n > 2"])
        ));
    }
    if dice.one_in(5) {
        add("continue_on_error: true".to_owned());
    }
    match dice.below(10) {
        0 => add(format!("value: \"${{{{ {reads} }}}}\"")),
        1 => add("value: \"${{ input.n + 'x' }}\"".to_owned()),
        2 => add(format!("sleep: {}", dice.pick(&["0s", "1s", "30s", "\"${{ input.n }}s\""]))),
        3 | 4 => {
            add(format!("signal: {}", dice.pick(&["go", "stop"])));
            if !dice.one_in(3) {
                let (timeout, then) = (dice.pick(&["1s", "30s"]), dice.pick(&["fail", "skip", "continue"]));
                add(format!("timeout: {timeout}, on_timeout: {then}"));
            }
        }
        _ => leased(dice, &reads, &mut add),
    }
    text + "}, "
}

fn leased(dice: &mut Dice, reads: &str, add: &mut impl FnMut(String)) {
    add(format!("worker: q, with: \"${{{{ {reads} }}}}\""));
    if dice.one_in(2) {
        let (attempts, backoff) = (1 + dice.below(3), dice.pick(&["none", "fixed", "exponential"]));
        add(format!("retry: {{max_attempts: {attempts}, backoff: {backoff}, delay: 2s}}"));
    }
    for field in ["timeout", "queue_timeout", "total_timeout", "grace"] {
        if dice.one_in(4) {
            add(format!("{field}: {}", dice.pick(&["1s", "7s", "40s"])));
        }
    }
}

/// One random run.
struct Play {
    stored: Stored,
    dice: Dice,
    /// Every lease ever offered, so that late reports come in too.
    leases: Vec<(Key, LeaseId)>,
}

impl Play {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(ChaCha8Rng::seed_from_u64(seed));
        let workflow = compiled(&document(&mut dice));
        let input = Value::from([("yes", true.into()), ("n", Value::Int(3))]);
        let mut created = created(&workflow, &input);
        created.seed = seed;
        if dice.one_in(4) {
            created.start_at = Some(START.plus(Duration::from_secs(dice.below(10))));
        }
        let reused = match dice.one_in(5) {
            true => vec![Reused {
                task: crate::workflow::model::TaskIx(0),
                output: Payload::from(&Value::Int(1)),
                from: "first".parse().expect("a run id"),
            }],
            false => Vec::new(),
        };
        Self { stored: Stored::start(workflow, created, reused), dice, leases: Vec::new() }
    }

    fn run(mut self) {
        for _ in 0..STEPS {
            self.move_clock();
            let command = self.command();
            // A refusal is an answer like any other; what holds is checked where something was committed.
            let _ = self.stored.command(&command);
        }
        self.finish();
    }

    fn move_clock(&mut self) {
        let millis = match self.dice.below(20) {
            0 => -3_600_000,
            1 => 3_600_000,
            2..8 => self.dice.below(10_000) as i64,
            _ => 0,
        };
        self.stored.now = Timestamp::from_millis(self.stored.now.as_millis() + millis);
        if self.dice.one_in(4)
            && let Some(next) = self.stored.next_timer()
        {
            self.stored.now = self.stored.now.max(next);
        }
    }

    fn command(&mut self) -> Command {
        let keys = self.stored.keys();
        match self.dice.below(40) {
            0 => Command::Cancel(Force::Graceful),
            1 => Command::Cancel(Force::Now),
            2 | 3 => Command::Pause,
            4..7 => Command::Resume,
            7..9 => Command::Retry,
            9..11 => Command::WakeRun,
            11..14 => {
                let name = self.dice.pick(&["go", "stop", "other"]).parse().expect("a signal's name");
                let signal_id = match self.dice.below(6) {
                    id @ 0..3 => Some(id.to_string().parse().expect("a signal id")),
                    _ => None,
                };
                Command::Signal { name, signal_id, payload: Payload::from(&Value::Int(5)) }
            }
            14..18 => Command::WakeTasks(keys.into_iter().filter(|_| self.dice.one_in(2)).collect()),
            18..22 => Command::WakeTasks(self.stored.due()),
            22..29 => self.grant(keys),
            _ => self.report(),
        }
    }

    fn grant(&mut self, keys: Vec<Key>) -> Command {
        let mut grants = Vec::new();
        for key in keys {
            if self.dice.one_in(2) {
                grants.push((key, self.offer(key)));
            }
        }
        Command::Grant(grants)
    }

    fn offer(&mut self, key: Key) -> Grant {
        let id: LeaseId = format!("lease-{}", self.leases.len()).parse().expect("a lease id");
        self.leases.push((key, id.clone()));
        let ttl = Duration::from_secs(1 + self.dice.below(40));
        Grant { id, worker: "w".parse().expect("a worker id"), ttl }
    }

    /// A report on one of the last leases, which may have ended, or never have been granted.
    fn report(&mut self) -> Command {
        if self.leases.is_empty() {
            return Command::WakeRun;
        }
        let back = self.dice.below(self.leases.len().min(6) as u64) as usize;
        let (key, lease) = self.leases[self.leases.len() - 1 - back].clone();
        match self.dice.below(8) {
            0 => Command::Release { key, lease },
            1..4 => {
                let after = RetryWish::After(Duration::from_secs(self.dice.below(20)));
                let retry = self.dice.pick(&[RetryWish::Policy, RetryWish::Policy, after, RetryWish::Never]);
                let failure = Failure::new(Category::Application, "broken", "it broke");
                Command::Fail { key, lease, failure, retry }
            }
            _ => Command::Complete {
                key,
                lease,
                output: Payload::from(&Value::Int(self.dice.below(9) as i64)),
            },
        }
    }

    /// Works on the run until it has ended: every lease completes, every signal is sent, every timer comes.
    fn finish(&mut self) {
        let _ = self.stored.command(&Command::Resume);
        // The host's clock is right again.
        self.stored.now = self.stored.now.max(self.stored.run.updated_at);
        for _ in 0..STEPS_TO_END_MAX {
            if self.stored.run.is_terminal() {
                return;
            }
            let command = self.useful();
            self.stored.command(&command).unwrap_or_else(|refusal| panic!("{command:?}: {refusal}"));
        }
        panic!("the run does not come to its end: {:#?}", self.stored.run);
    }

    fn useful(&mut self) -> Command {
        let due = self.stored.due();
        if !due.is_empty() {
            return Command::WakeTasks(due);
        }
        if self.stored.run.wake_at().is_some_and(|at| at <= self.stored.now) {
            return Command::WakeRun;
        }
        for key in self.stored.keys() {
            let instance = self.stored.instance(key);
            match &instance.phase {
                TaskPhase::Running(lease) => {
                    let lease = lease.id.clone();
                    return Command::Complete { key, lease, output: Payload::null() };
                }
                TaskPhase::Ready { .. } if self.stored.workflow.task(key.task).kind.is_leased() => {
                    return Command::Grant(vec![(key, self.offer(key))]);
                }
                TaskPhase::Waiting(Wait::Signal { until: None, .. }) => {
                    let name = match &self.stored.workflow.task(key.task).kind {
                        crate::workflow::model::Kind::Signal { name, .. } => name.clone(),
                        other => panic!("only a signal task waits for a signal, not {other:?}"),
                    };
                    return Command::Signal { name, signal_id: None, payload: Payload::null() };
                }
                _ => {}
            }
        }
        let next = self.stored.next_timer().expect("what is not stuck has a timer");
        self.stored.now = self.stored.now.max(next);
        Command::WakeRun
    }
}
