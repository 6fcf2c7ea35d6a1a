//! Many stored runs in little time: copies of one that the server itself has made.
//!
//! All rows of the run are read and written again, in SQL, with other ids, other times and other places in the
//! history, so that every invariant that held of the first holds of each copy. Only the random seed of a run
//! stays the same, because its history names it. No server may run on the file meanwhile.

use std::path::Path;

use selvedge::store::database::{Batch, Cell, Database, Outcome, Row, Statement};
use selvedge::time::Timestamp;
use selvedge_libsql::Local;
use selvedge_libsql::local::Options;

use super::BenchError;

/// Copies made by one transaction.
const CHUNK: u64 = 20_000;

/// The tables that have rows of a run, with the column of its id.
const TABLES: [(&str, &str); 7] = [
    ("runs", "id"),
    ("run_tags", "run_id"),
    ("run_attributes", "run_id"),
    ("tasks", "run_id"),
    ("leases", "run_id"),
    ("history", "run_id"),
    ("signals", "run_id"),
];

/// Columns with times, in milliseconds since 1970.
const TIMES: [&str; 14] = [
    "created_at",
    "start_at",
    "started_at",
    "finished_at",
    "updated_at",
    "deadline",
    "wake_at",
    "granted_at",
    "lease_expires_at",
    "since",
    "ready_at",
    "received_at",
    "last_seen_at",
    "registered_at",
];

/// The database, while no server has it.
pub(super) struct Store(Local);

/// A run as it is stored.
pub(super) struct Template {
    id: String,
    created_at: i64,
    /// Table, columns and cells of every row.
    rows: Vec<(&'static str, Vec<String>, Row)>,
    /// Times that stand in texts.
    times: Vec<(String, i64)>,
    first_cursor: i64,
    events: i64,
}

/// How far copies are away from what they are copies of, in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shift {
    /// Each a millisecond before the next one, the last as old as the template.
    Spread,
    /// The same, all of them so many milliseconds earlier.
    SpreadBefore(i64),
    /// All by so many milliseconds; negative is earlier.
    By(i64),
}

impl Store {
    pub(super) fn open(path: &Path) -> Result<Store, BenchError> {
        Ok(Store(Local::open(path, Options::default())?))
    }

    /// Reads a run.
    pub(super) async fn template(&self, id: &str) -> Result<Template, BenchError> {
        let mut template = Template {
            id: id.to_owned(),
            created_at: 0,
            rows: Vec::new(),
            times: Vec::new(),
            first_cursor: i64::MAX,
            events: 0,
        };
        for (table, key) in TABLES {
            let names = self.rows(&format!("SELECT name FROM pragma_table_info('{table}')"), vec![]).await?;
            let columns: Vec<String> =
                names.iter().filter_map(|row| Some(row.first()?.as_text()?.to_string())).collect();
            let select = format!("SELECT {} FROM {table} WHERE {key} = ?1", columns.join(", "));
            for row in self.rows(&select, vec![id.into()]).await? {
                template.add(table, columns.clone(), row);
            }
        }
        if template.rows.is_empty() {
            return Err(BenchError::Unexpected(format!("there is no run {id} to be copied")));
        }
        Ok(template)
    }

    /// Adds `count` copies. `serial` makes their ids differ from those of other calls: copies are numbered
    /// from it on.
    pub(super) async fn copy(
        &self,
        template: &Template,
        (count, serial): (u64, u64),
        shift: Shift,
    ) -> Result<(), BenchError> {
        let last = "SELECT max((SELECT value FROM counters WHERE name = 'cursor'), coalesce((SELECT cursor + \
            last_seq - seq FROM history WHERE cursor > 0 ORDER BY cursor DESC LIMIT 1), 0))";
        let cursor = self.rows(last, vec![]).await?;
        let cursor = cursor.first().and_then(|row| row.first()?.as_i64()).unwrap_or_default();
        for from in (1..=count).step_by(CHUNK as usize) {
            let to = (from + CHUNK - 1).min(count);
            let mut batch = Batch::default();
            for (table, columns, row) in &template.rows {
                batch.push(template.copies(
                    table,
                    columns,
                    row,
                    &Copies { from, to, count, serial, shift, cursor },
                ));
            }
            let value = cursor + template.events * to as i64;
            let count = "UPDATE counters SET value = ?1 WHERE name = 'cursor'";
            batch.push(Statement::new(count, vec![value.into()]));
            let outcomes = self.0.write(vec![batch]).await?;
            if outcomes != [Outcome::Committed] {
                return Err(BenchError::Unexpected(format!("copies of {}: {outcomes:?}", template.id)));
            }
        }
        Ok(())
    }

