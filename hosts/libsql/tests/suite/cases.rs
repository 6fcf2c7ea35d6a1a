//! The cases, each against an empty database.

use std::future::Future;

use selvedge::store::database::{Batch, Cell, Database, DatabaseError, Outcome, Statement};

use super::{batch, commit, number, rows, sql};

pub(crate) async fn keeps_every_kind_of_value(database: &impl Database) {
    commit(database, [sql("CREATE TABLE t (id INTEGER PRIMARY KEY, v)", [])]).await;
    let values = [
        Cell::Null,
        Cell::Integer(i64::MIN),
        Cell::Integer(i64::MAX),
        Cell::Real(-0.5),
        Cell::Real(f64::MAX),
        "".into(),
        "naïve ☃ 𝄞".into(),
        "before\0after".into(),
        "x".repeat(1 << 20).into(),
        Cell::Blob([].into()),
        Cell::Blob([0, 255, 0, 128].into()),
        Cell::Blob(vec![7; 1 << 20].into()),
    ];
    for (id, value) in (0_i64..).zip(&values) {
        commit(database, [sql("INSERT INTO t VALUES (?1, ?2)", [id.into(), value.clone()])]).await;
    }
    let kept = rows(database, "SELECT v FROM t ORDER BY id", []).await;
    assert_eq!(kept.len(), values.len());
    for (row, value) in kept.iter().zip(&values) {
        assert!(row == std::slice::from_ref(value), "{value:.100?} came back as {row:.100?}");
    }
    for value in &values[1..] {
        let same = rows(database, "SELECT ?1", [value.clone()]).await;
        assert!(same == [[value.clone()]], "{value:.100?} came back as {same:.100?}");
    }
}

pub(crate) async fn commits_whole_or_not_at_all(database: &impl Database) {
    commit(database, [sql("CREATE TABLE t (id INTEGER PRIMARY KEY)", [])]).await;
    let mut torn = batch([insert(1), insert(2)]);
    torn.expect(1, sql("DELETE FROM t WHERE id = 99", []));
    torn.push(insert(3));
    assert_eq!(database.write(vec![torn]).await, Ok(vec![Outcome::Refused(2)]));
    assert_eq!(number(database, "SELECT count(*) FROM t").await, 0);
    commit(database, [insert(1), insert(2), insert(3)]).await;
    assert_eq!(number(database, "SELECT count(*) FROM t").await, 3);
}

pub(crate) async fn checks_expectations(database: &impl Database) {
    commit(database, [sql("CREATE TABLE t (id INTEGER PRIMARY KEY, version INTEGER)", [])]).await;
    commit(database, [sql("INSERT INTO t VALUES (1, 1), (2, 1), (3, 1)", [])]).await;
    let table = [
        ("UPDATE t SET version = 2 WHERE id = 1 AND version = 1", 1, Outcome::Committed),
        ("UPDATE t SET version = 2 WHERE id = 1 AND version = 1", 1, Outcome::Refused(0)),
        ("UPDATE t SET version = 2 WHERE id = 1 AND version = 1", 0, Outcome::Committed),
        ("UPDATE t SET version = version WHERE version = 1", 1, Outcome::Refused(0)),
        ("UPDATE t SET version = version WHERE version = 1", 2, Outcome::Committed),
        ("DELETE FROM t", 2, Outcome::Refused(0)),
        ("DELETE FROM t", 3, Outcome::Committed),
    ];
    for (index, (text, expected, outcome)) in table.into_iter().enumerate() {
        let mut batch = Batch::default();
        batch.expect(expected, sql(text, []));
        assert_eq!(database.write(vec![batch]).await, Ok(vec![outcome]), "row {index}: {text}");
    }
}

