//! How calls share requests, and what they do to each other.

use selvedge::store::database::{Batch, Cell, Database, DatabaseError, Outcome};
use selvedge_libsql::Libsql;
use selvedge_test_sqld::Sqld;

use super::net::{Answers, Proxy};
use super::{assert_send, batch, certain, commit, make_pairs, number, open, pair, rows, sql};

const KEPT: Result<Vec<Outcome>, DatabaseError> = Ok(Vec::new());

#[tokio::test]
async fn a_call_is_one_request() {
    let sqld = Sqld::start();
    let database = open(&sqld.url(), None).await;
    assert_eq!(database.stats().requests, 1, "the look whether it is there");
    make_pairs(&database).await;
    let mut requests = 2;
    assert_eq!(database.stats().requests, requests);
    for id in 0..5 {
        assert_eq!(database.write(vec![pair(id), pair(id + 100)]).await, Ok(vec![Outcome::Committed; 2]));
        requests += 1;
        assert_eq!(database.stats().requests, requests);
        let count = || sql("SELECT count(*) FROM t WHERE id = ?1", [id.into()]);
        let answers = database.read(vec![count(), count(), count()]).await.expect("the reads are right");
        assert_eq!(answers, vec![vec![vec![Cell::Integer(2)]]; 3]);
        requests += 1;
        assert_eq!(database.stats().requests, requests);
    }
    // What says nothing asks nothing.
    assert_eq!(database.write(vec![]).await, KEPT);
    assert_eq!(database.write(vec![Batch::default()]).await, Ok(vec![Outcome::Committed]));
    assert_eq!(database.read(vec![]).await, Ok(vec![]));
    let stats = database.stats();
    assert_eq!((stats.requests, stats.groups, stats.reads), (requests, 6, 5));
    assert_eq!((stats.batches, stats.statements), (1 + 10, 1 + 20 + 15));
    assert!(stats.bytes_sent > 0 && stats.bytes_received > 0);
}

