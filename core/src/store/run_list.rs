//! Lists of runs: filters, order and paging in bounded work.
//!
//! One request examines at most [`EXAMINED_MAX`] rows: an inner query walks one index in the order of the
//! sort, from the cursor on, and stops there; an outer one filters what it met. A page of a filter that
//! seldom matches may so be short and still have a next cursor, which lies where the walk stopped.
//!
//! The walk takes times and ids only, which the index has by itself: a run's own row is read where the page
//! needs it, and where the walk stops is found without any.

use crate::engine::RunStatus;
use crate::engine::run::Category;
use crate::ids::{RunId, SessionId, Tag, TenantId, WorkflowName};
use crate::time::Timestamp;

use super::StoreError;
use super::columns::Columns;
use super::database::{Cell, Row, Statement};
use super::runs;

/// How many rows one page looks at.
pub(crate) const EXAMINED_MAX: u32 = 10_000;
/// How far matches are counted.
pub(crate) const COUNTED_MAX: u32 = 10_000;
/// How many rows a count looks at.
const COUNT_EXAMINED_MAX: u32 = 100_000;

/// What the list is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SortBy {
    Created,
    Updated,
}

/// In which direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    OldestFirst,
    NewestFirst,
}

/// How an attribute is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// One condition on an attribute. A text is compared with texts, a number with numbers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AttributeFilter {
    pub(crate) name: String,
    pub(crate) comparison: Comparison,
    /// The readings of the value that the request gave: as text and, if it is one, as a number.
    pub(crate) values: Vec<Cell>,
}

/// From and to, both exclusive.
pub(crate) type Range = (Option<Timestamp>, Option<Timestamp>);

/// Which runs are wanted. All conditions hold; of several statuses, any.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Filter {
    pub(crate) statuses: Vec<RunStatus>,
    pub(crate) workflow: Option<WorkflowName>,
    pub(crate) id_prefix: Option<String>,
    pub(crate) category: Option<Category>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) session: Option<SessionId>,
    pub(crate) parent: Option<RunId>,
    pub(crate) created: Range,
    pub(crate) updated: Range,
    pub(crate) deadline: Range,
    pub(crate) attributes: Vec<AttributeFilter>,
}

/// Where in the order a page begins: after this time and id.
pub(crate) type Place = (Timestamp, String);

/// The page's runs, and the place of the last row that it may look at.
pub(crate) fn page(
    tenant: &TenantId,
    filter: &Filter,
    (by, direction): (SortBy, Direction),
    after: Option<&Place>,
    (limit, offset): (u32, u32),
) -> [Statement; 2] {
    let mut sql = Sql::new(tenant);
    let walk = sql.walk(filter, by, direction, after);
    let conditions = sql.conditions(filter, by);
    let (limit, offset) = (sql.param(limit.into()), sql.param(offset.into()));
    // In the words of the walk, so that SQLite sees that the rows come in this order already.
    let order = order(direction, "w.walked_at", "w.walked_id");
    let page = format!(
        "SELECT {} FROM ({walk} LIMIT {EXAMINED_MAX}) w CROSS JOIN runs r ON r.tenant = ?1 AND r.id = w.walked_id \
         WHERE {conditions} ORDER BY {order} LIMIT {limit} OFFSET {offset}",
        runs::COLUMNS
    );
    let page = Statement::new(page, sql.params);
    let mut sql = Sql::new(tenant);
    let walk = sql.walk(filter, by, direction, after);
    let last = format!("SELECT walked_at, walked_id FROM ({walk} LIMIT 1 OFFSET {})", EXAMINED_MAX - 1);
    [page, Statement::new(last, sql.params)]
}

