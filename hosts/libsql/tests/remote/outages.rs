//! A server that goes away, comes back, or whose answers are lost.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use selvedge::store::database::{Cell, Database, DatabaseError, Outcome};
use selvedge_libsql::Remote;
use selvedge_test_sqld::Sqld;

use super::net::{Answers, Proxy, answer, in_turn};
use super::{batch, certain, doubtful, make_pairs, number, open, pair, rows, sql};

const KEPT: Result<Vec<Outcome>, DatabaseError> = Ok(Vec::new());

#[tokio::test]
async fn a_lost_answer_leaves_doubt() {
    let sqld = Sqld::start();
    let proxy = Proxy::of(sqld.address()).await;
    let (database, direct) = (open(&proxy.url(), None).await, open(&sqld.url(), None).await);
    make_pairs(&database).await;

    proxy.set(Answers::CutOne);
    let lost = doubtful(database.write(vec![pair(1)]).await);
    assert!(lost.contains(&proxy.url()) && lost.contains("broke the connection"), "{lost}");
    proxy.has_cut().await;
    assert_eq!(number(&direct, "SELECT count(*) FROM t").await, 2, "it was committed all the same");

    // Nothing is sent again by itself: the same once more is found to be there.
    assert_eq!(database.write(vec![pair(1)]).await, Ok(vec![Outcome::Refused(0)]));
    assert_eq!(database.write(vec![pair(2)]).await, Ok(vec![Outcome::Committed]));
}

