//! Task instances: of one run, and of all.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::{Key, Run, TaskStatus};
use crate::http::answer::Answer;
use crate::http::call::Call;
use crate::http::page::{Cursor, FilterHash, Limit, Page};
use crate::http::problem::Problem;
use crate::ids::{QueueName, RunId, Version, WorkerId};
use crate::platform::Platform;
use crate::store::database::Database;
use crate::store::task_list::{self, Filter, ListedTask, Place};
use crate::store::tasks;
use crate::value::Value;
use crate::workflow::model::{TaskIx, Workflow};

use super::App;
use super::shapes::TaskShape;

/// How many instances of a run are read at once.
const CHUNK: usize = 200;

/// The query of `GET /runs/{id}/tasks`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunTasksQuery {
    /// In any of these states.
    #[serde(default)]
    status: Vec<TaskStatus>,
    /// How many items the page may have.
    #[serde(default, skip_serializing)]
    limit: Limit,
    /// The `next_cursor` of the page before.
    #[serde(default, skip_serializing)]
    cursor: Option<String>,
}

/// The query of `GET /tasks`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TasksQuery {
    /// In any of these states.
    #[serde(default)]
    status: Vec<TaskStatus>,
    /// Of this queue.
    #[serde(default)]
    queue: Option<QueueName>,
    /// Under a lease of this worker.
    #[serde(default)]
    worker: Option<WorkerId>,
    /// Of this run.
    #[serde(default)]
    run: Option<RunId>,
    /// How many items the page may have.
    #[serde(default, skip_serializing)]
    limit: Limit,
    /// The `next_cursor` of the page before.
    #[serde(default, skip_serializing)]
    cursor: Option<String>,
}

/// How many task instances have each status.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FleetCounts {
    /// All of them.
    total: u64,
    /// Their needs are not met yet.
    pending: u64,
    /// A worker may claim them.
    ready: u64,
    /// Under a lease.
    running: u64,
    /// For backoff, a sleep or a signal.
    waiting: u64,
    /// Done.
    completed: u64,
    /// Attempts spent.
    failed: u64,
    /// Not done on purpose.
    skipped: u64,
    /// Stopped on request.
    cancelled: u64,
    /// Of how many runs.
    runs: u32,
    /// Whether there are older runs, which are not counted.
    capped: bool,
}

impl<D: Database, P: Platform> App<D, P> {
    pub(super) async fn run_tasks(&self, call: &Call<'_>) -> Result<Answer, Problem> {
        let id: RunId = call.path("id")?;
        let query: RunTasksQuery = call.query()?;
        let run = self.run(&id).await?;
        let workflow = self.workflow_of(&run).await.map_err(|error| self.problem(&error))?;
        let filters = FilterHash::of(&("tasks", id.as_str(), &query));
        let mut next = match &query.cursor {
            None => 0,
            Some(cursor) => match Cursor::decode(cursor, filters)?.as_slice() {
                [Value::Int(place)] => usize::try_from(*place).map_err(|_| Cursor::malformed())?,
                _ => return Err(Cursor::malformed()),
            },
        };
        let (limit, total) = (query.limit.get() as usize, workflow.tasks.len());
        let mut items = Vec::new();
        while items.len() < limit && next < total {
            let size = CHUNK.min(total - next).min(if query.status.is_empty() {
                limit - items.len()
            } else {
                CHUNK
            });
            for shape in self.instances(&run, &workflow, next..next + size).await? {
                if items.len() == limit {
                    break;
                }
                next += 1;
                if query.status.is_empty() || query.status.contains(&shape.status()) {
                    items.push(shape);
                }
            }
        }
        let cursor = (next < total).then(|| Cursor::encode(filters, &[Value::Int(next as i64)]));
        Ok(Answer::json(200, &Page::new(items, cursor)))
    }

    /// Instances by their place in document order, stored or not.
    async fn instances(
        &self,
        run: &Run,
        workflow: &Workflow,
        places: std::ops::Range<usize>,
    ) -> Result<Vec<TaskShape>, Problem> {
        let keys: Vec<Key> = places.map(|ix| Key::of(TaskIx(ix as u32))).collect();
        let reads = keys.iter().map(|key| tasks::by_key(run, workflow, *key)).collect();
        let answers = self.read(reads).await?;
        let mut shapes = Vec::new();
        for (key, rows) in keys.into_iter().zip(answers) {
            let stored = rows.into_iter().next().map(tasks::read_instance).transpose();
            shapes.push(match stored.map_err(|error| self.problem(&error))? {
                Some((_, instance)) => TaskShape::new(&run.id, workflow.task(key.task), key, &instance),
                None => TaskShape::unreached(run, workflow, key),
            });
        }
        Ok(shapes)
    }

