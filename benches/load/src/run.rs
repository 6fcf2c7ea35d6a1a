//! The loops themselves.
//!
//! Closed and open loops are one loop with different gates: connections ask the gate for the next operation's
//! number and the time from which its latency counts. In a closed loop that is now; in an open one it is when
//! the operation was due, and a thread of its own opens the gate then. A timer of the runtime would do so
//! only every millisecond.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::latencies::Latencies;
use crate::plan::{Extent, Pace, Plan};
use crate::workload::{Failure, Workload};

/// Failed operations after which a load is given up.
const FAILURES_MAX: u64 = 100;
/// How long the thread that opens the gate sleeps at least, so that it is no load by itself.
const PACE_MIN: Duration = Duration::from_micros(200);

/// What became of a load.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Of the operations that succeeded.
    pub latencies: Latencies,
    /// How many did not.
    pub failures: u64,
    /// What the first of those said.
    pub first_failure: Option<String>,
    /// From the first operation's begin to the last one's end.
    pub elapsed: Duration,
}

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is nobody to connect to, any more.
    #[error("connection {index} cannot be made: {cause}")]
    Connect {
        /// The connection's number.
        index: usize,
        /// What the workload said.
        cause: Failure,
    },
    /// What is measured does not work.
    #[error("{FAILURES_MAX} operations failed, the first: {0}")]
    Failing(String),
    /// The workload has a defect.
    #[error("an operation panicked: {0}")]
    Panic(#[from] tokio::task::JoinError),
}

/// Does what the plan says. All connections are made before the first operation begins.
pub async fn run<W: Workload>(workload: Arc<W>, plan: &Plan) -> Result<Outcome, LoadError> {
    let mut connections = Vec::with_capacity(plan.connections);
    for index in 0..plan.connections {
        let connection = workload.connect(index).await;
        connections.push(connection.map_err(|cause| LoadError::Connect { index, cause })?);
    }
    let gate = Arc::new(Gate::new(plan));
    let faults = Arc::new(Faults::default());
    let mut loops = JoinSet::new();
    for (index, connection) in connections.into_iter().enumerate() {
        let (workload, gate, faults) = (workload.clone(), gate.clone(), faults.clone());
        loops.spawn(async move { operate(&*workload, (index, connection), &gate, &faults).await });
    }
    let pacer = gate.clone().open(plan.connections);
    let mut latencies = Latencies::default();
    while let Some(one) = loops.join_next().await {
        latencies.add(&one??);
    }
    let elapsed = gate.start.elapsed();
    gate.close();
    // It sleeps no longer than to the next operation's time.
    pacer.map(thread::JoinHandle::join);
    let first_failure = faults.first();
    Ok(Outcome { latencies, failures: faults.count.load(Ordering::Relaxed), first_failure, elapsed })
}

async fn operate<W: Workload>(
    workload: &W,
    (index, mut connection): (usize, W::Connection),
    gate: &Gate,
    faults: &Faults,
) -> Result<Latencies, LoadError> {
    let mut latencies = Latencies::default();
    while let Some((number, due)) = gate.next().await {
        match workload.operate(&mut connection, number).await {
            Ok(()) => latencies.record(due.elapsed()),
            Err(failure) => {
                faults.count(&failure)?;
                let again = workload.connect(index).await;
                connection = again.map_err(|cause| LoadError::Connect { index, cause })?;
            }
        }
    }
    Ok(latencies)
}

/// Where operations get their numbers, and open loops their time.
struct Gate {
    start: Instant,
    extent: Extent,
    first: u64,
    taken: AtomicU64,
    /// How many operations there may be at most; made less to end the load.
    total: AtomicU64,
    /// The time between two operations, and a permit for each that is due; none in a closed loop.
    open: Option<(f64, Semaphore)>,
}

impl Gate {
    fn new(plan: &Plan) -> Self {
        let total = match (&plan.extent, plan.pace) {
            (Extent::Operations(count), _) => *count,
            (Extent::Time(time), Pace::Open { per_second }) => (time.as_secs_f64() * per_second) as u64,
            (Extent::Time(_) | Extent::Until(_), _) => u64::MAX,
        };
        let open = match plan.pace {
            Pace::Closed => None,
            Pace::Open { per_second } => Some((1.0 / per_second, Semaphore::new(0))),
        };
        Gate {
            start: Instant::now(),
            extent: plan.extent.clone(),
            first: plan.first,
            taken: AtomicU64::new(0),
            total: AtomicU64::new(total),
            open,
        }
    }

    /// The next operation's number, and when it is due; none once the load is over.
    async fn next(&self) -> Option<(u64, Instant)> {
        if let Some((_, due)) = &self.open {
            due.acquire().await.ok()?.forget();
        }
        if self.is_over() {
            return None;
        }
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        if number >= self.total.load(Ordering::Relaxed) {
            return None;
        }
        let due = match &self.open {
            Some((interval, _)) => self.due(*interval, number),
            None => Instant::now(),
        };
        Some((self.first + number, due))
    }

    fn is_over(&self) -> bool {
        match &self.extent {
            Extent::Operations(_) => false,
            // An open loop has a number of operations instead: those that are late are done all the same.
            Extent::Time(time) => self.open.is_none() && self.start.elapsed() >= *time,
            Extent::Until(stop) => stop.is_raised(),
        }
    }

    fn due(&self, interval: f64, number: u64) -> Instant {
        self.start + Duration::from_secs_f64(interval * number as f64)
    }

