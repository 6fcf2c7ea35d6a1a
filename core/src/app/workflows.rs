//! Workflows: save, read, list, delete.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::http::answer::Answer;
use crate::http::call::Call;
use crate::http::page::{Cursor, FilterHash, Limit, Page};
use crate::http::problem::{Problem, Slug};
use crate::ids::{Version, WorkflowName};
use crate::platform::Platform;
use crate::store::database::{Database, Row};
use crate::store::runs;
use crate::store::workflows::{self, WorkflowRow};
use crate::value::{Pointer, Value};

use super::App;
use super::shapes::WorkflowShape;

/// The query of lists without filters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// How many items the page may have.
    #[serde(default)]
    pub(super) limit: Limit,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    pub(super) cursor: Option<String>,
}

/// The query of `GET /workflows/{name}`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WorkflowQuery {
    /// The version; the newest, unless it is given.
    #[serde(default)]
    version: Option<Version>,
}

impl<D: Database, P: Platform> App<D, P> {
    pub(super) async fn put_workflow(&self, call: &Call<'_>) -> Result<Answer, Problem> {
        let name: WorkflowName = call.path("name")?;
        let (document, locations) = self.read_document(call)?;
        let mut workflow = self.compile(&document, &Pointer::root(), Some(&locations))?;
        if workflow.name != name {
            let message = format!(
                "the document's name is {}, the path says {name}: they must be the same",
                workflow.name
            );
            let fault = crate::workflow::fault::Fault { pointer: Pointer::from("/name"), message };
            let (line, column) = locations.get(&fault.pointer).unzip();
            let error = crate::http::problem::FieldError {
                line,
                column,
                ..crate::http::problem::FieldError::new("/name", fault.message)
            };
            return Err(Problem::with_errors(Slug::InvalidDocument, vec![error]));
        }
        let newest = self.newest_workflow(&name).await?;
        call.if_match()?.require(newest.as_ref().map(|row| row.version.as_str()))?;
        let at = format!("/api/v1/workflows/{name}");
        let status = match newest {
            Some(row) if row.version == workflow.version => return Ok(workflow_answer(200, row)),
            Some(_) => 200,
            None => 201,
        };
        let (number, now) = (newest.map_or(0, |row| row.number), self.now());
        self.pin(&mut workflow, &Pointer::root(), Some(&locations)).await?;
        let batch = workflows::save(&self.tenant, &workflow, number, now);
        if !self.write(batch).await? {
            return Err(Problem::unavailable(format!("workflow {name} was saved by somebody else just now")));
        }
        let saved = self.newest_workflow(&name).await?.ok_or_else(Problem::internal)?;
        Ok(workflow_answer(status, saved).at(at))
    }

    pub(super) async fn get_workflow(&self, call: &Call<'_>) -> Result<Answer, Problem> {
        let name: WorkflowName = call.path("name")?;
        let query: WorkflowQuery = call.query()?;
        let row = match &query.version {
            None => self.newest_workflow(&name).await?,
            Some(version) => {
                let row = self.first_row(workflows::by_version(&self.tenant, &name, version)).await?;
                row.map(|row| self.workflow_row(row)).transpose()?
            }
        };
        row.map(|row| workflow_answer(200, row)).ok_or_else(|| not_found(&name))
    }

    pub(super) async fn list_workflows(&self, call: &Call<'_>) -> Result<Answer, Problem> {
        let query: ListQuery = call.query()?;
        let filters = FilterHash::of("workflows");
        let after = match &query.cursor {
            None => String::new(),
            Some(cursor) => match Cursor::decode(cursor, filters)?.as_slice() {
                [Value::String(name)] => name.clone(),
                _ => return Err(Cursor::malformed()),
            },
        };
        let limit = query.limit.get();
        let rows = self.read(vec![workflows::list(&self.tenant, &after, limit + 1)]).await?;
        let key = |row: &WorkflowRow| vec![Value::from(row.name.as_str())];
        self.workflow_page(rows, limit, filters, key)
    }

    pub(super) async fn workflow_versions(&self, call: &Call<'_>) -> Result<Answer, Problem> {
        let name: WorkflowName = call.path("name")?;
        let query: ListQuery = call.query()?;
        let filters = FilterHash::of(&("versions", name.as_str()));
        let before = match &query.cursor {
            None => i64::MAX,
            Some(cursor) => match Cursor::decode(cursor, filters)?.as_slice() {
                [Value::Int(number)] => *number,
                _ => return Err(Cursor::malformed()),
            },
        };
        let limit = query.limit.get();
        let rows = self.read(vec![workflows::versions(&self.tenant, &name, before, limit + 1)]).await?;
        if query.cursor.is_none() && rows.iter().all(Vec::is_empty) {
            return Err(not_found(&name));
        }
        self.workflow_page(rows, limit, filters, |row| vec![Value::Int(row.number)])
    }

    fn workflow_page(
        &self,
        rows: Vec<Vec<Row>>,
        limit: u32,
        filters: FilterHash,
        key: impl Fn(&WorkflowRow) -> Vec<Value>,
    ) -> Result<Answer, Problem> {
        let rows: Result<Vec<WorkflowRow>, Problem> =
            rows.into_iter().flatten().map(|row| self.workflow_row(row)).collect();
        let (rows, next) = cut(rows?, limit, |row| Cursor::encode(filters, &key(row)));
        Ok(Answer::json(200, &Page::new(rows.into_iter().map(WorkflowShape::from).collect(), next)))
    }

    pub(super) async fn delete_workflow(&self, call: &Call<'_>) -> Result<Answer, Problem> {
        let name: WorkflowName = call.path("name")?;
        let newest = self.newest_workflow(&name).await?.ok_or_else(|| not_found(&name))?;
        call.if_match()?.require(Some(newest.version.as_str()))?;
        if self.first_row(runs::open_of_workflow(&self.tenant, &name)).await?.is_some() {
            let detail =
                format!("workflow {name} has runs that have not ended: cancel them before deleting it");
            return Err(Problem::new(Slug::WorkflowInUse, detail));
        }
        if self.write(workflows::delete(&self.tenant, &name, newest.number)).await? {
            return Ok(Answer::empty());
        }
        Err(Problem::unavailable(format!("workflow {name} was changed by somebody else just now")))
    }

    async fn newest_workflow(&self, name: &WorkflowName) -> Result<Option<WorkflowRow>, Problem> {
        let row = self.first_row(workflows::newest(&self.tenant, name)).await?;
        row.map(|row| self.workflow_row(row)).transpose()
    }

    fn workflow_row(&self, row: Row) -> Result<WorkflowRow, Problem> {
        workflows::read(row).map_err(|error| self.problem(&error))
    }
}

fn workflow_answer(status: u16, row: WorkflowRow) -> Answer {
    let version = row.version.to_string();
    Answer::json(status, &WorkflowShape::from(row)).of_version(version)
}

fn not_found(name: &WorkflowName) -> Problem {
    Problem::not_found("workflow", name)
}

/// Cuts what was read to a page: one row more than the page holds says that there is a next one, which
/// begins after the page's last row.
pub(super) fn cut<T>(
    mut rows: Vec<T>,
    limit: u32,
    cursor: impl Fn(&T) -> String,
) -> (Vec<T>, Option<String>) {
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = rows.last().filter(|_| more).map(cursor);
    (rows, next)
}
