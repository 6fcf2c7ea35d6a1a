//! The local driver: the suite on a file and in memory, and what only a file can do.

mod place;
mod suite;

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;

use selvedge::store::database::{Cell, Database, DatabaseError, Outcome};
use selvedge_libsql::Local;
use selvedge_libsql::local::{OpenError, Options};

use suite::{assert_send, batch, commit, number, rows, sql};

driver_suite!(file, {
    let directory = tempfile::tempdir().expect("a directory");
    (open(&directory.path().join("t.db")), directory)
});

driver_suite!(memory, (Local::memory().expect("memory"), ()));

fn open(path: &Path) -> Local {
    Local::open(path, Options::default()).expect("the database opens")
}

#[tokio::test]
async fn concurrent_writers_share_commits() {
    let directory = tempfile::tempdir().expect("a directory");
    let database = open(&directory.path().join("t.db"));
    commit(&database, [sql("CREATE TABLE t (writer INTEGER, n INTEGER)", [])]).await;
    let before = database.stats();
    let writers: Vec<_> = (0_i64..64)
        .map(|writer| {
            let database = database.clone();
            tokio::spawn(async move {
                for n in 0_i64..20 {
                    let insert = sql("INSERT INTO t VALUES (?1, ?2)", [writer.into(), n.into()]);
                    let outcomes = assert_send(database.write(vec![batch([insert])])).await;
                    assert_eq!(outcomes, Ok(vec![Outcome::Committed]));
                    let own = sql("SELECT count(*) FROM t WHERE writer = ?1", [writer.into()]);
                    let seen = assert_send(database.read(vec![own])).await.expect("the read is right");
                    assert_eq!(seen[0][0][0].as_i64(), Some(n + 1));
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("no writer panics");
    }
    let after = database.stats();
    assert_eq!(number(&database, "SELECT count(*) FROM t").await, 64 * 20);
    assert_eq!(after.batches - before.batches, 64 * 20);
    assert_eq!(after.statements - before.statements, 64 * 20);
    assert_eq!(after.reads - before.reads, 64 * 20);
    let commits = after.commits - before.commits;
    assert!(commits < 64 * 20 / 4, "{commits} commits for {} batches", 64 * 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_are_fewer_than_those_who_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let options = Options { readers: NonZeroUsize::MIN, ..Options::default() };
    let database = Local::open(&directory.path().join("t.db"), options).expect("the database opens");
    commit(&database, [sql("CREATE TABLE t (id INTEGER)", [])]).await;
    let readers: Vec<_> = (0..32)
        .map(|_| {
            let database = database.clone();
            tokio::spawn(async move {
                for _ in 0..50 {
                    assert_eq!(number(&database, "SELECT count(*) FROM t").await, 0);
                }
            })
        })
        .collect();
    for reader in readers {
        reader.await.expect("no reader panics");
    }
}

#[tokio::test]
async fn reopening_finds_everything() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("t.db");
    let database = open(&path);
    commit(&database, [sql("CREATE TABLE t (id INTEGER PRIMARY KEY)", [])]).await;
    let clone = database.clone();
    drop(database);
    commit(&clone, [sql("INSERT INTO t VALUES (1)", [])]).await;
    // Dropping the last clone commits what is still in line.
    for id in 2_i64..=500 {
        drop(clone.write(vec![batch([sql("INSERT INTO t VALUES (?1)", [id.into()])])]));
    }
    drop(clone);
    assert!(!directory.path().join("t.db-wal").exists(), "the log is folded into the file");
    let database = open(&path);
    assert_eq!(number(&database, "SELECT count(*) FROM t").await, 500);
    // The file's own header says that it is in WAL mode.
    assert_eq!(fs::read(&path).expect("it is there")[18..20], [2, 2]);
}

#[test]
fn one_process_owns_a_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("t.db");
    let first = open(&path);
    let message = refusal(&path);
    let pid = std::process::id();
    assert!(message.contains(&format!("is in use by another process (pid {pid})")), "{message}");
    assert!(message.contains("t.db"), "{message}");
    // Another name of the same file leads to the same lock.
    #[cfg(unix)]
    {
        let alias = directory.path().join("alias.db");
        std::os::unix::fs::symlink(&path, &alias).expect("a link");
        assert!(matches!(Local::open(&alias, Options::default()), Err(OpenError::InUse { .. })));
    }
    let clone = first.clone();
    drop(first);
    assert!(matches!(Local::open(&path, Options::default()), Err(OpenError::InUse { .. })));
    drop(clone);
    open(&path);
}

#[test]
fn a_child_process_does_not_keep_the_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("t.db");
    // Between fork and exec each child has a copy of every open file of ours.
    let children = std::thread::spawn(|| {
        for _ in 0..200 {
            std::process::Command::new("true").status().expect("it runs");
        }
    });
    while !children.is_finished() {
        drop(open(&path));
    }
    children.join().expect("the children ran");
}

#[test]
fn bad_places_are_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    fs::write(at("notes.txt"), "these are my notes, not a database").expect("a file");
    fs::write(at("short"), "SQLite").expect("a file");
    let table = [
        (at("nowhere/t.db"), &["nowhere", "No such file or directory"][..]),
        (at("notes.txt/t.db"), &["notes.txt", "not a directory"]),
        (directory.path().into(), &["is a directory, expected a file"]),
        (at(".."), &["is a directory"]),
        (at("notes.txt"), &["notes.txt is not an SQLite database"]),
        (at("short"), &["short is not an SQLite database"]),
        ("/dev/null".into(), &["/dev/null is not an SQLite database"]),
    ];
    for (path, words) in table {
        let message = refusal(&path);
        for word in words {
            assert!(message.contains(word), "{path:?}: expected {word:?} in {message:?}");
        }
    }
    assert_eq!(
        fs::read_to_string(at("notes.txt")).expect("it is there"),
        "these are my notes, not a database"
    );
    // The start alone does not make a database.
    fs::write(at("damaged.db"), [&b"SQLite format 3\0"[..], &[0xff; 4096]].concat()).expect("a file");
    assert!(matches!(Local::open(&at("damaged.db"), Options::default()), Err(OpenError::NotADatabase(_))));
    // An empty file does.
    fs::write(at("empty.db"), "").expect("a file");
    open(&at("empty.db"));
}

#[test]
fn a_read_only_directory_is_named() {
    let place = place::read_only();
    let path = place.path().join("t.db");
    let error = Local::open(&path, Options::default()).expect_err("the directory is read-only");
    assert!(matches!(error, OpenError::NotWritable { .. }), "{error:?}");
    let message = error.to_string();
    assert!(message.contains("t.db is not writable"), "{message}");
}

#[tokio::test]
async fn a_file_with_no_room_left_tears_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("t.db");
    let options = Options { pages_max: Some(64), ..Options::default() };
    let database = Local::open(&path, options).expect("the database opens");
    fill(&database).await;
    // Pages of deleted rows are used again.
    commit(&database, [sql("DELETE FROM t", [])]).await;
    commit(&database, [sql("INSERT INTO t VALUES (-1, 0, ?1)", [filler(16 * 1024)])]).await;
    drop(database);
    // And a raised limit gives new ones.
    let database = open(&path);
    for part in 0_i64..40 {
        let insert = sql("INSERT INTO t VALUES (-2, ?1, ?2)", [part.into(), filler(16 * 1024)]);
        commit(&database, [insert]).await;
    }
}