    /// Lets operations in when they are due, on a thread of its own.
    fn open(self: Arc<Self>, connections: usize) -> Option<thread::JoinHandle<()>> {
        self.open.as_ref()?;
        Some(thread::spawn(move || self.pace(connections)))
    }

    fn pace(&self, connections: usize) {
        let Some((interval, due)) = &self.open else { return };
        let mut let_in = 0;
        while let_in < self.total.load(Ordering::Relaxed) && !self.is_over() {
            let now = (self.start.elapsed().as_secs_f64() / interval) as u64 + 1;
            let now = now.min(self.total.load(Ordering::Relaxed));
            due.add_permits(usize::try_from(now.saturating_sub(let_in)).expect("a rate fits a word"));
            let_in = let_in.max(now);
            let next = self.due(*interval, let_in).saturating_duration_since(Instant::now());
            thread::sleep(next.max(PACE_MIN));
        }
        // One more for each connection, so that all of them learn that nothing is left.
        due.add_permits(connections);
    }

    fn close(&self) {
        self.total.store(0, Ordering::Relaxed);
    }
}

/// What went wrong.
#[derive(Default)]
struct Faults {
    count: AtomicU64,
    first: Mutex<Option<String>>,
}

impl Faults {
    fn count(&self, failure: &Failure) -> Result<(), LoadError> {
        self.lock().get_or_insert_with(|| failure.to_string());
        if self.count.fetch_add(1, Ordering::Relaxed) + 1 < FAILURES_MAX {
            return Ok(());
        }
        Err(LoadError::Failing(self.first().unwrap_or_default()))
    }

    fn first(&self) -> Option<String> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::plan::Stop;

    /// Notes the numbers; some fail, some take their time.
    #[derive(Default)]
    struct Noted {
        numbers: Mutex<BTreeSet<u64>>,
        fails_from: Option<u64>,
        stop: Option<(u64, Stop)>,
        slow: Option<(u64, Duration)>,
    }

    impl Workload for Noted {
        type Connection = ();

        async fn connect(&self, _: usize) -> Result<(), Failure> {
            Ok(())
        }

        async fn operate(&self, (): &mut (), number: u64) -> Result<(), Failure> {
            assert!(self.numbers.lock().expect("no panic").insert(number), "{number} came twice");
            if let Some((at, stop)) = &self.stop
                && number == *at
            {
                stop.raise();
            }
            if let Some((at, time)) = self.slow
                && number == at
            {
                tokio::time::sleep(time).await;
            }
            match self.fails_from {
                Some(from) if number >= from => Err(format!("{number} fails").into()),
                _ => Ok(()),
            }
        }
    }

    #[tokio::test]
    async fn every_number_is_done_once() {
        let stop = Stop::default();
        let never = Stop::default();
        for (connections, pace, extent, count) in [
            (1, Pace::Closed, Extent::Operations(10), 10),
            (7, Pace::Closed, Extent::Operations(100), 100),
            (7, Pace::Open { per_second: 10_000.0 }, Extent::Operations(100), 100),
            (3, Pace::Open { per_second: 1_000.0 }, Extent::Time(Duration::from_millis(50)), 50),
            (1, Pace::Closed, Extent::Until(stop.clone()), 5),
        ] {
            let raised = if matches!(extent, Extent::Until(_)) { &stop } else { &never };
            let workload = Arc::new(Noted { stop: Some((504, raised.clone())), ..Noted::default() });
            let plan = Plan { connections, pace, extent, first: 500 };
            let outcome = run(workload.clone(), &plan).await.expect("nothing fails");
            assert_eq!(outcome.latencies.count(), count, "{plan:?}");
            let numbers = workload.numbers.lock().expect("no panic").clone();
            assert!(numbers.into_iter().eq(500..500 + count), "{plan:?}");
        }
    }

    #[tokio::test]
    async fn an_open_loop_counts_from_when_an_operation_was_due() {
        // The first one holds the only connection; those after it were due meanwhile.
        let held = Duration::from_millis(20);
        let workload = Arc::new(Held(held));
        let plan = Plan {
            connections: 1,
            pace: Pace::Open { per_second: 1_000.0 },
            extent: Extent::Operations(10),
            first: 0,
        };
        let outcome = run(workload, &plan).await.expect("nothing fails");
        let tenth = held - Duration::from_millis(9);
        assert!(outcome.latencies.quantile(0.0) >= tenth - Duration::from_millis(1));
    }

    /// The first operation holds its thread.
    struct Held(Duration);

    impl Workload for Held {
        type Connection = ();

        async fn connect(&self, _: usize) -> Result<(), Failure> {
            Ok(())
        }

        async fn operate(&self, (): &mut (), number: u64) -> Result<(), Failure> {
            if number == 0 {
                thread::sleep(self.0);
            }
            Ok(())
        }
    }

    #[tokio::test]
    async fn failures_are_counted_and_too_many_end_the_load() {
        let plan =
            |count| Plan { connections: 4, pace: Pace::Closed, extent: Extent::Operations(count), first: 0 };
        let fails_from = |from| Arc::new(Noted { fails_from: Some(from), ..Noted::default() });
        let outcome = run(fails_from(90), &plan(100)).await.expect("ten failures are borne");
        assert_eq!((outcome.latencies.count(), outcome.failures), (90, 10));
        assert!(outcome.first_failure.is_some_and(|text| text.ends_with(" fails")));
        assert!(matches!(run(fails_from(0), &plan(1000)).await, Err(LoadError::Failing(_))));
    }
}
