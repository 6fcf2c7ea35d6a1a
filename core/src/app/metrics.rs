//! What the server counts, in Prometheus' text format, version 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>).
//!
//! Only what is counted anyway, or costs one atomic addition a request: asking reads memory, never the
//! database. What a host's driver does not count is not listed.

use std::fmt::{Display, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::http::answer::Answer;
use crate::http::operations::{OPERATIONS, OperationId};
use crate::http::problem::Problem;
use crate::platform::Platform;
use crate::store::database::Database;

use super::App;

/// The media type of the format.
pub(crate) const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The classes of status that are told apart, `1xx` to `5xx`.
const CLASSES: usize = 5;

/// How many requests were answered, by operation and class of status.
#[derive(Debug)]
pub(super) struct Requests {
    /// By the number of the operation's variant.
    answered: Box<[[AtomicU64; CLASSES]]>,
    /// Those that reached no operation: an unknown path, a head or body that cannot be read.
    refused: [AtomicU64; CLASSES],
}

impl Default for Requests {
    fn default() -> Self {
        let numbers = OPERATIONS.iter().map(|operation| operation.id as usize + 1).max().unwrap_or_default();
        let answered = std::iter::repeat_with(Default::default).take(numbers).collect();
        Self { answered, refused: Default::default() }
    }
}

impl Requests {
    /// Counts an answer.
    pub(super) fn answered(&self, operation: OperationId, status: u16) {
        count(&self.answered[operation as usize], status);
    }

    /// Counts a refusal before any operation was reached.
    pub(super) fn refused(&self, status: u16) {
        count(&self.refused, status);
    }

    /// Operation, class of status and count, of all that are not zero.
    fn samples(&self) -> impl Iterator<Item = (String, u64)> {
        let operations = OPERATIONS.iter().map(|row| (row.name, &self.answered[row.id as usize]));
        let all = operations.chain([("none", &self.refused)]);
        all.flat_map(|(name, classes)| {
            classes.iter().zip(1..).map(move |(count, class)| {
                (labels(&[("operation", name), ("status", &format!("{class}xx"))]), load(count))
            })
        })
        .filter(|(_, count)| *count > 0)
    }
}

impl<D: Database, P: Platform> App<D, P> {
    pub(super) fn metrics(&self) -> Result<Answer, Problem> {
        let mut text = Exposition::default();
        let build = labels(&[("version", env!("CARGO_PKG_VERSION")), ("host", self.settings.host)]);
        text.family("selvedge_build_info", Kind::Gauge, "The program's version and host.", [(build, 1)]);
        let started = self.started_at.as_millis();
        text.family(
            "selvedge_start_time_seconds",
            Kind::Gauge,
            "When the server started, in seconds since 1970.",
            [(String::new(), format!("{}.{:03}", started.div_euclid(1000), started.rem_euclid(1000)))],
        );
        text.family(
            "selvedge_requests_total",
            Kind::Counter,
            "Requests that were answered, by operation and class of status.",
            self.requests.samples(),
        );
        let counts = self.database.counts();
        for (name, help, count) in [
            (
                "selvedge_database_commits_total",
                "Transactions committed, each with one fsync where the database is a file.",
                counts.commits,
            ),
            (
                "selvedge_database_batches_total",
                "Batches that transactions kept: several share one.",
                counts.batches,
            ),
            ("selvedge_database_statements_total", "Statements of writes.", counts.statements),
            ("selvedge_database_reads_total", "Reads, each one consistent view.", counts.reads),
            ("selvedge_database_queries_total", "Statements of reads.", counts.queries),
            ("selvedge_database_round_trips_total", "Requests to the database's server.", counts.round_trips),
        ] {
            text.family(name, Kind::Counter, help, count.map(|count| (String::new(), count)));
        }
        Ok(Answer::text(200, PROMETHEUS, text.0))
    }
}

/// What kind of number a family has.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
}

/// The text so far.
#[derive(Default)]
struct Exposition(String);

impl Exposition {
    /// The samples of one name, with their labels; nothing at all where there are none.
    fn family<V: Display>(
        &mut self,
        name: &str,
        kind: Kind,
        help: &str,
        samples: impl IntoIterator<Item = (String, V)>,
    ) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let mut head = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for (labels, value) in samples {
            self.0.push_str(&std::mem::take(&mut head));
            writeln!(self.0, "{name}{labels} {value}").expect("a string takes all that is written");
        }
    }
}

/// Labels in braces, their values escaped.
fn labels(labels: &[(&str, &str)]) -> String {
    let escape = |text: &str| text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
    let pairs: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
    format!("{{{}}}", pairs.join(","))
}

fn count(classes: &[AtomicU64; CLASSES], status: u16) {
    if let Some(class) = usize::from(status / 100).checked_sub(1).and_then(|class| classes.get(class)) {
        class.fetch_add(1, Ordering::Relaxed);
    }
}

