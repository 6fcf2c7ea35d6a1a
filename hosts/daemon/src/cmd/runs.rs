//! `selvedge runs`: the latest runs as a table.

use selvedge::time::{Duration, Timestamp};
use serde_json::Value;

use super::{CommandError, Exit, pretty, text};
use crate::cli::RunsArgs;
use crate::client::Call;
use crate::progress::short;
use crate::terminal::{self, Colour, Paint};
use selvedge_tokio as platform;

const HEADINGS: [&str; 6] = ["RUN", "WORKFLOW", "STATUS", "TASKS", "AGE", "TOOK"];
const STATUS_COLUMN: usize = 2;

pub(super) async fn run(args: RunsArgs) -> Result<Exit, CommandError> {
    let mut call = Call::get(&["runs"]).query("limit", args.limit);
    for status in &args.statuses {
        call = call.query("status", status);
    }
    if let Some(workflow) = &args.workflow {
        call = call.query("workflow", workflow);
    }
    let answer = super::client(&args.server)?.send(call).await?;
    if args.json {
        terminal::out(&pretty(&answer));
        return Ok(Exit::Done);
    }
    let items = answer.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        terminal::err("no runs");
        return Ok(Exit::Done);
    }
    let rows: Vec<_> = items.iter().map(|run| row(run, platform::now())).collect();
    table(&rows, Paint::of_stdout()).iter().for_each(|line| terminal::out(line));
    if answer.get("next_cursor").is_some_and(Value::is_string) {
        terminal::err(&format!("there are more than {}: pass --limit", items.len()));
    }
    Ok(Exit::Done)
}

type Row = [String; HEADINGS.len()];

fn row(run: &Value, now: Timestamp) -> Row {
    let time = |name: &str| text(run, name).parse::<Timestamp>().ok();
    let count = |name: &str| run.pointer(name).and_then(Value::as_u64).unwrap_or(0);
    let shown = |duration: Option<Duration>| duration.map_or_else(String::new, short);
    let started = time("/started_at");
    let ended = time("/finished_at").unwrap_or(now);
    [
        terminal::harmless(text(run, "/id")),
        terminal::harmless(text(run, "/workflow")),
        text(run, "/status").to_owned(),
        format!("{}/{}", count("/tasks/completed"), count("/tasks/total")),
        shown(time("/created_at").map(|created| now.since(created))),
        shown(started.map(|started| ended.since(started))),
    ]
}

fn table(rows: &[Row], paint: Paint) -> Vec<String> {
    let headings = HEADINGS.map(str::to_owned);
    let mut widths = [0; HEADINGS.len()];
    for row in rows.iter().chain([&headings]) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &Row, colour: &dyn Fn(usize, &str) -> Option<Colour>| {
        let mut line = String::new();
        for (index, (cell, width)) in row.iter().zip(widths).enumerate() {
            let padded = format!("{cell:width$}");
            line.push_str(&colour(index, cell).map_or(padded.clone(), |colour| paint.paint(colour, &padded)));
            line.push_str("  ");
        }
        line.trim_end().to_owned()
    };
    let mut lines = vec![line(&headings, &|_, _| Some(Colour::Bold))];
    let status = |index: usize, cell: &str| (index == STATUS_COLUMN).then(|| status_colour(cell));
    lines.extend(rows.iter().map(|row| line(row, &status)));
    lines
}

fn status_colour(status: &str) -> Colour {
    match status {
        "completed" => Colour::Green,
        "failed" | "timed_out" | "cancelled" => Colour::Red,
        "running" => Colour::Cyan,
        _ => Colour::Yellow,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn runs_stand_in_columns() {
        let now = "2030-01-01T01:00:00.000Z".parse().expect("a time");
        let rows = [
            json!({"id": "r1", "workflow": "order", "status": "completed", "created_at": "2030-01-01T00:00:00.000Z",
                "started_at": "2030-01-01T00:00:00.000Z", "finished_at": "2030-01-01T00:00:01.500Z",
                "tasks": {"completed": 3, "total": 4}}),
            json!({"id": "longer-id", "workflow": "w", "status": "pending", "created_at": "2030-01-01T00:59:00.000Z",
                "started_at": null, "finished_at": null, "tasks": {"completed": 0, "total": 1}}),
        ]
        .map(|run| row(&run, now));
        assert_eq!(
            table(&rows, Paint::Plain),
            [
                "RUN        WORKFLOW  STATUS     TASKS  AGE    TOOK",
                "r1         order     completed  3/4    1h00m  1.5s",
                "longer-id  w         pending    0/1    1m00s",
            ]
        );
    }
}
