//! The documents agree with the code: the API table is the catalogue's, links lead somewhere, examples are right.
//!
//! `UPDATE=1 cargo test -p selvedge-tests --test readme` writes the API table anew. The examples that talk to a
//! server run in `hosts/daemon/tests/docs.rs`, where the binary is.

#[path = "support/markdown.rs"]
mod markdown;

use std::collections::BTreeSet;
use std::path::Path;

use markdown::{Document, documents};
use selvedge::http::operations::OPERATIONS;
use selvedge::value::Value;
use selvedge::workflow::format::{DocumentFormat, read};
use selvedge::workflow::parse::parse;

const BEGIN: &str =
    "<!-- api: made from core/src/http/operations.rs; UPDATE=1 cargo test --test readme -->\n";
const END: &str = "<!-- api end -->";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_api_table_is_the_catalogue() {
    let path = root().join("README.md");
    let readme = std::fs::read_to_string(&path).expect("the README can be read");
    let (before, rest) = readme.split_once(BEGIN).expect("README.md has the first marker of the API table");
    let (table, after) = rest.split_once(END).expect("README.md has the second marker of the API table");
    let expected = api_table();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, [before, BEGIN, &expected, END, after].concat()).expect("it can be written");
        return;
    }
    assert_eq!(table, expected, "run: UPDATE=1 cargo test -p selvedge-tests --test readme");
}

fn api_table() -> String {
    let mut table = "\n| group | request | what it does |\n| --- | --- | --- |\n".to_owned();
    let mut last = "";
    for operation in OPERATIONS {
        let group = if operation.group == last { "" } else { operation.group };
        last = operation.group;
        let (method, path) = (operation.method.name(), operation.path);
        table.push_str(&format!("| {group} | `{method} {path}` | {} |\n", operation.summary));
    }
    table.push('\n');
    table
}

#[test]
fn links_lead_somewhere() {
    let mut wrong = Vec::new();
    for document in documents(root()) {
        for link in links(&document) {
            if let Err(why) = follow(&document, &link) {
                wrong.push(format!("{}: {link}: {why}", document.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The targets of the links outside of blocks and code.
fn links(document: &Document) -> Vec<String> {
    let mut targets = Vec::new();
    let blocks = document.blocks();
    for (index, line) in document.text.lines().enumerate() {
        if blocks.iter().any(|block| block.lines.contains(&(index + 1))) {
            continue;
        }
        let prose: String = line.split('`').step_by(2).collect();
        let ends = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        targets.extend(ends.map(|(target, _)| target.to_owned()));
    }
    targets
}

fn follow(document: &Document, link: &str) -> Result<(), String> {
    if link.starts_with("https://") || link.starts_with("http://") {
        return Ok(());
    }
    let (file, heading) = link.split_once('#').unwrap_or((link, ""));
    let directory = document.path.parent().expect("a file lies in a directory");
    let path = if file.is_empty() { document.path.clone() } else { directory.join(file) };
    if !path.exists() {
        return Err("there is no such file".to_owned());
    }
    if heading.is_empty() {
        return Ok(());
    }
    let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
    let known: BTreeSet<String> = text.lines().filter(|line| line.starts_with('#')).map(anchor).collect();
    if known.contains(heading) { Ok(()) } else { Err(format!("there is no such heading, only {known:?}")) }
}

/// The name that GitHub gives to a heading.
fn anchor(line: &str) -> String {
    let words = line.trim_start_matches('#').trim().to_lowercase();
    let kept = words.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn json_can_be_read() {
    for document in documents(root()) {
        for block in document.blocks().iter().filter(|block| block.info == "json") {
            if let Err(error) = Value::from_json(block.text.as_bytes()) {
                panic!("{}: {error}", document.place(block));
            }
        }
    }
}

#[test]
fn workflows_are_valid() {
    let mut seen = 0;
    for document in documents(root()) {
        for block in document.blocks().iter().filter(|block| block.info == "yaml workflow") {
            let place = document.place(block);
            let (value, _) = read(block.text.as_bytes(), DocumentFormat::Yaml)
                .unwrap_or_else(|error| panic!("{place}: {error}"));
            if let Err(faults) = parse(&value) {
                panic!("{place}: {faults:#?}");
            }
            seen += 1;
        }
    }
    assert!(seen > 0, "no document shows a workflow");
}

/// `yaml fault` blocks begin with a comment that says the fault: `# /tasks/a: message`.
#[test]
fn faults_are_told_as_shown() {
    let mut seen = 0;
    for document in documents(root()) {
        for block in document.blocks().iter().filter(|block| block.info == "yaml fault") {
            let place = document.place(block);
            let shown: BTreeSet<String> =
                block.text.lines().filter_map(|line| line.strip_prefix("# ")).map(str::to_owned).collect();
            let value = Value::from_yaml(&block.text).unwrap_or_else(|error| panic!("{place}: {error}"));
            let faults = parse(&value).err().unwrap_or_default();
            let found: BTreeSet<String> =
                faults.iter().map(|fault| format!("{}: {}", fault.pointer, fault.message)).collect();
            assert_eq!(found, shown, "{place}");
            seen += 1;
        }
    }
    assert!(seen > 0, "no document shows a fault");
}
