//! One attempt at one task, from the claim to the report.

use std::io::Write;
use std::process::ExitStatus;
use std::time::Duration;

use selvedge::time::{self, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use tempfile::NamedTempFile;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use super::Settings;
use super::command::Command;
use super::lease::{Held, Wish};
use super::logs::{BACKLOG_PIECES_MAX, Stream, ship};
use super::outcome::{Again, Ended, Failure, Outcome};
use super::output::{Capture, pump};
use super::process::{Pipes, Process, SpawnFault};
use crate::client::Client;
use crate::stop::{Phase, Stop};

/// The longest text that is put into an environment variable; the system's own limit is 128 KiB.
const VARIABLE_BYTES_MAX: usize = 64 << 10;

/// A task as a claim grants it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Claimed {
    lease_id: String,
    run_id: String,
    task: String,
    #[serde(default)]
    index: Option<u64>,
    attempt: u64,
    #[serde(default)]
    input: Value,
    #[serde(default)]
    upstream: Value,
    #[serde(default)]
    deadline: Option<String>,
    #[serde(default)]
    lease_expires_at: Option<String>,
    #[serde(default)]
    grace: Option<String>,
}

/// Why a command that runs is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Cancelled,
    TimedOut,
    LeaseLost,
    Shutdown,
}

/// Does the task and reports its outcome. `stop` reaching `Cut` gives it back.
pub(super) async fn run(settings: &Settings, claimed: Claimed, stop: &Stop) {
    let held = Held::new(claimed.lease_id.clone(), settings.lease_ttl);
    let name = claimed.name();
    tracing::info!(run_id = claimed.run_id, task = name, attempt = claimed.attempt, "started");
    let work = async {
        let outcome = perform(settings, &claimed, &held, stop).await;
        say(&claimed, &outcome);
        outcome.report(&settings.client, &held).await;
    };
    tokio::select! {
        () = work => {}
        () = held.keep(&settings.client) => {}
    }
}

async fn perform(settings: &Settings, claimed: &Claimed, held: &Held, stop: &Stop) -> Outcome {
    let command = match Command::read(&claimed.input) {
        Ok(command) => command,
        Err(fault) => return failed("input", fault, Again::Futile),
    };
    let variables = match Variables::of(claimed, &settings.client) {
        Ok(variables) => variables,
        Err(fault) => {
            let message = format!("this worker cannot write a temporary file: {fault}");
            return failed("worker", message, Again::Worthwhile);
        }
    };
    let (process, pipes) = match Process::spawn(&command, variables.pairs.iter().cloned()) {
        Ok(started) => started,
        Err(fault @ SpawnFault::System(..)) => return failed("spawn", fault, Again::Worthwhile),
        Err(fault) => return failed("spawn", fault, Again::Futile),
    };
    let time = claimed.time_left(settings.lease_ttl);
    let grace = claimed.grace(settings.kill_grace);
    let watched = watched(settings, held, stop, (time, grace), process, pipes).await;
    let (status, cause, stdout, stderr) = match watched {
        Ok(watched) => watched,
        Err(fault) => return failed("worker", format!("the command was lost: {fault}"), Again::Worthwhile),
    };
    let ended = Ended { status, stdout: &stdout, stderr: &stderr };
    match cause {
        None => ended.judge(&command.program, command.parse),
        Some(Cause::Shutdown | Cause::LeaseLost) => Outcome::Release,
        Some(Cause::Cancelled) => ended.fail("cancelled", "stopped on request".to_owned(), Again::Futile),
        Some(Cause::TimedOut) => {
            ended.fail("timeout", "stopped at its time-out".to_owned(), Again::Worthwhile)
        }
    }
}

type Watched = (ExitStatus, Option<Cause>, Capture, Capture);

