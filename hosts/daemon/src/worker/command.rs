//! What a task asks a shell worker to do: its input, read strictly.
//!
//! ```yaml
//! with:
//!   command: "make test"          # a string goes to `sh -c`, a list is run as it is
//!   env: { LEVEL: 3 }             # on top of the worker's own; null removes a variable
//!   cwd: build                    # relative to the worker's own directory
//!   stdin: "text"
//!   parse: json                   # standard output is JSON and becomes `output.json`
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

/// A command, ready to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) program: Program,
    /// None removes a variable that the worker itself has.
    pub(super) env: BTreeMap<String, Option<String>>,
    pub(super) cwd: Option<PathBuf>,
    pub(super) stdin: Vec<u8>,
    pub(super) parse: Parse,
}

/// What is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Program {
    /// A script for `sh -c`.
    Shell(String),
    /// A program and its arguments; the program is looked up in PATH.
    Argv { program: String, arguments: Vec<String> },
}

/// What becomes of standard output, besides being captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parse {
    /// Nothing.
    Text,
    /// It is read as JSON.
    Json,
}

/// Why an input is no command. Trying again does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct InputFault(String);

const MEMBERS: [&str; 5] = ["command", "env", "cwd", "stdin", "parse"];

impl Command {
    /// Reads a task's input.
    pub(super) fn read(input: &Value) -> Result<Self, InputFault> {
        let Value::Object(members) = input else {
            return Err(expected("with", "an object such as {command: \"echo hello\"}", input));
        };
        if let Some(unknown) = members.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
            let known = MEMBERS.join(", ");
            return Err(InputFault(format!("with.{unknown}: unknown member; a shell task takes {known}")));
        }
        let null = Value::Null;
        let member = |name| members.get(name).unwrap_or(&null);
        Ok(Self {
            program: program(member("command"))?,
            env: env(member("env"))?,
            cwd: text("with.cwd", member("cwd"))?.map(PathBuf::from),
            stdin: stdin(member("stdin"))?,
            parse: parse(member("parse"))?,
        })
    }
}

fn program(value: &Value) -> Result<Program, InputFault> {
    const WHAT: &str = "a shell command as a string, or a program and its arguments as a list of strings";
    match value {
        Value::String(script) if !script.trim().is_empty() => {
            Ok(Program::Shell(whole("with.command", script)?))
        }
        Value::Array(words) => {
            let words = words
                .iter()
                .enumerate()
                .map(|(index, word)| scalar(&format!("with.command[{index}]"), word))
                .collect::<Result<Vec<_>, _>>()?;
            match words.split_first() {
                Some((program, arguments)) if !program.is_empty() => {
                    Ok(Program::Argv { program: program.clone(), arguments: arguments.to_vec() })
                }
                _ => Err(InputFault(format!("with.command: expected {WHAT}, found no program"))),
            }
        }
        other => Err(expected("with.command", WHAT, other)),
    }
}

fn env(value: &Value) -> Result<BTreeMap<String, Option<String>>, InputFault> {
    let empty = Map::new();
    let members = match value {
        Value::Null => &empty,
        Value::Object(members) => members,
        other => return Err(expected("with.env", "an object of strings", other)),
    };
    let mut env = BTreeMap::new();
    for (name, value) in members {
        let place = format!("with.env.{name}");
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(InputFault(format!("{place}: expected a variable's name, without = and NUL")));
        }
        let value = if value.is_null() { None } else { Some(scalar(&place, value)?) };
        env.insert(name.clone(), value);
    }
    Ok(env)
}

fn stdin(value: &Value) -> Result<Vec<u8>, InputFault> {
    if let Some(encoded) = value.get("$binary").and_then(Value::as_str) {
        return BASE64_STANDARD
            .decode(encoded)
            .map_err(|fault| InputFault(format!("with.stdin: not base64: {fault}")));
    }
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(text.clone().into_bytes()),
        other => Err(expected("with.stdin", "a string or binary", other)),
    }
}

fn parse(value: &Value) -> Result<Parse, InputFault> {
    match text("with.parse", value)?.as_deref() {
        None | Some("text") => Ok(Parse::Text),
        Some("json") => Ok(Parse::Json),
        Some(_) => Err(InputFault(format!("with.parse: expected \"json\" or \"text\", found {value}"))),
    }
}