    async fn rows(&self, sql: &str, params: Vec<Cell>) -> Result<Vec<Row>, BenchError> {
        let rows = self.0.read(vec![Statement::new(sql.to_owned(), params)]).await?;
        Ok(rows.into_iter().next().unwrap_or_default())
    }
}

/// Which copies, and from where they count.
struct Copies {
    from: u64,
    to: u64,
    count: u64,
    serial: u64,
    shift: Shift,
    cursor: i64,
}

impl Template {
    /// When the run was created, in milliseconds since 1970.
    pub(super) fn created_at(&self) -> i64 {
        self.created_at
    }

    fn add(&mut self, table: &'static str, columns: Vec<String>, row: Row) {
        for (column, cell) in columns.iter().zip(&row) {
            match (column.as_str(), cell) {
                ("created_at", Cell::Integer(time)) if table == "runs" => self.created_at = *time,
                ("cursor", Cell::Integer(cursor)) => self.first_cursor = self.first_cursor.min(*cursor),
                ("last_seq", Cell::Integer(last)) if table == "runs" => self.events = *last,
                (_, Cell::Text(text)) => self.times.extend(times_in(text)),
                _ => {}
            }
        }
        self.times.sort();
        self.times.dedup();
        self.rows.push((table, columns, row));
    }

    /// One statement that writes a row for each copy.
    fn copies(&self, table: &str, columns: &[String], row: &Row, copies: &Copies) -> Statement {
        let mut params: Vec<Cell> = vec![(copies.from as i64).into(), (copies.to as i64).into()];
        let shift = match copies.shift {
            Shift::Spread => format!("(n - {})", copies.count),
            Shift::SpreadBefore(millis) => format!("(n - {count} - {millis})", count = copies.count),
            Shift::By(millis) => format!("({millis})"),
        };
        // A UUID of version 7: the time, then the serial number. The ids of leases begin with it.
        let id = {
            let time = format!("({} + {shift})", self.created_at);
            let serial = format!("(n + {})", copies.serial);
            format!(
                "printf('%08x-%04x-7000-8%03x-%012x', {time} >> 16, {time} & 65535, \
                 {serial} & 4095, {serial})"
            )
        };
        // What stands within a text is marked first, so that nothing is replaced in what has been put in.
        let mut marks = vec![(self.id.clone(), id)];
        for (text, millis) in &self.times {
            let time = format!("({millis} + {shift})");
            let seconds = format!("strftime('%Y-%m-%dT%H:%M:%S', {time} / 1000, 'unixepoch')");
            marks.push((text.clone(), format!("{seconds} || printf('.%03dZ', {time} % 1000)")));
        }
        let cells: Vec<String> = columns
            .iter()
            .zip(row)
            .map(|(column, cell)| match (column.as_str(), cell) {
                ("commit_id", _) => "random()".to_owned(),
                ("cursor", Cell::Integer(cursor)) => {
                    let first = copies.cursor + 1 + cursor - self.first_cursor;
                    format!("{first} + (n - 1) * {}", self.events)
                }
                (column, Cell::Integer(time)) if TIMES.contains(&column) => format!("{time} + {shift}"),
                (_, Cell::Text(text)) => marked(text, &marks, &mut params),
                (_, cell) => param(cell.clone(), &mut params),
            })
            .collect();
        let sql = format!(
            "WITH RECURSIVE k (n) AS (VALUES (?1) UNION ALL SELECT n + 1 FROM k WHERE n < ?2) \
             INSERT INTO {table} ({}) SELECT {} FROM k",
            columns.join(", "),
            cells.join(", ")
        );
        Statement::new(sql, params)
    }
}