/// Runs the process to its end, its own or ours, while its streams are read and its logs sent.
async fn watched(
    settings: &Settings,
    held: &Held,
    stop: &Stop,
    (time, grace): (Option<Duration>, Duration),
    mut process: Process,
    pipes: Pipes,
) -> std::io::Result<Watched> {
    let (sender, receiver) = mpsc::channel(BACKLOG_PIECES_MAX);
    let (stdout_sender, stderr_sender) = (sender.clone(), sender);
    let (mut stdout, mut stderr) = (Capture::default(), Capture::default());
    let ended = watch::Sender::new(None);
    let end = async {
        let end = end(&mut process, held, stop, time, grace).await;
        ended.send_replace(Some(Instant::now()));
        end
    };
    let (end, (), (), ()) = tokio::join!(
        end,
        pump(pipes.stdout, Stream::Stdout, stdout_sender, &mut stdout, ended.subscribe()),
        pump(pipes.stderr, Stream::Stderr, stderr_sender, &mut stderr, ended.subscribe()),
        ship(&settings.client, held, receiver),
    );
    let (status, cause) = end?;
    Ok((status, cause, stdout, stderr))
}

/// The end of the command, its own or ours; with the cause if it was ours.
async fn end(
    process: &mut Process,
    held: &Held,
    stop: &Stop,
    time: Option<Duration>,
    grace: Duration,
) -> std::io::Result<(ExitStatus, Option<Cause>)> {
    let cause = tokio::select! {
        status = process.wait() => return Ok((status?, None)),
        wish = held.stopped() => if wish == Wish::Lost { Cause::LeaseLost } else { Cause::Cancelled },
        () = elapsed(time) => Cause::TimedOut,
        () = stop.reached(Phase::Cut) => Cause::Shutdown,
    };
    Ok((process.stop(grace).await?, Some(cause)))
}

async fn elapsed(time: Option<Duration>) {
    match time {
        Some(time) => sleep(time).await,
        None => std::future::pending().await,
    }
}

fn failed(code: &'static str, message: impl ToString, again: Again) -> Outcome {
    Outcome::Fail(Failure::unstarted(code, message, again))
}

fn say(claimed: &Claimed, outcome: &Outcome) {
    let (run_id, task) = (&claimed.run_id, claimed.name());
    match outcome {
        Outcome::Complete(_) => tracing::info!(run_id, task, "completed"),
        Outcome::Fail(failure) => tracing::info!(run_id, task, "failed: {}", failure.message),
        Outcome::Release => tracing::info!(run_id, task, "given back"),
    }
}

impl Claimed {
    /// The task instance as paths and people name it.
    fn name(&self) -> String {
        match self.index {
            Some(index) => format!("{}[{index}]", self.task),
            None => self.task.clone(),
        }
    }

    /// Between SIGTERM and SIGKILL: the task's own grace, but not longer than the worker's.
    fn grace(&self, longest: Duration) -> Duration {
        let own = self.grace.as_deref().and_then(|text| text.parse::<time::Duration>().ok());
        own.map_or(longest, |own| Duration::from(own).min(longest))
    }

    /// How long the attempt may take, reckoned with the server's clock alone: the lease was granted one ttl
    /// before it expires.
    fn time_left(&self, ttl: Duration) -> Option<Duration> {
        let time = |text: &Option<String>| text.as_deref()?.parse::<Timestamp>().ok();
        let left = time(&self.deadline)?.since(time(&self.lease_expires_at)?);
        Some(Duration::from(left) + ttl)
    }
}

/// What a command is told through its environment. Long values are in files only.
struct Variables {
    pairs: Vec<(String, String)>,
    /// Removed when the attempt is over.
    _files: Vec<NamedTempFile>,
}