pub(crate) async fn counts_rows_of_each_kind_of_write(database: &impl Database) {
    commit(
        database,
        [
            sql("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)", []),
            sql("CREATE TABLE log (id INTEGER)", []),
            sql(
                "CREATE TRIGGER note AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.id), (new.id); END",
                [],
            ),
        ],
    )
    .await;
    let table = [
        ("INSERT INTO t VALUES (1, 0)", 1),
        ("INSERT INTO t VALUES (2, 0), (3, 0)", 2),
        ("INSERT INTO t VALUES (3, 0), (4, 0) ON CONFLICT DO UPDATE SET n = n + 1", 2),
        ("INSERT INTO t VALUES (4, 0), (5, 0) ON CONFLICT DO NOTHING", 1),
        ("INSERT INTO t VALUES (5, 0) ON CONFLICT DO NOTHING", 0),
        ("INSERT OR IGNORE INTO t SELECT id + 1, 0 FROM t", 1),
        ("INSERT INTO t SELECT id + 10, n FROM t WHERE id < 4", 3),
        ("INSERT OR REPLACE INTO t VALUES (1, 9)", 1),
        ("UPDATE t SET n = 1 WHERE id > 10", 3),
        ("UPDATE t SET n = 1 WHERE id = 77", 0),
        ("WITH few AS (SELECT 11 AS id) DELETE FROM t WHERE id IN few", 1),
        ("DELETE FROM t", 8),
        ("DELETE FROM t", 0),
    ];
    for (index, (text, expected)) in table.into_iter().enumerate() {
        let mut wrong = Batch::default();
        wrong.expect(expected + 1, sql(text, []));
        assert_eq!(database.write(vec![wrong]).await, Ok(vec![Outcome::Refused(0)]), "row {index}: {text}");
        let mut right = Batch::default();
        right.expect(expected, sql(text, []));
        assert_eq!(database.write(vec![right]).await, Ok(vec![Outcome::Committed]), "row {index}: {text}");
    }
}

pub(crate) async fn refuses_what_violates_a_constraint(database: &impl Database) {
    let table =
        "CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER NOT NULL CHECK (n > 0), u INTEGER UNIQUE) STRICT";
    commit(database, [sql(table, []), sql("INSERT INTO t VALUES ('a', 1, 1)", [])]).await;
    let rows = [
        ("unique", "INSERT INTO t VALUES ('b', 1, 1)"),
        ("primary key", "INSERT INTO t VALUES ('a', 1, 2)"),
        ("check", "INSERT INTO t VALUES ('b', 0, 2)"),
        ("not null", "INSERT INTO t VALUES ('b', NULL, 2)"),
    ];
    for (constraint, text) in rows {
        let bad = batch([sql("INSERT INTO t VALUES ('z', 1, 9)", []), sql(text, [])]);
        let good = batch([sql("UPDATE t SET n = n + 1 WHERE id = 'a'", [])]);
        let outcomes = database.write(vec![good, bad]).await;
        assert_eq!(outcomes, Ok(vec![Outcome::Committed, Outcome::Refused(1)]), "{constraint}");
    }
    assert_eq!(number(database, "SELECT count(*) FROM t").await, 1);
    assert_eq!(number(database, "SELECT n FROM t").await, 5);
    // A value of the wrong type is no news about the rows: the statement is wrong.
    let mistyped = batch([sql("INSERT INTO t VALUES ('b', 'many', 3)", [])]);
    assert!(matches!(database.write(vec![mistyped]).await, Err(DatabaseError::Broken(_))));
}

pub(crate) async fn answers_for_each_batch_of_a_call(database: &impl Database) {
    commit(database, [sql("CREATE TABLE t (id INTEGER PRIMARY KEY)", [])]).await;
    let batches = vec![
        batch([insert(1)]),
        batch([insert(2), insert(1)]),
        Batch::default(),
        batch([insert(2)]),
        batch([insert(2)]),
    ];
    let outcomes = database.write(batches).await;
    let kept = Outcome::Committed;
    assert_eq!(outcomes, Ok(vec![kept, Outcome::Refused(1), kept, kept, Outcome::Refused(0)]));
    assert_eq!(number(database, "SELECT count(*) FROM t").await, 2);
}