    pub(super) async fn get_task(&self, call: &Call<'_>) -> Result<Answer, Problem> {
        let id: RunId = call.path("id")?;
        let name: String = call.path("task")?;
        let run = self.run(&id).await?;
        let workflow = self.workflow_of(&run).await.map_err(|error| self.problem(&error))?;
        let not_found = || Problem::not_found("task", format!("{name} in run {id}"));
        let key = find(&workflow, &name).ok_or_else(not_found)?;
        let place = key.task.0 as usize;
        let shape = self.instances(&run, &workflow, place..place + 1).await?.pop();
        Ok(Answer::json(200, &shape.ok_or_else(not_found)?))
    }

    pub(super) async fn list_tasks(&self, call: &Call<'_>) -> Result<Answer, Problem> {
        let query: TasksQuery = call.query()?;
        let filters = FilterHash::of(&("tasks", &query));
        let after = match &query.cursor {
            None => None,
            Some(cursor) => match Cursor::decode(cursor, filters)?.as_slice() {
                [Value::String(run), Value::String(task), Value::Int(index)] => {
                    Some(Place { run: run.clone(), task: task.clone(), index: *index })
                }
                _ => return Err(Cursor::malformed()),
            },
        };
        let filter = Filter {
            statuses: query.status,
            queue: query.queue.map(|queue| queue.to_string()),
            worker: query.worker.map(|worker| worker.to_string()),
            run: query.run,
        };
        let limit = query.limit.get();
        let reads = task_list::page(&self.tenant, &filter, after.as_ref(), limit + 1);
        let mut answers = self.read(reads.into()).await?.into_iter();
        let listed: Result<Vec<ListedTask>, _> =
            answers.next().unwrap_or_default().into_iter().map(task_list::read).collect();
        let listed = listed.map_err(|error| self.problem(&error))?;
        let last =
            answers.next().unwrap_or_default().into_iter().next().map(task_list::read_place).transpose();
        let last = last.map_err(|error| self.problem(&error))?;
        let more = listed.len() > limit as usize;
        let mut items = Vec::new();
        let mut place = None;
        for task in listed.into_iter().take(limit as usize) {
            let (shape, at) = self.listed(task).await?;
            items.push(shape);
            place = Some(at);
        }
        let next = if more { place } else { last };
        let key = |place: Place| [Value::from(place.run), Value::from(place.task), Value::Int(place.index)];
        let next = next.map(|place| Cursor::encode(filters, &key(place)));
        Ok(Answer::json(200, &Page::new(items, next)))
    }

    async fn listed(&self, listed: ListedTask) -> Result<(TaskShape, Place), Problem> {
        let version = Version::trusted(listed.version.into());
        let workflow = self.compiled(&self.tenant, &version).await.map_err(|error| self.problem(&error))?;
        let (row_key, instance) = tasks::read_instance(listed.row).map_err(|error| self.problem(&error))?;
        let key = row_key.key(&workflow).map_err(|error| self.problem(&error))?;
        let place = Place {
            run: listed.run.to_string(),
            task: row_key.task.to_string(),
            index: row_key.index.map_or(-1, i64::from),
        };
        Ok((TaskShape::new(&listed.run, workflow.task(key.task), key, &instance), place))
    }

    pub(super) async fn task_counts(&self) -> Result<Answer, Problem> {
        let row = self.first_row(task_list::counts(&self.tenant)).await?.unwrap_or_default();
        let (runs, sums) = task_list::read_counts(row).map_err(|error| self.problem(&error))?;
        let count = |index: usize| sums.get(index).copied().unwrap_or(0);
        Ok(Answer::json(
            200,
            &FleetCounts {
                total: count(0),
                pending: count(1),
                ready: count(2),
                running: count(3),
                waiting: count(4),
                completed: count(5),
                failed: count(6),
                skipped: count(7),
                cancelled: count(8),
                runs,
                capped: runs == task_list::COUNTED_RUNS_MAX,
            },
        ))
    }
}

/// The instance that `name` or `name[3]` means.
pub(super) fn find(workflow: &Workflow, text: &str) -> Option<Key> {
    // No task of this version has instances of its own for the elements of a list.
    workflow.index(text).map(Key::of)
}