/// A text in which every mark is replaced by its expression, as an expression.
fn marked(text: &str, marks: &[(String, String)], params: &mut Vec<Cell>) -> String {
    let mut text = text.to_owned();
    let mut replacements = Vec::new();
    for (number, (found, expression)) in marks.iter().enumerate() {
        if text.contains(found.as_str()) {
            let mark = format!("\u{1}{number}\u{2}");
            text = text.replace(found.as_str(), &mark);
            replacements.push((mark, expression));
        }
    }
    let whole = param(text.into(), params);
    replacements.into_iter().fold(whole, |inner, (mark, expression)| {
        let mark = param(mark.into(), params);
        format!("replace({inner}, {mark}, {expression})")
    })
}

fn param(cell: Cell, params: &mut Vec<Cell>) -> String {
    params.push(cell);
    format!("?{}", params.len())
}

/// The times that stand in a text, as they stand there.
fn times_in(text: &str) -> Vec<(String, i64)> {
    const LENGTH: usize = "2030-01-01T00:00:00.000Z".len();
    let candidates = (0..text.len().saturating_sub(LENGTH - 1)).filter_map(|at| text.get(at..at + LENGTH));
    let times = candidates.filter(|text| text.ends_with('Z') && text.as_bytes()[10] == b'T');
    times.filter_map(|text| Some((text.to_owned(), text.parse::<Timestamp>().ok()?.as_millis()))).collect()
}

#[cfg(test)]
mod tests {
    use http::Method;
    use selvedge::{App, Budget, Settings};
    use selvedge_libsql::Libsql;
    use selvedge_tokio::TokioPlatform;
    use serde_json::{Value, json};

    use super::*;
    use crate::inprocess::{Server, call};

    async fn ask(server: &Server, method: Method, path: &str, body: Value) -> Value {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let path = format!("/api/v1{path}");
        let (status, answer) = call(server, method, &path, "application/json", body).await;
        assert!(status.is_success(), "{path}: {status} {answer}");
        answer
    }

    async fn start(server: &Server, task: Value) -> String {
        let document = json!({"selvedge": 1, "name": "sample", "tasks": {"a": task}});
        let body = json!({"document": document, "tags": ["x"], "attributes": {"k": 3}});
        ask(server, Method::POST, "/runs", body).await["id"].as_str().expect("an id").to_owned()
    }

    async fn complete_one(server: &Server) {
        let claim = json!({"worker_id": "w", "queues": ["q"]});
        let claimed = ask(server, Method::POST, "/tasks/claim", claim).await;
        let lease = claimed["tasks"][0]["lease_id"].as_str().expect("a task");
        let done = json!({"output": {"ok": true}});
        ask(server, Method::POST, &format!("/leases/{lease}/complete"), done).await;
    }

    async fn server(database: &Local) -> Server {
        let database = Libsql::from(database.clone());
        App::open(database, TokioPlatform::default(), Settings::default()).await.expect("it opens")
    }

    /// Without what must differ between a run and its copy.
    fn alike(mut resource: Value, id: &str) -> Value {
        let text = resource.to_string().replace(id, "ID");
        resource = serde_json::from_str(&text).expect("it is JSON");
        fn strip(value: &mut Value) {
            match value {
                Value::Object(members) => {
                    for name in ["cursor", "lease_id", "next_cursor"] {
                        members.remove(name);
                    }
                    if let Some(lease) = members.get_mut("lease").and_then(Value::as_object_mut) {
                        lease.remove("id");
                    }
                    members.values_mut().for_each(strip);
                }
                Value::Array(items) => items.iter_mut().for_each(strip),
                Value::String(text) if text.ends_with('Z') && text.parse::<Timestamp>().is_ok() => {
                    "a time".clone_into(text);
                }
                _ => {}
            }
        }
        strip(&mut resource);
        resource
    }

