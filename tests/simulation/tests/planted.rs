//! Each bug that can be planted is found: the simulation sees what it is there to see.
//!
//! Playing 2,000 seeds for each would take minutes. So each bug has the seed that found it first, which is
//! played first; only if it finds nothing any more, because worlds have changed, are all the others.

use selvedge::planted::Bug;
use selvedge_simulation::many::Many;
use selvedge_simulation::plan::Parts;

/// Within how many seeds each bug is found.
const SEEDS: u64 = 2000;

/// A seed that finds each.
const FOUND_BY: [(Bug, u64); 13] = [
    (Bug::Unguarded, 1),
    (Bug::AnswersEarly, 0),
    (Bug::LostMeansFailed, 378),
    (Bug::RefusesStale, 21),
    (Bug::ExpiredCounts, 1),
    (Bug::ExtendedExpires, 7),
    (Bug::SecondReport, 1),
    (Bug::DependentForgotten, 0),
    (Bug::TimerForgotten, 3),
    (Bug::BellForgotten, 6),
    (Bug::AttemptsForgotten, 1),
    (Bug::DriveAlone, 18),
    (Bug::KeptLater, 22),
];

#[test]
fn every_planted_bug_is_found() {
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    for (bug, word) in Bug::ALL {
        let found_by = FOUND_BY.iter().find(|(known, _)| *known == bug).map(|(_, seed)| *seed);
        let found_by = found_by.unwrap_or_else(|| panic!("{word} has no seed"));
        let many = |from, seeds| Many { from, seeds, jobs, planted: Some(bug), without: Parts::default() };
        let again = || many(0, SEEDS).play(|_| {}).failure;
        let failure = many(found_by, 1).play(|_| {}).failure.or_else(again);
        let failure = failure.unwrap_or_else(|| panic!("{word} is not found in {SEEDS} seeds"));
        eprintln!(
            "{word}: seed {}: {}: {}",
            failure.seed, failure.violation.property, failure.violation.what
        );
    }
}

#[test]
fn nothing_is_planted_unless_somebody_does() {
    assert_eq!(selvedge::planted::current(), None);
}
