//! The words of Hrana 3 over HTTP that this driver uses, as JSON.
//!
//! A request is a pipeline of one batch and the end of its stream, so that the server keeps nothing of it.
//! The format is <https://github.com/tursodatabase/libsql/blob/main/docs/HRANA_3_SPEC.md>. Integers are
//! texts and blobs base64 without padding; with padding they are understood as well.

mod value;

use std::borrow::Cow;

use selvedge::store::database::{Cell, Row};
use serde::{Deserialize, Serialize, Serializer};

use value::{Decoded, Encoded};

/// The steps of one batch, in order.
#[derive(Debug, Default, Serialize)]
pub(super) struct Program<'a> {
    steps: Vec<Step<'a>>,
    /// A replica that has not come so far waits before it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    replication_index: Option<String>,
}

/// The place of a step in its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At(usize);

#[derive(Debug, Serialize)]
struct Step<'a> {
    stmt: Stmt<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Condition>,
}

#[derive(Debug, Serialize)]
struct Stmt<'a> {
    sql: Cow<'a, str>,
    #[serde(serialize_with = "encode_all", skip_serializing_if = "<[Cell]>::is_empty")]
    args: &'a [Cell],
    want_rows: bool,
}

/// When a step is run. A step that is not run is neither `Ok` nor an error.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Condition {
    /// The step ran and succeeded.
    Ok {
        /// Which.
        step: usize,
    },
    /// The condition does not hold.
    Not {
        /// Which.
        cond: Box<Condition>,
    },
    /// All conditions hold.
    And {
        /// Which.
        conds: Vec<Condition>,
    },
    /// No transaction is open.
    IsAutocommit {},
}

/// What the server answered to one program.
#[derive(Debug)]
pub(super) enum Answer {
    /// It was run.
    Ran(Results),
    /// It was refused as a whole.
    Refused(Fault),
}

/// What became of each step.
#[derive(Debug, Deserialize)]
pub(super) struct Results {
    step_results: Vec<Option<StepResult>>,
    step_errors: Vec<Option<Fault>>,
    #[serde(default)]
    replication_index: Option<String>,
}

#[derive(Debug, Deserialize)]
struct StepResult {
    rows: Vec<Vec<Decoded>>,
}

/// What became of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate<'a> {
    /// It ran.
    Ok,
    /// It failed.
    Failed(&'a Fault),
    /// It was not run.
    Skipped,
}

/// An error in the server's words.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Fault {
    pub(super) message: String,
    #[serde(default)]
    pub(super) code: String,
}

impl<'a> Program<'a> {
    /// Adds a step that is always run.
    pub(super) fn begin(&mut self, sql: &'static str) -> At {
        self.add(Stmt { sql: sql.into(), args: &[], want_rows: false }, None)
    }

    /// Adds a step of the driver's own.
    pub(super) fn control(&mut self, sql: impl Into<Cow<'static, str>>, condition: Condition) -> At {
        self.add(Stmt { sql: sql.into(), args: &[], want_rows: false }, Some(condition))
    }

    /// Adds a statement whose rows nobody wants.
    pub(super) fn write(&mut self, sql: &'a str, args: &'a [Cell], condition: Option<Condition>) -> At {
        self.add(Stmt { sql: sql.into(), args, want_rows: false }, condition)
    }

    /// Adds a statement for its rows.
    pub(super) fn read(&mut self, sql: &'a str, args: &'a [Cell], condition: Option<Condition>) -> At {
        self.add(Stmt { sql: sql.into(), args, want_rows: true }, condition)
    }

    /// Asks for a view that is at least as new as this.
    pub(super) fn not_before(&mut self, replication_index: u64) {
        self.replication_index = (replication_index > 0).then(|| replication_index.to_string());
    }

    /// The body of the request that runs it and closes its stream.
    pub(super) fn body(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Pipeline<'a, 'b>([Request<'a, 'b>; 2]);
        #[derive(Serialize)]
        #[serde(tag = "type", rename_all = "snake_case")]
        enum Request<'a, 'b> {
            Batch { batch: &'b Program<'a> },
            Close,
        }
        #[derive(Serialize)]
        struct Body<'a, 'b> {
            requests: Pipeline<'a, 'b>,
        }
        let requests = Pipeline([Request::Batch { batch: self }, Request::Close]);
        serde_json::to_vec(&Body { requests }).expect("texts and numbers are written to memory")
    }

    fn add(&mut self, stmt: Stmt<'a>, condition: Option<Condition>) -> At {
        self.steps.push(Step { stmt, condition });
        At(self.steps.len() - 1)
    }
}

impl At {
    /// Holds when this step has succeeded.
    pub(super) fn ok(self) -> Condition {
        Condition::Ok { step: self.0 }
    }
}

impl Condition {
    /// Holds while a transaction is open.
    pub(super) fn in_transaction() -> Self {
        Condition::IsAutocommit {}.not()
    }

    pub(super) fn not(self) -> Self {
        Condition::Not { cond: Box::new(self) }
    }

    pub(super) fn and(self, other: Condition) -> Self {
        Condition::And { conds: vec![self, other] }
    }
}

