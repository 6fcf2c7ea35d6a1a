//! The examples of the documents, executed.
//!
//! All blocks tagged `sh test` of one file run in order, in one `sh -eu`, in a directory of their own with the
//! repository's `examples` in it and `selvedge` in `PATH`. Beside them run a server and a shell worker;
//! `http://127.0.0.1:8080`, where the documents have them, stands for the server's address. A file whose first
//! such block is tagged `sh test alone` brings its own server there.
//!
//! A block tagged `text` or `json` that follows after one blank line is what the block prints, loosely:
//!
//! - `text`: each of its lines is a line of the output, in this order; there may be others between.
//! - `json`: the output is a JSON value with these members, and maybe more; arrays are as long as shown.
//! - `…` stands for any text within a line or a string; a string that is `…` alone for any value.

#[path = "../../../tests/support/markdown.rs"]
mod markdown;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use markdown::{Block, Document, documents};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

/// How the documents write the server's address.
const SHOWN: &str = "127.0.0.1:8080";
/// How the documents run the binary from the repository.
const FROM_SOURCE: &str = "cargo run --release -p selvedge-daemon --";
/// How long the examples of one file may take.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn examples_do_what_they_show() {
    let mut seen = 0;
    for document in documents(&root()) {
        let blocks = document.blocks();
        let examples: Vec<usize> =
            (0..blocks.len()).filter(|at| blocks[*at].info.starts_with("sh test")).collect();
        if !examples.is_empty() {
            seen += examples.len();
            execute(&document, &blocks, &examples);
        }
    }
    assert!(seen > 0, "no document has an example to execute");
}

/// Runs the blocks at these places and holds each one's output against the block behind it.
fn execute(document: &Document, blocks: &[Block], examples: &[usize]) {
    let place = tempfile::tempdir().expect("a temporary directory");
    symlink(root().join("examples"), place.path().join("examples")).expect("a link to the examples");
    let alone = blocks[examples[0]].info == "sh test alone";
    let (address, _servers) = if alone { (free_address(), None) } else { serve(place.path()) };
    let mut script = String::new();
    for at in examples {
        let text = blocks[*at].text.replace(SHOWN, &address).replace(FROM_SOURCE, "selvedge");
        script.push_str(&format!("exec >'out.{at}' 2>&1\n{text}\n"));
    }
    let ended = shell(&script, place.path());
    for at in examples {
        let block = &blocks[*at];
        let output = std::fs::read_to_string(place.path().join(format!("out.{at}")));
        let Ok(output) = output else {
            panic!("{}: the examples ended before this one: {ended:?}", document.place(block))
        };
        let output = output.replace(&address, SHOWN);
        let is_last = !place.path().join(format!("out.{}", next(examples, *at))).exists();
        if is_last && ended != Ended::Done {
            panic!("{}: {ended:?}, after printing:\n{output}", document.place(block));
        }
        let answer = blocks.get(at + 1).filter(|answer| answer.lines.start == block.lines.end + 1);
        let compared = match answer.map(|answer| (answer.info.as_str(), &answer.text)) {
            Some(("text", expected)) => compare_text(expected, &output),
            Some(("json", expected)) => compare_json(expected, &output),
            _ => Ok(()),
        };
        if let Err(why) = compared {
            panic!("{}: {why}\nIt printed:\n{output}", document.place(block));
        }
    }
}

fn next(examples: &[usize], at: usize) -> usize {
    examples.iter().copied().find(|other| *other > at).unwrap_or(usize::MAX)
}

/// How a script ended.
#[derive(Debug, PartialEq)]
enum Ended {
    Done,
    Failed(Option<i32>),
    TookTooLong,
}

