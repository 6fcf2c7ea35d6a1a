//! The tasks that expressions mention: only those that exist, and that are done when the expression is asked.

use std::collections::{BTreeMap, BTreeSet};

use crate::value::{Pointer, Value};

use super::super::expression::{Names, Template};
use super::faults::{Faults, quote};
use super::fields::Fields;
use super::links::Links;
use super::task::Draft;
use super::upstream::{Question, upstream};

/// A part of the document with expressions, and the tasks in them.
pub(super) struct Mention<'v> {
    at: Pointer,
    source: &'v Value,
    tasks: BTreeSet<String>,
}

impl<'v> Mention<'v> {
    pub(super) fn new(at: Pointer, source: &'v Value, names: &Names) -> Self {
        Self { at, source, tasks: names.tasks.clone() }
    }
}

/// Compiles a field that takes expressions and notes what it mentions.
pub(super) fn template<'v>(
    fields: &mut Fields<'v, '_>,
    name: &str,
    mentions: &mut Vec<Mention<'v>>,
) -> Option<Template> {
    let source = fields.get(name)?;
    let at = fields.place(name);
    let template = Template::compile(source, &at, fields.faults.list());
    mentions.push(Mention::new(at, source, template.names()));
    Some(template)
}

/// Faults every mention, of the tasks and of the workflow's `output`, of what is not there to be read.
pub(super) fn check(
    drafts: &[Draft],
    output: &[Mention],
    names: &BTreeMap<&str, u32>,
    links: &Links,
    faults: &mut Faults,
) {
    let strangers = strangers(drafts, names, links);
    for (ix, draft) in (0..).zip(drafts) {
        for mention in &draft.mentions {
            let mut wrong = unknown(mention, names, faults);
            for task in &mention.tasks {
                if let Some(stranger) = names.get(task.as_str()).and_then(|to| strangers.get(&(ix, *to))) {
                    wrong.insert(task, stranger.message(task, draft.key));
                }
            }
            report(&wrong, mention, faults);
        }
    }
    for mention in output {
        report(&unknown(mention, names, faults), mention, faults);
    }
}

/// A task of the document that is not upstream of the one whose expressions mention it.
#[derive(Clone, Copy)]
enum Stranger {
    Itself,
    Downstream,
    Aside,
}

impl Stranger {
    fn message(self, mentioned: &str, by: &str) -> String {
        match self {
            Stranger::Itself => format!("`tasks.{mentioned}` is the task itself, which has not run yet"),
            Stranger::Downstream => format!("`tasks.{mentioned}` runs after `{by}`, on which it depends"),
            Stranger::Aside => format!("`tasks.{mentioned}` is not upstream of `{by}`: add it to needs"),
        }
    }
}

/// Of all pairs of a task and one that it mentions, those without a path of needs between them.
fn strangers(drafts: &[Draft], names: &BTreeMap<&str, u32>, links: &Links) -> BTreeMap<(u32, u32), Stranger> {
    let mut strangers = BTreeMap::new();
    let mut asked = BTreeSet::new();
    for (ix, draft) in (0..).zip(drafts) {
        let mentioned = draft.mentions.iter().flat_map(|mention| &mention.tasks);
        for to in mentioned.filter_map(|task| names.get(task.as_str()).copied()) {
            if to == ix {
                strangers.insert((ix, to), Stranger::Itself);
            } else if !links.needs[ix as usize].contains(&to) {
                asked.insert(Question { target: to, task: ix });
            }
        }
    }
    let asked: Vec<Question> = asked.into_iter().collect();
    let aside: Vec<Question> =
        upstream(links, &asked).into_iter().filter(|(_, is)| !is).map(|(q, _)| q).collect();
    let turned: BTreeSet<Question> =
        aside.iter().map(|q| Question { target: q.task, task: q.target }).collect();
    let turned: Vec<Question> = turned.into_iter().collect();
    for (question, is_upstream) in upstream(links, &turned) {
        let stranger = if is_upstream { Stranger::Downstream } else { Stranger::Aside };
        strangers.insert((question.target, question.task), stranger);
    }
    strangers
}

/// What is wrong with the tasks that one mention names.
type Wrong<'m> = BTreeMap<&'m str, String>;

fn unknown<'m>(mention: &'m Mention, names: &BTreeMap<&str, u32>, faults: &mut Faults) -> Wrong<'m> {
    let unknown = mention.tasks.iter().filter(|task| !names.contains_key(task.as_str()));
    unknown
        .map(|task| {
            let suggestion = faults.suggestion(task, names.keys().copied());
            (task.as_str(), format!("there is no task `{}`{suggestion}", quote(task)))
        })
        .collect()
}

/// Puts each message at the very text that mentions the task. The texts are compiled once more for that, which
/// costs nothing where nothing is wrong.
fn report(wrong: &Wrong, mention: &Mention, faults: &mut Faults) {
    if !wrong.is_empty() {
        walk(wrong, mention.source, &mention.at, faults);
    }
}

fn walk(wrong: &Wrong, value: &Value, at: &Pointer, faults: &mut Faults) {
    match value {
        Value::String(_) => {
            let template = Template::compile(value, at, &mut Vec::new());
            for message in template.names().tasks.iter().filter_map(|task| wrong.get(task.as_str())) {
                faults.add(at.clone(), message);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(wrong, item, &at.push(index), faults);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                walk(wrong, member, &at.push(name), faults);
            }
        }
        _ => {}
    }
}
