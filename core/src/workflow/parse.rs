//! From a document to a [`Workflow`], or to everything that is wrong with it.
//!
//! Parsing never stops at the first fault: each part notes its own with its place and goes on, so that one
//! round of mending is enough. Nothing recurses over the graph, and the work grows with the document's size,
//! whatever its shape.

mod cycle;
mod faults;
mod fields;
mod kind;
mod limit;
mod links;
mod mention;
mod retry;
mod task;
mod upstream;
pub(super) mod vocabulary;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::ids::{Version, WorkflowName};
use crate::value::{Object, Pointer, Value};

use super::fault::Fault;
use super::model::{Task, TaskIx, Workflow};
use super::schema::Schema;

pub use faults::FAULTS_MAX;
pub use limit::Limit;

use faults::{Faults, found, quote};
use fields::{Fields, refuse_expressions};
use links::Links;
use mention::Mention;
use task::Draft;

/// The one version of the document format, the value of `selvedge`.
const FORMAT_VERSION: i64 = 1;

/// Checks and compiles a document.
///
/// The version is the SHA-256 of the document's canonical text as given: defaults are not filled in.
///
/// # Errors
/// All faults, by pointer, each once; [`FAULTS_MAX`] at most. [`Limit::crossed_by`] tells crossed limits.
///
/// ```
/// use selvedge::value::Value;
/// use selvedge::workflow::parse::parse;
///
/// let document = Value::from_yaml("selvedge: 1\nname: hi\ntasks:\n  a: { tiemout: 30s, value: 1 }\n")?;
/// let faults = parse(&document).expect_err("one field is misspelt");
/// assert_eq!(faults[0].pointer.as_str(), "/tasks/a/tiemout");
/// assert_eq!(faults[0].message, "unknown field `tiemout`, did you mean `timeout`?");
/// # Ok::<(), selvedge::value::ReadError>(())
/// ```
pub fn parse(document: &Value) -> Result<Workflow, Vec<Fault>> {
    let mut faults = Faults::new();
    let workflow = read(document, &mut faults);
    match workflow {
        Some(workflow) if faults.is_empty() => Ok(workflow),
        _ => Err(faults.into_sorted()),
    }
}

fn read(document: &Value, faults: &mut Faults) -> Option<Workflow> {
    let canonical = document.canonical();
    if canonical.len() > Limit::DocumentBytes.max() {
        faults.add(Pointer::root(), Limit::DocumentBytes.message(canonical.len()));
        return None;
    }
    let expected = "a workflow document: an object with `selvedge`, `name` and `tasks`";
    let mut fields = Fields::open(document, Pointer::root(), expected, faults)?;
    fields.only(vocabulary::DOCUMENT, vocabulary::DOCUMENT_LATER);
    format_version(&mut fields);
    let name = name(&mut fields);
    let description = fields.text("description", "a text");
    let execution_timeout = fields.deadline("execution_timeout");
    let input = input(&mut fields);
    let vars = vars(&mut fields);
    let mut mentions = Vec::new();
    let output = mention::template(&mut fields, "output", &mut mentions);
    let drafts = drafts(&mut fields);
    let tasks = link(drafts, &mentions, faults)?;
    Some(Workflow {
        modules: BTreeMap::new(),
        version: version(&canonical),
        name: name?,
        description: description.map(str::to_owned),
        input,
        vars,
        by_name: (0..).map(TaskIx).zip(&tasks).map(|(ix, task)| (task.name.clone(), ix)).collect(),
        tasks,
        output,
        execution_timeout,
        canonical: canonical.into(),
    })
}

fn format_version(fields: &mut Fields) {
    match fields.get("selvedge") {
        Some(Value::Int(FORMAT_VERSION)) => {}
        Some(other) => {
            let message = format!("expected 1, the version of the document format, found {}", found(other));
            fields.fault("selvedge", message);
        }
        None => fields.faults.add(
            fields.at.clone(),
            "`selvedge: 1` is missing: it says which version of the document format this is",
        ),
    }
}

fn name(fields: &mut Fields) -> Option<WorkflowName> {
    if !fields.has("name") {
        fields.faults.add(fields.at.clone(), "`name` is missing: a workflow needs a name");
    }
    fields.parsed("name", "a workflow name")
}

fn input(fields: &mut Fields) -> Option<Schema> {
    let schema = fields.get("input")?;
    let at = fields.place("input");
    refuse_expressions(schema, &at, "input", fields.faults);
    match Schema::compile(schema, &at) {
        Ok(schema) => Some(schema),
        Err(faults) => {
            fields.faults.list().extend(faults);
            None
        }
    }
}

fn vars(fields: &mut Fields) -> Object {
    let Some(value) = fields.get("vars") else { return Object::new() };
    let at = fields.place("vars");
    let expected = "an object of variables and their first values";
    let Some(vars) = Fields::open(value, at, expected, fields.faults) else { return Object::new() };
    let members = value.as_object().expect("it opened as an object");
    for (name, value) in members {
        let at = vars.place(name);
        if !is_identifier(name) {
            let message = format!(
                "a variable's name must match ^[A-Za-z_][A-Za-z0-9_]{{0,63}}$, found {:?}",
                quote(name)
            );
            vars.faults.add(at.clone(), message);
        }
        refuse_expressions(value, &at, "vars", vars.faults);
    }
    members.clone()
}

/// Whether expressions can write it after a dot.
fn is_identifier(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The tasks each by itself, in the order of their names.
fn drafts<'v>(fields: &mut Fields<'v, '_>) -> Vec<Draft<'v>> {
    let Some(value) = fields.get("tasks") else {
        fields.faults.add(fields.at.clone(), "`tasks` is missing: a workflow needs at least one task");
        return Vec::new();
    };
    let at = fields.place("tasks");
    let expected = "an object of tasks by name";
    let Some(tasks) = Fields::open(value, at.clone(), expected, fields.faults) else { return Vec::new() };
    let members = value.as_object().expect("it opened as an object");
    if members.is_empty() {
        tasks.faults.add(at, "a workflow needs at least one task");
    } else if members.len() > Limit::Tasks.max() {
        tasks.faults.add(at, Limit::Tasks.message(members.len()));
        return Vec::new();
    }
    members.iter().map(|(name, task)| task::draft(name, task, at_task(name), tasks.faults)).collect()
}

fn at_task(name: &str) -> Pointer {
    Pointer::root().push("tasks").push(name)
}

/// Joins the tasks by their needs and puts them in document order, unless anything at all is wrong.
fn link(drafts: Vec<Draft>, output: &[Mention], faults: &mut Faults) -> Option<Vec<Task>> {
    let names: BTreeMap<&str, u32> = (0..).zip(&drafts).map(|(ix, draft)| (draft.key, ix)).collect();
    let links = Links::resolve(&drafts, &names, faults);
    cycle::report(&drafts, &links, faults);
    mention::check(&drafts, output, &names, &links, faults);
    faults.is_empty().then(|| links.into_tasks(drafts))
}

fn version(canonical: &str) -> Version {
    let digest = Sha256::digest(canonical);
    let hex = crate::ids::hex(&digest);
    hex.parse().expect("a SHA-256 in hexadecimal is a version")
}
