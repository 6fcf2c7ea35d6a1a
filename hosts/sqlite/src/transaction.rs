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

use selvedge::store::database::{Batch, DatabaseError, Expect, Outcome};

use crate::connection::Connection;
use crate::failure::Failure;

/// What one call of `write` is told.
pub type Answer = Result<Vec<Outcome>, DatabaseError>;

/// How a batch is kept apart from the others in its transaction.
#[derive(Clone, Copy)]
enum Frame {
    /// It is alone: the transaction itself is the frame.
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
/// After an error the caller abandons the connection's transaction.
pub fn transact(
    connection: &Connection,
    calls: &[&[Batch]],
    ran: &impl Fn(),
) -> Result<(Vec<Answer>, usize), DatabaseError> {
    let frame = match calls {
        [batches] if batches.len() <= 1 => Frame::Transaction,
        _ => Frame::Savepoint,
    };
    connection.control("BEGIN IMMEDIATE").map_err(Failure::into_error)?;
    let answers = calls.iter().map(|batches| call(connection, batches, frame, ran));
    let answers = answers.collect::<Result<Vec<_>, Failure>>().map_err(Failure::into_error)?;
    let kept = answers.iter().flatten().flatten().filter(|outcome| **outcome == Outcome::Committed).count();
    match frame {
        Frame::Transaction if kept == 0 => connection.control("ROLLBACK").map_err(Failure::into_error)?,
        Frame::Transaction | Frame::Savepoint => connection.control("COMMIT").map_err(commit_error)?,
    }
    Ok((answers, kept))
}

/// Runs the batches of one call inside the open transaction. An error means that the transaction is lost.
///
/// After a wrong statement the rest of the call is left out, since its caller learns nothing of it.
fn call(
    connection: &Connection,
    batches: &[Batch],
    frame: Frame,
    ran: &impl Fn(),
) -> Result<Answer, Failure> {
    let mut outcomes = Vec::with_capacity(batches.len());
    for batch in batches {
        match framed(connection, batch, frame, ran)? {
            Applied::Kept => outcomes.push(Outcome::Committed),
            Applied::Refused(index) => outcomes.push(Outcome::Refused(index)),
            Applied::Broken(message) => return Ok(Err(DatabaseError::Broken(message))),
        }
    }
    Ok(Ok(outcomes))
}

/// Runs a batch so that nothing of it stays unless all of it does.
fn framed(connection: &Connection, batch: &Batch, frame: Frame, ran: &impl Fn()) -> Result<Applied, Failure> {
    match frame {
        // The caller rolls the transaction back when its one batch was not kept.
        Frame::Transaction => apply(connection, batch, ran),
        Frame::Savepoint => {
            connection.control("SAVEPOINT batch")?;
            let applied = apply(connection, batch, ran)?;
            if !matches!(applied, Applied::Kept) {
                connection.control("ROLLBACK TO batch")?;
            }
            connection.control("RELEASE batch")?;
            Ok(applied)
        }
    }
}

fn apply(connection: &Connection, batch: &Batch, ran: &impl Fn()) -> Result<Applied, Failure> {
    for (index, (statement, expect)) in batch.writes.iter().enumerate() {
        ran();
        match connection.write(statement) {
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
    use super::*;

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
