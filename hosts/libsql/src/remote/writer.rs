//! The task that writes: group commit over a network.
//!
//! While a request is under way, calls gather in line, and all that wait go together in the next one. So one
//! request is under way at a time, batches are applied in the order of the calls, and a slow network costs
//! many writers no more than one.
//!
//! | what fails                                 | what is undone         | who is told what               |
//! |--------------------------------------------|------------------------|--------------------------------|
//! | an expectation, a constraint on rows       | the batch              | its caller: `Refused`          |
//! | a statement is wrong                       | the batch              | its caller: `Broken`           |
//! | the server has no room, no lock, no disk   | the whole transaction  | all in it: `Unavailable`       |
//! | no connection, the token                   | nothing was done       | all in it: `Unavailable`       |
//! | no answer, COMMIT with an I/O error        | perhaps nothing        | all in it: `indeterminate`     |
//!
//! A server refuses a request with a text that is no SQL as a whole, before it runs any of it. Then each of
//! the batches goes by itself, so that one wrong statement harms nobody else.

use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;
use selvedge::store::database::{Batch, Cell, DatabaseError, Outcome, Statement};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep};

use super::ask::Again;
use super::failure::{Lost, Quoted};
use super::group::{Group, Verdict};
use super::hrana::Answer;
use super::statement::{Kind, kind};
use super::stats::add;
use super::streams::Streams;
use super::wire::Wire;
use super::{Newest, Reads};

/// Batches after which a group is closed.
const GROUP_BATCHES_MAX: usize = 512;

/// Statements after which a group is closed, so that the server is done well before it ends transactions
/// for their length.
const GROUP_STATEMENTS_MAX: usize = 4_096;

/// Bytes of SQL and parameters after which a group is closed: what a request body roughly has. A single batch
/// may have more.
const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How long a group waits for a lock of the server's, as on a file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The pause before the server is asked again whether the lock is free: the first, and the longest.
const BUSY_PAUSE_MIN: Duration = Duration::from_millis(5);
const BUSY_PAUSE_MAX: Duration = Duration::from_millis(200);

/// One call of `write`.
pub(super) struct Call {
    pub(super) batches: Vec<Batch>,
    pub(super) reply: oneshot::Sender<Result<Vec<Outcome>, DatabaseError>>,
}

/// The state of the task.
pub(super) struct Writer {
    pub(super) wire: Arc<Wire>,
    pub(super) newest: Arc<Newest>,
    pub(super) streams: Streams,
    pub(super) reads: Arc<Reads>,
    pub(super) line: UnboundedReceiver<Call>,
}

/// How much there is to send.
#[derive(Debug, Default, Clone, Copy)]
struct Size {
    batches: usize,
    statements: usize,
    bytes: usize,
}

impl Writer {
    /// Works until every sender is gone and the line is empty.
    pub(super) async fn run(mut self) {
        while let Some(first) = self.line.recv().await {
            let calls = self.gather(first);
            let batches: Vec<&Batch> = calls.iter().flat_map(|call| &call.batches).collect();
            let mut verdicts = Vec::with_capacity(batches.len());
            for group in groups(&batches) {
                verdicts.extend(self.commit(group).await);
            }
            let mut verdicts = verdicts.into_iter();
            for Call { batches, reply } in calls {
                let own = verdicts.by_ref().take(batches.len());
                // All are taken, also behind an error. Nobody has to wait for the answer.
                let own: Vec<Verdict> = own.collect();
                let _ = reply.send(own.into_iter().collect());
            }
        }
    }

    /// Takes the calls that wait behind the first, up to the limits.
    fn gather(&mut self, first: Call) -> Vec<Call> {
        let mut size = Size::of_all(&first.batches);
        let mut calls = vec![first];
        while !size.is_full()
            && let Ok(call) = self.line.try_recv()
        {
            size = size.with(Size::of_all(&call.batches));
            calls.push(call);
        }
        calls
    }

    /// Commits a group and says what became of each batch.
    async fn commit(&self, batches: &[&Batch]) -> Vec<Verdict> {
        match self.transact(batches).await {
            Ok(verdicts) => verdicts,
            Err(Whole::Lost(error)) => batches.iter().map(|_| Err(error.clone())).collect(),
            Err(Whole::Unread(error)) if batches.len() == 1 => vec![Err(error)],
            Err(Whole::Unread(_)) => {
                let mut verdicts = Vec::with_capacity(batches.len());
                for batch in batches {
                    verdicts.extend(Box::pin(self.commit(&[batch])).await);
                }
                verdicts
            }
        }
    }

