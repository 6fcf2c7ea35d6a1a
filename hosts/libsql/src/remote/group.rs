//! Batches that go to the server together: one transaction, one request, each batch whole or not at all.
//!
//! | step                    | is run when                                              |
//! |-------------------------|----------------------------------------------------------|
//! | `BEGIN IMMEDIATE`       | always                                                   |
//! | `SAVEPOINT batch`       | the transaction is open; one for each batch              |
//! | a statement of a batch  | the step before it in its batch succeeded                |
//! | its guard               | the statement succeeded; fails unless it changed n rows  |
//! | `ROLLBACK TO batch`     | the batch's last step did not succeed                    |
//! | `RELEASE batch`         | the transaction is open                                  |
//! | `COMMIT`                | the transaction is open                                  |
//! | `ROLLBACK`              | the transaction is still open: COMMIT failed             |
//!
//! A batch that is alone needs no savepoint: COMMIT waits for its last step instead. SQLite ends a
//! transaction by itself on some errors; a SAVEPOINT would then open another one that nobody rolls back, so
//! each step of the frame asks first whether the transaction is open. If it is not at the end, nothing of the
//! group was kept.

use selvedge::store::database::{Batch, DatabaseError, Expect, Outcome};

use super::failure::StepFailure;
use super::guard;
use super::hrana::{At, Condition, Fate, Fault, Program, Results};

/// The steps of a group and what they mean.
pub(super) struct Group<'a> {
    pub(super) program: Program<'a>,
    begin: At,
    commit: At,
    batches: Vec<Framed<'a>>,
}

/// The steps of one batch.
struct Framed<'a> {
    /// Each with the index of its statement and the statement's text.
    steps: Vec<(At, usize, &'a str)>,
}

/// What became of one batch, for its caller.
pub(super) type Verdict = Result<Outcome, DatabaseError>;

impl<'a> Group<'a> {
    pub(super) fn new(batches: &[&'a Batch]) -> Self {
        let mut program = Program::default();
        let begin = program.begin("BEGIN IMMEDIATE");
        let (batches, last) = match batches {
            [batch] => {
                let framed = Framed::alone(&mut program, batch, begin);
                let last = framed.last();
                (vec![framed], last)
            }
            _ => (batches.iter().map(|batch| Framed::new(&mut program, batch)).collect(), None),
        };
        let open = Condition::in_transaction();
        let whole = last.map_or(open.clone(), |last| open.and(last.ok()));
        let commit = program.control("COMMIT", whole);
        program.control("ROLLBACK", Condition::in_transaction());
        Group { program, begin, commit, batches }
    }

    /// Whether the transaction was not begun because another one was under way. sqld says so at once, without
    /// waiting, while it folds its log into the file.
    pub(super) fn met_a_lock(&self, results: &Results) -> bool {
        match results.of(self.begin) {
            Fate::Failed(fault) => matches!(fault.code.as_str(), "SQLITE_BUSY" | "SQLITE_LOCKED"),
            Fate::Ok | Fate::Skipped => false,
        }
    }

    /// What the server's answer says of each batch, in order.
    pub(super) fn verdicts(&self, results: &Results) -> Vec<Verdict> {
        let all = |error: DatabaseError| self.batches.iter().map(|_| Err(error.clone())).collect();
        if let Fate::Failed(fault) = results.of(self.begin) {
            return all(passing(fault));
        }
        match results.of(self.commit) {
            Fate::Ok => self.batches.iter().map(|batch| batch.verdict(results)).collect(),
            Fate::Failed(fault) => all(commit_error(fault)),
            Fate::Skipped => match &self.batches[..] {
                // It was to be committed only if it is whole.
                [batch] if batch.missed(results).is_some() => vec![batch.verdict(results)],
                _ => all(results.first_fault().map_or_else(lost, passing)),
            },
        }
    }
}

impl<'a> Framed<'a> {
    fn new(program: &mut Program<'a>, batch: &'a Batch) -> Self {
        let begin = program.control("SAVEPOINT batch", Condition::in_transaction());
        let framed = Framed::alone(program, batch, begin);
        let open = Condition::in_transaction;
        if let Some(last) = framed.last() {
            program.control("ROLLBACK TO batch", open().and(begin.ok()).and(last.ok().not()));
        }
        program.control("RELEASE batch", open().and(begin.ok()));
        framed
    }

