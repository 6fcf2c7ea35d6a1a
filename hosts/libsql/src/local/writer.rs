//! The thread that writes: group commit.
//!
//! Whatever waits when a transaction begins goes into it, and whatever has come by the time that this has run,
//! and so on until nobody waits or the group is full. One fsync makes all of them durable; nobody is answered
//! before it. While it runs, the next group gathers.
//!
//! What a failure undoes and who is told is the table of `selvedge_sqlite`'s `transact`. After a transaction
//! that was lost the connection is opened anew. Batches that came later stay in line and are applied in order
//! to what is there: their own expectations find out that a batch they built on is missing.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use selvedge::store::database::{Batch, Cell, DatabaseError, Outcome, Row, Statement};
use selvedge_sqlite::{Answer, Connection, Failure, transact};

use super::Reply;
use super::connection;
use super::open::Source;
use super::stats::Counters;

/// Batches after which a group is closed, so that those in it do not wait for an endless line.
const GROUP_BATCHES_MAX: usize = 1_024;

/// Bytes of parameters after which a group is closed. A single call may be longer.
const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What the thread is asked to do.
pub(super) enum Job {
    /// Commit batches.
    Write(Call),
    /// Read on the writer's connection; only in memory.
    Read {
        /// The statements of one view.
        reads: Vec<Statement>,
        /// To whom.
        reply: Reply<Vec<Vec<Row>>>,
    },
}

/// One call of `write`.
pub(super) struct Call {
    batches: Vec<Batch>,
    reply: Reply<Vec<Outcome>>,
}

/// The state of the thread.
pub(super) struct Writer {
    /// `None` after a failure, until the next job. Declared before `source`, which holds the file's lock.
    connection: Option<Connection>,
    source: Source,
    line: Receiver<Job>,
    /// A job that was taken from the line when its turn had not come.
    kept: Option<Job>,
    counters: Arc<Counters>,
}

/// How large a group has become.
struct Gathering {
    batches: usize,
    bytes: usize,
}

impl Job {
    pub(super) fn write(batches: Vec<Batch>, reply: Reply<Vec<Outcome>>) -> Self {
        Job::Write(Call { batches, reply })
    }
}

impl Writer {
    pub(super) fn new(
        source: Source,
        connection: Connection,
        line: Receiver<Job>,
        counters: Arc<Counters>,
    ) -> Self {
        Writer { connection: Some(connection), source, line, kept: None, counters }
    }

    /// Works until every sender is gone and the line is empty, then closes the database.
    pub(super) fn run(mut self) {
        while let Some(job) = self.kept.take().or_else(|| self.line.recv().ok()) {
            match job {
                Job::Write(first) => self.commit(vec![first]),
                Job::Read { reads, reply } => {
                    let _ = reply.send(self.read(&reads));
                }
            }
        }
        if let (Source::File { .. }, Some(connection)) = (&self.source, &self.connection) {
            // Where this fails, everything is in the log still and the next to open the file finds it.
            let _ = connection::fold(connection);
        }
    }

    /// Commits a group, with those that join it, as one transaction and answers everybody in it.
    fn commit(&mut self, mut group: Vec<Call>) {
        match self.transact(&mut group) {
            Ok(answers) => {
                for (call, answer) in group.into_iter().zip(answers) {
                    // Nobody has to wait for the answer.
                    let _ = call.reply.send(answer);
                }
            }
            Err(error) => {
                self.give_up();
                for call in group {
                    let _ = call.reply.send(Err(error.clone()));
                }
            }
        }
    }

    /// The answers of a group that was committed, or the error of one of which nothing was.
    fn transact(&mut self, group: &mut Vec<Call>) -> Result<Vec<Answer>, DatabaseError> {
        self.connection().map_err(Failure::into_error)?;
        let Self { connection, line, kept: other, counters, .. } = self;
        let connection = connection.as_ref().expect("it is open");
        let mut gathering = Gathering::of(group);
        gathering.gather(line, group, other);
        let mut more = |group: &mut Vec<Call>| gathering.gather(line, group, other);
        let (answers, kept) = transact(connection, group, &mut more, &|| counters.add_statement())?;
        if kept > 0 {
            counters.add_commit(kept as u64);
        }
        Ok(answers)
    }

    fn read(&mut self, reads: &[Statement]) -> Result<Vec<Vec<Row>>, DatabaseError> {
        self.counters.add_read(reads.len());
        self.connection().and_then(|connection| connection.view(reads)).map_err(Failure::into_error)
    }

    /// The connection, opened again if the last transaction failed.
    fn connection(&mut self) -> Result<&Connection, Failure> {
        if let (None, Source::File { path, options, .. }) = (&self.connection, &self.source) {
            self.connection = Some(connection::writer(path, options)?);
        }
        Ok(self.connection.as_ref().expect("memory keeps its connection, and a file has just got one"))
    }

    /// Leaves nothing of a failed transaction behind.
    fn give_up(&mut self) {
        if let Some(connection) = &self.connection {
            connection.abandon();
        }
        if let Source::File { .. } = self.source {
            self.connection = None;
        }
    }
}