#[tokio::test]
async fn writers_share_requests() {
    let sqld = Sqld::start();
    let database = open(&sqld.url(), None).await;
    make_pairs(&database).await;
    let before = database.stats();
    let writers: Vec<_> = (0_i64..64)
        .map(|writer| {
            let database = database.clone();
            tokio::spawn(async move {
                for n in 0..10 {
                    let outcomes = assert_send(database.write(vec![pair(writer * 100 + n)])).await;
                    assert_eq!(outcomes, Ok(vec![Outcome::Committed]));
                    let own = sql("SELECT count(*) FROM t WHERE id / 100 = ?1", [writer.into()]);
                    let seen = assert_send(database.read(vec![own])).await.expect("the read is right");
                    assert_eq!(seen[0][0][0].as_i64(), Some(2 * (n + 1)));
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("no writer panics");
    }
    let after = database.stats();
    assert_eq!(number(&database, "SELECT count(*) FROM t").await, 64 * 20);
    assert_eq!(after.batches - before.batches, 640);
    let groups = after.groups - before.groups;
    assert!(groups < 640 / 4, "{groups} requests for 640 batches");
}

#[tokio::test]
async fn what_waits_goes_together_and_each_has_its_own_fate() {
    let sqld = Sqld::start();
    let database = open(&sqld.url(), None).await;
    make_pairs(&database).await;
    commit(&database, [sql("INSERT INTO t VALUES (7, 0)", [])]).await;
    // While the server stands still, the first call is on its way and the others gather.
    sqld.pause();
    let first = database.write(vec![pair(0)]);
    tokio::task::yield_now().await;
    let before = database.stats();
    let mut missing = Batch::default();
    missing.push(sql("INSERT INTO t VALUES (50, 0)", []));
    missing.expect(1, sql("DELETE FROM t WHERE id = 99", []));
    let calls = [
        vec![pair(1), pair(1)],
        vec![missing],
        vec![pair(7)],
        vec![batch([sql("INSERT INTO t VALUES (60, 0)", []), sql("INSERT INTO nowhere VALUES (1)", [])])],
        vec![Batch::default(), pair(2)],
    ];
    let waits = calls.map(|batches| database.write(batches));
    sqld.resume();
    assert_eq!(first.await, Ok(vec![Outcome::Committed]));
    let mut answers = Vec::new();
    for wait in waits {
        answers.push(wait.await);
    }
    assert_eq!(answers[0], Ok(vec![Outcome::Committed, Outcome::Refused(0)]));
    assert_eq!(answers[1], Ok(vec![Outcome::Refused(1)]));
    assert_eq!(answers[2], Ok(vec![Outcome::Refused(0)]));
    assert!(matches!(&answers[3], Err(DatabaseError::Broken(message)) if message.contains("nowhere")));
    assert_eq!(answers[4], Ok(vec![Outcome::Committed; 2]));
    assert_eq!(database.stats().requests - before.requests, 1);
    let ids = rows(&database, "SELECT DISTINCT id FROM t ORDER BY id", []).await;
    assert_eq!(ids, [0, 1, 2, 7].map(|id| vec![Cell::Integer(id)]));
}

#[tokio::test]
async fn a_lost_transaction_is_lost_for_all_in_it() {
    let sqld = Sqld::start();
    let database = open(&sqld.url(), None).await;
    make_pairs(&database).await;
    commit(&database, [sql("INSERT INTO t VALUES (0, 0)", [])]).await;
    sqld.pause();
    let first = database.write(vec![pair(1)]);
    tokio::task::yield_now().await;
    // The conflict ends the whole transaction, and what follows must not be committed one by one.
    let conflict = batch([sql("INSERT OR ROLLBACK INTO t VALUES (0, 0)", [])]);
    let waits = [pair(2), conflict, pair(3), pair(4)].map(|batch| database.write(vec![batch]));
    sqld.resume();
    assert_eq!(first.await, Ok(vec![Outcome::Committed]));
    for wait in waits {
        certain(wait.await);
    }
    assert_eq!(number(&database, "SELECT count(*) FROM t").await, 3);
    assert_eq!(database.write(vec![pair(5)]).await, Ok(vec![Outcome::Committed]));
}

#[tokio::test]
async fn two_processes_race_and_one_wins_each_time() {
    const ROUNDS: i64 = 40;
    let sqld = Sqld::start();
    let first = open(&sqld.url(), None).await;
    commit(&first, [sql("CREATE TABLE t (version INTEGER)", []), sql("INSERT INTO t VALUES (0)", [])]).await;
    let racers = [first.clone(), open(&sqld.url(), None).await].map(|database| {
        tokio::spawn(async move {
            let mut won = 0;
            loop {
                let version = number(&database, "SELECT version FROM t").await;
                if version >= ROUNDS {
                    return won;
                }
                let mut step = Batch::default();
                step.expect(
                    1,
                    sql("UPDATE t SET version = version + 1 WHERE version = ?1", [version.into()]),
                );
                match database.write(vec![step]).await {
                    Ok(outcomes) if outcomes == [Outcome::Committed] => won += 1,
                    Ok(outcomes) => assert_eq!(outcomes, [Outcome::Refused(0)]),
                    Err(error) => panic!("{error}"),
                }
            }
        })
    });
    let mut won = 0;
    for racer in racers {
        won += racer.await.expect("no racer panics");
    }
    assert_eq!((won, number(&first, "SELECT version FROM t").await), (ROUNDS, ROUNDS));
}

#[tokio::test]
async fn a_large_batch_is_not_cut() {
    let sqld = Sqld::start();
    let database = open(&sqld.url(), None).await;
    commit(&database, [sql("CREATE TABLE t (id INTEGER, filler BLOB)", [])]).await;
    let filler = |bytes: usize| Cell::Blob(vec![1; bytes].into());
    let insert = |id: i64| sql("INSERT INTO t VALUES (?1, ?2)", [id.into(), filler(1 << 20)]);
    let before = database.stats();
    let outcomes = database.write(vec![batch((0..6).map(insert)), batch((6..9).map(insert))]).await;
    assert_eq!(outcomes, Ok(vec![Outcome::Committed; 2]));
    assert_eq!(database.stats().requests - before.requests, 2, "a group is cut between its batches");
    assert_eq!(number(&database, "SELECT count(*) FROM t").await, 9);
    let many = (10_i64..6_000).map(|id| sql("INSERT INTO t VALUES (?1, NULL)", [id.into()]));
    assert_eq!(database.write(vec![batch(many)]).await, Ok(vec![Outcome::Committed]));
    // sqld takes rows of up to 5 MB unless it is told otherwise.
    let huge = batch([sql("INSERT INTO t VALUES (?1, ?2)", [9_999_i64.into(), filler(6_000_000)])]);
    let answer = database.write(vec![huge]).await;
    assert!(
        matches!(&answer, Err(DatabaseError::Broken(message)) if message.contains("too big")),
        "{answer:?}"
    );
}

#[tokio::test]
async fn numbers_that_json_cannot_carry_are_refused() {
    let sqld = Sqld::start();
    let database = open(&sqld.url(), None).await;
    commit(&database, [sql("CREATE TABLE t (n REAL)", [])]).await;
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let write = batch([sql("INSERT INTO t VALUES (?1)", [Cell::Real(number)])]);
        assert!(matches!(database.write(vec![write]).await, Err(DatabaseError::Broken(_))));
        let read = sql("SELECT ?1", [Cell::Real(number)]);
        assert!(matches!(database.read(vec![read]).await, Err(DatabaseError::Broken(_))));
    }
    let infinite = certain(database.read(vec![sql("SELECT 9e999", [])]).await);
    assert!(infinite.contains("infinite"), "{infinite}");
}

#[tokio::test]
async fn a_place_of_either_kind_leads_to_a_server() {
    let sqld = Sqld::start();
    let proxy = Proxy::of(sqld.address()).await;
    proxy.set(Answers::Pass);
    for url in [sqld.url(), sqld.url().replace("http://", "libsql://") + "?tls=0", proxy.url() + "/"] {
        let place = url.parse().expect("a place");
        let database = Libsql::open(&place, None).await.expect("it opens");
        assert_eq!((database.durability(), database.is_shared()), ("server", true));
        let write = assert_send(database.write(vec![Batch::default()])).await;
        assert_eq!(write, Ok(vec![Outcome::Committed]));
        let seven = assert_send(database.read(vec![sql("SELECT 7", [])])).await;
        assert_eq!(seven, Ok(vec![vec![vec![Cell::Integer(7)]]]));
    }
}
