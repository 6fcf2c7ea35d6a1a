//! Lists and counts of task instances over all runs.

use crate::engine::TaskStatus;
use crate::ids::{RunId, TenantId};

use super::StoreError;
use super::columns::Columns;
use super::database::{Cell, Row, Statement};
use super::tasks;

/// How many rows one page looks at.
pub(crate) const EXAMINED_MAX: u32 = 10_000;

/// Which instances are wanted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) statuses: Vec<TaskStatus>,
    pub(crate) queue: Option<String>,
    pub(crate) worker: Option<String>,
    pub(crate) run: Option<RunId>,
}

/// Where in the order (run, task, element: all descending) a page begins.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Place {
    pub(crate) run: String,
    pub(crate) task: String,
    pub(crate) index: i64,
}

/// An instance in a list: its row with the run's id and version before it.
#[derive(Debug)]
pub(crate) struct ListedTask {
    pub(crate) run: RunId,
    pub(crate) version: String,
    pub(crate) row: Row,
}

/// The page's instances, and the place of the last row that it may look at.
pub(crate) fn page(tenant: &TenantId, filter: &Filter, after: Option<&Place>, limit: u32) -> [Statement; 2] {
    let mut params: Vec<Cell> = vec![tenant.text().into()];
    let walk = walk(filter, after, &mut params);
    let last_params = params.clone();
    let mut conditions = String::from("1");
    let mut add = |condition: &str, cell: Cell| {
        params.push(cell);
        conditions += &format!(" AND {condition} ?{}", params.len());
    };
    if let Some(queue) = &filter.queue {
        add("t.queue =", queue.as_str().into());
    }
    if let Some(worker) = &filter.worker {
        add("t.worker_id =", worker.as_str().into());
    }
    if !filter.statuses.is_empty() {
        let words: Vec<String> =
            filter.statuses.iter().map(|status| format!("'{}'", status.word())).collect();
        conditions += &format!(" AND t.status IN ({})", words.join(", "));
    }
    params.push(limit.into());
    let page = format!(
        "SELECT run_id, (SELECT version FROM runs WHERE runs.tenant = t.tenant AND runs.id = \
         t.run_id), {} FROM ({walk} LIMIT {EXAMINED_MAX}) t WHERE {conditions} ORDER BY run_id DESC, task DESC, \
         idx DESC LIMIT ?{}",
        tasks::COLUMNS,
        params.len()
    );
    let last = format!("SELECT run_id, task, idx FROM ({walk} LIMIT 1 OFFSET {})", EXAMINED_MAX - 1);
    [Statement::new(page, params), Statement::new(last, last_params)]
}

fn walk(filter: &Filter, after: Option<&Place>, params: &mut Vec<Cell>) -> String {
    let mut text = "SELECT * FROM tasks WHERE tenant = ?1".to_owned();
    if let Some(run) = &filter.run {
        params.push(run.text().into());
        text += &format!(" AND run_id = ?{}", params.len());
    }
    if let Some(place) = after {
        params.extend([place.run.as_str().into(), place.task.as_str().into(), Cell::Integer(place.index)]);
        let first = params.len() - 2;
        text += &format!(" AND (run_id, task, idx) < (?{}, ?{}, ?{})", first, first + 1, first + 2);
    }
    text + " ORDER BY run_id DESC, task DESC, idx DESC"
}

/// Reads a row of the first statement of [`page`].
pub(crate) fn read(mut row: Row) -> Result<ListedTask, StoreError> {
    let rest = row.split_off(2.min(row.len()));
    let mut c = Columns::of(row, "tasks");
    Ok(ListedTask { run: RunId::trusted(c.text()?), version: c.text()?.to_string(), row: rest })
}

/// Reads a row of the second statement of [`page`].
pub(crate) fn read_place(row: Row) -> Result<Place, StoreError> {
    let mut c = Columns::of(row, "tasks");
    Ok(Place { run: c.text()?.to_string(), task: c.text()?.to_string(), index: c.int()? })
}

/// How many of the newest runs are counted.
pub(crate) const COUNTED_RUNS_MAX: u32 = 10_000;

/// The sums of the counts of the newest runs, and how many runs those are.
pub(crate) fn counts(tenant: &TenantId) -> Statement {
    let sums: Vec<String> = std::iter::once("total")
        .chain(TaskStatus::ALL.iter().map(|status| status.word()))
        .map(|word| format!("coalesce(sum(json_extract(counts, '$.{word}')), 0)"))
        .collect();
    let sql = format!(
        "SELECT count(*), {} FROM (SELECT counts FROM runs WHERE tenant = ?1 ORDER BY created_at DESC, id DESC \
         LIMIT {COUNTED_RUNS_MAX})",
        sums.join(", ")
    );
    Statement::new(sql, vec![tenant.text().into()])
}

/// Reads the row of [`counts`]: the number of runs, then `total` and each status in its order.
pub(crate) fn read_counts(row: Row) -> Result<(u32, Vec<u64>), StoreError> {
    let mut c = Columns::of(row, "runs");
    let runs = c.small()?;
    let sums: Result<Vec<u64>, StoreError> =
        (0..=TaskStatus::ALL.len()).map(|_| Ok(c.int()? as u64)).collect();
    Ok((runs, sums?))
}