/// How many runs match, counted to [`COUNTED_MAX`] plus one, and how many rows were looked at.
pub(crate) fn count(tenant: &TenantId, filter: &Filter) -> Statement {
    let mut sql = Sql::new(tenant);
    let walk = sql.walk(filter, SortBy::Created, Direction::NewestFirst, None);
    let conditions = sql.conditions(filter, SortBy::Created);
    let text = format!(
        "SELECT (SELECT count(*) FROM (SELECT 1 FROM ({walk} LIMIT {COUNT_EXAMINED_MAX}) w CROSS JOIN runs r ON \
         r.tenant = ?1 AND r.id = w.walked_id WHERE {conditions} LIMIT {COUNTED_MAX} + 1)), \
         (SELECT count(*) FROM ({walk} LIMIT {COUNT_EXAMINED_MAX}))"
    );
    Statement::new(text, sql.params)
}

/// Reads the row of [`count`]: the number, and whether there may be more.
pub(crate) fn read_count(row: Row) -> Result<(u64, bool), StoreError> {
    let mut c = Columns::of(row, "runs");
    let (matched, examined) = (c.int()?, c.int()?);
    let capped = matched > i64::from(COUNTED_MAX) || examined >= i64::from(COUNT_EXAMINED_MAX);
    Ok((matched.min(i64::from(COUNTED_MAX)) as u64, capped))
}

/// Reads a row of the second statement of [`page`].
pub(crate) fn read_place(row: Row) -> Result<Place, StoreError> {
    let mut c = Columns::of(row, "runs");
    Ok((c.time()?, c.text()?.to_string()))
}

fn column(by: SortBy) -> &'static str {
    match by {
        SortBy::Created => "created_at",
        SortBy::Updated => "updated_at",
    }
}

fn order(direction: Direction, time: &str, id: &str) -> String {
    match direction {
        Direction::OldestFirst => format!("{time}, {id}"),
        Direction::NewestFirst => format!("{time} DESC, {id} DESC"),
    }
}

/// The tag whose own table is walked.
fn tag_walked(filter: &Filter, by: SortBy) -> Option<&Tag> {
    match by {
        SortBy::Created => filter.tags.first(),
        SortBy::Updated => None,
    }
}

/// A statement under construction.
struct Sql {
    params: Vec<Cell>,
}

impl Sql {
    fn new(tenant: &TenantId) -> Self {
        Self { params: vec![tenant.text().into()] }
    }

    fn param(&mut self, cell: Cell) -> String {
        self.params.push(cell);
        format!("?{}", self.params.len())
    }

    /// Walks one index: the one of the narrowest equality where it is in the order of the sort.
    fn walk(&mut self, filter: &Filter, by: SortBy, direction: Direction, after: Option<&Place>) -> String {
        let (column, order) = (column(by), order(direction, column(by), "id"));
        if let Some(tag) = tag_walked(filter, by) {
            return self.walk_tag(tag, filter.created, direction, after);
        }
        let mut text = format!("SELECT {column} AS walked_at, id AS walked_id FROM runs WHERE tenant = ?1");
        if by == SortBy::Created
            && let Some((name, cell)) = driver(filter)
        {
            text += &format!(" AND {name} = {}", self.param(cell));
        }
        let range = match by {
            SortBy::Created => filter.created,
            SortBy::Updated => filter.updated,
        };
        text += &self.range(column, range);
        text += &self.after(column, "id", direction, after);
        text + " ORDER BY " + &order
    }

    /// Tags have a table of their own, in the order of creation.
    fn walk_tag(&mut self, tag: &Tag, created: Range, direction: Direction, after: Option<&Place>) -> String {
        let tag = self.param(tag.text().into());
        let created = self.range("t.created_at", created);
        let after = self.after("t.created_at", "t.run_id", direction, after);
        let order = order(direction, "t.created_at", "t.run_id");
        format!(
            "SELECT t.created_at AS walked_at, t.run_id AS walked_id FROM run_tags t WHERE t.tenant = ?1 AND \
             t.tag = {tag}{created}{after} ORDER BY {order}"
        )
    }

