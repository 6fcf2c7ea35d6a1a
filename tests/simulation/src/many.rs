//! Many seeds on several threads, until one fails.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use selvedge::planted::{Bug, plant};

use crate::coverage::Coverage;
use crate::plan::Parts;
use crate::play::{self, Failure};

/// Which seeds, and how.
#[derive(Debug, Clone)]
pub struct Many {
    /// The first.
    pub from: u64,
    /// How many.
    pub seeds: u64,
    /// On how many threads.
    pub jobs: usize,
    /// A bug that servers have.
    pub planted: Option<Bug>,
    /// What is left out of each world.
    pub without: Parts,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many seeds were played.
    pub seeds: u64,
    /// What they came through.
    pub coverage: Coverage,
    /// The failure of the lowest seed that was seen to fail.
    pub failure: Option<Failure>,
}

impl Many {
    /// Plays them. `told` hears after each seed how many are done.
    pub fn play(&self, told: impl Fn(u64) + Sync) -> Outcome {
        let (next, over) = (AtomicU64::new(0), AtomicBool::new(false));
        let outcome = Mutex::new(Outcome::default());
        std::thread::scope(|scope| {
            for _ in 0..self.jobs.max(1) {
                scope.spawn(|| {
                    plant(self.planted);
                    let mut coverage = Coverage::default();
                    while !over.load(Ordering::Relaxed) {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= self.seeds {
                            break;
                        }
                        let played = play::seed(self.from + number, &self.without);
                        let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
                        outcome.seeds += 1;
                        match played {
                            Ok(played) => coverage.add(played),
                            Err(failure) => {
                                over.store(true, Ordering::Relaxed);
                                let first =
                                    outcome.failure.as_ref().is_none_or(|known| failure.seed < known.seed);
                                if first {
                                    outcome.failure = Some(failure);
                                }
                            }
                        }
                        let done = outcome.seeds;
                        drop(outcome);
                        told(done);
                    }
                    outcome.lock().unwrap_or_else(PoisonError::into_inner).coverage.add(coverage);
                });
            }
        });
        outcome.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failure {
    /// The command that plays this failure again.
    pub fn command(&self, planted: Option<Bug>) -> String {
        let mut command = format!("cargo run --release -p selvedge-simulation -- --seed {}", self.seed);
        if !self.without.0.is_empty() {
            command += &format!(" --without {}", self.without);
        }
        if let Some(bug) = planted {
            command += &format!(" --plant {}", bug.word());
        }
        command + " --trace"
    }
}
