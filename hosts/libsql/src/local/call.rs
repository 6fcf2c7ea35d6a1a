//! One call of `write` inside an open transaction: each batch whole or not at all.

use selvedge::store::database::{Batch, Cell, DatabaseError, Expect, Outcome};

use super::Reply;
use super::connection::Connection;
use super::failure::Failure;
use super::stats::Counters;

/// One call of `write`.
pub(super) struct Call {
    pub(super) batches: Vec<Batch>,
    pub(super) reply: Reply<Vec<Outcome>>,
}

/// How a batch is kept apart from the others in its transaction.
#[derive(Clone, Copy)]
pub(super) enum Frame {
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

impl Call {
    /// Runs the batches inside the open transaction. An error means that the transaction is lost.
    ///
    /// After a wrong statement the rest of the call is left out, since its caller learns nothing of it.
    pub(super) fn apply(
        &self,
        connection: &Connection,
        frame: Frame,
        counters: &Counters,
    ) -> Result<Result<Vec<Outcome>, DatabaseError>, Failure> {
        let mut outcomes = Vec::with_capacity(self.batches.len());
        for batch in &self.batches {
            match framed(connection, batch, frame, counters)? {
                Applied::Kept => outcomes.push(Outcome::Committed),
                Applied::Refused(index) => outcomes.push(Outcome::Refused(index)),
                Applied::Broken(message) => return Ok(Err(DatabaseError::Broken(message))),
            }
        }
        Ok(Ok(outcomes))
    }

    pub(super) fn bytes(&self) -> usize {
        let writes = self.batches.iter().flat_map(|batch| &batch.writes);
        writes.flat_map(|(statement, _)| &statement.params).map(cell_bytes).sum()
    }
}

/// Runs a batch so that nothing of it stays unless all of it does.
fn framed(
    connection: &Connection,
    batch: &Batch,
    frame: Frame,
    counters: &Counters,
) -> Result<Applied, Failure> {
    match frame {
        // The caller rolls the transaction back when its one batch was not kept.
        Frame::Transaction => apply(connection, batch, counters),
        Frame::Savepoint => {
            connection.control("SAVEPOINT batch")?;
            let applied = apply(connection, batch, counters)?;
            if !matches!(applied, Applied::Kept) {
                connection.control("ROLLBACK TO batch")?;
            }
            connection.control("RELEASE batch")?;
            Ok(applied)
        }
    }
}

fn apply(connection: &Connection, batch: &Batch, counters: &Counters) -> Result<Applied, Failure> {
    for (index, (statement, expect)) in batch.writes.iter().enumerate() {
        counters.add_statement();
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

fn cell_bytes(cell: &Cell) -> usize {
    match cell {
        Cell::Null | Cell::Integer(_) | Cell::Real(_) => size_of::<Cell>(),
        Cell::Text(text) => text.len(),
        Cell::Blob(bytes) => bytes.len(),
    }
}
