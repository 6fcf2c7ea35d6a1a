//! One measurement: a warm-up, then loops, and what they cost whom meanwhile.

use std::fs;

use selvedge_load::{Meter, Usage, Watch};
use serde::Serialize;

use crate::contender::{Contender, Running};
use crate::fault::Fault;
use crate::loops::{Limit, Order};

/// What one contender did in one go, and what it cost.
#[derive(Debug, Clone, Serialize)]
pub struct Sample {
    /// The workload's name.
    pub workload: &'static str,
    /// Who did it.
    pub contender: &'static str,
    /// Loops at once.
    pub connections: usize,
    /// The round, from 1.
    pub round: usize,
    /// Workflows, or requests.
    pub operations: u64,
    /// How long it took.
    pub seconds: f64,
    /// Operations per second.
    pub per_second: f64,
    /// Latencies.
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    /// Time of processors for each operation, of all metered processes together.
    pub cpu_ms: f64,
    /// The same by process.
    pub parts: Vec<Part>,
    /// Of the load generator, where it is a process of its own; counted for nobody.
    pub generator_cpu_ms: f64,
    /// Memory of the metered processes right after the load, together. Memory that they share counts once.
    pub memory_bytes: u64,
    /// The part of the processors' time that the machine's host took.
    pub steal: f64,
    /// The part of the processors' time that went to programs which have nothing to do with this.
    pub foreign: f64,
}

/// What a process had of a [`Sample`].
#[derive(Debug, Clone, Serialize)]
pub struct Part {
    /// What it is.
    pub name: &'static str,
    /// Time of processors for each operation.
    pub cpu_ms: f64,
    /// Its memory right after the load.
    pub memory_bytes: u64,
}

/// What is to be measured.
pub struct Task {
    pub contender: Contender,
    pub workload: &'static str,
    pub round: usize,
    pub order: Order,
    pub warm_up: Limit,
}

/// Measures once.
pub async fn measure(running: &mut Running, task: &Task) -> Result<Sample, Fault> {
    // Numbers of operations go on, so that no workflow is the same as another.
    let warm_up = Order { limit: task.warm_up, ..task.order };
    let warmed = running.carry_out(&warm_up).await?;
    let order =
        Order { first: task.order.first + warmed.operations + task.order.connections as u64, ..task.order };

    let meters: Vec<_> = running.metered.iter().map(|(name, pid)| (*name, Meter::trees([*pid]))).collect();
    let look = || meters.iter().map(|(_, meter)| meter.look()).collect::<Result<Vec<Usage>, _>>();
    let generator = Meter::own();
    let (before, own, watch, busy) = (look()?, generator.look()?, Watch::start(), Processors::look()?);
    let loops = running.carry_out(&order).await?;
    let (stolen, now) = (watch.stolen(), Processors::look()?);
    let (after, own) = (look()?, generator.look()?.since(&own));

    let memory: Vec<u64> = running.metered.iter().map(|(_, pid)| memory(&tree(*pid))).collect();

    let used: Vec<Usage> = after.iter().zip(&before).map(|(after, before)| after.since(before)).collect();
    let each = |all: f64| all / loops.operations.max(1) as f64;
    let ms = |usage: &Usage| each(usage.cpu().as_secs_f64() * 1e3);
    let parts = meters.iter().zip(&used).zip(&memory);
    let parts =
        parts.map(|(((name, _), usage), memory)| Part { name, cpu_ms: ms(usage), memory_bytes: *memory });
    let ours: f64 = used.iter().chain([&own]).map(|usage| usage.cpu().as_secs_f64()).sum();
    Ok(Sample {
        workload: task.workload,
        contender: task.contender.label(),
        connections: task.order.connections,
        round: task.round,
        operations: loops.operations,
        seconds: loops.seconds,
        per_second: loops.operations as f64 / loops.seconds,
        p50_ms: loops.p50_ms,
        p99_ms: loops.p99_ms,
        p999_ms: loops.p999_ms,
        cpu_ms: used.iter().map(ms).sum(),
        parts: parts.collect(),
        generator_cpu_ms: ms(&own),
        memory_bytes: memory.iter().sum(),
        steal: stolen,
        foreign: now.foreign_since(&busy, ours),
    })
}

/// A process and all that it started.
fn tree(pid: u32) -> Vec<u32> {
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        // Each thread has the children that it started.
        for thread in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            found.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
        next += 1;
    }
    found
}

/// The resident memory of processes of one program. What they share, which is shared memory such as PostgreSQL's
/// buffers and the program's own file, counts once.
fn memory(pids: &[u32]) -> u64 {
    let (mut own, mut shared, mut files) = (0, 0, 0);
    for pid in pids {
        // One that has ended has none.
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default()
                * 1024
        };
        own += field("RssAnon:");
        shared = field("RssShmem:").max(shared);
        files = field("RssFile:").max(files);
    }
    own + shared + files
}

/// Times of all processors since the system began, in ticks: with work of any kind, and altogether.
struct Processors {
    busy: f64,
    all: f64,
}

impl Processors {
    fn look() -> Result<Processors, Fault> {
        Ok(Processors::read(&fs::read_to_string("/proc/stat")?))
    }

    /// From the line of all processors: user, nice, system, idle, iowait, irq, softirq, steal.
    fn read(text: &str) -> Processors {
        let line = text.lines().next().unwrap_or_default();
        let times: Vec<f64> =
            line.split_whitespace().skip(1).take(8).filter_map(|time| time.parse().ok()).collect();
        let all = times.iter().sum::<f64>();
        let idle = times.iter().skip(3).take(2).sum::<f64>() + times.get(7).copied().unwrap_or_default();
        Processors { busy: all - idle, all }
    }

    /// The part of all processors' time that was work, but not the given seconds of our own.
    fn foreign_since(&self, earlier: &Processors, ours: f64) -> f64 {
        let ours = ours * rustix::param::clock_ticks_per_second() as f64;
        ((self.busy - earlier.busy - ours) / (self.all - earlier.all).max(1.0)).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_of_ours_has_memory_and_children() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("there is a sleep");
        let own = tree(std::process::id());
        assert!(own.contains(&child.id()), "{own:?}");
        assert!(memory(&[std::process::id()]) > 100_000);
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        assert_eq!(memory(&[child.id()]), 0);
    }

    #[test]
    fn what_is_left_of_the_processors_work_is_foreign() {
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let earlier = Processors::read("cpu  0 0 0 0 0 0 0 0 0 0\ncpu0 1 1 1 1\n");
        let line = format!("cpu  {} 0 {ticks} {} 0 0 0 {ticks} 0 0", 3.0 * ticks, 5.0 * ticks);
        let now = Processors::read(&line);
        for (ours, expected) in [(4.0, 0.0), (3.0, 0.1), (0.0, 0.4), (9.0, 0.0)] {
            let found = now.foreign_since(&earlier, ours);
            assert!((found - expected).abs() < 1e-9, "{ours}: expected {expected}, found {found}");
        }
    }
}