#[tokio::test]
async fn a_read_survives_a_connection_that_breaks() {
    let sqld = Sqld::start();
    let proxy = Proxy::of(sqld.address()).await;
    let database = open(&proxy.url(), None).await;
    make_pairs(&database).await;
    for _ in 0..3 {
        let before = database.stats().requests;
        proxy.set(Answers::CutOne);
        assert_eq!(number(&database, "SELECT count(*) FROM t").await, 0);
        assert_eq!(database.stats().requests - before, 2);
    }
    // Once, not for ever.
    proxy.set(Answers::Cut);
    let before = database.stats().requests;
    certain(database.read(vec![sql("SELECT 1", [])]).await);
    assert_eq!(database.stats().requests - before, 2);
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_given_up() {
    let sqld = Sqld::start();
    let proxy = Proxy::of(sqld.address()).await;
    let database = open(&proxy.url(), None).await;
    make_pairs(&database).await;
    proxy.set(Answers::Keep);
    // From here on time flies as soon as everybody waits.
    tokio::time::pause();
    let write = doubtful(database.write(vec![pair(1)]).await);
    assert!(write.contains("none came within 30 seconds"), "{write}");
    let read = certain(database.read(vec![sql("SELECT 1", [])]).await);
    assert!(read.contains("none came within 30 seconds"), "{read}");
}

#[tokio::test]
async fn a_server_that_is_down_is_found_again() {
    let mut sqld = Sqld::start();
    let database = open(&sqld.url(), None).await;
    make_pairs(&database).await;
    for id in 0..3 {
        assert_eq!(database.write(vec![pair(id)]).await, Ok(vec![Outcome::Committed]));
        sqld.stop();
        let cannot = format!("the database {} cannot be reached: ", sqld.url());
        // The first may still meet the connection that was kept.
        let _ = database.write(vec![pair(100 + id)]).await;
        let write = certain(database.write(vec![pair(200 + id)]).await);
        assert!(write.starts_with(&cannot) && write.contains("Connection refused"), "{write}");
        let read = certain(database.read(vec![sql("SELECT 1", [])]).await);
        assert!(read.starts_with(&cannot), "{read}");
        sqld.restart();
        let kept = rows(&database, "SELECT id FROM t WHERE part = 1 AND id < 100", []).await;
        assert_eq!(kept.len() as i64, id + 1);
    }
    assert_eq!(number(&database, "SELECT count(*) FROM t WHERE id >= 200").await, 0);
}

#[tokio::test]
async fn a_lock_of_the_server_is_waited_for() {
    let ran = |results: &str, errors: &str| {
        let result = format!(r#"{{"step_results": [{results}], "step_errors": [{errors}]}}"#);
        let body = format!(r#"{{"results": [{{"type": "ok", "response": {{"result": {result}}}}}]}}"#);
        answer("200 OK", "content-type: application/json\r\n", &body)
    };
    let row = r#"{"rows": []}"#;
    let probe = ran(row, "null");
    let locked = r#"{"message": "database is locked", "code": "SQLITE_BUSY"}"#;
    let busy = ran("null, null, null, null", &format!("{locked}, null, null, null"));
    let kept = ran(&format!("{row}, {row}, {row}, null"), "null, null, null, null");
    let write = || vec![batch([sql("DELETE FROM t", [])])];

    let free_again = in_turn(&[probe.clone(), busy.clone(), busy.clone(), kept]).await;
    let database = open(&format!("http://{free_again}"), None).await;
    assert_eq!(database.write(write()).await, Ok(vec![Outcome::Committed]));
    assert_eq!(database.stats().requests, 4);

    let never_free = in_turn(&[probe, busy]).await;
    let database = open(&format!("http://{never_free}"), None).await;
    tokio::time::pause();
    let message = certain(database.write(write()).await);
    assert!(message.contains("database is locked (SQLITE_BUSY)"), "{message}");
    assert!(database.stats().requests > 10);
}

/// What became of the pairs, as far as somebody was told.
#[derive(Default)]
struct Told {
    kept: BTreeSet<i64>,
    not_kept: BTreeSet<i64>,
    unknown: BTreeSet<i64>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_under_load_keeps_its_word() {
    const WRITERS: i64 = 16;
    const KILLS: usize = 4;
    let mut sqld = Sqld::start();
    let database = open(&sqld.url(), None).await;
    make_pairs(&database).await;
    let over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| tokio::spawn(write_pairs(database.clone(), writer, over.clone())))
        .collect();
    for _ in 0..KILLS {
        let kept = database.stats().batches;
        while database.stats().batches < kept + 100 {
            tokio::task::yield_now().await;
        }
        sqld.kill();
        sqld.restart();
    }
    over.store(true, Ordering::Relaxed);
    let mut told = Told::default();
    for writer in writers {
        let of_one = writer.await.expect("no writer panics");
        told.kept.extend(of_one.kept);
        told.not_kept.extend(of_one.not_kept);
        told.unknown.extend(of_one.unknown);
    }
    let found = rows(&database, "SELECT id, count(*) FROM t GROUP BY id", []).await;
    assert!(found.iter().all(|row| row[1] == Cell::Integer(2)), "a batch is torn");
    let found: BTreeSet<_> = found.iter().map(|row| row[0].as_i64().expect("an integer")).collect();
    assert!(told.kept.is_subset(&found), "lost: {:?}", told.kept.difference(&found));
    assert!(told.not_kept.is_disjoint(&found), "{:?}", told.not_kept.intersection(&found));
    assert!(found.iter().all(|id| told.kept.contains(id) || told.unknown.contains(id)));
    assert!(told.kept.len() >= 100 * KILLS, "{}", told.kept.len());
    assert_eq!(database.write(vec![]).await, KEPT);
}

async fn write_pairs(database: Remote, writer: i64, over: Arc<AtomicBool>) -> Told {
    let mut told = Told::default();
    let mut id = writer * 1_000_000;
    while !over.load(Ordering::Relaxed) {
        id += 1;
        match database.write(vec![pair(id)]).await {
            Ok(outcomes) => {
                assert_eq!(outcomes, [Outcome::Committed]);
                told.kept.insert(id);
            }
            Err(DatabaseError::Unavailable { indeterminate: false, .. }) => {
                told.not_kept.insert(id);
            }
            Err(DatabaseError::Unavailable { indeterminate: true, .. }) => {
                told.unknown.insert(id);
            }
            Err(error @ (DatabaseError::Broken(_) | DatabaseError::Storage(_))) => panic!("{error}"),
        }
    }
    told
}
