//! The words of Hrana 3 over HTTP that this driver uses, as JSON.
//!
//! A request is a pipeline of one batch, and then either the end of its stream or the question whether it has
//! left a transaction open.
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

/// What happens to the stream after the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// It is closed.
    Close,
    /// It stays open for the next request.
    Keep,
}

/// The answer to a request.
#[derive(Debug)]
pub(super) struct Reply {
    /// What became of the program.
    pub(super) answer: Answer,
    /// What the next request on the stream has to show; none if it is closed.
    pub(super) baton: Option<String>,
    /// Where the next request on the stream has to go.
    pub(super) base_url: Option<String>,
    /// Whether no transaction was left open, as far as the server was asked.
    pub(super) is_clean: bool,
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

    /// The body of the request that runs it: on the stream of this baton, or on a new one.
    pub(super) fn body(&self, baton: Option<&str>, after: After) -> Vec<u8> {
        let after = match after {
            After::Close => Request::Close,
            After::Keep => Request::GetAutocommit,
        };
        pipeline(baton, &[Request::Batch { batch: self }, after])
    }

    fn add(&mut self, stmt: Stmt<'a>, condition: Option<Condition>) -> At {
        self.steps.push(Step { stmt, condition });
        At(self.steps.len() - 1)
    }
}

/// The body of the request that closes a stream.
pub(super) fn close(baton: &str) -> Vec<u8> {
    pipeline(Some(baton), &[Request::Close])
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Request<'a, 'b> {
    Batch { batch: &'b Program<'a> },
    GetAutocommit,
    Close,
}

fn pipeline(baton: Option<&str>, requests: &[Request<'_, '_>]) -> Vec<u8> {
    #[derive(Serialize)]
    struct Body<'a, 'b, 'c> {
        #[serde(skip_serializing_if = "Option::is_none")]
        baton: Option<&'c str>,
        requests: &'c [Request<'a, 'b>],
    }
    serde_json::to_vec(&Body { baton, requests }).expect("texts and numbers are written to memory")
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

impl Reply {
    /// Reads the body of an answer. The error says what it is instead of one.
    pub(super) fn read(body: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Body {
            #[serde(default)]
            baton: Option<String>,
            #[serde(default)]
            base_url: Option<String>,
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
            is_autocommit: Option<bool>,
        }
        let Body { baton, base_url, results } =
            serde_json::from_slice(body).map_err(|fault| fault.to_string())?;
        let mut results = results.into_iter();
        let first = results.next().ok_or("it has no results")?;
        let answer = match (first.response.and_then(|response| response.result), first.error) {
            (_, Some(fault)) => Answer::Refused(fault),
            (Some(results), None) => Answer::Ran(results),
            (None, None) => return Err("it has no result of a batch".into()),
        };
        let second = results.next().and_then(|second| second.response);
        let is_clean = second.and_then(|response| response.is_autocommit).unwrap_or(false);
        Ok(Reply { answer, baton, base_url, is_clean })
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
        let json = |body: Vec<u8>| serde_json::from_slice::<serde_json::Value>(&body).expect("JSON");
        assert_eq!(json(program.body(None, After::Close)), expected);
        let kept = json(program.body(Some("b"), After::Keep));
        assert_eq!((&kept["baton"], &kept["requests"][0]), (&"b".into(), &expected["requests"][0]));
        assert_eq!(kept["requests"][1], serde_json::json!({"type": "get_autocommit"}));
        assert_eq!(json(close("b")), serde_json::json!({"baton": "b", "requests": [{"type": "close"}]}));
    }

    #[test]
    fn answers_say_what_became_of_each_step() {
        let body = r#"{"baton": "b", "base_url": "http://h", "results": [
            {"type": "ok", "response": {"type": "batch", "result": {
                "step_results": [{"cols": [], "rows": [[{"type": "integer", "value": "1"}]]}, null, null],
                "step_errors": [null, {"message": "no", "code": "SQLITE_BUSY"}, null],
                "replication_index": "9"}}},
            {"type": "ok", "response": {"type": "get_autocommit", "is_autocommit": true}}]}"#;
        let reply = Reply::read(body.as_bytes()).expect("an answer");
        assert_eq!((reply.baton.as_deref(), reply.base_url.as_deref()), (Some("b"), Some("http://h")));
        assert!(reply.is_clean);
        let Answer::Ran(mut results) = reply.answer else { panic!("it ran") };
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
        let refused = Reply::read(refused.as_bytes()).expect("an answer");
        assert!(!refused.is_clean && refused.baton.is_none());
        let Answer::Refused(fault) = refused.answer else { panic!("it was refused") };
        assert_eq!(fault, Fault { message: "no".into(), code: String::new() });
        for (body, expected) in [
            ("<html>", "expected value"),
            ("{}", "missing field `results`"),
            (r#"{"results": []}"#, "no results"),
            (r#"{"results": [{"type": "ok", "response": {"type": "close"}}]}"#, "no result of a batch"),
            (r#"{"results": [{"type": "none"}]}"#, "no result of a batch"),
        ] {
            let fault = Reply::read(body.as_bytes()).expect_err(body);
            assert!(fault.contains(expected), "{body}: {fault}");
        }
    }
}
