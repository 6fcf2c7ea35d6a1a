//! A seed from end to end: played twice, and if a promise is broken, brought down to what it takes.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::coverage::Coverage;
use crate::plan::{Parts, Plan};
use crate::trace::Telling;
use crate::world::{Played, Violation, play};

/// How many worlds are played at the most to bring a failure down.
const SHRINKS_MAX: u32 = 1500;

/// A seed that failed.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What is left out of its world, and it still fails.
    pub without: Parts,
    /// How many parts are left in.
    pub left: usize,
    /// The promise that is broken.
    pub violation: Violation,
}

/// Plays a seed twice. What was played is that of one time.
pub fn seed(seed: u64, without: &Parts) -> Result<Coverage, Failure> {
    let plan = Plan::new(seed, without);
    let failure =
        |violation| Failure { seed, without: without.clone(), left: plan.removable().len(), violation };
    let first = whole(&plan, Telling::Silent).map_err(failure)?;
    let second = whole(&plan, Telling::Silent).map_err(failure)?;
    match first.trace.differs_from(&second.trace) {
        None => Ok(first.coverage),
        Some(line) => {
            let what = format!("its stories differ from line {line} on");
            Err(failure(Violation { property: "one seed, one story".to_owned(), what, step: 0 }))
        }
    }
}

/// Plays a world once, up to the promise that it breaks.
pub fn whole(plan: &Plan, telling: Telling) -> Result<Played, Violation> {
    // A world that panics takes its thread's database with it.
    let played = catch_unwind(AssertUnwindSafe(|| play(plan, telling)));
    match played {
        Ok(Played { violation: Some(violation), .. }) => Err(violation),
        Ok(played) => Ok(played),
        Err(panic) => {
            let words = panic.downcast_ref::<String>().cloned();
            let words = words.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            let what = words.unwrap_or_else(|| "a panic without words".to_owned());
            Err(Violation { property: "nothing panics".to_owned(), what, step: 0 })
        }
    }
}

/// Leaves out of a failing world whatever the failure does not take: halves first, then less and less.
pub fn shrink(failure: Failure) -> Failure {
    let mut smallest = failure;
    let mut tries = 0;
    let mut size = usize::MAX;
    loop {
        let parts = Plan::new(smallest.seed, &smallest.without).removable();
        size = size.min(parts.len().div_ceil(2));
        if size == 0 {
            return smallest;
        }
        let mut found = None;
        for chunk in parts.chunks(size) {
            tries += 1;
            if tries > SHRINKS_MAX {
                return smallest;
            }
            found = fails_without(&smallest, chunk);
            if found.is_some() {
                break;
            }
        }
        match found {
            Some(smaller) => smallest = smaller,
            None if size == 1 => return smallest,
            None => size = size.div_ceil(2).min(size - 1),
        }
    }
}

/// The same failure in a world that lacks these parts, too.
fn fails_without(failure: &Failure, parts: &[u32]) -> Option<Failure> {
    let all: BTreeSet<u32> = failure.without.0.iter().chain(parts).copied().collect();
    let found = seed(failure.seed, &Parts(all)).err()?;
    (found.violation.property == failure.violation.property).then_some(found)
}
