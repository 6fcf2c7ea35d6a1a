//! The list of runs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::{Category, Run, RunStatus};
use crate::http::answer::Answer;
use crate::http::call::Call;
use crate::http::page::{Cursor, FilterHash, Limit, Page};
use crate::http::problem::{FieldError, Problem, Slug};
use crate::ids::{RunId, SessionId, Tag, TaskName, WorkflowName};
use crate::platform::Platform;
use crate::store::database::{Cell, Database};
use crate::store::run_list::{self, AttributeFilter, Comparison, Direction, Filter, Place, SortBy};
use crate::store::runs;
use crate::time::Timestamp;
use crate::value::Value;

use super::App;
use super::shapes::RunShape;

/// The longest offset; a cursor goes further.
const OFFSET_MAX: u32 = 10_000;

/// The query of `GET /runs`. All conditions hold; of several statuses, any.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("patternProperties" = {
    "^attribute\\.[A-Za-z_][A-Za-z0-9_]{0,63}(\\.(gte|gt|lte|lt))?$": {
        "type": "string",
        "description": "`attribute.<name>` equals; with `.gte`, `.gt`, `.lte`, `.lt` compares."
    }
}))]
pub(crate) struct RunsQuery {
    /// In any of these states.
    #[serde(default)]
    status: Vec<RunStatus>,
    /// Of this workflow.
    #[serde(default)]
    workflow: Option<WorkflowName>,
    /// Whose id begins so.
    #[serde(default)]
    #[schemars(regex(pattern = "^[A-Za-z0-9._~-]{1,128}$"))]
    id_prefix: Option<String>,
    /// That failed so.
    #[serde(default)]
    failure_category: Option<Category>,
    /// With all of these tags.
    #[serde(default)]
    tag: Vec<Tag>,
    /// Of this session.
    #[serde(default)]
    session: Option<SessionId>,
    /// Started by a task of this run.
    #[serde(default)]
    parent: Option<RunId>,
    /// Created after this.
    #[serde(default)]
    created_after: Option<Timestamp>,
    /// Created before this.
    #[serde(default)]
    created_before: Option<Timestamp>,
    /// Changed after this.
    #[serde(default)]
    updated_after: Option<Timestamp>,
    /// Changed before this.
    #[serde(default)]
    updated_before: Option<Timestamp>,
    /// Timing out after this.
    #[serde(default)]
    deadline_after: Option<Timestamp>,
    /// Timing out before this.
    #[serde(default)]
    deadline_before: Option<Timestamp>,
    /// In which order; the newest first unless it is given.
    #[serde(default)]
    sort: Sort,
    /// How many items the page may have.
    #[serde(default, skip_serializing)]
    limit: Limit,
    /// The `next_cursor` of the page before.
    #[serde(default, skip_serializing)]
    cursor: Option<String>,
    /// How many items to pass over; not with a cursor.
    #[serde(default, skip_serializing)]
    #[schemars(range(max = 10000))]
    offset: Option<u32>,
    /// Whether to count all matches, up to 10,000.
    #[serde(default, skip_serializing)]
    count: bool,
}

/// The orders of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
pub(crate) enum Sort {
    /// Oldest first.
    #[serde(rename = "created_at")]
    Created,
    /// Newest first.
    #[default]
    #[serde(rename = "-created_at")]
    CreatedDescending,
    /// Longest unchanged first.
    #[serde(rename = "updated_at")]
    Updated,
    /// Last changed first.
    #[serde(rename = "-updated_at")]
    UpdatedDescending,
}

impl Sort {
    fn parts(self) -> (SortBy, Direction) {
        match self {
            Sort::Created => (SortBy::Created, Direction::OldestFirst),
            Sort::CreatedDescending => (SortBy::Created, Direction::NewestFirst),
            Sort::Updated => (SortBy::Updated, Direction::OldestFirst),
            Sort::UpdatedDescending => (SortBy::Updated, Direction::NewestFirst),
        }
    }
}

