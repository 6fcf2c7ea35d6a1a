//! Conformance cases as they stand in their files. The format is described in `tests/conformance.rs`.

use std::collections::BTreeSet;
use std::path::Path;

use selvedge::time::Duration;
use selvedge::value::{Object, Value};

use selvedge_puppet::faulty::Mode;

use crate::need::Need;

/// One case: a server of its own, and steps on it.
#[derive(Debug)]
pub struct Case {
    /// The file's stem, which groups cases.
    pub group: String,
    /// What holds, in one line.
    pub name: String,
    /// Why, and what it guards against.
    pub prose: String,
    /// What it asks of the host.
    pub needs: BTreeSet<Need>,
    /// The path under which the server is mounted.
    pub base_path: String,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

/// One step of a case.
#[derive(Debug, Clone)]
pub struct Step {
    /// What to do.
    pub act: Act,
    /// How often; `{{n}}` counts from 0.
    pub times: u32,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum Act {
    /// Sends a request and looks at the answer.
    Request(Ask, Expected),
    /// Sends a request that waits, under a name.
    Background(String, Ask),
    /// Waits for the answer to a request of this name.
    Join(String, Expected),
    /// Goes away before the answer.
    HangUp(String),
    /// Moves the clock.
    Advance(Duration),
    /// Makes the database fail, or whole again.
    Database(Mode),
}

/// A request.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The method.
    pub method: String,
    /// Path and query; below `/api/v1/` unless it begins with a slash.
    pub target: String,
    /// Header fields besides those that the format implies.
    pub headers: Vec<(String, String)>,
    /// What is sent.
    pub content: Content,
    /// The format, where the case insists on one.
    pub format: Option<Format>,
}

/// What a request carries.
#[derive(Debug, Clone)]
pub enum Content {
    /// Nothing.
    None,
    /// A value in the format of the pass.
    Value(Value),
    /// These bytes.
    Raw(Vec<u8>),
    /// A module of WebAssembly.
    Module(Vec<u8>),
}

/// How values travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// As JSON.
    Json,
    /// As MessagePack.
    MessagePack,
}

/// What an answer must be.
#[derive(Debug, Clone)]
pub struct Expected {
    /// The status; 200 unless it is said.
    pub status: u16,
    /// Patterns of header fields.
    pub headers: Object,
    /// The pattern of the body.
    pub body: Option<Value>,
    /// Names for parts of the answer: a JSON pointer, or `header <name>`.
    pub capture: Vec<(String, String)>,
}

/// Reads every case of a directory, in the order of its files.
///
/// # Errors
/// Every fault of every file, each with its place.
pub fn load(directory: &Path) -> Result<Vec<Case>, Vec<String>> {
    let entries = std::fs::read_dir(directory).map_err(|error| vec![format!("{directory:?}: {error}")])?;
    let mut files: Vec<_> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    files.sort();
    let (mut cases, mut faults) = (Vec::new(), Vec::new());
    for file in files.iter().filter(|file| file.extension().is_some_and(|end| end == "yaml")) {
        let group = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(file).unwrap_or_default();
        match Value::from_yaml(&text).map_err(|error| located(&error)).and_then(|value| read(&group, &value))
        {
            Ok(more) => cases.extend(more),
            Err(fault) => faults.push(format!("{}: {fault}", file.display())),
        }
    }
    if faults.is_empty() { Ok(cases) } else { Err(faults) }
}

fn located(error: &selvedge::value::ReadError) -> String {
    format!("line {}, column {}: {error}", error.line.unwrap_or(0), error.column.unwrap_or(0))
}

fn read(group: &str, file: &Value) -> Result<Vec<Case>, String> {
    let mut file = Fields::of(file, "the file")?;
    let fixtures = file.take("fixtures").unwrap_or(Value::Object(Object::new()));
    let cases = file.list("cases")?;
    file.end()?;
    let fixtures = fixtures.as_object().cloned().ok_or("fixtures: expected an object")?;
    cases.iter().map(|case| read_case(group, &fixtures, case)).collect()
}

fn read_case(group: &str, fixtures: &Object, value: &Value) -> Result<Case, String> {
    let mut fields = Fields::of(value, "a case")?;
    let name = fields.text("name")?.ok_or("a case needs a name")?;
    let within = |error: String| format!("case {name:?}: {error}");
    let prose = fields.text("prose")?.unwrap_or_default();
    let named = match fields.text("needs").map_err(within)? {
        None => None,
        Some(word) => {
            Some(Need::of_word(&word).ok_or_else(|| within(format!("needs: nothing is called {word:?}")))?)
        }
    };
    let base_path = fields.text("base_path")?.unwrap_or_default();
    let mut steps = Vec::new();
    for (index, step) in fields.list("steps").map_err(within)?.iter().enumerate() {
        let step = resolve(step, fixtures, 0).map_err(within)?;
        steps.push(read_step(&step).map_err(|error| within(format!("step {}: {error}", index + 1)))?);
    }
    fields.end().map_err(within)?;
    let mut needs = Need::of_steps(&steps);
    needs.extend(named);
    Ok(Case { group: group.to_owned(), name: name.clone(), prose, needs, base_path, steps })
}