impl Variables {
    fn of(claimed: &Claimed, client: &Client) -> std::io::Result<Self> {
        let mut pairs: Vec<(String, String)> = [
            ("SELVEDGE_RUN_ID", claimed.run_id.clone()),
            ("SELVEDGE_TASK", claimed.name()),
            ("SELVEDGE_ATTEMPT", claimed.attempt.to_string()),
            ("SELVEDGE_LEASE_ID", claimed.lease_id.clone()),
            ("SELVEDGE_SERVER", client.server().to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let mut files = Vec::new();
        for (name, value) in [("SELVEDGE_INPUT", &claimed.input), ("SELVEDGE_UPSTREAM", &claimed.upstream)] {
            let text = value.to_string();
            let mut file = NamedTempFile::with_prefix("selvedge-")?;
            file.write_all(text.as_bytes())?;
            pairs.push((format!("{name}_FILE"), file.path().to_string_lossy().into_owned()));
            files.push(file);
            if text.len() <= VARIABLE_BYTES_MAX {
                pairs.push((name.to_owned(), text));
            }
        }
        Ok(Self { pairs, _files: files })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claimed(more: Value) -> Claimed {
        let mut claimed = json!({"lease_id": "l", "run_id": "r", "task": "t", "index": null, "queue": "shell",
            "attempt": 2, "input": {"command": "x"}, "upstream": {"a": {"output": 1}}, "checkpoints": {}});
        claimed.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        serde_json::from_value(claimed).expect("a claimed task")
    }

    #[test]
    fn instances_are_named_with_their_index() {
        for (more, name) in [(json!({}), "t"), (json!({"index": 3}), "t[3]")] {
            assert_eq!(claimed(more).name(), name);
        }
    }

    #[test]
    fn time_is_reckoned_by_the_servers_clock() {
        let ttl = Duration::from_secs(30);
        let expires = "2030-01-01T00:00:30.000Z";
        for (deadline, left) in [
            (json!(null), None),
            (json!("2030-01-01T00:01:00.000Z"), Some(60)),
            (json!("2030-01-01T00:00:30.000Z"), Some(30)),
        ] {
            let claimed = claimed(json!({"deadline": deadline, "lease_expires_at": expires}));
            assert_eq!(claimed.time_left(ttl), left.map(Duration::from_secs), "{deadline}");
        }
    }

    #[test]
    fn the_shorter_grace_counts() {
        for (grace, seconds) in [(json!("5s"), 5), (json!("1h"), 30), (json!(null), 30)] {
            let claimed = claimed(json!({ "grace": grace }));
            assert_eq!(claimed.grace(Duration::from_secs(30)), Duration::from_secs(seconds), "{grace}");
        }
    }

    #[test]
    fn commands_are_told_who_they_are() {
        selvedge_tokio::install_tls();
        let client = Client::new("http://h/").expect("an address");
        let variables = Variables::of(&claimed(json!({})), &client).expect("a temporary file");
        let get =
            |name: &str| variables.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        for (name, value) in [
            ("SELVEDGE_RUN_ID", "r"),
            ("SELVEDGE_TASK", "t"),
            ("SELVEDGE_ATTEMPT", "2"),
            ("SELVEDGE_LEASE_ID", "l"),
            ("SELVEDGE_SERVER", "http://h"),
            ("SELVEDGE_INPUT", "{\"command\":\"x\"}"),
            ("SELVEDGE_UPSTREAM", "{\"a\":{\"output\":1}}"),
        ] {
            assert_eq!(get(name), Some(value), "{name}");
        }
        let path = get("SELVEDGE_UPSTREAM_FILE").expect("a file");
        assert_eq!(std::fs::read_to_string(path).expect("readable"), "{\"a\":{\"output\":1}}");

        let long = "x".repeat(VARIABLE_BYTES_MAX);
        let variables =
            Variables::of(&claimed(json!({"upstream": long})), &client).expect("a temporary file");
        let names: Vec<_> = variables.pairs.iter().map(|(name, _)| name.as_str()).collect();
        assert!(names.contains(&"SELVEDGE_UPSTREAM_FILE") && !names.contains(&"SELVEDGE_UPSTREAM"));
    }
}