impl Gathering {
    fn of(group: &[Call]) -> Self {
        let mut gathering = Self { batches: 0, bytes: 0 };
        group.iter().for_each(|call| gathering.add(call));
        gathering
    }

    /// Adds the calls in line to the group, up to the limits. A job of another kind ends the group and is kept.
    fn gather(&mut self, line: &Receiver<Job>, group: &mut Vec<Call>, other: &mut Option<Job>) {
        while other.is_none() && self.batches < GROUP_BATCHES_MAX && self.bytes < GROUP_BYTES_MAX {
            match line.try_recv() {
                Ok(Job::Write(call)) => {
                    self.add(&call);
                    group.push(call);
                }
                Ok(read @ Job::Read { .. }) => *other = Some(read),
                Err(_) => return,
            }
        }
    }

    fn add(&mut self, call: &Call) {
        self.batches += call.batches.len();
        self.bytes += call.bytes();
    }
}

impl AsRef<[Batch]> for Call {
    fn as_ref(&self) -> &[Batch] {
        &self.batches
    }
}

impl Call {
    fn bytes(&self) -> usize {
        let writes = self.batches.iter().flat_map(|batch| &batch.writes);
        writes.flat_map(|(statement, _)| &statement.params).map(cell_bytes).sum()
    }
}