pub(crate) async fn applies_batches_in_the_order_of_calls(database: &impl Database) {
    const CALLS: i64 = 200;
    commit(database, [sql("CREATE TABLE t (version INTEGER)", []), sql("INSERT INTO t VALUES (0)", [])])
        .await;
    // Each builds on the one before it, which nobody has polled.
    let mut waits: Vec<_> = (0..CALLS).map(|version| database.write(vec![step(version)])).collect();
    let last = waits.pop().expect("there are calls");
    assert_eq!(last.await, Ok(vec![Outcome::Committed]));
    for wait in waits.into_iter().rev() {
        assert_eq!(wait.await, Ok(vec![Outcome::Committed]));
    }
    assert_eq!(number(database, "SELECT version FROM t").await, CALLS);
}

pub(crate) async fn keeps_the_order_behind_a_refusal(database: &impl Database) {
    commit(database, [sql("CREATE TABLE t (version INTEGER)", []), sql("INSERT INTO t VALUES (0)", [])])
        .await;
    // The second builds on a version that never comes, and so does the third on the second.
    let waits = [0, 7, 8, 1].map(|version| database.write(vec![step(version)]));
    let mut outcomes = Vec::new();
    for wait in waits {
        outcomes.extend(wait.await.expect("no statement is wrong"));
    }
    let kept = Outcome::Committed;
    assert_eq!(outcomes, [kept, Outcome::Refused(0), Outcome::Refused(0), kept]);
}

pub(crate) async fn commits_what_nobody_waits_for(database: &impl Database) {
    commit(database, [sql("CREATE TABLE t (id INTEGER PRIMARY KEY)", [])]).await;
    for id in 0..50 {
        drop(database.write(vec![batch([insert(2 * id), insert(2 * id + 1)])]));
    }
    commit(database, [insert(100)]).await;
    assert_eq!(number(database, "SELECT count(*) FROM t").await, 101);
}

pub(crate) async fn reads_one_view(database: &impl Database) {
    let table = "CREATE TABLE account (name TEXT PRIMARY KEY, amount INTEGER)";
    commit(database, [sql(table, []), sql("INSERT INTO account VALUES ('a', 1000), ('b', 0)", [])]).await;
    let mut waits = Vec::new();
    for _ in 0..300 {
        waits.push(database.write(vec![batch([
            sql("UPDATE account SET amount = amount - 1 WHERE name = 'a'", []),
            sql("UPDATE account SET amount = amount + 1 WHERE name = 'b'", []),
        ])]));
        let amount = |name: &str| sql("SELECT amount FROM account WHERE name = ?1", [name.into()]);
        let answers =
            database.read(vec![amount("a"), amount("b"), amount("a")]).await.expect("the read is right");
        let [a, b, again] = [0, 1, 2].map(|index: usize| answers[index][0][0].as_i64().expect("an integer"));
        assert_eq!((a + b, again), (1000, a));
    }
    for wait in waits {
        assert_eq!(wait.await, Ok(vec![Outcome::Committed]));
    }
    assert_eq!(number(database, "SELECT amount FROM account WHERE name = 'b'").await, 300);
}

pub(crate) async fn reads_what_was_answered(database: &impl Database) {
    commit(database, [sql("CREATE TABLE t (id INTEGER PRIMARY KEY)", [])]).await;
    for id in 0..100 {
        commit(database, [insert(id)]).await;
        assert_eq!(number(database, "SELECT count(*) FROM t").await, id + 1);
    }
}

