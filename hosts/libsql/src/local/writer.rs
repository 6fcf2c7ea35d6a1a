//! What writes: group commit.
//!
//! Whatever waits when a transaction begins goes into it, and whatever has come by the time that this has run,
//! and so on until nobody waits or the group is full. One fsync makes all of them durable; nobody is answered
//! before it. While it runs, the next group gathers.
//!
//! What a failure undoes and who is told is the table of `selvedge_sqlite`'s `transact`. After a transaction
//! that was lost the connection is opened anew. Batches that came later stay in line and are applied in order
//! to what is there: their own expectations find out that a batch they built on is missing.

use std::sync::Arc;

use selvedge::store::database::{DatabaseError, Outcome, Row, Statement};
use selvedge_sqlite::{Answer, Connection, Failure, transact};

use super::connection::{self, Folding};
use super::line::{Call, Job, Line, Server};
use super::open::Source;
use super::readers::Readers;
use super::stats::Counters;
use super::{Reply, Told};

/// Batches after which a group is closed, so that those in it do not wait for an endless line.
const GROUP_BATCHES_MAX: usize = 1_024;

/// Bytes of parameters after which a group is closed. A single call may be longer.
const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The connection that writes, with what it stands on.
pub(super) struct Writer {
    /// `None` after a failure, until the next job. Declared before `source`, which holds the file's lock.
    pub(super) connection: Option<Connection>,
    source: Source,
    /// What the connection is set to.
    folding: Folding,
    /// `None` in memory.
    readers: Option<Arc<Readers>>,
    counters: Arc<Counters>,
}

/// One call of a group, with what it is told.
type Written = (Reply<Vec<Outcome>>, Told<Vec<Outcome>>);

/// What was done, before anybody was told. It is told when the writer is free again: whoever is told may run at once,
/// on this very thread.
#[must_use]
pub(super) enum Served {
    /// Nobody was in line.
    Nothing,
    /// A group: whom to tell, and what.
    Wrote(Vec<Written>),
    /// A view.
    Read(Reply<Vec<Vec<Row>>>, Result<Vec<Vec<Row>>, DatabaseError>),
}

/// How large a group has become.
#[derive(Default)]
struct Gathering {
    batches: usize,
    bytes: usize,
}

impl Writer {
    pub(super) fn new(
        source: Source,
        connection: Connection,
        readers: Option<Arc<Readers>>,
        counters: Arc<Counters>,
    ) -> Self {
        Writer { connection: Some(connection), source, folding: Folding::Due, readers, counters }
    }

    /// Serves the first in line, with those behind it that fit into one group. A task leaves the log to the thread.
    pub(super) fn serve(&mut self, line: &Line, by: Server) -> Served {
        self.fold(if by == Server::Thread { Folding::Due } else { Folding::Left });
        match line.pop() {
            None => Served::Nothing,
            Some(Job::Write(first)) => self.commit(vec![first], line),
            Some(Job::Read { reads, reply }) => Served::Read(reply, self.read(&reads)),
        }
    }

    fn fold(&mut self, folding: Folding) {
        if let (Source::File { .. }, Some(connection)) = (&self.source, &self.connection)
            && self.folding != folding
            // Where it fails, the log is folded by another than was meant.
            && connection::set_folding(connection, folding).is_ok()
        {
            self.folding = folding;
        }
    }

    /// Closes the database.
    pub(super) fn close(self) {
        if let (Source::File { .. }, Some(connection)) = (&self.source, &self.connection) {
            // Where this fails, everything is in the log still and the next to open the file finds it.
            let _ = connection::fold(connection);
        }
    }

    /// Commits a group, with those that join it, as one transaction.
    fn commit(&mut self, mut group: Vec<Call>, line: &Line) -> Served {
        let readers = self.readers.clone();
        readers.iter().for_each(|readers| readers.let_go());
        let answers = self.transact(&mut group, line).unwrap_or_else(|error| {
            self.give_up();
            group.iter().map(|_| Err(error.clone())).collect()
        });
        readers.iter().for_each(|readers| readers.outdate());
        let told = |(call, answer): (Call, Answer)| (call.reply, Told { answer, _spent: call.batches });
        Served::Wrote(group.into_iter().zip(answers).map(told).collect())
    }

    /// The answers of a group that was committed, or the error of one of which nothing was.
    fn transact(&mut self, group: &mut Vec<Call>, line: &Line) -> Result<Vec<Answer>, DatabaseError> {
        self.connection().map_err(Failure::into_error)?;
        let Self { connection, counters, .. } = self;
        let connection = connection.as_ref().expect("it is open");
        let mut gathering = Gathering::of(group);
        gathering.gather(line, group);
        let mut more = |group: &mut Vec<Call>| gathering.gather(line, group);
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
            self.folding = Folding::Due;
        }
        Ok(self.connection.as_ref().expect("memory keeps its connection, and a file has just got one"))
    }

    /// Leaves nothing of a failed transaction behind.
    pub(super) fn give_up(&mut self) {
        if let Some(connection) = &self.connection {
            connection.abandon();
        }
        if let Source::File { .. } = self.source {
            self.connection = None;
        }
        self.readers.iter().for_each(|readers| readers.outdate());
    }
}