/// Puts fixtures in the place of `{$use: name}`; members beside `$use` replace those of the fixture.
fn resolve(value: &Value, fixtures: &Object, depth: usize) -> Result<Value, String> {
    if depth > 64 {
        return Err("fixtures use each other in a circle".to_owned());
    }
    match value {
        Value::Array(items) => items
            .iter()
            .map(|item| resolve(item, fixtures, depth + 1))
            .collect::<Result<_, _>>()
            .map(Value::Array),
        Value::Object(members) => {
            let mut resolved = Object::new();
            if let Some(name) = members.get("$use") {
                let name = name.as_str().ok_or("$use: expected the name of a fixture")?;
                let fixture = fixtures.get(name).ok_or(format!("$use: there is no fixture {name:?}"))?;
                match resolve(fixture, fixtures, depth + 1)? {
                    Value::Object(members) => resolved = members,
                    other if members.len() == 1 => return Ok(other),
                    _ => return Err(format!("$use: fixture {name:?} is no object")),
                }
            }
            for (name, member) in members.iter().filter(|(name, _)| *name != "$use") {
                resolved.insert(name.clone(), resolve(member, fixtures, depth + 1)?);
            }
            Ok(Value::Object(resolved))
        }
        other => Ok(other.clone()),
    }
}

fn read_step(value: &Value) -> Result<Step, String> {
    let mut fields = Fields::of(value, "a step")?;
    let times = match fields.take("repeat") {
        None => 1,
        Some(times) => {
            times.as_i64().and_then(|n| u32::try_from(n).ok()).ok_or("repeat: expected a number")?
        }
    };
    let act = if let Some(duration) = fields.text("advance")? {
        Act::Advance(duration.parse().map_err(|error| format!("advance: {error}"))?)
    } else if let Some(word) = fields.text("database")? {
        let mode = Mode::WORDS.iter().find(|(known, _)| *known == word);
        Act::Database(mode.ok_or(format!("database: unknown mode {word:?}"))?.1)
    } else if let Some(name) = fields.text("hang_up")? {
        Act::HangUp(name)
    } else if let Some(name) = fields.text("join")? {
        Act::Join(name, read_expected(&mut fields)?)
    } else {
        let background = fields.text("background")?;
        let ask = read_ask(&mut fields)?;
        match background {
            Some(name) => Act::Background(name, ask),
            None => Act::Request(ask, read_expected(&mut fields)?),
        }
    };
    fields.end()?;
    Ok(Step { act, times })
}

fn read_ask(fields: &mut Fields) -> Result<Ask, String> {
    let request = fields.text("request")?.ok_or("expected a request such as `GET runs`")?;
    let (method, target) = request.split_once(' ').ok_or("request: expected a method and a path")?;
    let module = match fields.text("wat")? {
        None => None,
        Some(text) => Some(wat::parse_str(&text).map_err(|error| format!("wat: {error}"))?),
    };
    let content = match (fields.take("body"), fields.take("raw"), fields.take("raw_bytes")) {
        (None, None, None) if module.is_some() => Content::Module(module.unwrap_or_default()),
        (None, None, None) => Content::None,
        (Some(body), None, None) => Content::Value(body),
        (None, Some(Value::String(text)), None) => Content::Raw(text.into_bytes()),
        (None, None, Some(Value::Bytes(bytes))) => Content::Raw(bytes),
        _ => return Err("expected one of body, raw (a text) and raw_bytes ($binary)".to_owned()),
    };
    let format = match fields.text("format")?.as_deref() {
        None => None,
        Some("json") => Some(Format::Json),
        Some("msgpack") => Some(Format::MessagePack),
        Some(other) => return Err(format!("format: expected json or msgpack, found {other:?}")),
    };
    let headers = fields.texts("headers")?;
    Ok(Ask { method: method.to_owned(), target: target.trim().to_owned(), headers, content, format })
}

fn read_expected(fields: &mut Fields) -> Result<Expected, String> {
    let status = match fields.take("status") {
        None => 200,
        Some(status) => {
            status.as_i64().and_then(|n| u16::try_from(n).ok()).ok_or("status: expected a number")?
        }
    };
    let headers = match fields.take("answer_headers") {
        None => Object::new(),
        Some(Value::Object(headers)) => headers,
        Some(_) => return Err("answer_headers: expected an object".to_owned()),
    };
    let problem = fields.text("problem")?;
    let mut body = fields.take("answer");
    if let Some(slug) = problem {
        let pattern = Value::from(format!("/problems/{slug}"));
        match body.get_or_insert_with(|| Value::Object(Object::new())) {
            Value::Object(members) => members.insert("type".to_owned(), pattern),
            _ => return Err("problem: the answer of a problem is an object".to_owned()),
        };
    }
    Ok(Expected { status, headers, body, capture: fields.texts("capture")? })
}

/// The members of an object, each to be taken once.
struct Fields {
    what: &'static str,
    members: Object,
}

impl Fields {
    fn of(value: &Value, what: &'static str) -> Result<Self, String> {
        let members =
            value.as_object().ok_or(format!("{what}: expected an object, found {}", value.kind()))?;
        Ok(Self { what, members: members.clone() })
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name)
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, String> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(format!("{name}: expected a text, found {}", other.kind())),
        }
    }

    fn list(&mut self, name: &str) -> Result<Vec<Value>, String> {
        match self.take(name) {
            Some(Value::Array(items)) => Ok(items),
            _ => Err(format!("{name}: expected a list")),
        }
    }

    fn texts(&mut self, name: &str) -> Result<Vec<(String, String)>, String> {
        let members = match self.take(name) {
            None => Object::new(),
            Some(Value::Object(members)) => members,
            Some(_) => return Err(format!("{name}: expected an object of texts")),
        };
        let text = |(key, value): (String, Value)| match value {
            Value::String(text) => Ok((key, text)),
            _ => Err(format!("{name}: {key}: expected a text")),
        };
        members.into_iter().map(text).collect()
    }

    fn end(self) -> Result<(), String> {
        match self.members.keys().next() {
            None => Ok(()),
            Some(name) => Err(format!("{} has no field {name:?}", self.what)),
        }
    }
}