fn shell(script: &str, place: &Path) -> Ended {
    let mut command = command("sh", place);
    command.args(["-eu", "-c", script]).stdin(Stdio::null());
    let mut child = Group::spawn(&mut command);
    let begun = Instant::now();
    loop {
        match child.0.try_wait().expect("a child can be waited for") {
            Some(status) if status.success() => return Ended::Done,
            Some(status) => return Ended::Failed(status.code()),
            None if begun.elapsed() > PATIENCE => return Ended::TookTooLong,
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// A server and a shell worker, and where the server listens.
fn serve(place: &Path) -> (String, Option<[Group; 2]>) {
    let log = File::create(place.join("server.log")).expect("a log");
    let mut server = command(binary(), place);
    server.args(["serve", "--bind", "127.0.0.1:0"]).stdout(Stdio::piped()).stderr(log);
    let mut server = Group::spawn(&mut server);
    let mut url = String::new();
    let stdout = server.0.stdout.take().expect("it is piped");
    BufReader::new(stdout).read_line(&mut url).expect("the server prints its address");
    let url = url.trim();
    let address = url.strip_prefix("http://").expect("the address is a URL").to_owned();
    let log = File::create(place.join("worker.log")).expect("a log");
    let mut worker = command(binary(), place);
    worker.args(["worker", "--server", url]).stdout(Stdio::null()).stderr(log);
    (address, Some([server, Group::spawn(&mut worker)]))
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it has an address").to_string()
}

fn command(program: impl AsRef<std::ffi::OsStr>, place: &Path) -> Command {
    let directory = Path::new(binary()).parent().expect("a binary lies in a directory");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(program);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SELVEDGE_")) {
        command.env_remove(name);
    }
    command.env("PATH", format!("{}:{path}", directory.display())).env("NO_COLOR", "1").current_dir(place);
    command
}

fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_selvedge")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A process and what it started, killed when dropped.
struct Group(Child);

impl Group {
    fn spawn(command: &mut Command) -> Self {
        let child = command.process_group(0).spawn();
        Self(child.unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The group lives for as long as one of its members does, whether or not the leader has been waited for.
        if let Some(group) = Pid::from_raw(self.0.id().cast_signed()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.0.wait();
    }
}

fn compare_text(expected: &str, output: &str) -> Result<(), String> {
    let mut lines = output.lines();
    for wanted in expected.lines().filter(|line| !line.trim().is_empty()) {
        if !lines.any(|line| matches(wanted.trim(), line.trim())) {
            return Err(format!("expected the line {wanted:?}, in this order"));
        }
    }
    Ok(())
}

fn compare_json(expected: &str, output: &str) -> Result<(), String> {
    let expected = serde_json::from_str(expected).map_err(|error| format!("the JSON shown: {error}"))?;
    let output = serde_json::from_str(output).map_err(|error| format!("the output is no JSON: {error}"))?;
    compare_value(&expected, &output, String::new())
}

fn compare_value(expected: &Value, found: &Value, at: String) -> Result<(), String> {
    match (expected, found) {
        (Value::String(pattern), _) if pattern == "…" => Ok(()),
        (Value::String(pattern), Value::String(text)) if matches(pattern, text) => Ok(()),
        (Value::Object(expected), Value::Object(found)) => expected.iter().try_for_each(|(name, value)| {
            let found = found.get(name).ok_or_else(|| format!("{at}/{name} is missing"))?;
            compare_value(value, found, format!("{at}/{name}"))
        }),
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            let mut pairs = expected.iter().zip(found).enumerate();
            pairs.try_for_each(|(index, (expected, found))| {
                compare_value(expected, found, format!("{at}/{index}"))
            })
        }
        _ if expected == found => Ok(()),
        _ => Err(format!("{at}: expected {expected}, found {found}")),
    }
}

/// Whether the text is the pattern, with any text where the pattern has `…`.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('…') {
        None => pattern == text,
        Some((before, rest)) => text.strip_prefix(before).is_some_and(|tail| {
            let ends = tail.char_indices().map(|(at, _)| at).chain([tail.len()]);
            ends.into_iter().any(|at| matches(rest, &tail[at..]))
        }),
    }
}

#[test]
fn comparisons_are_loose_where_they_say_so() {
    for (expected, output, fits) in [
        ("a\nc", "a\nb\nc\n", true),
        ("c\na", "a\nb\nc\n", false),
        ("run … done", "run r1 done", true),
        ("run …", "ran r1", false),
    ] {
        assert_eq!(compare_text(expected, output).is_ok(), fits, "{expected:?} {output:?}");
    }
    for (expected, output, fits) in [
        (r#"{"a":1}"#, r#"{"a":1,"b":2}"#, true),
        (r#"{"a":1}"#, r#"{"b":2}"#, false),
        (r#"{"a":"…"}"#, r#"{"a":[1]}"#, true),
        (r#"{"a":"x…z"}"#, r#"{"a":"xyz"}"#, true),
        ("[1]", "[1,2]", false),
        ("[{}]", r#"[{"a":1}]"#, true),
        ("1", "2", false),
        ("1", "one", false),
    ] {
        assert_eq!(compare_json(expected, output).is_ok(), fits, "{expected} {output}");
    }
}