pub(crate) async fn names_wrong_statements(database: &impl Database) {
    commit(database, [sql("CREATE TABLE t (id INTEGER PRIMARY KEY)", [])]).await;
    let writes = [
        (sql("INSERT INTO nowhere VALUES (1)", []), "nowhere"),
        (sql("INSRT INTO t VALUES (1)", []), "INSRT"),
        (sql("INSERT INTO t VALUES (?1)", []), "parameters"),
        (sql("INSERT INTO t VALUES (1)", [1_i64.into()]), "parameters"),
        (sql("INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)", []), "more than one"),
        (sql("", []), "none"),
        (sql("SELECT 1", []), "writes nothing"),
    ];
    for (wrong, word) in writes {
        let text = wrong.sql.clone();
        let later = database.write(vec![batch([insert(50), wrong])]);
        commit(database, [sql("INSERT INTO t VALUES (7)", []), sql("DELETE FROM t WHERE id = 7", [])]).await;
        said(later.await, word, &text);
    }
    let reads = [
        (sql("SELECT * FROM nowhere", []), "nowhere"),
        (sql("SELECT ?1", []), "parameters"),
        (sql("SELECT 1; SELECT 2", []), "more than one"),
        (sql("DELETE FROM t", []), "reads nothing"),
        (sql("INSERT INTO t VALUES (8) RETURNING id", []), "reads nothing"),
        (sql("SELECT CAST(X'ff' AS TEXT)", []), "UTF-8"),
    ];
    for (wrong, word) in reads {
        let text = wrong.sql.clone();
        said(database.read(vec![wrong.clone()]).await, word, &text);
        said(database.read(vec![sql("SELECT 1", []), wrong, sql("SELECT 2", [])]).await, word, &text);
    }
    assert_eq!(number(database, "SELECT count(*) FROM t").await, 0);
}

pub(crate) async fn leaves_transactions_to_the_driver(database: &impl Database) {
    commit(database, [sql("CREATE TABLE t (id INTEGER PRIMARY KEY)", [])]).await;
    for text in ["BEGIN", "BEGIN IMMEDIATE", "COMMIT", "END", "ROLLBACK", "SAVEPOINT mine", "RELEASE batch"] {
        let meddling = database.write(vec![batch([insert(1), sql(text, [])])]);
        let bystander = database.write(vec![batch([insert(2), sql("DELETE FROM t WHERE id = 2", [])])]);
        assert!(matches!(meddling.await, Err(DatabaseError::Broken(_))), "{text}");
        assert_eq!(bystander.await, Ok(vec![Outcome::Committed]), "{text}");
        let read = database.read(vec![sql("SELECT 1", []), sql(text, [])]).await;
        assert!(matches!(read, Err(DatabaseError::Broken(_))), "{text}");
    }
    assert_eq!(number(database, "SELECT count(*) FROM t").await, 0);
}

pub(crate) async fn takes_nothing_for_an_answer(database: &impl Database) {
    assert_eq!(database.write(vec![]).await, Ok(vec![]));
    assert_eq!(database.write(vec![Batch::default()]).await, Ok(vec![Outcome::Committed]));
    assert_eq!(database.read(vec![]).await, Ok(vec![]));
}

pub(crate) async fn changes_the_schema_under_prepared_statements(database: &impl Database) {
    commit(database, [sql("CREATE TABLE t (id INTEGER PRIMARY KEY)", []), insert(1)]).await;
    assert_eq!(rows(database, "SELECT * FROM t", []).await, [[Cell::Integer(1)]]);
    commit(database, [sql("ALTER TABLE t ADD COLUMN n INTEGER DEFAULT 5", [])]).await;
    assert_eq!(rows(database, "SELECT * FROM t", []).await, [[Cell::Integer(1), Cell::Integer(5)]]);
    commit(database, [sql("DROP TABLE t", [])]).await;
    assert!(matches!(database.read(vec![sql("SELECT * FROM t", [])]).await, Err(DatabaseError::Broken(_))));
}

fn insert(id: i64) -> Statement {
    sql("INSERT INTO t (id) VALUES (?1)", [id.into()])
}

/// From this version to the next.
fn step(version: i64) -> Batch {
    let mut batch = Batch::default();
    batch.expect(1, sql("UPDATE t SET version = version + 1 WHERE version = ?1", [version.into()]));
    batch
}

fn said<T: std::fmt::Debug>(answer: Result<T, DatabaseError>, word: &str, text: &str) {
    match answer {
        Err(DatabaseError::Broken(message)) if message.contains(word) => {}
        other => panic!("expected an error with {word:?} for {text:?}, found {other:?}"),
    }
}

/// Holds when the future may move between threads, as a server's do.
pub(crate) fn assert_send<F: Future + Send>(future: F) -> F {
    future
}
