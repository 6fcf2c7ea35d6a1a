//! The comparison: rounds in which the contenders take turns, each started anew, until every one of them has
//! been measured as often as the others under the same conditions.

use std::path::PathBuf;

use selvedge_load::STEAL_MAX;
use serde::Serialize;
use tempfile::TempDir;

use crate::contender::{Contender, Setup};
use crate::fault::{Fault, fault};
use crate::loops::{Limit, Order};
use crate::measure::{Sample, Task, measure};
use crate::workload::{WORKLOADS, Workload};

/// How often a measurement is repeated because too much time was stolen from the machine.
const REPEATS_MAX: usize = 8;

/// What is compared, and how often.
pub struct Plan {
    /// Only these; all where it is empty.
    pub contenders: Vec<Contender>,
    /// Only these, by name; all where it is empty.
    pub workloads: Vec<String>,
    /// Instead of each workload's own numbers.
    pub connections: Vec<usize>,
    pub rounds: usize,
    pub limit: Limit,
    pub warm_up: Limit,
    /// Where databases are put.
    pub directory: PathBuf,
}

/// Everything that was measured.
#[derive(Debug, Default, Serialize)]
pub struct Results {
    pub samples: Vec<Sample>,
    /// Measurements that were thrown away, because more than 5 % of the time was stolen.
    pub discarded: usize,
    /// What contenders said about themselves.
    pub settings: Vec<(String, String)>,
}

impl Plan {
    /// Compares. What is under way is told on standard error.
    pub async fn carry_out(&self, setup: &Setup) -> Result<Results, Fault> {
        for id in &self.workloads {
            if !WORKLOADS.iter().any(|workload| workload.id == id) {
                let known: Vec<&str> = WORKLOADS.iter().map(|workload| workload.id).collect();
                return Err(fault!("expected a workload of {}, found {id}", known.join(", ")));
            }
        }
        let mut results = Results::default();
        let workloads: Vec<&Workload> = WORKLOADS.iter().filter(|workload| self.takes(workload)).collect();
        // Workloads of the same contenders share their starts.
        for group in workloads.chunk_by(|one, next| one.contenders == next.contenders) {
            let mut contenders: Vec<Contender> =
                group[0].contenders.iter().copied().filter(|contender| self.has(*contender)).collect();
            for round in 1..=self.rounds {
                for contender in &contenders {
                    self.turn(setup, *contender, group, round, &mut results).await?;
                }
                contenders.reverse();
            }
        }
        Ok(results)
    }

    /// One contender's turn: it is started, does every workload of the group, and ends.
    async fn turn(
        &self,
        setup: &Setup,
        contender: Contender,
        group: &[&Workload],
        round: usize,
        results: &mut Results,
    ) -> Result<(), Fault> {
        let directory = TempDir::with_prefix_in("selvedge-peers-", &self.directory)?;
        let named = |Fault(text): Fault| fault!("{}: {text}", contender.label());
        let done = async {
            let mut running = contender.start(setup, directory.path()).await?;
            for (name, setting) in &running.settings {
                let setting = (format!("{}: {name}", contender.label()), setting.clone());
                if !results.settings.contains(&setting) {
                    results.settings.push(setting);
                }
            }
            for workload in group {
                let own = &self.connections[..];
                for connections in if own.is_empty() { workload.connections } else { own } {
                    let first = results.samples.len() as u64 * 1_000_000_000;
                    let order =
                        Order { steps: workload.steps, connections: *connections, limit: self.limit, first };
                    let task = Task { contender, workload: workload.id, round, order, warm_up: self.warm_up };
                    results.discarded +=
                        undisturbed(&mut results.samples, async || measure(&mut running, &task).await)
                            .await?;
                }
            }
            running.stop().await
        };
        let ended = done.await.map_err(named);
        if ended.is_err() {
            let kept = directory.keep();
            eprintln!("the logs and data of {} are kept in {}", contender.label(), kept.display());
        }
        ended
    }

    fn takes(&self, workload: &Workload) -> bool {
        let named = self.workloads.is_empty() || self.workloads.iter().any(|id| id == workload.id);
        named && workload.contenders.iter().any(|contender| self.has(*contender))
    }

    fn has(&self, contender: Contender) -> bool {
        self.contenders.is_empty() || self.contenders.contains(&contender)
    }
}

/// Measures until the machine's host has let it, and says how many measurements were thrown away.
async fn undisturbed(
    samples: &mut Vec<Sample>,
    mut measure: impl AsyncFnMut() -> Result<Sample, Fault>,
) -> Result<usize, Fault> {
    for discarded in 0..=REPEATS_MAX {
        let sample = measure().await?;
        let is_kept = sample.steal <= STEAL_MAX;
        eprintln!("{}{}", line(&sample), if is_kept { "" } else { "  discarded: steal" });
        if is_kept {
            samples.push(sample);
            return Ok(discarded);
        }
    }
    Err(fault!("more than {:.0} % of the time was stolen, {REPEATS_MAX} times in a row", STEAL_MAX * 100.0))
}

fn line(sample: &Sample) -> String {
    let Sample { workload, contender, connections, round, .. } = sample;
    let parts: Vec<String> =
        sample.parts.iter().map(|part| format!("{} {:.3}", part.name, part.cpu_ms)).collect();
    format!(
        "{workload:<6} ×{connections:<3} round {round} {contender:<22} {:>9.1}/s  p50 {:>7.3} ms  p99 {:>7.3} ms  \
         cpu {:.3} ms ({}; generator {:.3})  {:>5.0} MiB  steal {:.1} %  others {:.1} %",
        sample.per_second,
        sample.p50_ms,
        sample.p99_ms,
        sample.cpu_ms,
        parts.join(", "),
        sample.generator_cpu_ms,
        sample.memory_bytes as f64 / 1048576.0,
        sample.steal * 100.0,
        sample.foreign * 100.0,
    )
}