    #[tokio::test]
    async fn copies_are_what_the_server_would_have_made() {
        let database = Local::memory().expect("memory");
        let first = server(&database).await;
        let done = start(&first, json!({"worker": "q"})).await;
        complete_one(&first).await;
        let ready = start(&first, json!({"worker": "q"})).await;
        let store = Store(database.clone());
        store
            .copy(&store.template(&done).await.expect("it is stored"), (30, 0), Shift::Spread)
            .await
            .expect("copies");
        store
            .copy(&store.template(&ready).await.expect("it is stored"), (3, 30), Shift::Spread)
            .await
            .expect("copies");

        // As after a start: nothing is remembered.
        let second = server(&database).await;
        let page = ask(&second, Method::GET, "/runs?limit=1000&tag=x&attribute.k.gte=2", Value::Null).await;
        let runs = page["items"].as_array().expect("runs");
        assert_eq!(runs.len(), 35);
        let created = |run: &Value| run["created_at"].as_str().expect("a time").to_owned();
        assert!(runs.windows(2).all(|pair| created(&pair[0]) >= created(&pair[1])));
        for path in ["", "/events", "/tasks"] {
            let of = async |id: &str| {
                alike(ask(&second, Method::GET, &format!("/runs/{id}{path}"), Value::Null).await, id)
            };
            let samples = [of(&done).await, of(&ready).await];
            for run in runs {
                let id = run["id"].as_str().expect("an id");
                assert_eq!(of(id).await, samples[usize::from(run["status"] == "running")], "{id}{path}");
            }
        }
        // Ready tasks are claimed and end their runs; new events come after all copied ones.
        for _ in 0..4 {
            complete_one(&second).await;
        }
        let counts = ask(&second, Method::GET, "/tasks/counts", Value::Null).await;
        assert!(counts.to_string().contains("\"completed\":35"), "{counts}");
        let cursors = database
            .read(vec![Statement::new(
                "SELECT cursor, last_seq - seq + 1 FROM history ORDER BY cursor",
                vec![],
            )])
            .await
            .expect("rows");
        let mut next = 1;
        for row in &cursors[0] {
            assert_eq!(row[0].as_i64(), Some(next), "a gap in the history of all");
            next += row[1].as_i64().expect("a number");
        }
    }

    #[tokio::test]
    async fn copied_timers_fire() {
        let database = Local::memory().expect("memory");
        let first = server(&database).await;
        let asleep = start(&first, json!({"sleep": "30d"})).await;
        let store = Store(database.clone());
        let template = store.template(&asleep).await.expect("it is stored");
        const DAYS_31: i64 = 31 * 24 * 60 * 60 * 1000;
        store.copy(&template, (10, 0), Shift::By(-DAYS_31)).await.expect("copies");
        store.copy(&template, (10, 10), Shift::Spread).await.expect("copies");
        let second = server(&database).await;
        second.drive(Budget::Idle).await;
        let count = async |status: &str| {
            let page = ask(&second, Method::GET, &format!("/runs?status={status}"), Value::Null).await;
            page["items"].as_array().map(Vec::len)
        };
        assert_eq!((count("completed").await, count("running").await), (Some(10), Some(11)));
    }

    #[test]
    fn times_are_found_in_texts() {
        let text = r#"{"at":"2030-01-01T00:00:00.001Z","é":"2030-01-01T00:00:00.002Z","x":"2030-13-01T00:00:00.000Z"}"#;
        let found: Vec<String> = times_in(text).into_iter().map(|(text, _)| text).collect();
        assert_eq!(found, ["2030-01-01T00:00:00.001Z", "2030-01-01T00:00:00.002Z"]);
    }
}
