//! `selvedge run FILE`: start a run, follow it to its end, print its output.

mod local;
mod unclaimed;
mod watch;

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{CommandError, Exit, placed, pretty, text};
use crate::cli::RunArgs;
use crate::client::{Call, Client, ClientError};
use crate::document::{Document, json_or_text};
use crate::module::{self, Found};
use crate::progress::Style;
use crate::terminal;

/// Where the document stands in the request that starts a run.
const DOCUMENT_POINTER: &str = "/document";

/// What is done about a run of this id that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Existing {
    /// It is somebody else's.
    Refuse,
    /// It is this one, from before a crash.
    Follow,
}

pub(super) async fn run(args: RunArgs) -> Result<Exit, CommandError> {
    let mut document = Document::load(&args.file)?;
    let modules = module::take(&mut document, &args.file).map_err(CommandError::Faults)?;
    let request = request(&args, &document)?;
    if args.local {
        return local::run(&args, &document, &modules, &request).await;
    }
    let client = super::client(&args.server)?;
    upload(&client, &modules).await?;
    let run = start(&client, &document, &request, Existing::Refuse).await?;
    if args.detach {
        terminal::out(&if args.json { pretty(&run) } else { text(&run, "/id").to_owned() });
        return Ok(Exit::Done);
    }
    follow(&client, &args, &document, &run).await
}

/// Sends the modules that lie beside the document.
async fn upload(client: &Client, modules: &Found) -> Result<(), CommandError> {
    for (digest, bytes) in modules {
        client.send(Call::upload(&["modules", digest.as_str()], bytes)).await?;
    }
    Ok(())
}

/// Starts the run, or finds the one that is there already.
async fn start(
    client: &Client,
    document: &Document,
    request: &Value,
    existing: Existing,
) -> Result<Value, CommandError> {
    match client.send(Call::post(&["runs"]).body(request)).await {
        Ok(run) => Ok(run),
        Err(ClientError::Refused(problem)) if problem.is("run-exists") && existing == Existing::Follow => {
            let id = text(request, "/id");
            let run = client.send(Call::get(&["runs", id])).await?;
            same_workflow(document, &run)?;
            terminal::err(&format!("run {id} is here already: following it"));
            Ok(run)
        }
        Err(ClientError::Refused(problem)) if !problem.errors.is_empty() => {
            Err(placed(&problem, document, DOCUMENT_POINTER))
        }
        Err(fault) => Err(fault.into()),
    }
}

fn same_workflow(document: &Document, run: &Value) -> Result<(), CommandError> {
    let (ours, theirs) = (text(&document.value, "/name"), text(run, "/workflow"));
    if ours == theirs {
        return Ok(());
    }
    let id = text(run, "/id");
    Err(CommandError::Usage(format!(
        "--id: run {id} is one of workflow {theirs}, and {} is {ours}",
        document.label
    )))
}

/// Follows the run and prints what it came to.
async fn follow(
    client: &Client,
    args: &RunArgs,
    document: &Document,
    run: &Value,
) -> Result<Exit, CommandError> {
    let style = match (args.json, terminal::is_live()) {
        (true, _) => Style::Silent,
        (false, true) => Style::Block,
        (false, false) => Style::Lines,
    };
    let run = match watch::to_end(client, text(run, "/id"), &document.value, style).await? {
        watch::Watched::Over(run) => run,
        watch::Watched::Left => return Ok(Exit::Failed),
    };
    let completed = text(&run, "/status") == "completed";
    if args.json {
        terminal::out(&pretty(&run));
    } else if completed {
        terminal::out(&pretty(run.get("output").unwrap_or(&Value::Null)));
    }
    Ok(if completed { Exit::Done } else { Exit::Failed })
}

/// The body of `POST /runs`.
fn request(args: &RunArgs, document: &Document) -> Result<Value, CommandError> {
    let mut request = json!({ "document": document.value });
    if let Some(input) = input(args)? {
        request["input"] = input;
    }
    if let Some(id) = &args.id {
        request["id"] = id.as_str().into();
    }
    if let Some(timeout) = args.timeout {
        request["execution_timeout"] = timeout.to_string().into();
    }
    Ok(request)
}

/// The whole input, with its single members laid over it; none where nothing is said.
fn input(args: &RunArgs) -> Result<Option<Value>, CommandError> {
    let whole = match (&args.input_json, &args.input_file) {
        (Some(text), _) => Some(
            serde_json::from_str(text)
                .map_err(|fault| CommandError::Usage(format!("--input-json: expected JSON: {fault}")))?,
        ),
        (None, Some(path)) => Some(input_file(path)?),
        (None, None) => None,
    };
    if args.inputs.is_empty() {
        return Ok(whole);
    }
    let mut members = match whole {
        None => Map::new(),
        Some(Value::Object(members)) => members,
        Some(_) => {
            return Err(CommandError::Usage(
                "--input: members can only be added to an input that is an object".to_owned(),
            ));
        }
    };
    for pair in &args.inputs {
        let Some((name, value)) = pair.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(CommandError::Usage(format!("--input: expected name=value, found {pair:?}")));
        };
        members.insert(name.to_owned(), json_or_text(value));
    }
    Ok(Some(Value::Object(members)))
}

fn input_file(path: &Path) -> Result<Value, CommandError> {
    Ok(Document::load(path)?.value)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn args(line: &[&str]) -> RunArgs {
        let line = ["selvedge", "run", "a.yaml"].iter().chain(line);
        match Cli::try_parse_from(line).expect("a good line").command {
            Command::Run(args) => args,
            other => panic!("expected run, found {other:?}"),
        }
    }

    #[test]
    fn inputs_are_laid_over_each_other() {
        for (line, expected) in [
            (&[][..], None),
            (
                &["-i", "a=1", "--input", "b=x y", "-i", "c=a=b", "-i", "d="],
                Some(json!({"a": 1, "b": "x y", "c": "a=b", "d": ""})),
            ),
            (&["--input-json", "[1]"], Some(json!([1]))),
            (&["--input-json", "{\"a\": 1, \"b\": 2}", "-i", "a=null"], Some(json!({"a": null, "b": 2}))),
        ] {
            assert_eq!(input(&args(line)).expect("an input"), expected, "{line:?}");
        }
    }

    #[test]
    fn bad_inputs_are_named() {
        for (line, fault) in [
            (&["-i", "a"][..], "--input: expected name=value, found \"a\""),
            (&["-i", "=a"], "--input: expected name=value"),
            (&["--input-json", "{"], "--input-json: expected JSON"),
            (&["--input-json", "1", "-i", "a=1"], "--input: members can only be added"),
            (&["--input-file", "/nowhere.json"], "/nowhere.json: cannot be read"),
        ] {
            let found = input(&args(line)).expect_err("a fault").to_string();
            assert!(found.starts_with(fault), "{found}");
        }
    }
}
