//! One task of the document by itself: its fields, before names are resolved.

use std::collections::BTreeSet;

use crate::ids::{Label, TaskName};
use crate::value::{Pointer, Value};

use super::super::expression::{Expression, contains_expression};
use super::super::model::{GRACE_DEFAULT, LABELS_MAX, OnFailure, Retry, Task};
use super::faults::{Faults, quote};
use super::fields::Fields;
use super::limit::Limit;
use super::mention::Mention;
use super::{kind, retry, vocabulary};

/// The lowest and the highest priority of a task.
const PRIORITIES: std::ops::RangeInclusive<i64> = -1000..=1000;

/// A task that does not know the others yet.
pub(super) struct Draft<'v> {
    /// Its key in `tasks`, whether or not that is a good name.
    pub(super) key: &'v str,
    pub(super) at: Pointer,
    /// The names that it needs and their indices in the list.
    pub(super) needs: Vec<(usize, &'v str)>,
    pub(super) mentions: Vec<Mention<'v>>,
    /// Without needs and dependents; none where a fault leaves nothing to build from.
    pub(super) task: Option<Task>,
}

/// Reads one member of `tasks`.
pub(super) fn draft<'v>(key: &'v str, value: &'v Value, at: Pointer, faults: &mut Faults) -> Draft<'v> {
    let name = key.parse().map_err(|error| faults.add(at.clone(), format!("{error}"))).ok();
    let mut draft = Draft { key, at: at.clone(), needs: Vec::new(), mentions: Vec::new(), task: None };
    let Some(mut fields) = Fields::open(value, at, "an object such as {worker: shell}", faults) else {
        return draft;
    };
    fields.only(vocabulary::TASK, vocabulary::TASK_LATER);
    draft.needs = needs(&mut fields);
    draft.task = task(name, &mut fields, &mut draft.mentions);
    draft
}

fn task<'v>(
    name: Option<TaskName>,
    fields: &mut Fields<'v, '_>,
    mentions: &mut Vec<Mention<'v>>,
) -> Option<Task> {
    let condition = condition(fields, mentions);
    let kind = kind::kind(fields, mentions);
    let retry = retry::retry(fields);
    let timeout = fields.deadline("timeout");
    let queue_timeout = fields.deadline("queue_timeout");
    let total_timeout = fields.deadline("total_timeout");
    let grace = fields.duration("grace").unwrap_or(GRACE_DEFAULT);
    let priority = fields.integer("priority", PRIORITIES).and_then(|priority| i32::try_from(priority).ok());
    let labels = labels(fields);
    let on_failure = match fields.flag("continue_on_error") {
        Some(true) => OnFailure::Continue,
        Some(false) | None => OnFailure::FailRun,
    };
    let (name, kind) = (name?, kind?);
    let retry = if kind.is_leased() { retry } else { Retry::never() };
    let (needs, dependents) = (Vec::new(), Vec::new());
    Some(Task {
        name,
        needs,
        dependents,
        condition,
        kind,
        retry,
        timeout,
        queue_timeout,
        total_timeout,
        grace,
        priority,
        labels,
        on_failure,
    })
}

fn needs<'v>(fields: &mut Fields<'v, '_>) -> Vec<(usize, &'v str)> {
    let needs = fields.texts("needs", "a list of task names such as [build, test]").unwrap_or_default();
    if needs.len() > Limit::Needs.max() {
        fields.fault("needs", Limit::Needs.message(needs.len()));
        return Vec::new();
    }
    needs
}

/// `if`: true, false, or a text that is one whole expression.
fn condition<'v>(fields: &mut Fields<'v, '_>, mentions: &mut Vec<Mention<'v>>) -> Option<Expression> {
    let value = fields.get("if")?;
    let text = match value {
        Value::Bool(true) => return None,
        Value::Bool(false) => "${{ false }}",
        Value::String(text) if !contains_expression(text) => {
            let wrapped = format!("\"${{{{ {} }}}}\"", quote(text.trim()));
            fields.fault("if", format!("`if` is an expression: wrap it, as in {wrapped}"));
            return None;
        }
        Value::String(text) => text,
        other => {
            fields.misfit("if", "true, false or an expression such as ${{ input.ok }}", other);
            return None;
        }
    };
    match Expression::compile(text) {
        Ok(condition) => {
            mentions.push(Mention::new(fields.place("if"), value, condition.names()));
            Some(condition)
        }
        Err(message) => {
            fields.fault("if", message);
            None
        }
    }
}

/// In order, each once.
fn labels(fields: &mut Fields) -> Vec<Label> {
    let texts = fields.texts("labels", "a list of labels such as [docker]").unwrap_or_default();
    if texts.len() > LABELS_MAX {
        let message = format!("a task may have at most {LABELS_MAX} labels, found {}", texts.len());
        fields.fault("labels", message);
        return Vec::new();
    }
    let at = fields.place("labels");
    let mut labels = BTreeSet::new();
    for (index, text) in texts {
        match text.parse::<Label>() {
            Ok(label) => {
                if !labels.insert(label) {
                    fields.faults.add(at.push(index), format!("label `{text}` is listed twice"));
                }
            }
            Err(error) => fields.faults.add(at.push(index), error.to_string()),
        }
    }
    labels.into_iter().collect()
}