    fn after(&mut self, column: &str, id: &str, direction: Direction, after: Option<&Place>) -> String {
        let Some((time, run)) = after else { return String::new() };
        let than = match direction {
            Direction::OldestFirst => ">",
            Direction::NewestFirst => "<",
        };
        let (time, run) = (self.param((*time).into()), self.param(run.as_str().into()));
        format!(" AND ({column}, {id}) {than} ({time}, {run})")
    }

    fn range(&mut self, column: &str, (after, before): Range) -> String {
        let mut text = String::new();
        if let Some(after) = after {
            text += &format!(" AND {column} > {}", self.param(after.into()));
        }
        if let Some(before) = before {
            text += &format!(" AND {column} < {}", self.param(before.into()));
        }
        text
    }

    /// What a run of the walk `w` with the row `r` must fulfil; by the walk alone where that suffices, so that
    /// no row is read in vain.
    fn conditions(&mut self, filter: &Filter, by: SortBy) -> String {
        let mut text = String::from("1");
        let created_at = match by {
            SortBy::Created => "w.walked_at",
            SortBy::Updated => "r.created_at",
        };
        if !filter.statuses.is_empty() {
            let words: Vec<String> =
                filter.statuses.iter().map(|status| self.param(runs::status_cell(*status))).collect();
            text += &format!(" AND r.status IN ({})", words.join(", "));
        }
        if let Some(workflow) = &filter.workflow {
            text += &format!(" AND r.workflow = {}", self.param(workflow.text().into()));
        }
        if let Some(prefix) = &filter.id_prefix {
            let length = prefix.len();
            text +=
                &format!(" AND substr(w.walked_id, 1, {length}) = {}", self.param(prefix.as_str().into()));
        }
        if let Some(category) = filter.category {
            text += &format!(" AND r.failure_category = {}", self.param(category.word().into()));
        }
        if let Some(session) = &filter.session {
            text += &format!(" AND r.session_id = {}", self.param(session.text().into()));
        }
        if let Some(parent) = &filter.parent {
            text += &format!(" AND r.parent = {}", self.param(parent.text().into()));
        }
        text += &self.range("r.created_at", filter.created);
        text += &self.range("r.updated_at", filter.updated);
        text += &self.range("r.deadline", filter.deadline);
        for tag in &filter.tags {
            let tag = self.param(tag.text().into());
            text += &format!(
                " AND EXISTS (SELECT 1 FROM run_tags t WHERE t.tenant = ?1 AND t.tag = {tag} AND \
                 t.created_at = {created_at} AND t.run_id = w.walked_id)"
            );
        }
        for attribute in &filter.attributes {
            text += &self.attribute(attribute);
        }
        text
    }

    fn attribute(&mut self, filter: &AttributeFilter) -> String {
        let name = self.param(filter.name.as_str().into());
        let compare = match filter.comparison {
            Comparison::Equal => "=",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
        };
        let readings: Vec<String> = filter
            .values
            .iter()
            .map(|cell| {
                let numeric = matches!(cell, Cell::Integer(_) | Cell::Real(_));
                let types = if numeric { "('integer', 'real')" } else { "('text')" };
                format!("(typeof(a.value) IN {types} AND a.value {compare} {})", self.param(cell.clone()))
            })
            .collect();
        format!(
            " AND EXISTS (SELECT 1 FROM run_attributes a WHERE a.tenant = ?1 AND a.name = {name} AND \
             a.run_id = w.walked_id AND ({}))",
            readings.join(" OR ")
        )
    }
}

/// The equality whose index narrows most.
fn driver(filter: &Filter) -> Option<(&'static str, Cell)> {
    if let Some(parent) = &filter.parent {
        return Some(("parent", parent.text().into()));
    }
    if let Some(session) = &filter.session {
        return Some(("session_id", session.text().into()));
    }
    if let Some(category) = filter.category {
        return Some(("failure_category", category.word().into()));
    }
    if let Some(workflow) = &filter.workflow {
        return Some(("workflow", workflow.text().into()));
    }
    match filter.statuses.as_slice() {
        [status] => Some(("status", runs::status_cell(*status))),
        _ => None,
    }
}