impl Answer {
    /// Reads the body of an answer. The error says what it is instead of one.
    pub(super) fn read(body: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Body {
            results: Vec<StreamResult>,
        }
        #[derive(Deserialize)]
        struct StreamResult {
            response: Option<Response>,
            error: Option<Fault>,
        }
        #[derive(Deserialize)]
        struct Response {
            result: Option<Results>,
        }
        let body: Body = serde_json::from_slice(body).map_err(|fault| fault.to_string())?;
        let first = body.results.into_iter().next().ok_or("it has no results")?;
        match (first.response, first.error) {
            (_, Some(fault)) => Ok(Answer::Refused(fault)),
            (Some(Response { result: Some(results) }), None) => Ok(Answer::Ran(results)),
            (Some(Response { result: None }) | None, None) => Err("it has no result of a batch".into()),
        }
    }
}

impl Results {
    /// What became of this step.
    pub(super) fn of(&self, At(step): At) -> Fate<'_> {
        match (self.step_results.get(step), self.step_errors.get(step)) {
            (_, Some(Some(fault))) => Fate::Failed(fault),
            (Some(Some(_)), _) => Fate::Ok,
            _ => Fate::Skipped,
        }
    }

    /// The first error of all.
    pub(super) fn first_fault(&self) -> Option<&Fault> {
        self.step_errors.iter().flatten().next()
    }

    /// The rows of a step, which are given away; of one that was not run there are none.
    pub(super) fn take_rows(&mut self, At(step): At) -> Vec<Row> {
        let result = self.step_results.get_mut(step).and_then(Option::take);
        let rows = result.map(|result| result.rows).unwrap_or_default();
        rows.into_iter().map(|row| row.into_iter().map(Cell::from).collect()).collect()
    }

    /// How far the database had come, where the server says so.
    pub(super) fn replication_index(&self) -> Option<u64> {
        self.replication_index.as_deref()?.parse().ok()
    }
}

fn encode_all<S: Serializer>(cells: &[Cell], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(cells.iter().map(Encoded))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_a_pipeline_of_a_batch_and_a_close() {
        let args = [Cell::Integer(7), "x".into()];
        let mut program = Program::default();
        let begin = program.begin("BEGIN");
        let write = program.write("INSERT", &args, Some(begin.ok()));
        program.control("COMMIT", Condition::in_transaction().and(write.ok()));
        program.not_before(42);
        let expected = serde_json::json!({"requests": [
            {"type": "batch", "batch": {"replication_index": "42", "steps": [
                {"stmt": {"sql": "BEGIN", "want_rows": false}},
                {"stmt": {"sql": "INSERT", "want_rows": false, "args": [
                    {"type": "integer", "value": "7"}, {"type": "text", "value": "x"}
                ]}, "condition": {"type": "ok", "step": 0}},
                {"stmt": {"sql": "COMMIT", "want_rows": false}, "condition": {"type": "and", "conds": [
                    {"type": "not", "cond": {"type": "is_autocommit"}}, {"type": "ok", "step": 1}
                ]}}
            ]}},
            {"type": "close"}
        ]});
        let found: serde_json::Value = serde_json::from_slice(&program.body()).expect("JSON");
        assert_eq!(found, expected);
    }

    #[test]
    fn answers_say_what_became_of_each_step() {
        let body = r#"{"baton": null, "base_url": null, "results": [
            {"type": "ok", "response": {"type": "batch", "result": {
                "step_results": [{"cols": [], "rows": [[{"type": "integer", "value": "1"}]]}, null, null],
                "step_errors": [null, {"message": "no", "code": "SQLITE_BUSY"}, null],
                "replication_index": "9"}}},
            {"type": "ok", "response": {"type": "close"}}]}"#;
        let Ok(Answer::Ran(mut results)) = Answer::read(body.as_bytes()) else { panic!("it ran") };
        let fault = Fault { message: "no".into(), code: "SQLITE_BUSY".into() };
        let fates = [0, 1, 2, 3].map(|step| results.of(At(step)));
        assert_eq!(fates, [Fate::Ok, Fate::Failed(&fault), Fate::Skipped, Fate::Skipped]);
        assert_eq!((results.first_fault(), results.replication_index()), (Some(&fault), Some(9)));
        assert_eq!(results.take_rows(At(0)), [[Cell::Integer(1)]]);
        assert_eq!(results.take_rows(At(2)), Vec::<Row>::new());
    }

    #[test]
    fn other_answers_are_told_apart() {
        let refused = r#"{"results": [{"type": "error", "error": {"message": "no"}}]}"#;
        let refused = Answer::read(refused.as_bytes());
        assert!(
            matches!(refused, Ok(Answer::Refused(Fault { message, code })) if message == "no" && code.is_empty())
        );
        for (body, expected) in [
            ("<html>", "expected value"),
            ("{}", "missing field `results`"),
            (r#"{"results": []}"#, "no results"),
            (r#"{"results": [{"type": "ok", "response": {"type": "close"}}]}"#, "no result of a batch"),
            (r#"{"results": [{"type": "none"}]}"#, "no result of a batch"),
        ] {
            let fault = Answer::read(body.as_bytes()).expect_err(body);
            assert!(fault.contains(expected), "{body}: {fault}");
        }
    }
}
