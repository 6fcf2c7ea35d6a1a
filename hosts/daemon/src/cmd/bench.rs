//! `selvedge bench`: a server under load, and what each operation cost.
//!
//! The server is a process of its own, this binary again, so that what it used is told apart from what the
//! load and the workers used, which are both in this one. They share one thread: beside a server on two
//! processors they must cost little, and waking another thread for each answer would not.

mod claims;
mod counts;
mod flat_pages;
mod flat_stored;
mod flat_tasks;
mod place;
mod reads;
mod runs;
mod seed;
mod server;
mod signals;
mod sleepers;
mod stretch;
mod workers;

use std::time::Duration;

use selvedge_load::{Conditions, Extent, Measurement, Pace, Plan, Report};

use super::{CommandError, Exit};
use crate::cli::{BenchArgs, BenchFormat, BenchWorkload};
use crate::terminal;

use place::Place;
use server::Server;

/// How long a workload is measured unless the command line says otherwise.
const DURATION_DEFAULT: Duration = Duration::from_secs(5);
/// Operations before the measured ones, which fill caches and compile statements.
const WARM_UP_OPERATIONS: u64 = 200;

/// Why there is no measurement.
#[derive(Debug, thiserror::Error)]
enum BenchError {
    #[error(transparent)]
    Load(#[from] selvedge_load::LoadError),
    #[error(transparent)]
    Client(#[from] selvedge_load::ClientError),
    /// The process that is measured cannot be started, or is gone.
    #[error("the server {0}")]
    Server(String),
    /// What is measured did not behave.
    #[error("{0}")]
    Unexpected(String),
    /// Runs could not be put into the database.
    #[error("stored runs: {0}")]
    Seed(#[from] selvedge::store::database::DatabaseError),
    #[error(transparent)]
    Open(#[from] selvedge_libsql::local::OpenError),
    #[error("{what}: {cause}")]
    Machine { what: String, cause: std::io::Error },
}

/// The measurements of one workload.
type Measured = Result<Vec<Measurement>, BenchError>;

pub(super) async fn run(args: BenchArgs) -> Result<Exit, CommandError> {
    let workloads =
        if args.workloads.is_empty() { BenchWorkload::USUAL.to_vec() } else { args.workloads.clone() };
    if args.server.is_some()
        && let Some(own) = workloads.iter().find(|workload| workload.needs_own_server())
    {
        return Err(CommandError::Usage(format!(
            "{own} fills a database of its own: leave --server away, or name other workloads"
        )));
    }
    let (done, report) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = done.send(measure(&args, &workloads).map(|report| print(&report, args.format)));
    });
    match report.await {
        Ok(Ok(())) => Ok(Exit::Done),
        Ok(Err(fault)) => Err(CommandError::Machine(fault.to_string())),
        Err(_) => Err(CommandError::Machine("the bench ended in a defect".to_owned())),
    }
}

fn print(report: &Report, format: BenchFormat) {
    match format {
        BenchFormat::Text => terminal::out_raw(&report.text()),
        BenchFormat::Json => terminal::out(&report.json()),
    }
}

fn measure(args: &BenchArgs, workloads: &[BenchWorkload]) -> Result<Report, BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|cause| BenchError::Machine { what: "no runtime".into(), cause })?;
    runtime.block_on(async {
        let mut measurements = Vec::new();
        for workload in workloads {
            terminal::err(&format!("{workload} …"));
            measurements.extend(one(args, *workload).await?);
        }
        Ok(Report { conditions: Conditions::here(settings(args)?), measurements })
    })
}

async fn one(args: &BenchArgs, workload: BenchWorkload) -> Measured {
    let shape = async |shape: &runs::Shape| {
        each(args, async |server, connections| runs::measure(args, server, shape, connections).await).await
    };
    match workload {
        BenchWorkload::OneTask => shape(&runs::ONE_TASK).await,
        BenchWorkload::TenTasks => shape(&runs::TEN_TASKS).await,
        BenchWorkload::FanOut => shape(&runs::FAN_OUT).await,
        BenchWorkload::Signals => {
            each(args, async |server, connections| signals::measure(args, server, connections).await).await
        }
        BenchWorkload::Reads => {
            each(args, async |server, connections| reads::measure(args, server, connections).await).await
        }
        BenchWorkload::ClaimFull => claims::measure(args).await,
        BenchWorkload::Sleepers => sleepers::measure(args).await,
        BenchWorkload::FlatTasks => flat_tasks::measure(args).await,
        BenchWorkload::FlatStored => flat_stored::measure(args).await,
        BenchWorkload::FlatPages => flat_pages::measure(args).await,
    }
}

/// With each number of connections, each on a server of its own, so that none finds what another one left.
async fn each(args: &BenchArgs, measure: impl AsyncFn(&Server, usize) -> Measured) -> Measured {
    let mut measurements = Vec::new();
    for connections in &args.connections {
        let (place, server) = match &args.server {
            Some(url) => (None, Server::at(url).await?),
            None => {
                let place = Place::new(args)?;
                let server = place.serve().await?;
                (Some(place), server)
            }
        };
        measurements.extend(measure(&server, usize::from(*connections)).await?);
        server.stop().await?;
        drop(place);
    }
    Ok(measurements)
}

/// How much, as the command line says, of operations that are small.
fn plan(args: &BenchArgs, connections: usize) -> Plan {
    let pace = args.rate.map_or(Pace::Closed, |per_second| Pace::Open { per_second });
    Plan { connections, pace, extent: extent(args), first: WARM_UP_OPERATIONS }
}

fn extent(args: &BenchArgs) -> Extent {
    match (args.runs, args.duration) {
        (Some(runs), _) => Extent::Operations(runs),
        (None, duration) => Extent::Time(duration.map_or(DURATION_DEFAULT, Into::into)),
    }
}

fn warm_up(connections: usize) -> Plan {
    Plan { connections, pace: Pace::Closed, extent: Extent::Operations(WARM_UP_OPERATIONS), first: 0 }
}

/// Who is measured.
fn subject() -> String {
    format!("selvedge {}", env!("CARGO_PKG_VERSION"))
}

/// What the report says of how it was made.
fn settings(args: &BenchArgs) -> Result<Vec<(String, String)>, BenchError> {
    let mut settings = Vec::new();
    match &args.server {
        Some(url) => settings.push(("server", format!("{url}, a process that is not metered"))),
        None => {
            let parent = Place::parent(args);
            let kind = selvedge_load::file_system(&parent).unwrap_or_else(|| "unknown".to_owned());
            let build =
                if cfg!(debug_assertions) { "a build without optimisation" } else { "a release build" };
            settings.push(("server", format!("a process of its own, {build}")));
            settings
                .push(("database", format!("a file in {}, on {kind}, synchronous=FULL", parent.display())));
        }
    }
    let per_claim = args.tasks_per_claim;
    settings.push(("workers", format!("{} in this process, up to {per_claim} tasks a claim", args.workers)));
    Ok(settings.into_iter().map(|(name, setting)| (name.to_owned(), setting)).collect())
}