    /// The statements, the first of which waits for `begin`.
    fn alone(program: &mut Program<'a>, batch: &'a Batch, begin: At) -> Self {
        let mut before = begin;
        let mut steps = Vec::with_capacity(2 * batch.writes.len());
        for (index, (statement, expect)) in batch.writes.iter().enumerate() {
            before = program.write(&statement.sql, &statement.params, Some(before.ok()));
            steps.push((before, index, &*statement.sql));
            if let Expect::Rows(rows) = expect {
                before = program.control(guard::exactly(*rows), before.ok());
                steps.push((before, index, &*statement.sql));
            }
        }
        Framed { steps }
    }

    fn last(&self) -> Option<At> {
        self.steps.last().map(|(at, ..)| *at)
    }

    /// The step that failed, if one did.
    fn missed<'r>(&self, results: &'r Results) -> Option<(&'r Fault, usize, &'a str)> {
        self.steps.iter().find_map(|(at, index, sql)| match results.of(*at) {
            Fate::Failed(fault) => Some((fault, *index, *sql)),
            Fate::Ok | Fate::Skipped => None,
        })
    }

    /// What became of it in a transaction that was committed, or in one of its own that was not because of it.
    fn verdict(&self, results: &Results) -> Verdict {
        match self.missed(results) {
            Some((fault, index, sql)) => match fault.meaning() {
                StepFailure::Missed | StepFailure::Constraint => Ok(Outcome::Refused(index)),
                StepFailure::Broken | StepFailure::Passing | StepFailure::Uncertain => {
                    Err(fault.clone().into_error(Some(sql)))
                }
            },
            None if self.steps.iter().all(|(at, ..)| results.of(*at) == Fate::Ok) => Ok(Outcome::Committed),
            None => Err(lost()),
        }
    }
}

/// The error of a transaction of which nothing was kept. Whatever ended it, the others in it may come again.
fn passing(fault: &Fault) -> DatabaseError {
    match fault.clone().into_error(None) {
        DatabaseError::Broken(message) => DatabaseError::Unavailable { message, indeterminate: false },
        unavailable => unavailable,
    }
}

/// What a failed COMMIT says. When the server had an I/O error, or says something unheard of, the commit may
/// be in its log all the same.
fn commit_error(fault: &Fault) -> DatabaseError {
    let indeterminate = match fault.meaning() {
        StepFailure::Passing => false,
        // SQLite knows of no transaction.
        StepFailure::Broken => !fault.message.contains("no transaction is active"),
        StepFailure::Missed | StepFailure::Constraint | StepFailure::Uncertain => true,
    };
    let message = format!("COMMIT failed: {} ({})", fault.message, fault.code);
    DatabaseError::Unavailable { message, indeterminate }
}

fn lost() -> DatabaseError {
    let message = "the server ended the transaction and did not say why".into();
    DatabaseError::Unavailable { message, indeterminate: false }
}

#[cfg(test)]
mod tests {
    use selvedge::store::database::Statement;
    use serde_json::{Value, json};

    use super::super::hrana::{Answer, Reply};
    use super::*;

    fn batch(expects: &[Expect]) -> Batch {
        let write = |expect: &Expect| (Statement::new("UPDATE", vec![]), *expect);
        Batch { writes: expects.iter().map(write).collect() }
    }

    /// An answer in which `o` is a step that ran, `-` one that was skipped, and a digit one that failed with
    /// the fault of that index.
    fn answer(fates: &str, faults: &[(&str, &str)]) -> Results {
        let done = fates.chars().map(|fate| if fate == 'o' { json!({"rows": []}) } else { Value::Null });
        let failed = fates.chars().map(|fate| {
            let fault = fate.to_digit(10).map(|index| faults[index as usize]);
            fault.map_or(Value::Null, |(message, code)| json!({"message": message, "code": code}))
        });
        let result =
            json!({"step_results": done.collect::<Value>(), "step_errors": failed.collect::<Value>()});
        let body = json!({"results": [{"type": "ok", "response": {"type": "batch", "result": result}}]});
        match Reply::read(body.to_string().as_bytes()).expect("an answer").answer {
            Answer::Ran(results) => results,
            other => panic!("{other:?}"),
        }
    }