fn text(place: &str, value: &Value) -> Result<Option<String>, InputFault> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => whole(place, text).map(Some),
        other => Err(expected(place, "a string", other)),
    }
}

/// Expressions yield numbers and truths where shells want words.
fn scalar(place: &str, value: &Value) -> Result<String, InputFault> {
    match value {
        Value::String(text) => whole(place, text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        other => Err(expected(place, "a string, a number or true or false", other)),
    }
}

/// The system's calls end texts at a NUL.
fn whole(place: &str, text: &str) -> Result<String, InputFault> {
    if text.contains('\0') {
        return Err(InputFault(format!("{place}: expected a text without NUL characters")));
    }
    Ok(text.to_owned())
}

fn expected(place: &str, what: &str, found: &Value) -> InputFault {
    let found = match found {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(text) if text.trim().is_empty() => "an empty string",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    InputFault(format!("{place}: expected {what}, found {found}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plain(program: Program) -> Command {
        Command { program, env: BTreeMap::new(), cwd: None, stdin: Vec::new(), parse: Parse::Text }
    }

    fn argv(words: &[&str]) -> Program {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        Program::Argv { program: words[0].clone(), arguments: words[1..].to_vec() }
    }

    #[test]
    fn commands_are_read() {
        let shell = || plain(Program::Shell("make test".into()));
        for (input, command) in [
            (json!({"command": "make test"}), shell()),
            (
                json!({"command": "make test", "env": null, "cwd": null, "stdin": null, "parse": "text"}),
                shell(),
            ),
            (json!({"command": ["echo", 1, true, ""]}), plain(argv(&["echo", "1", "true", ""]))),
            (
                json!({"command": "make test", "env": {"A": "x", "B": 2, "C": null}}),
                Command {
                    env: [("A".into(), Some("x".into())), ("B".into(), Some("2".into())), ("C".into(), None)]
                        .into(),
                    ..shell()
                },
            ),
            (json!({"command": "make test", "cwd": "/tmp"}), Command { cwd: Some("/tmp".into()), ..shell() }),
            (json!({"command": "make test", "stdin": "hi"}), Command { stdin: b"hi".to_vec(), ..shell() }),
            (
                json!({"command": "make test", "stdin": {"$binary": "/wA="}}),
                Command { stdin: vec![0xff, 0], ..shell() },
            ),
            (json!({"command": "make test", "parse": "json"}), Command { parse: Parse::Json, ..shell() }),
        ] {
            assert_eq!(Command::read(&input), Ok(command), "{input}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (input, fault) in [
            (json!(null), "with: expected an object such as {command: \"echo hello\"}, found nothing"),
            (json!({}), "with.command: expected a shell command as a string"),
            (json!({"command": " "}), "with.command: expected a shell command as a string"),
            (json!({"command": []}), "with.command: expected a shell command as a string"),
            (json!({"command": ["a", {}]}), "with.command[1]: expected a string"),
            (json!({"command": "a\0b"}), "with.command: expected a text without NUL"),
            (json!({"comand": "a"}), "with.comand: unknown member; a shell task takes command, env"),
            (json!({"command": "a", "env": []}), "with.env: expected an object of strings, found a list"),
            (json!({"command": "a", "env": {"A": {}}}), "with.env.A: expected a string"),
            (json!({"command": "a", "env": {"A=B": "x"}}), "with.env.A=B: expected a variable's name"),
            (json!({"command": "a", "cwd": 1}), "with.cwd: expected a string, found a number"),
            (json!({"command": "a", "stdin": 1}), "with.stdin: expected a string or binary, found a number"),
            (json!({"command": "a", "stdin": {"$binary": "?"}}), "with.stdin: not base64"),
            (
                json!({"command": "a", "parse": "xml"}),
                "with.parse: expected \"json\" or \"text\", found \"xml\"",
            ),
        ] {
            let found = Command::read(&input).expect_err("a fault").to_string();
            assert!(found.starts_with(fault), "{input}: {found}");
        }
    }
}