    /// Sends those batches that say something, and puts the answers into their places.
    async fn transact(&self, batches: &[&Batch]) -> Result<Vec<Verdict>, Whole> {
        let mut verdicts: Vec<Verdict> = batches.iter().map(|batch| check(batch)).collect();
        let sent: Vec<usize> = (0..batches.len())
            .filter(|index| verdicts[*index].is_ok() && !batches[*index].writes.is_empty())
            .collect();
        if !sent.is_empty() {
            let chosen: Vec<&Batch> = sent.iter().map(|index| batches[*index]).collect();
            for (index, verdict) in sent.into_iter().zip(self.ask(&chosen).await?) {
                verdicts[index] = verdict;
            }
        }
        Ok(verdicts)
    }

    /// Runs a group, and again while the server cannot begin it: nothing was done then.
    async fn past_locks(&self, group: &Group<'_>) -> Result<Answer, Lost> {
        let end = Instant::now() + BUSY_TIMEOUT;
        let mut pause = BUSY_PAUSE_MIN;
        loop {
            let answer = self.wire.run(&self.streams, &group.program, Again::Never).await?;
            match &answer {
                Answer::Ran(results) if group.met_a_lock(results) && Instant::now() < end => {}
                Answer::Ran(_) | Answer::Refused(_) => return Ok(answer),
            }
            sleep(pause).await;
            pause = (2 * pause).min(BUSY_PAUSE_MAX);
        }
    }

    async fn ask(&self, batches: &[&Batch]) -> Result<Vec<Verdict>, Whole> {
        let (wire, group) = (&self.wire, Group::new(batches));
        add(&wire.counters.groups, 1);
        add(&wire.counters.statements, batches.iter().map(|batch| batch.writes.len()).sum());
        let lost = |lost: Lost| Whole::Lost(lost.of_write(wire.address()));
        let answer = self.past_locks(&group).await;
        if batches.iter().flat_map(|batch| &batch.writes).any(|(write, _)| kind(&write.sql) == Kind::Defines)
        {
            self.reads.streams.renew();
        }
        match answer.map_err(lost)? {
            Answer::Ran(results) => {
                self.newest.note(results.replication_index());
                let verdicts = group.verdicts(&results);
                let kept = verdicts.iter().filter(|verdict| matches!(verdict, Ok(Outcome::Committed)));
                add(&wire.counters.batches, kept.count());
                Ok(verdicts)
            }
            Answer::Refused(fault) if fault.is_before_all() => {
                let sql = match batches {
                    [batch] if batch.writes.len() == 1 => batch.writes.first().map(|(write, _)| &*write.sql),
                    _ => None,
                };
                Err(Whole::Unread(fault.into_error(sql)))
            }
            // Whether a part of it was run before is not said.
            Answer::Refused(fault) => {
                Err(lost(Lost::Doubtful(format!("{} ({})", fault.message, fault.code))))
            }
        }
    }
}

/// Why a group got no answer for its batches.
enum Whole {
    /// There is none.
    Lost(DatabaseError),
    /// One of its statements is no SQL, and none was run.
    Unread(DatabaseError),
}

/// Finds what this driver does not send, and what JSON cannot carry.
fn check(batch: &Batch) -> Verdict {
    for (statement, _) in &batch.writes {
        let sql = Quoted(&statement.sql);
        let wrong = match kind(&statement.sql) {
            Kind::Writes | Kind::Defines | Kind::Unknown => check_params(statement),
            Kind::Nothing => Err(DatabaseError::Broken("expected a statement, found none".into())),
            Kind::Reads | Kind::Controls => {
                Err(DatabaseError::Broken(format!("the statement writes nothing: {sql}")))
            }
        };
        wrong?;
    }
    Ok(Outcome::Committed)
}

/// Refuses numbers that JSON cannot carry.
pub(super) fn check_params(statement: &Statement) -> Result<(), DatabaseError> {
    let strange = |cell: &&Cell| matches!(cell, Cell::Real(number) if !number.is_finite());
    match statement.params.iter().find(strange) {
        None => Ok(()),
        Some(cell) => {
            let sql = Quoted(&statement.sql);
            Err(DatabaseError::Broken(format!("expected a finite number, found {cell:?} in {sql}")))
        }
    }
}