fn cell_bytes(cell: &Cell) -> usize {
    match cell {
        Cell::Null | Cell::Integer(_) | Cell::Real(_) => size_of::<Cell>(),
        Cell::Text(text) => text.len(),
        Cell::Blob(bytes) => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use selvedge::store::database::Expect;

    use super::*;
    use crate::local::lock::Lock;
    use crate::local::open::Options;

    type Answer = futures_channel::oneshot::Receiver<Result<Vec<Outcome>, DatabaseError>>;

    /// A writer without its thread, so that a test says which calls meet in a group.
    struct Bench {
        writer: Writer,
        _jobs: Sender<Job>,
        directory: tempfile::TempDir,
    }

    impl Bench {
        fn new(pages_max: Option<u32>) -> Self {
            let directory = tempfile::tempdir().expect("a directory");
            let path = directory.path().join("t.db");
            let options = Options { pages_max, ..Options::default() };
            let lock = Lock::take(&path).expect("it is free");
            crate::local::open::inspect(&path).expect("it is new");
            let connection = connection::writer(&path, &options).expect("it opens");
            let (jobs, line) = channel();
            let source = Source::File { path, options, _lock: lock };
            let writer = Writer::new(source, connection, line, Arc::default());
            let mut bench = Bench { writer, _jobs: jobs, directory };
            let table = "CREATE TABLE t (id INTEGER PRIMARY KEY, filler BLOB)";
            assert_eq!(bench.group([table].map(|sql| vec![sql])), [Ok(vec![Outcome::Committed])]);
            bench
        }

        /// Commits calls of one batch each as one group and returns their answers.
        fn group<const N: usize>(
            &mut self,
            calls: [Vec<&str>; N],
        ) -> Vec<Result<Vec<Outcome>, DatabaseError>> {
            let (group, answers): (Vec<_>, Vec<_>) =
                calls.into_iter().map(|texts| call([batch(&texts)])).unzip();
            self.writer.commit(group);
            answers.into_iter().map(answered).collect()
        }

        fn ids(&mut self) -> Vec<i64> {
            let rows = self.writer.read(&[Statement::new("SELECT id FROM t ORDER BY id", vec![])]);
            rows.expect("the read is right")[0].iter().filter_map(|row| row[0].as_i64()).collect()
        }
    }

    const FILL: &str = "INSERT INTO t VALUES (100, zeroblob(1000000))";

    #[test]
    fn one_failing_call_leaves_the_others_of_its_group_alone() {
        let mut bench = Bench::new(None);
        let answers = bench.group([
            vec!["INSERT INTO t VALUES (1, NULL)"],
            vec!["INSERT INTO t VALUES (2, NULL)", "INSERT INTO nowhere VALUES (2)"],
            vec!["INSERT INTO t VALUES (3, NULL)", "INSERT INTO t VALUES (1, NULL)"],
            vec!["INSERT INTO t VALUES (4, NULL)"],
        ]);
        assert_eq!(answers[0], Ok(vec![Outcome::Committed]));
        assert!(matches!(&answers[1], Err(DatabaseError::Broken(message)) if message.contains("nowhere")));
        assert_eq!(answers[2], Ok(vec![Outcome::Refused(1)]));
        assert_eq!(answers[3], Ok(vec![Outcome::Committed]));
        assert_eq!(bench.ids(), [1, 4]);
        assert_eq!(bench.writer.counters.stats().commits, 2, "the table and the group");
    }

    #[test]
    fn a_call_alone_is_treated_as_in_a_group() {
        let mut bench = Bench::new(None);
        let rows = [
            (
                vec!["INSERT INTO t VALUES (1, NULL)", "INSERT INTO t VALUES (1, NULL)"],
                Ok(vec![Outcome::Refused(1)]),
            ),
            (vec!["INSERT INTO t VALUES (1, NULL)"], Ok(vec![Outcome::Committed])),
        ];
        for (texts, expected) in rows {
            assert_eq!(bench.group([texts]), [expected]);
        }
        let wrong = bench.group([vec!["INSERT INTO t VALUES (2, NULL)", "INSRT"]]);
        assert!(matches!(wrong[..], [Err(DatabaseError::Broken(_))]));
        assert_eq!(bench.ids(), [1]);
    }

    #[test]
    fn a_lost_transaction_is_lost_for_all_in_it() {
        // Each of these ends the whole transaction: no page left, and a conflict that rolls back.
        for loss in [FILL, "INSERT OR ROLLBACK INTO t VALUES (0, NULL)"] {
            let mut bench = Bench::new(Some(16));
            bench.group([vec!["INSERT INTO t VALUES (0, NULL)"]]);
            let answers = bench.group([
                vec!["INSERT INTO t VALUES (1, NULL)"],
                vec!["INSERT INTO t VALUES (2, NULL)", loss],
                vec!["INSERT INTO t VALUES (3, NULL)"],
            ]);
            for answer in answers {
                let indeterminate = match answer {
                    Err(DatabaseError::Unavailable { indeterminate, .. }) => indeterminate,
                    other => panic!("{loss}: {other:?}"),
                };
                assert!(!indeterminate, "{loss}");
            }
            assert_eq!(bench.ids(), [0], "{loss}");
            let next = bench.group([vec!["INSERT INTO t VALUES (4, NULL)"]]);
            assert_eq!(next, [Ok(vec![Outcome::Committed])], "{loss}");
            assert_eq!(bench.ids(), [0, 4], "{loss}");
        }
    }

    #[test]
    fn a_file_that_was_taken_away_does_not_come_back_empty() {
        let mut bench = Bench::new(Some(16));
        let path = bench.directory.path().join("t.db");
        bench.group([vec![FILL]]);
        std::fs::remove_file(&path).expect("it was there");
        let answers = bench.group([vec!["INSERT INTO t VALUES (1, NULL)"]]);
        assert!(matches!(answers[..], [Err(DatabaseError::Unavailable { indeterminate: false, .. })]));
        assert!(!path.exists());
    }

    #[test]
    fn a_group_ends_at_its_limits() {
        let small = || call([batch(&["SELECT 1"])]).0;
        let large = || {
            let filler = Cell::Blob(vec![0; GROUP_BYTES_MAX / 2].into());
            let write = (Statement::new("SELECT ?1", vec![filler]), Expect::Any);
            call([Batch { writes: vec![write] }]).0
        };
        let rows = [
            (small as fn() -> Call, GROUP_BATCHES_MAX - 1, GROUP_BATCHES_MAX - 1),
            (small, GROUP_BATCHES_MAX, GROUP_BATCHES_MAX),
            (small, GROUP_BATCHES_MAX + 1, GROUP_BATCHES_MAX),
            (large, 5, 2),
        ];
        for (make, waiting, expected) in rows {
            let (jobs, line) = channel();
            for _ in 1..waiting {
                jobs.send(Job::Write(make())).expect("the line is there");
            }
            let (mut group, mut other) = (vec![make()], None);
            let mut gathering = Gathering::of(&group);
            // The second time, when the group has run, finds it as full as it was.
            for _ in 0..2 {
                gathering.gather(&line, &mut group, &mut other);
                assert_eq!((group.len(), other.is_none()), (expected, true), "{waiting} waiting");
            }
        }
    }

    #[test]
    fn a_read_in_memory_waits_for_the_writes_before_it() {
        let (jobs, line) = channel();
        let writer = Writer::new(Source::Memory, connection::memory().expect("memory"), line, Arc::default());
        let (table, _) = call([batch(&["CREATE TABLE t (id INTEGER)"])]);
        let (insert, _) = call([batch(&["INSERT INTO t VALUES (1)"])]);
        let (reply, rows) = futures_channel::oneshot::channel();
        let reads = vec![Statement::new("SELECT count(*) FROM t", vec![])];
        let (late, answer) = call([batch(&["INSERT INTO t VALUES (2)"])]);
        for job in [Job::Write(table), Job::Write(insert), Job::Read { reads, reply }, Job::Write(late)] {
            jobs.send(job).expect("the writer is there");
        }
        drop(jobs);
        writer.run();
        assert_eq!(answered(rows), Ok(vec![vec![vec![Cell::Integer(1)]]]));
        assert_eq!(answered(answer), Ok(vec![Outcome::Committed]));
    }

    fn call<const N: usize>(batches: [Batch; N]) -> (Call, Answer) {
        let (reply, answer) = futures_channel::oneshot::channel();
        (Call { batches: batches.into(), reply }, answer)
    }

    fn batch(texts: &[&str]) -> Batch {
        let statements = texts.iter().map(|text| Statement::new(text.to_string(), vec![]));
        Batch { writes: statements.map(|statement| (statement, Expect::Any)).collect() }
    }

    fn answered<T>(mut answer: futures_channel::oneshot::Receiver<T>) -> T {
        answer.try_recv().expect("the writer is alive").expect("the writer has answered")
    }
}
