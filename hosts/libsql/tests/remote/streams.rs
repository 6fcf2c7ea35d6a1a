//! Streams that stay open from one request to the next, and those that do not.

use selvedge::store::database::{Database, Outcome};
use selvedge_libsql::Remote;
use selvedge_libsql::remote::Options;
use selvedge_test_sqld::Sqld;

use super::net::Proxy;
use super::{batch, commit, make_pairs, number, open, pair, rows, sql};

/// `total_changes()` counts for a connection: what two writes and two reads in a row see of it.
async fn seen(database: &Remote) -> (i64, i64) {
    commit(database, [sql("CREATE TABLE seen (n INTEGER)", [])]).await;
    let note = || sql("INSERT INTO seen SELECT total_changes()", []);
    commit(database, [note(), note(), note()]).await;
    commit(database, [note()]).await;
    let by_writes = number(database, "SELECT n FROM seen ORDER BY rowid DESC LIMIT 1").await;
    (by_writes, number(database, "SELECT total_changes()").await)
}

#[tokio::test]
async fn writes_go_on_with_their_stream() {
    let sqld = Sqld::start();
    assert_eq!(seen(&open(&sqld.url(), None).await).await, (3, 0));
    let other = Sqld::start();
    let address = other.url().parse().expect("an address");
    let alone = Remote::open_with(address, None, Options { streams_kept: 0 }).await.expect("it opens");
    assert_eq!(seen(&alone).await, (0, 0));
}

#[tokio::test]
async fn a_stream_that_the_server_does_not_know_is_opened_anew() {
    let mut sqld = Sqld::start();
    let database = open(&sqld.url(), None).await;
    make_pairs(&database).await;
    for id in 0..4 {
        assert_eq!(database.write(vec![pair(id)]).await, Ok(vec![Outcome::Committed]));
        assert_eq!(number(&database, "SELECT count(*) FROM t").await, 2 * (id + 1));
        sqld.stop();
        sqld.restart();
        // The connections' ends are seen before they are used again.
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_stream_with_an_open_transaction_is_closed() {
    let sqld = Sqld::start();
    let (database, other) = (open(&sqld.url(), None).await, open(&sqld.url(), None).await);
    make_pairs(&database).await;
    for id in 0..3 {
        // A batch that is refused, one that is wrong, one that ends the transaction: the lock is free at once.
        assert!(database.write(vec![pair(7)]).await.is_ok());
        assert_eq!(database.write(vec![pair(7)]).await, Ok(vec![Outcome::Refused(0)]));
        assert!(database.write(vec![batch([sql("INSERT INTO nowhere VALUES (1)", [])])]).await.is_err());
        let conflict = batch([sql("INSERT OR ROLLBACK INTO t VALUES (7, 0)", [])]);
        assert_eq!(database.write(vec![conflict]).await, Ok(vec![Outcome::Refused(0)]));
        assert!(database.read(vec![sql("SELECT 1", []), sql("SELECT * FROM nowhere", [])]).await.is_err());
        assert_eq!(other.write(vec![pair(100 + id)]).await, Ok(vec![Outcome::Committed]));
    }
    assert_eq!(rows(&other, "SELECT DISTINCT id FROM t", []).await.len(), 4);
}

#[tokio::test]
async fn a_stream_goes_on_where_the_server_says() {
    let proxy = Proxy::new().await;
    let sqld = Sqld::with(&[("SQLD_HTTP_SELF_URL", &proxy.url())]);
    proxy.lead_to(sqld.address());
    let database = open(&sqld.url(), None).await;
    assert_eq!(proxy.connections(), 0, "the first request goes to the database's own address");
    assert_eq!(number(&database, "SELECT 7").await, 7);
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn where_nobody_is_a_stream_does_not_go_on() {
    let sqld = Sqld::with(&[("SQLD_HTTP_SELF_URL", "http://127.0.0.1:1")]);
    let database = open(&sqld.url(), None).await;
    make_pairs(&database).await;
    for id in 0..3 {
        assert_eq!(database.write(vec![pair(id)]).await, Ok(vec![Outcome::Committed]));
        assert_eq!(number(&database, "SELECT count(*) FROM t").await, 2 * (id + 1));
    }
}

#[tokio::test]
async fn readers_are_more_than_the_streams_that_are_kept() {
    let sqld = Sqld::start();
    let database = open(&sqld.url(), None).await;
    make_pairs(&database).await;
    for _ in 0..3 {
        let readers: Vec<_> = (0..40)
            .map(|_| {
                let database = database.clone();
                tokio::spawn(async move { number(&database, "SELECT count(*) FROM t").await })
            })
            .collect();
        for reader in readers {
            assert_eq!(reader.await.expect("no reader panics"), 0);
        }
    }
}