/// Cuts batches into groups of a size that a server takes at once.
fn groups<'b, 'a>(batches: &'b [&'a Batch]) -> Vec<&'b [&'a Batch]> {
    let mut groups = Vec::new();
    let (mut start, mut size) = (0, Size::default());
    for (index, batch) in batches.iter().enumerate() {
        let with = size.with(Size::of(batch));
        if index > start && with.is_over() {
            groups.push(&batches[start..index]);
            (start, size) = (index, Size::of(batch));
        } else {
            size = with;
        }
    }
    if start < batches.len() {
        groups.push(&batches[start..]);
    }
    groups
}

impl Size {
    fn of(batch: &Batch) -> Self {
        let bytes = batch.writes.iter().map(|(statement, _)| {
            statement.sql.len() + statement.params.iter().map(cell_bytes).sum::<usize>()
        });
        Size { batches: 1, statements: batch.writes.len(), bytes: bytes.sum() }
    }

    fn of_all(batches: &[Batch]) -> Self {
        batches.iter().fold(Size::default(), |size, batch| size.with(Size::of(batch)))
    }

    fn with(self, other: Size) -> Self {
        Size {
            batches: self.batches + other.batches,
            statements: self.statements + other.statements,
            bytes: self.bytes + other.bytes,
        }
    }

    fn is_full(self) -> bool {
        self.batches >= GROUP_BATCHES_MAX
            || self.statements >= GROUP_STATEMENTS_MAX
            || self.bytes >= GROUP_BYTES_MAX
    }

    fn is_over(self) -> bool {
        self.batches > GROUP_BATCHES_MAX
            || self.statements > GROUP_STATEMENTS_MAX
            || self.bytes > GROUP_BYTES_MAX
    }
}

/// What a value takes in a request, roughly.
fn cell_bytes(cell: &Cell) -> usize {
    const FRAME: usize = 40;
    FRAME
        + match cell {
            Cell::Null | Cell::Integer(_) | Cell::Real(_) => 0,
            Cell::Text(text) => text.len(),
            Cell::Blob(bytes) => bytes.len().div_ceil(3) * 4,
        }
}

#[cfg(test)]
mod tests {
    use selvedge::store::database::Expect;

    use super::*;

    fn batch(statements: usize, bytes: usize) -> Batch {
        let filler = Cell::Text("x".repeat(bytes).into());
        let write = (Statement::new("", vec![filler]), Expect::Any);
        Batch { writes: vec![write; statements] }
    }

    #[test]
    fn groups_are_cut_between_batches() {
        let (small, empty) = (batch(1, 0), batch(0, 0));
        let (many, large) = (batch(GROUP_STATEMENTS_MAX, 0), batch(1, GROUP_BYTES_MAX));
        let rows: [(Vec<&Batch>, &[usize]); 7] = [
            (vec![], &[]),
            (vec![&empty], &[1]),
            (vec![&small; GROUP_BATCHES_MAX], &[GROUP_BATCHES_MAX]),
            (vec![&small; GROUP_BATCHES_MAX + 1], &[GROUP_BATCHES_MAX, 1]),
            (vec![&many, &empty, &small], &[2, 1]),
            (vec![&small, &large, &large, &small], &[1, 1, 1, 1]),
            (vec![&large], &[1]),
        ];
        for (batches, expected) in rows {
            let lengths: Vec<_> = groups(&batches).iter().map(|group| group.len()).collect();
            assert_eq!(lengths, expected);
        }
    }

    #[test]
    fn what_is_not_sent_is_named() {
        for (sql, param, expected) in [
            ("SELECT 1", Cell::Null, "writes nothing: SELECT 1"),
            ("COMMIT", Cell::Null, "writes nothing: COMMIT"),
            ("-- none", Cell::Null, "expected a statement, found none"),
            ("INSERT INTO t VALUES (?1)", Cell::Real(f64::NAN), "found Real(NaN)"),
            ("INSERT INTO t VALUES (?1)", Cell::Real(f64::INFINITY), "found Real(inf)"),
        ] {
            let write = (Statement::new(sql, vec![param]), Expect::Any);
            match check(&Batch { writes: vec![write] }) {
                Err(DatabaseError::Broken(message)) => assert!(message.contains(expected), "{message}"),
                other => panic!("{sql}: {other:?}"),
            }
        }
    }
}