    const MISSED: (&str, &str) = ("integer overflow", "SQLITE_UNKNOWN");
    const UNIQUE: (&str, &str) = ("UNIQUE constraint failed", "SQLITE_CONSTRAINT");
    const BUSY: (&str, &str) = ("database is locked", "SQLITE_BUSY");
    const FULL: (&str, &str) = ("disk is full", "SQLITE_FULL");
    const IO: (&str, &str) = ("disk I/O error", "SQLITE_IOERR");
    const WRONG: (&str, &str) = ("no such table", "SQLITE_UNKNOWN");

    /// `C` committed, a digit refused there, `B` broken, `U` unavailable, `?` and nobody knows.
    fn letters(verdicts: &[Verdict]) -> String {
        let letter = |verdict: &Verdict| match verdict {
            Ok(Outcome::Committed) => 'C',
            Ok(Outcome::Refused(index)) => char::from_digit(*index as u32, 10).expect("few statements"),
            Err(DatabaseError::Broken(_) | DatabaseError::Storage(_)) => 'B',
            Err(DatabaseError::Unavailable { indeterminate: false, .. }) => 'U',
            Err(DatabaseError::Unavailable { indeterminate: true, .. }) => '?',
        };
        verdicts.iter().map(letter).collect()
    }

    #[test]
    fn a_batch_alone() {
        // BEGIN, two statements with a guard behind the second, COMMIT, ROLLBACK.
        let batch = batch(&[Expect::Any, Expect::Rows(1)]);
        let group = Group::new(&[&batch]);
        for (fates, fault, expected) in [
            ("ooo0", MISSED, "1"),
            ("o0--", UNIQUE, "0"),
            ("oo0-", UNIQUE, "1"),
            ("oo0-", WRONG, "B"),
            ("oo0-", BUSY, "U"),
            ("0---", BUSY, "U"),
            ("0---", IO, "U"),
            ("0---", WRONG, "U"),
        ] {
            let results = answer(&format!("{fates}-o"), &[fault]);
            assert_eq!(letters(&group.verdicts(&results)), expected, "{fates} {fault:?}");
        }
        for (commit, fault, expected) in [
            ("o-", MISSED, "C"),
            ("0o", FULL, "U"),
            ("0o", BUSY, "U"),
            ("0o", IO, "?"),
            ("0o", WRONG, "?"),
            ("00", ("Transaction timed out", "TRANSACTION_TIMEOUT"), "U"),
            ("0-", ("cannot commit - no transaction is active", "SQLITE_UNKNOWN"), "U"),
            ("--", MISSED, "U"),
        ] {
            let results = answer(&format!("oooo{commit}"), &[fault]);
            assert_eq!(letters(&group.verdicts(&results)), expected, "COMMIT {commit} {fault:?}");
        }
    }

    #[test]
    fn batches_of_a_group_have_each_their_own_fate() {
        // BEGIN; SAVEPOINT, statement, guard, ROLLBACK TO, RELEASE; SAVEPOINT, RELEASE; as the first; COMMIT.
        let (full, empty) = (batch(&[Expect::Rows(1)]), batch(&[]));
        let group = Group::new(&[&full, &empty, &full]);
        for (fates, fault, expected) in [
            ("o ooo-o oo ooo-o o-", MISSED, "CCC"),
            ("o oo0oo oo ooo-o o-", MISSED, "0CC"),
            ("o ooo-o oo o0-oo o-", UNIQUE, "CC0"),
            ("o ooo-o oo o0-oo o-", WRONG, "CCB"),
            // The server ended the transaction: the rest is skipped, and nothing was kept.
            ("o o0--- -- ----- --", FULL, "UUU"),
            ("o o0--- -- ----- --", WRONG, "UUU"),
            ("o ooo-o oo ooo-o 0o", IO, "???"),
            ("0 ----- -- ----- --", BUSY, "UUU"),
        ] {
            let results = answer(&fates.replace(' ', ""), &[fault]);
            assert_eq!(letters(&group.verdicts(&results)), expected, "{fates} {fault:?}");
        }
    }

    #[test]
    fn an_answer_that_is_too_short_commits_nothing() {
        let batch = batch(&[Expect::Any]);
        for fates in ["", "o", "oo"] {
            let group = Group::new(&[&batch]);
            assert_eq!(letters(&group.verdicts(&answer(fates, &[]))), "U", "{fates}");
        }
    }
}
