//! How many times better: samples of ours beside those of a peer, round by round.

use serde::Serialize;

use crate::measure::Sample;
use crate::workload::WORKLOADS;

/// Ours beside one peer's, at one workload. Everything is so that more than 1 is better for us.
#[derive(Debug, Clone, Serialize)]
pub struct Ratio {
    /// The workload's name and title.
    pub workload: &'static str,
    pub title: &'static str,
    /// Callers at once.
    pub connections: usize,
    /// Whose sample it is, and whose it is compared with.
    pub ours: &'static str,
    pub theirs: &'static str,
    /// Operations per second.
    pub rate: Spread,
    /// The median latency.
    pub p50: Spread,
    /// Time of processors for each operation.
    pub cpu: Spread,
    /// Memory right after the load.
    pub memory: Spread,
}

/// A ratio over the rounds, and what it is a ratio of.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Spread {
    /// The median of the rounds' ratios.
    pub median: f64,
    /// The least of them.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// The median of ours.
    pub ours: f64,
    /// The median of theirs.
    pub theirs: f64,
}

/// Which way is better.
#[derive(Clone, Copy)]
enum Better {
    More,
    Less,
}

/// All that can be said of these samples, in the order of the workloads.
pub fn ratios(samples: &[Sample]) -> Vec<Ratio> {
    let mut found: Vec<Ratio> = Vec::new();
    for theirs in samples {
        let Some(workload) = WORKLOADS.iter().find(|workload| workload.id == theirs.workload) else {
            continue;
        };
        let known = |ours: &str| {
            found.iter().any(|ratio| {
                (ratio.workload, ratio.connections, ratio.ours, ratio.theirs)
                    == (theirs.workload, theirs.connections, ours, theirs.contender)
            })
        };
        let is_ours = |contender: &str| workload.ours.iter().any(|ours| ours.label() == contender);
        if is_ours(theirs.contender) {
            continue;
        }
        let new: Vec<&str> =
            workload.ours.iter().map(|ours| ours.label()).filter(|ours| !known(ours)).collect();
        for ours in new {
            let of = |contender: &str| -> Vec<&Sample> {
                let same = |sample: &&Sample| {
                    (sample.workload, sample.connections, sample.contender)
                        == (theirs.workload, theirs.connections, contender)
                };
                samples.iter().filter(same).collect()
            };
            found.extend(ratio(workload.title, &of(ours), &of(theirs.contender)));
        }
    }
    let place = |ratio: &Ratio| WORKLOADS.iter().position(|workload| workload.id == ratio.workload);
    found.sort_by_key(|ratio| (ratio.theirs, place(ratio), ratio.connections));
    found
}

fn ratio(title: &'static str, ours: &[&Sample], theirs: &[&Sample]) -> Option<Ratio> {
    let (one, other) = (ours.first()?, theirs.first()?);
    let spread = |better, figure: fn(&Sample) -> f64| Spread::of(better, ours, theirs, figure);
    Some(Ratio {
        workload: one.workload,
        title,
        connections: one.connections,
        ours: one.contender,
        theirs: other.contender,
        rate: spread(Better::More, |sample| sample.per_second)?,
        p50: spread(Better::Less, |sample| sample.p50_ms)?,
        cpu: spread(Better::Less, |sample| sample.cpu_ms)?,
        memory: spread(Better::Less, |sample| sample.memory_bytes as f64)?,
    })
}

impl Spread {
    /// Of the rounds that both have.
    fn of(
        better: Better,
        ours: &[&Sample],
        theirs: &[&Sample],
        figure: fn(&Sample) -> f64,
    ) -> Option<Spread> {
        let pairs = ours.iter().filter_map(|one| {
            let other = theirs.iter().find(|other| other.round == one.round)?;
            Some(match better {
                Better::More => figure(one) / figure(other),
                Better::Less => figure(other) / figure(one),
            })
        });
        let mut pairs: Vec<f64> = pairs.collect();
        let all = |samples: &[&Sample]| {
            median(&mut samples.iter().map(|sample| figure(sample)).collect::<Vec<_>>())
        };
        let median = median(&mut pairs)?;
        Some(Spread {
            median,
            min: pairs.first().copied()?,
            max: pairs.last().copied()?,
            ours: all(ours)?,
            theirs: all(theirs)?,
        })
    }
}

/// The middle one, or the mean of the two in the middle; sorts them.
fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() % 2 {
        _ if values.is_empty() => None,
        0 => Some((values[half - 1] + values[half]) / 2.0),
        _ => Some(values[half]),
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A sample of which only rate and latency matter.
    pub fn sample(workload: &'static str, contender: &'static str, round: usize, per_second: f64) -> Sample {
        Sample {
            workload,
            contender,
            connections: 64,
            round,
            operations: 1000,
            seconds: 1000.0 / per_second,
            per_second,
            p50_ms: 1e3 / per_second,
            p99_ms: 2e3 / per_second,
            p999_ms: 3e3 / per_second,
            cpu_ms: 1e3 / per_second,
            parts: Vec::new(),
            generator_cpu_ms: 0.1,
            memory_bytes: 1 << 20,
            steal: 0.0,
            foreign: 0.0,
        }
    }

    #[test]
    fn rounds_are_paired() {
        let samples = [
            sample("a", "Selvedge", 1, 800.0),
            sample("a", "Restate", 1, 100.0),
            sample("a", "Restate", 2, 50.0),
            sample("a", "Selvedge", 2, 500.0),
            sample("a", "Selvedge", 3, 900.0),
            sample("a", "Restate", 3, 100.0),
            sample("b", "Restate", 1, 10.0),
            sample("e1", "Selvedge, embedded", 1, 7.0),
        ];
        let found = ratios(&samples);
        let [ratio] = &found[..] else { panic!("expected one ratio, found {found:?}") };
        assert_eq!((ratio.workload, ratio.ours, ratio.theirs), ("a", "Selvedge", "Restate"));
        assert_eq!((ratio.rate.median, ratio.rate.min, ratio.rate.max), (9.0, 8.0, 10.0));
        assert_eq!((ratio.rate.ours, ratio.rate.theirs), (800.0, 100.0));
        assert_eq!((ratio.p50.median, ratio.memory.median), (9.0, 1.0));
    }

    #[test]
    fn the_middle_of_two_is_between_them() {
        for (mut values, expected) in [
            (vec![], None),
            (vec![3.0], Some(3.0)),
            (vec![4.0, 2.0], Some(3.0)),
            (vec![9.0, 1.0, 2.0], Some(2.0)),
        ] {
            assert_eq!(median(&mut values), expected);
        }
    }
}