#[tokio::test]
async fn a_full_disk_tears_nothing() {
    let Some(disk) = place::small_disk() else {
        eprintln!("no small disk can be mounted here; the limit on pages is tested alone");
        return;
    };
    let path = disk.path().join("t.db");
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![0; 256 * 1024]).expect("there is room yet");
    let database = open(&path);
    fill(&database).await;
    // Still full, still sound: reads go on, and each write fails without doubt.
    let before = number(&database, "SELECT count(*) FROM t").await;
    let more = sql("INSERT INTO t VALUES (-1, 0, ?1)", [filler(512 * 1024)]);
    assert!(unavailable(&database.write(vec![batch([more])]).await));
    assert_eq!(number(&database, "SELECT count(*) FROM t").await, before);
    fs::remove_file(&ballast).expect("it is there");
    commit(&database, [sql("INSERT INTO t VALUES (-2, 0, ?1)", [filler(16 * 1024)])]).await;
    assert_eq!(number(&database, "SELECT count(*) FROM t").await, before + 1);
    drop(database);
    assert_eq!(number(&open(&path), "SELECT count(*) FROM t").await, before + 1);
}

/// Writes pairs of rows, several calls at a time, until some calls fail, and checks each answer against
/// what the database then holds.
async fn fill(database: &Local) {
    let table = "CREATE TABLE t (call INTEGER, part INTEGER, filler BLOB, PRIMARY KEY (call, part))";
    commit(database, [sql(table, [])]).await;
    let mut failed = 0;
    for round in 0_i64..100 {
        let calls: Vec<i64> = (round * 8..round * 8 + 8).collect();
        let part = |call: i64, part: i64| {
            sql("INSERT INTO t VALUES (?1, ?2, ?3)", [call.into(), part.into(), filler(8 * 1024)])
        };
        let waits: Vec<_> =
            calls.iter().map(|&call| database.write(vec![batch([part(call, 0), part(call, 1)])])).collect();
        for (call, wait) in calls.iter().zip(waits) {
            let answer = wait.await;
            let found = rows(database, "SELECT part FROM t WHERE call = ?1", [(*call).into()]).await.len();
            match answer {
                Ok(outcomes) => assert_eq!((outcomes, found), (vec![Outcome::Committed], 2), "call {call}"),
                Err(_) if unavailable(&answer) => {
                    assert_eq!(found, 0, "call {call}: {answer:?}");
                    failed += 1;
                }
                Err(error) => panic!("call {call}: {error}"),
            }
        }
        if failed > 0 {
            return;
        }
    }
    panic!("it never got full");
}

fn unavailable<T>(answer: &Result<T, DatabaseError>) -> bool {
    matches!(answer, Err(DatabaseError::Unavailable { indeterminate: false, .. }))
}

fn refusal(path: &Path) -> String {
    Local::open(path, Options::default()).expect_err("the database cannot be opened").to_string()
}

/// A value of so many bytes.
fn filler(bytes: usize) -> Cell {
    Cell::Blob(vec![1; bytes].into())
}
