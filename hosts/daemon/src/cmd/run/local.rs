//! `selvedge run FILE --local`: server, worker and run in one process, over loopback.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::super::{CommandError, Exit, signals};
use super::{Existing, follow, start, upload};
use crate::cli::RunArgs;
use crate::client::Client;
use crate::config::{Access, Config, LogFormat};
use crate::document::Document;
use crate::module::Found;
use crate::stop::{self, Phase};
use crate::{serve, telemetry, terminal, worker};

/// Short, so that after a crash of this process the next one need not wait long for its tasks.
const LEASE_TTL: Duration = Duration::from_secs(10);
const KILL_GRACE: Duration = Duration::from_secs(10);
const SHUTDOWN_GRACE: selvedge::time::Duration = selvedge::time::Duration::from_secs(5);

pub(super) async fn run(
    args: &RunArgs,
    document: &Document,
    modules: &Found,
    request: &Value,
) -> Result<Exit, CommandError> {
    // What tasks write is shown by the run; of the parts in this process only trouble is.
    telemetry::start(LogFormat::Text, tracing::Level::WARN);
    let place = Place::new(args.database.as_deref())?;
    let (server_stopper, server_stop) = stop::channel();
    let server = serve::start(&config(place.path.clone()), server_stop).await?;
    let client = Client::new(&server.url)?;
    warn_of_strange_queues(args, document);
    let (worker_stopper, worker_stop) = stop::channel();
    let mut work = tokio::spawn(worker::work(settings(args, &client), worker_stop));
    let result = tokio::select! {
        result = to_end(args, &client, document, modules, request) => result,
        ended = &mut work => Err(worker_error(ended)),
    };
    // What still runs now belongs to a run that was left: it is stopped and given back.
    worker_stopper.move_to(Phase::Cut);
    if !work.is_finished() {
        let mut signals = signals()?;
        tokio::select! {
            _ = &mut work => {}
            // Dropping the work kills its commands.
            () = signals.next() => work.abort(),
        }
    }
    drop(client);
    server_stopper.move_to(Phase::Stopping);
    server.ended().await;
    result
}

async fn to_end(
    args: &RunArgs,
    client: &Client,
    document: &Document,
    modules: &Found,
    request: &Value,
) -> Result<Exit, CommandError> {
    upload(client, modules).await?;
    let run = start(client, document, request, Existing::Follow).await?;
    follow(client, args, document, &run).await
}

fn worker_error(
    ended: Result<Result<(), crate::client::ClientError>, tokio::task::JoinError>,
) -> CommandError {
    match ended {
        Ok(Err(fault)) => fault.into(),
        Ok(Ok(())) => CommandError::Machine("the worker stopped before the run ended".to_owned()),
        Err(fault) => CommandError::Machine(format!("the worker ended in a defect: {fault}")),
    }
}

/// Where the state is: the given file, or one that goes away with the process.
struct Place {
    path: PathBuf,
    _temporary: Option<TempDir>,
}

impl Place {
    fn new(given: Option<&Path>) -> Result<Self, CommandError> {
        if let Some(address) = given.and_then(Path::to_str).filter(|given| given.contains("://")) {
            return Err(CommandError::Usage(format!(
                "--database: expected a file, found an address: {address}; to work on a libsql server's database, \
                 start `selvedge serve` on it and run the document there"
            )));
        }
        if let Some(path) = given {
            return Ok(Self { path: path.to_owned(), _temporary: None });
        }
        let directory = tempfile::Builder::new()
            .prefix("selvedge-")
            .tempdir()
            .map_err(|fault| CommandError::Machine(format!("no temporary directory can be made: {fault}")))?;
        Ok(Self { path: directory.path().join("selvedge.db"), _temporary: Some(directory) })
    }
}

fn config(database: PathBuf) -> Config {
    Config {
        bind: "127.0.0.1:0".to_owned(),
        database: selvedge_libsql::Place::File(database),
        database_token: None,
        workflows: None,
        base_path: String::new(),
        log: LogFormat::Text,
        log_level: tracing::Level::WARN,
        access: Access::Loopback,
        connections_max: 1024,
        http_concurrency: 64,
        wasm_concurrency: 4,
        wasm_memory: 64,
        shutdown_grace: SHUTDOWN_GRACE,
    }
}

fn settings(args: &RunArgs, client: &Client) -> worker::Settings {
    worker::Settings {
        client: client.clone(),
        worker_id: worker::fresh_worker_id(),
        queues: args.queues.clone(),
        labels: args.labels.clone(),
        concurrency: args.concurrency.map_or_else(worker::concurrency_default, usize::from),
        lease_ttl: LEASE_TTL,
        kill_grace: KILL_GRACE,
        shutdown_grace: SHUTDOWN_GRACE.into(),
    }
}

/// Says which tasks nobody in this process will take, instead of waiting without a word.
fn warn_of_strange_queues(args: &RunArgs, document: &Document) {
    for (task, queue) in strange_queues(&document.value, &args.queues) {
        terminal::err(&format!(
            "warning: task {task} is for the queue {queue}, which the local worker does not serve: \
             pass --queue {queue} if its input is a shell command"
        ));
    }
}

fn strange_queues<'a>(document: &'a Value, served: &[String]) -> Vec<(&'a str, &'a str)> {
    let tasks = document.get("tasks").and_then(Value::as_object).into_iter().flatten();
    tasks
        .filter_map(|(name, task)| Some((name.as_str(), task.get("worker")?.as_str()?)))
        .filter(|(_, queue)| !served.iter().any(|served| served == queue))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn queues_that_nobody_serves_are_found() {
        let document =
            json!({"tasks": {"a": {"worker": "shell"}, "b": {"worker": "gpu"}, "c": {"value": 1}}});
        assert_eq!(strange_queues(&document, &["shell".to_owned()]), [("b", "gpu")]);
        assert_eq!(strange_queues(&document, &["shell".to_owned(), "gpu".to_owned()]), []);
        assert_eq!(strange_queues(&json!("no workflow"), &[]), []);
    }

    #[test]
    fn a_temporary_place_goes_away() {
        let place = Place::new(None).expect("a directory");
        let directory = place.path.parent().expect("a directory").to_owned();
        assert!(directory.is_dir());
        drop(place);
        assert!(!directory.exists());
        let given = Place::new(Some(Path::new("x.db"))).expect("as given");
        assert_eq!(given.path, Path::new("x.db"));
        assert!(matches!(Place::new(Some(Path::new("http://h"))), Err(CommandError::Usage(_))));
    }
}