impl<D: Database, P: Platform> App<D, P> {
    pub(super) async fn list_runs(&self, call: &Call<'_>) -> Result<Answer, Problem> {
        let query: RunsQuery = call.query()?;
        let attributes = call.query_with_prefix("attribute.");
        let filters = FilterHash::of(&(&query, &attributes));
        let sort = query.sort.parts();
        check_paging(&query)?;
        let after =
            query.cursor.as_deref().map(|cursor| place(&Cursor::decode(cursor, filters)?)).transpose()?;
        let (limit, offset, count) = (query.limit.get(), query.offset.unwrap_or(0), query.count);
        let filter = filter(query, attributes)?;
        let mut reads =
            Vec::from(run_list::page(&self.tenant, &filter, sort, after.as_ref(), (limit + 1, offset)));
        if count {
            reads.push(run_list::count(&self.tenant, &filter));
        }
        let mut answers = self.read(reads).await?.into_iter();
        let runs: Result<Vec<Run>, _> =
            answers.next().unwrap_or_default().into_iter().map(runs::read_run).collect();
        let mut runs = runs.map_err(|error| self.problem(&error))?;
        let last =
            answers.next().unwrap_or_default().into_iter().next().map(run_list::read_place).transpose();
        let last = last.map_err(|error| self.problem(&error))?;
        let next = if runs.len() > limit as usize {
            runs.truncate(limit as usize);
            runs.last().map(|run| (sort_time(run, sort.0), run.id.to_string()))
        } else {
            last
        };
        let next =
            next.map(|(time, id)| Cursor::encode(filters, &[Value::Int(time.as_millis()), Value::from(id)]));
        let mut page = Page::new(runs.iter().map(RunShape::from).collect(), next);
        if let Some(row) = answers.next().and_then(|rows| rows.into_iter().next()) {
            let (total, capped) = run_list::read_count(row).map_err(|error| self.problem(&error))?;
            (page.total, page.total_capped) = (Some(total), Some(capped));
        }
        Ok(Answer::json(200, &page))
    }
}

fn check_paging(query: &RunsQuery) -> Result<(), Problem> {
    match query.offset {
        Some(_) if query.cursor.is_some() => {
            Err(Problem::invalid_parameter("/query/offset", "expected one of cursor and offset, found both"))
        }
        Some(offset) if offset > OFFSET_MAX => {
            let message =
                format!("expected an offset of at most {OFFSET_MAX}, found {offset}; a cursor goes further");
            Err(Problem::invalid_parameter("/query/offset", message))
        }
        _ => Ok(()),
    }
}

fn sort_time(run: &Run, by: SortBy) -> Timestamp {
    match by {
        SortBy::Created => run.created_at,
        SortBy::Updated => run.updated_at,
    }
}

fn place(key: &[Value]) -> Result<Place, Problem> {
    match key {
        [Value::Int(time), Value::String(id)] => Ok((Timestamp::from_millis(*time), id.clone())),
        _ => Err(Cursor::malformed()),
    }
}

fn filter(query: RunsQuery, attributes: Vec<(String, String)>) -> Result<Filter, Problem> {
    if let Some(prefix) = &query.id_prefix
        && prefix.parse::<RunId>().is_err()
    {
        return Err(Problem::invalid_parameter(
            "/query/id_prefix",
            "expected 1 to 128 of the characters that ids have: letters, digits and ._~-",
        ));
    }
    Ok(Filter {
        statuses: query.status,
        workflow: query.workflow,
        id_prefix: query.id_prefix,
        category: query.failure_category,
        tags: query.tag,
        session: query.session,
        parent: query.parent,
        created: (query.created_after, query.created_before),
        updated: (query.updated_after, query.updated_before),
        deadline: (query.deadline_after, query.deadline_before),
        attributes: attribute_filters(attributes)?,
    })
}

fn attribute_filters(attributes: Vec<(String, String)>) -> Result<Vec<AttributeFilter>, Problem> {
    let mut filters = Vec::new();
    let mut errors = Vec::new();
    for (key, value) in attributes {
        let (name, comparison) = match key.split_once('.') {
            None => (key.as_str(), Some(Comparison::Equal)),
            Some((name, "gte")) => (name, Some(Comparison::GreaterOrEqual)),
            Some((name, "gt")) => (name, Some(Comparison::Greater)),
            Some((name, "lte")) => (name, Some(Comparison::LessOrEqual)),
            Some((name, "lt")) => (name, Some(Comparison::Less)),
            Some((name, _)) => (name, None),
        };
        match comparison {
            Some(comparison) if name.parse::<TaskName>().is_ok() => {
                filters.push(AttributeFilter { name: name.to_owned(), comparison, values: readings(&value) });
            }
            _ => errors.push(FieldError::new(
                format!("/query/attribute.{key}"),
                "expected attribute.<name>, or with .gte, .gt, .lte or .lt behind it",
            )),
        }
    }
    if errors.is_empty() { Ok(filters) } else { Err(Problem::with_errors(Slug::InvalidParameter, errors)) }
}

/// A query has no types: `7` may be the text or the number.
fn readings(text: &str) -> Vec<Cell> {
    let mut readings = vec![Cell::from(text)];
    if let Ok(number) = text.parse::<i64>() {
        readings.push(Cell::Integer(number));
    } else if let Ok(number) = text.parse::<f64>()
        && number.is_finite()
    {
        readings.push(Cell::Real(number));
    }
    readings
}
