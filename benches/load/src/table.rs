//! A report as tables: measurements of the same figures stand together. A few stand side by side, a row for each
//! figure, since there are more figures than fit a line; many stand below each other.

use crate::report::{Figure, Measurement, Report, Unit};

/// How many measurements stand side by side.
const COLUMNS_MAX: usize = 7;

pub(crate) fn text(report: &Report) -> String {
    let mut text = conditions(report);
    let alike = |a: &Measurement, b: &Measurement| names(a).eq(names(b));
    for group in report.measurements.chunk_by(alike) {
        text.push('\n');
        let rows = rows(group);
        let rows = if group.len() > COLUMNS_MAX { turned(&rows) } else { rows };
        align(&rows).iter().for_each(|line| push(&mut text, line));
    }
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

/// A row for each figure, a column for each measurement; all have the same figures.
fn rows(group: &[Measurement]) -> Vec<Vec<String>> {
    let row = |name: &str, cell: &dyn Fn(&Measurement) -> String| -> Vec<String> {
        std::iter::once(name.to_owned()).chain(group.iter().map(cell)).collect()
    };
    let mut rows = vec![
        row("", &|measurement| measurement.workload.clone()),
        row("subject", &|measurement| measurement.subject.clone()),
        row("connections", &|measurement| measurement.connections.to_string()),
        row("pace", &|measurement| measurement.pace.clone()),
        row("operations", &|measurement| measurement.operations.to_string()),
    ];
    if group.iter().any(|measurement| measurement.failures > 0) {
        rows.push(row("failures", &|measurement| measurement.failures.to_string()));
    }
    for (place, name) in group.iter().take(1).flat_map(names).enumerate() {
        rows.push(row(name, &|measurement| shown(&measurement.figures[place])));
    }
    rows.push(row("steal", &steal));
    rows
}

fn names(measurement: &Measurement) -> impl Iterator<Item = &str> {
    measurement.figures.iter().map(|figure| figure.name.as_str())
}

fn turned(rows: &[Vec<String>]) -> Vec<Vec<String>> {
    let columns = rows.iter().map(Vec::len).min().unwrap_or_default();
    (0..columns).map(|column| rows.iter().map(|row| row[column].clone()).collect()).collect()
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
    text
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

    fn measured(workload: &str, subject: &str, steal: f64) -> Measurement {
        let mut latencies = Latencies::default();
        (0..1000).for_each(|_| latencies.record(Duration::from_millis(2)));
        let first_failure = Some("no".into());
        let outcome = Outcome { latencies, failures: 1, first_failure, elapsed: Duration::from_secs(2) };
        let plan = Plan { connections: 8, pace: Pace::Closed, extent: Extent::Operations(1000), first: 0 };
        Measurement::new(workload, subject, &plan, &outcome, steal)
    }

    fn report(measurements: Vec<Measurement>) -> Report {
        Report { conditions: Conditions::here(vec![("file system".into(), "ext4".into())]), measurements }
    }

    #[test]
    fn figures_stand_in_rows() {
        let report = report(vec![
            measured("a", "x 1", 0.0).with_each("bytes", 2e6, Unit::Bytes),
            measured("b", "y 2", 0.2).with("bytes", 12.0, Unit::Bytes),
            measured("c", "y 2", 0.0).with("ratio", 1.5, Unit::Ratio),
        ]);
        let text = report.text();
        let tables: Vec<&str> = text.split("\n\n").skip(1).collect();
        assert_eq!(tables.len(), 2);
        assert_eq!(
            tables[0].lines().collect::<Vec<_>>(),
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
                "bytes         1.95 KiB    12.0 B",
                "steal            0.0 %  20.0 % !",
            ]
        );
        assert!(tables[1].contains("\nratio          × 1.50\n"), "{text}");
        assert!(text.contains("\na: the first failure: no\n") && text.ends_with("measure again\n"), "{text}");
        assert!(report.json().contains("\"disturbed\": true"));
    }

    #[test]
    fn many_measurements_stand_below_each_other() {
        let all = (0..9).map(|n| measured(&format!("w{n}"), "x", 0.0)).collect();
        let text = report(all).text();
        let table: Vec<&str> = text.split("\n\n").nth(1).expect("a table").lines().collect();
        assert!(table[0].split_whitespace().eq([
            "subject",
            "connections",
            "pace",
            "operations",
            "failures",
            "operations/s",
            "p50",
            "p99",
            "p99.9",
            "max",
            "steal"
        ]));
        assert!(table[9].starts_with("w8 "), "{text}");
    }
}
