//! `selvedge worker`: the shell worker as a process of its own.

use super::{CommandError, Exit};
use crate::cli::WorkerArgs;
use crate::config::LogFormat;
use crate::stop::{self, Phase};
use crate::{telemetry, worker};

pub(super) async fn run(args: WorkerArgs) -> Result<Exit, CommandError> {
    telemetry::start(LogFormat::Text, tracing::Level::INFO);
    let settings = worker::Settings {
        client: super::client(&args.server)?,
        worker_id: args.worker_id.unwrap_or_else(worker::fresh_worker_id),
        queues: args.queues,
        labels: args.labels,
        concurrency: args.concurrency.map_or_else(worker::concurrency_default, usize::from),
        lease_ttl: args.lease_ttl.into(),
        kill_grace: args.kill_grace.into(),
        shutdown_grace: args.shutdown_grace.into(),
    };
    let (stopper, stop) = stop::channel();
    let mut signals = super::signals()?;
    let impatience = async {
        signals.next().await;
        stopper.move_to(Phase::Stopping);
        signals.next().await;
        stopper.move_to(Phase::Cut);
        signals.next().await;
    };
    tokio::select! {
        result = worker::work(settings, stop) => result?,
        // Leaving drops the work, which kills what still runs.
        () = impatience => {}
    }
    Ok(Exit::Done)
}