fn load(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use regex_lite::Regex;

    use super::*;

    /// The format's grammar, line by line; `value` as Go's `ParseFloat` reads it, no timestamps.
    const HELP: &str = r"^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) ((?:[^\\\n]|\\[\\n])+)$";
    const TYPE: &str = r"^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram|summary|untyped)$";
    const SAMPLE: &str = concat!(
        r"^([a-zA-Z_:][a-zA-Z0-9_:]*)",
        r#"(?:\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",)*"#,
        r#"(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*")?\})?"#,
        r" ([-+]?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|NaN|[-+]?Inf)$"
    );

    /// What is wrong with a text of the format; none if nothing is.
    fn fault(text: &str) -> Option<String> {
        let patterns = [HELP, TYPE, SAMPLE].map(|pattern| Regex::new(pattern).expect("a pattern"));
        let [help, kind, sample] = &patterns;
        if !text.is_empty() && !text.ends_with('\n') {
            return Some("the last line does not end".into());
        }
        let (mut helped, mut typed) = (Vec::new(), Vec::new());
        let mut samples: Vec<String> = Vec::new();
        for line in text.lines() {
            let name = |captures: regex_lite::Captures<'_>| captures[1].to_owned();
            if let Some(of) = help.captures(line).map(name) {
                if helped.contains(&of) {
                    return Some(format!("a second HELP of {of}"));
                }
                helped.push(of);
            } else if let Some(of) = kind.captures(line).map(name) {
                if typed.contains(&of) || helped.last() != Some(&of) {
                    return Some(format!("TYPE of {of} twice, or not after its HELP"));
                }
                typed.push(of);
            } else if let Some(of) = sample.captures(line).map(name) {
                if typed.last() != Some(&of) {
                    return Some(format!("a sample of {of} outside of its family"));
                }
                let series = line.rsplit_once(' ').map_or(line, |(series, _)| series).to_owned();
                if samples.contains(&series) {
                    return Some(format!("{series} comes twice"));
                }
                samples.push(series);
            } else {
                return Some(format!("neither HELP nor TYPE nor a sample: {line}"));
            }
        }
        None
    }

    #[test]
    fn the_grammar_tells_good_from_bad() {
        for (text, good) in [
            ("", true),
            ("# HELP a b\n# TYPE a counter\na 1\n", true),
            ("# HELP a b\n# TYPE a gauge\na{x=\"1\"} 1.500\na{x=\"\\\"\\\\\\n\",y=\"\"} -2e3\n", true),
            ("# HELP a b\n# TYPE a counter\na 1", false),
            ("# HELP a b\n# TYPE a counter\na one\n", false),
            ("# HELP a b\n# TYPE a counter\na{x=1} 1\n", false),
            ("# HELP a b\n# TYPE a counter\na{x=\"a\"b\"} 1\n", false),
            ("# HELP a b\n# TYPE a counter\n1a 1\n", false),
            ("# HELP a b\n# TYPE a number\na 1\n", false),
            ("# HELP a b\n# TYPE a counter\na 1\na 2\n", false),
            ("# TYPE a counter\na 1\n", false),
            ("a 1\n", false),
            ("# HELP a b\n# TYPE a counter\na 1\n# HELP b b\n# TYPE b counter\nb 1\na{x=\"1\"} 2\n", false),
        ] {
            assert_eq!(fault(text).is_none(), good, "{text}: {:?}", fault(text));
        }
    }

    #[test]
    fn families_follow_the_grammar() {
        let requests = Requests::default();
        for (operation, status) in
            [(OperationId::StartRun, 201), (OperationId::StartRun, 201), (OperationId::LeaseBatch, 503)]
        {
            requests.answered(operation, status);
        }
        requests.refused(404);
        let mut text = Exposition::default();
        text.family("a_total", Kind::Counter, "Requests.", requests.samples());
        text.family("nothing", Kind::Gauge, "Not counted.", None::<(String, u64)>);
        let odd = labels(&[("x", "a \"b\" \\ \n")]);
        text.family("b", Kind::Gauge, "Odd labels.", [(odd, "1.500")]);
        assert_eq!(fault(&text.0), None, "{}", text.0);
        assert_eq!(
            text.0,
            "# HELP a_total Requests.\n# TYPE a_total counter\n\
             a_total{operation=\"start_run\",status=\"2xx\"} 2\n\
             a_total{operation=\"lease_batch\",status=\"5xx\"} 1\n\
             a_total{operation=\"none\",status=\"4xx\"} 1\n\
             # HELP b Odd labels.\n# TYPE b gauge\nb{x=\"a \\\"b\\\" \\\\ \\n\"} 1.500\n"
        );
    }

    #[test]
    fn a_status_that_is_none_is_not_counted() {
        let requests = Requests::default();
        for status in [0, 99, 600, u16::MAX] {
            requests.refused(status);
        }
        assert_eq!(requests.samples().count(), 0);
    }
}
