//! The commands, one file each, and how they end.

mod bench;
mod cancel;
mod completions;
mod graph;
mod logs;
mod retry;
mod run;
mod runs;
mod serve;
mod signal;
mod validate;
mod worker;

use std::process::ExitCode;

use serde_json::Value;

use crate::cli::{Command, ServerArgs};
use crate::client::{Client, ClientError, Problem};
use crate::document::{Document, DocumentError};
use crate::serve::StartError;
use crate::stop::Signals;
use crate::terminal::{self, Colour, Paint};

/// How a command ended. The numbers are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what it was for.
    Done = 0,
    /// It did not, for a reason of the matter.
    Failed = 1,
    /// It was asked wrongly: usage, configuration, document or input.
    Usage = 2,
    /// Nobody was there to do it.
    Unreachable = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command did not do what it was for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A server in this process does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// What was asked for makes no sense.
    #[error("{0}")]
    Usage(String),
    /// Several things do not make sense; one line each.
    #[error("{}", .0.join("\n"))]
    Faults(Vec<String>),
    /// A document has faults, or a request that held it; one line each below the title.
    #[error("{title}\n{}", .lines.join("\n"))]
    Placed { title: String, lines: Vec<String> },
    /// The machine does not do it.
    #[error("{0}")]
    Machine(String),
}

/// Does what the command line says.
pub(crate) async fn run(command: Command) -> Exit {
    let result = match command {
        Command::Serve(args) => serve::run(args).await,
        Command::Worker(args) => worker::run(args).await,
        Command::Run(args) => run::run(args).await,
        Command::Validate(args) => validate::run(args).await,
        Command::Graph(args) => graph::run(args).await,
        Command::Runs(args) => runs::run(args).await,
        Command::Logs(args) => logs::run(args).await,
        Command::Cancel(args) => cancel::run(args).await,
        Command::Retry(args) => retry::run(args).await,
        Command::Signal(args) => signal::run(args).await,
        Command::Bench(args) => bench::run(args).await,
        Command::Completions(args) => completions::run(args),
    };
    result.unwrap_or_else(|error| {
        error.print();
        error.exit()
    })
}

impl CommandError {
    fn exit(&self) -> Exit {
        match self {
            CommandError::Client(error) => match error {
                ClientError::Unreachable { .. } | ClientError::Lost { .. } | ClientError::Foreign { .. } => {
                    Exit::Unreachable
                }
                ClientError::Refused(problem) => match problem.status {
                    400 | 413 | 422 => Exit::Usage,
                    _ => Exit::Failed,
                },
                ClientError::Address(_) => Exit::Usage,
                ClientError::Setup(_) => Exit::Failed,
            },
            CommandError::Document(_) | CommandError::Usage(_) => Exit::Usage,
            CommandError::Faults(_) | CommandError::Placed { .. } => Exit::Usage,
            CommandError::Start(StartError::Exposed { .. } | StartError::Workflows(_)) => Exit::Usage,
            CommandError::Start(_) | CommandError::Machine(_) => Exit::Failed,
        }
    }

    fn print(&self) {
        let error = Paint::of_stderr().paint(Colour::Red, "error:");
        match self {
            CommandError::Faults(lines) | CommandError::Start(StartError::Workflows(lines)) => {
                lines.iter().for_each(|line| terminal::err(&format!("{error} {line}")));
            }
            CommandError::Placed { title, lines } => {
                terminal::err(&format!("{error} {title}"));
                lines.iter().for_each(|line| terminal::err(line));
            }
            CommandError::Client(ClientError::Refused(problem)) if !problem.errors.is_empty() => {
                terminal::err(&format!("{error} {}", problem.title));
                problem.errors.iter().for_each(|fault| terminal::err(&format!("  {fault}")));
            }
            other => terminal::err(&format!("{error} {other}")),
        }
    }
}

/// A problem of a request that held this document at this place: its faults by line and column.
pub(crate) fn placed(problem: &Problem, document: &Document, prefix: &str) -> CommandError {
    if problem.errors.is_empty() {
        return CommandError::Usage(format!("{}: {}", document.label, problem.summary()));
    }
    let lines = problem.errors.iter().map(|fault| document.show(fault, prefix)).collect();
    CommandError::Placed { title: problem.title.clone(), lines }
}

/// The server that the arguments and the environment name.
fn client(args: &ServerArgs) -> Result<Client, ClientError> {
    Client::new(&args.address(std::env::var_os(crate::cli::SERVER_ENV)))
}

/// From here on SIGTERM and SIGINT are the command's own business.
fn signals() -> Result<Signals, CommandError> {
    Signals::new().map_err(|fault| CommandError::Machine(format!("signals cannot be caught: {fault}")))
}

/// JSON for people and programs: indented, one final newline.
fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("a JSON value can always be written")
}

/// A member of an answer as text; empty where there is none.
fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_their_exit_codes() {
        let refused = |status| {
            CommandError::from(ClientError::Refused(Box::new(Problem { status, ..Problem::default() })))
        };
        let server = || "http://h".to_owned();
        for (error, exit) in [
            (ClientError::Unreachable { server: server(), cause: String::new() }.into(), Exit::Unreachable),
            (ClientError::Lost { server: server(), cause: String::new() }.into(), Exit::Unreachable),
            (ClientError::Foreign { server: server(), status: 200 }.into(), Exit::Unreachable),
            (ClientError::Address("x".into()).into(), Exit::Usage),
            (refused(400), Exit::Usage),
            (refused(422), Exit::Usage),
            (refused(404), Exit::Failed),
            (refused(409), Exit::Failed),
            (CommandError::Usage(String::new()), Exit::Usage),
            (StartError::Taken { bind: String::new(), port: 1 }.into(), Exit::Failed),
            (StartError::Workflows(Vec::new()).into(), Exit::Usage),
        ] {
            assert_eq!(error.exit(), exit, "{error:?}");
        }
    }
}