impl Served {
    /// How many calls it was.
    pub(super) fn calls(&self) -> usize {
        match self {
            Served::Nothing => 0,
            Served::Wrote(answers) => answers.len(),
            Served::Read(..) => 1,
        }
    }

    /// Tells those who wait, if they still do.
    pub(super) fn tell(self) {
        match self {
            Served::Nothing => {}
            Served::Wrote(answers) => {
                for (reply, told) in answers {
                    let _ = reply.send(told);
                }
            }
            Served::Read(reply, rows) => {
                let _ = reply.send(Told { answer: rows, _spent: Vec::new() });
            }
        }
    }
}

impl Gathering {
    fn of(group: &[Call]) -> Self {
        let mut gathering = Self::default();
        group.iter().for_each(|call| gathering.add(call));
        gathering
    }

    /// Adds the calls in line to the group, up to the limits. A job of another kind ends the group.
    fn gather(&mut self, line: &Line, group: &mut Vec<Call>) {
        let fits = |call: &Call| {
            let fits = self.batches < GROUP_BATCHES_MAX && self.bytes < GROUP_BYTES_MAX;
            if fits {
                self.add(call);
            }
            fits
        };
        line.take_calls(fits, group);
    }

    fn add(&mut self, call: &Call) {
        self.batches += call.batches.len();
        self.bytes += call.bytes;
    }
}

#[cfg(test)]
mod tests {
    use selvedge::store::database::{Batch, Cell, Expect};

    use super::*;
    use crate::local::lock::Lock;
    use crate::local::open::Options;

    type Waiting = futures_channel::oneshot::Receiver<Told<Vec<Outcome>>>;

    /// A writer whom nobody serves but the test, which says which calls meet in a group.
    struct Bench {
        writer: Writer,
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
            let source = Source::File { path, options, _lock: lock };
            let writer = Writer::new(source, connection, None, Arc::default());
            let mut bench = Bench { writer, directory };
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
            self.writer.commit(group, &Line::default()).tell();
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
    fn the_log_is_folded_by_the_thread() {
        let mut bench = Bench::new(None);
        let path = bench.directory.path().join("t.db");
        let bytes = || std::fs::metadata(&path).expect("it is there").len();
        let line = Line::default();
        let mut serve = |by| {
            let insert = Statement::new("INSERT INTO t (filler) VALUES (zeroblob(200000))", vec![]);
            let (call, answer) = call([Batch { writes: vec![(insert, Expect::Any)] }]);
            line.push(Job::Write(call));
            bench.writer.serve(&line, by).tell();
            assert_eq!(answered(answer), Ok(vec![Outcome::Committed]));
        };
        // Of 49 pages each, so that the log is longer than it is let become.
        (0..100).for_each(|_| serve(Server::Task));
        assert!(bytes() < 1_000_000, "the file has {} bytes", bytes());
        serve(Server::Thread);
        assert!(bytes() > 15_000_000, "the file has {} bytes", bytes());
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
            let line = Line::default();
            for _ in 1..waiting {
                line.push(Job::Write(make()));
            }
            let mut group = vec![make()];
            let mut gathering = Gathering::of(&group);
            // The second time, when the group has run, finds it as full as it was.
            for _ in 0..2 {
                gathering.gather(&line, &mut group);
                assert_eq!(group.len(), expected, "{waiting} waiting");
            }
        }
    }

    #[test]
    fn a_read_in_memory_waits_for_the_writes_before_it() {
        let line = Line::default();
        let memory = connection::memory().expect("memory");
        let mut writer = Writer::new(Source::Memory, memory, None, Arc::default());
        let (table, _) = call([batch(&["CREATE TABLE t (id INTEGER)"])]);
        let (insert, _) = call([batch(&["INSERT INTO t VALUES (1)"])]);
        let (reply, rows) = futures_channel::oneshot::channel();
        let reads = vec![Statement::new("SELECT count(*) FROM t", vec![])];
        let (late, answer) = call([batch(&["INSERT INTO t VALUES (2)"])]);
        for job in [Job::Write(table), Job::Write(insert), Job::Read { reads, reply }, Job::Write(late)] {
            line.push(job);
        }
        let calls = std::iter::repeat_with(|| {
            let served = writer.serve(&line, Server::Thread);
            let calls = served.calls();
            served.tell();
            calls
        });
        assert_eq!(calls.take(4).collect::<Vec<_>>(), [2, 1, 1, 0]);
        assert_eq!(answered(rows), Ok(vec![vec![vec![Cell::Integer(1)]]]));
        assert_eq!(answered(answer), Ok(vec![Outcome::Committed]));
    }

    fn call<const N: usize>(batches: [Batch; N]) -> (Call, Waiting) {
        let (reply, answer) = futures_channel::oneshot::channel();
        (Call::new(batches.into(), reply), answer)
    }

    fn batch(texts: &[&str]) -> Batch {
        let statements = texts.iter().map(|text| Statement::new(text.to_string(), vec![]));
        Batch { writes: statements.map(|statement| (statement, Expect::Any)).collect() }
    }

    fn answered<T>(mut waiting: futures_channel::oneshot::Receiver<Told<T>>) -> Result<T, DatabaseError> {
        waiting.try_recv().expect("the writer is alive").expect("the writer has answered").answer
    }
}
