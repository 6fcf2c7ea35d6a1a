//! Several calls in one transaction, each of their batches whole or not at all.
//!
//! | what fails                                  | what is undone          | who is told what            |
//! |---------------------------------------------|-------------------------|-----------------------------|
//! | an expectation, a constraint on rows        | the batch               | its caller: `Refused`       |
//! | a statement is wrong                        | the batch               | its caller: `Broken`        |
//! | anything else: disk full, I/O, memory, busy | the whole transaction   | all in it: `Unavailable`    |
//! | COMMIT, with an I/O error                   | perhaps nothing         | all in it: `indeterminate`  |
//! | the file is damaged                         | the whole transaction   | all in it: `Broken`         |
//!
//! SQLite may end a transaction by itself on errors of the third kind, so after each failure its autocommit
//! flag is asked.
//!
//! A savepoint copies every page that is changed under it, so several batches are first run without: nearly
//! always all of them are kept. When one is not, all is rolled back and done again with a savepoint for each
//! batch, and so are the next few transactions, since lost races come in swarms.

use selvedge::store::database::{Batch, DatabaseError, Expect, Outcome};

use crate::connection::{Connection, Statements};
use crate::failure::Failure;

/// What one call of `write` is told.
pub type Answer = Result<Vec<Outcome>, DatabaseError>;

/// After a batch that was not kept, so many transactions of several batches use savepoints from the start.
const CAREFUL_TRANSACTIONS: u32 = 16;

/// How a batch is kept apart from the others in its transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Frame {
    /// Not at all: the transaction is rolled back if one batch is not kept.
    Transaction,
    /// By a savepoint.
    Savepoint,
}

/// What became of one batch inside a transaction that goes on.
enum Applied {
    Kept,
    Refused(usize),
    Broken(String),
}

/// Runs the calls as one transaction, and returns the answer of each, with the number of batches that were
/// kept; or the error of a transaction of which nothing was kept. `ran` is told of each statement.
///
/// Whenever all have run, `more` may add calls that have come meanwhile; the transaction is committed once it adds
/// none.
///
/// After an error the caller abandons the connection's transaction.
pub fn transact<C: AsRef<[Batch]>>(
    connection: &Connection,
    calls: &mut Vec<C>,
    more: &mut impl FnMut(&mut Vec<C>),
    ran: &impl Fn(),
) -> Result<(Vec<Answer>, usize), DatabaseError> {
    let is_alone = matches!(&calls[..], [call] if call.as_ref().len() <= 1);
    if is_alone || !connection.is_careful() {
        let (answers, kept) = run(connection, calls, more, Frame::Transaction, ran)?;
        if answers.iter().all(is_kept) {
            connection.control("COMMIT").map_err(commit_error)?;
            return Ok((answers, kept));
        }
        connection.control("ROLLBACK").map_err(Failure::into_error)?;
        if calls.len() == 1 && is_alone {
            return Ok((answers, kept));
        }
        connection.be_careful(CAREFUL_TRANSACTIONS);
    }
    let (answers, kept) = run(connection, calls, more, Frame::Savepoint, ran)?;
    connection.control("COMMIT").map_err(commit_error)?;
    Ok((answers, kept))
}

/// Begins a transaction and runs the calls in it; without savepoints only as far as every batch is kept.
fn run<C: AsRef<[Batch]>>(
    connection: &Connection,
    calls: &mut Vec<C>,
    more: &mut impl FnMut(&mut Vec<C>),
    frame: Frame,
    ran: &impl Fn(),
) -> Result<(Vec<Answer>, usize), DatabaseError> {
    connection.control("BEGIN IMMEDIATE").map_err(Failure::into_error)?;
    let mut statements = connection.statements();
    let mut answers: Vec<Answer> = Vec::with_capacity(calls.len());
    while let Some(batches) = calls.get(answers.len()) {
        let answer = call(connection, &mut statements, batches.as_ref(), frame, ran);
        let answer = answer.map_err(Failure::into_error)?;
        let goes_on = frame == Frame::Savepoint || is_kept(&answer);
        answers.push(answer);
        if !goes_on {
            break;
        }
        if answers.len() == calls.len() {
            more(calls);
        }
    }
    let kept = answers.iter().flatten().flatten().filter(|outcome| **outcome == Outcome::Committed).count();
    Ok((answers, kept))
}

/// Whether every batch of a call was kept.
fn is_kept(answer: &Answer) -> bool {
    matches!(answer, Ok(outcomes) if outcomes.iter().all(|outcome| *outcome == Outcome::Committed))
}

