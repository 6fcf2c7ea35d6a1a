//! A report as a table: a row for each figure and a column for each measurement, since there are more figures
//! than fit a line.

use crate::report::{Figure, Measurement, Report, Unit};

pub(crate) fn text(report: &Report) -> String {
    let mut text = conditions(report);
    let mut rows = vec![
        row("", report, |measurement| measurement.workload.clone()),
        row("subject", report, |measurement| measurement.subject.clone()),
        row("connections", report, |measurement| measurement.connections.to_string()),
        row("pace", report, |measurement| measurement.pace.clone()),
        row("operations", report, |measurement| measurement.operations.to_string()),
    ];
    if report.measurements.iter().any(|measurement| measurement.failures > 0) {
        rows.push(row("failures", report, |measurement| measurement.failures.to_string()));
    }
    for name in names(report) {
        rows.push(row(name, report, |measurement| {
            let figure = measurement.figures.iter().find(|figure| figure.name == name);
            figure.map_or_else(|| "–".to_owned(), shown)
        }));
    }
    rows.push(row("steal", report, steal));
    align(&rows).iter().for_each(|line| push(&mut text, line));
    for measurement in &report.measurements {
        if let Some(failure) = &measurement.first_failure {
            push(&mut text, &format!("{}: the first failure: {failure}", measurement.workload));
        }
    }
    if report.measurements.iter().any(|measurement| measurement.disturbed) {
        push(&mut text, "! the machine's host took more than 5 % of the processors' time: measure again");
    }
    text
}

fn conditions(report: &Report) -> String {
    let conditions = &report.conditions;
    let memory = bytes(conditions.memory as f64);
    let mut text = format!(
        "{} × {}, {memory} of memory, Linux {}\n",
        conditions.processors, conditions.processor, conditions.kernel
    );
    for (name, setting) in &conditions.settings {
        push(&mut text, &format!("{name}: {setting}"));
    }
    text.push('\n');
    text
}

/// Every name once, in the order of the measurement that has it first.
fn names(report: &Report) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for measurement in &report.measurements {
        let mut after = 0;
        for figure in &measurement.figures {
            match names.iter().position(|name| *name == figure.name) {
                Some(place) => after = place + 1,
                None => {
                    names.insert(after, &figure.name);
                    after += 1;
                }
            }
        }
    }
    names
}

fn row(name: &str, report: &Report, cell: impl Fn(&Measurement) -> String) -> Vec<String> {
    std::iter::once(name.to_owned()).chain(report.measurements.iter().map(cell)).collect()
}

fn steal(measurement: &Measurement) -> String {
    let mark = if measurement.disturbed { " !" } else { "" };
    format!("{:.1} %{mark}", measurement.steal * 100.0)
}

fn shown(figure: &Figure) -> String {
    let value = figure.value;
    match figure.unit {
        Unit::Count => digits(value),
        Unit::PerSecond => format!("{}/s", digits(value)),
        Unit::Milliseconds => format!("{} ms", digits(value)),
        Unit::Bytes => bytes(value),
        Unit::Ratio => format!("× {value:.2}"),
    }
}

/// About three digits, none of them made up.
fn digits(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        0.0 => "0".to_owned(),
        _ => format!("{value:.3}"),
    }
}

fn bytes(value: f64) -> String {
    const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
    let mut value = value;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{} {}", digits(value), UNITS[unit])
}

fn align(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let mut line = format!("{:<1$}", row[0], widths[0]);
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            line.push_str(&format!("  {cell:>width$}"));
        }
        line
    };
    rows.iter().map(line).collect()
}

fn push(text: &mut String, line: &str) {
    text.push_str(line.trim_end());
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::latencies::Latencies;
    use crate::plan::{Extent, Pace, Plan};
    use crate::report::Conditions;
    use crate::run::Outcome;

    #[test]
    fn figures_stand_in_rows() {
        let mut latencies = Latencies::default();
        (0..1000).for_each(|_| latencies.record(Duration::from_millis(2)));
        let outcome = Outcome {
            latencies,
            failures: 1,
            first_failure: Some("no".into()),
            elapsed: Duration::from_secs(2),
        };
        let plan = Plan { connections: 8, pace: Pace::Closed, extent: Extent::Operations(1000), first: 0 };
        let one = Measurement::new("a", "x 1", &plan, &outcome, 0.0).with_each("bytes", 2e6, Unit::Bytes);
        let two = Measurement::new("b", "y 2", &plan, &outcome, 0.2).with("ratio", 1.5, Unit::Ratio);
        let mut conditions = Conditions::here(vec![("file system".into(), "ext4".into())]);
        conditions.processors = 2;
        let report = Report { conditions, measurements: vec![one, two] };
        let text = report.text();
        let table: Vec<&str> = text.split("\n\n").nth(1).expect("a table").lines().collect();
        assert_eq!(
            table,
            [
                "                     a         b",
                "subject            x 1       y 2",
                "connections          8         8",
                "pace            closed    closed",
                "operations        1000      1000",
                "failures             1         1",
                "operations/s     500/s     500/s",
                "p50            2.00 ms   2.00 ms",
                "p99            2.00 ms   2.00 ms",
                "p99.9          2.00 ms   2.00 ms",
                "max            2.00 ms   2.00 ms",
                "ratio                –    × 1.50",
                "bytes         1.95 KiB         –",
                "steal            0.0 %  20.0 % !",
                "a: the first failure: no",
                "b: the first failure: no",
                "! the machine's host took more than 5 % of the processors' time: measure again",
            ]
        );
        assert!(report.json().contains("\"disturbed\": true"));
    }
}