/// Runs the batches of one call inside the open transaction. An error means that the transaction is lost.
///
/// After a wrong statement the rest of the call is left out, since its caller learns nothing of it.
fn call(
    connection: &Connection,
    statements: &mut Statements<'_>,
    batches: &[Batch],
    frame: Frame,
    ran: &impl Fn(),
) -> Result<Answer, Failure> {
    let mut outcomes = Vec::with_capacity(batches.len());
    for batch in batches {
        match framed(connection, statements, batch, frame, ran)? {
            Applied::Kept => outcomes.push(Outcome::Committed),
            Applied::Refused(index) => outcomes.push(Outcome::Refused(index)),
            Applied::Broken(message) => return Ok(Err(DatabaseError::Broken(message))),
        }
    }
    Ok(Ok(outcomes))
}

/// Runs a batch so that nothing of it stays unless all of it does.
fn framed(
    connection: &Connection,
    statements: &mut Statements<'_>,
    batch: &Batch,
    frame: Frame,
    ran: &impl Fn(),
) -> Result<Applied, Failure> {
    match frame {
        // The caller rolls the transaction back when a batch was not kept.
        Frame::Transaction => apply(connection, statements, batch, ran),
        Frame::Savepoint => {
            connection.control("SAVEPOINT batch")?;
            let applied = apply(connection, statements, batch, ran)?;
            if !matches!(applied, Applied::Kept) {
                connection.control("ROLLBACK TO batch")?;
            }
            connection.control("RELEASE batch")?;
            Ok(applied)
        }
    }
}

fn apply(
    connection: &Connection,
    statements: &mut Statements<'_>,
    batch: &Batch,
    ran: &impl Fn(),
) -> Result<Applied, Failure> {
    for (index, (statement, expect)) in batch.writes.iter().enumerate() {
        ran();
        match statements.write(statement) {
            Ok(rows) if met(*expect, rows) => {}
            Ok(_) => return Ok(Applied::Refused(index)),
            Err(failure) if !connection.in_transaction() => return Err(lost(failure)),
            Err(Failure::Constraint) => return Ok(Applied::Refused(index)),
            Err(Failure::Statement(message)) => return Ok(Applied::Broken(message)),
            Err(failure @ (Failure::Passing(_) | Failure::Uncertain(_) | Failure::Damaged(_))) => {
                return Err(failure);
            }
        }
    }
    Ok(Applied::Kept)
}

fn met(expect: Expect, rows: u64) -> bool {
    match expect {
        Expect::Any => true,
        Expect::Rows(expected) => rows == expected,
    }
}

/// A failure that took the transaction with it, whatever its own kind: the others in it may come again.
fn lost(failure: Failure) -> Failure {
    match failure {
        Failure::Constraint => Failure::Passing("a statement rolled the whole transaction back".into()),
        Failure::Statement(message) => Failure::Passing(message),
        other => other,
    }
}

/// What a failed COMMIT says. On a full disk the frame that ends the commit was not written. After an I/O
/// error it may lie in the log although its fsync failed, and a crash now would bring it back; the next
/// commit overwrites it.
fn commit_error(failure: Failure) -> DatabaseError {
    match failure {
        Failure::Uncertain(message) => DatabaseError::Unavailable { message, indeterminate: true },
        certain => certain.into_error(),
    }
}

#[cfg(test)]
mod tests {
    use selvedge::store::database::{Cell, Statement};

    use super::*;

    #[test]
    fn calls_that_come_meanwhile_join_the_transaction() {
        let raw = rusqlite::Connection::open_in_memory().expect("memory");
        let connection = Connection::new(raw).expect("it can be set up");
        let call = |sql: &'static str| {
            let mut batch = Batch::default();
            batch.push(Statement::new(sql, vec![]));
            vec![batch]
        };
        let insert = "INSERT INTO t VALUES (1)";
        let mut calls = vec![call("CREATE TABLE t (id INTEGER PRIMARY KEY)")];
        // The second of two equal inserts is refused, so that all of it is done again.
        let mut late = vec![call("INSERT INTO t VALUES (2)"), call(insert), call(insert)];
        let statements = std::cell::Cell::new(0);
        let count = || statements.set(statements.get() + 1);
        let done = transact(&connection, &mut calls, &mut |calls| calls.extend(late.pop()), &count);
        let (kept, refused) = (|| Ok(vec![Outcome::Committed]), Ok(vec![Outcome::Refused(0)]));
        assert_eq!(done, Ok((vec![kept(), kept(), refused, kept()], 3)));
        assert_eq!(statements.get(), 3 + 4, "the first three, and then all");
        let read = Statement::new("SELECT count(*) FROM t", vec![]);
        assert_eq!(connection.view(&[read]), Ok(vec![vec![vec![Cell::Integer(2)]]]));
    }

    #[test]
    fn only_a_commit_that_broke_off_leaves_doubt() {
        let why = || "why".to_owned();
        let rows = [
            (Failure::Passing(why()), DatabaseError::Unavailable { message: why(), indeterminate: false }),
            (Failure::Uncertain(why()), DatabaseError::Unavailable { message: why(), indeterminate: true }),
            (Failure::Damaged(why()), DatabaseError::Broken(why())),
        ];
        for (failure, error) in rows {
            assert_eq!(commit_error(failure), error);
        }
    }
}
