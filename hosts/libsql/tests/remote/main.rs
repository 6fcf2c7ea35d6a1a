//! The driver of a server: the suite on a real sqld, and what only a network can do.

mod groups;
mod net;
mod outages;
mod refusals;
mod streams;
#[path = "../suite/mod.rs"]
mod suite;

use selvedge::store::database::{Batch, DatabaseError, Outcome};
use selvedge_libsql::{Remote, Token};
use selvedge_test_sqld::Sqld;

use suite::{assert_send, batch, commit, number, rows, sql};

driver_suite!(server, {
    let sqld = Sqld::start();
    (open(&sqld.url(), None).await, sqld)
});

async fn open(url: &str, token: Option<Token>) -> Remote {
    Remote::open(url.parse().expect("an address"), token).await.expect("the database opens")
}

/// Two rows that are there both or not at all.
fn pair(id: i64) -> Batch {
    let row = |part: i64| sql("INSERT INTO t VALUES (?1, ?2)", [id.into(), part.into()]);
    batch([row(0), row(1)])
}

/// The table of [`pair`].
async fn make_pairs(database: &Remote) {
    commit(database, [sql("CREATE TABLE t (id INTEGER, part INTEGER, PRIMARY KEY (id, part))", [])]).await;
}

/// The message of an error that says that nothing was done.
#[track_caller]
fn certain<T: std::fmt::Debug>(answer: Result<T, DatabaseError>) -> String {
    match answer {
        Err(DatabaseError::Unavailable { message, indeterminate: false }) => message,
        other => panic!("expected an error without doubt, found {other:?}"),
    }
}

/// The message of an error that leaves it open whether something was done.
#[track_caller]
fn doubtful(answer: Result<Vec<Outcome>, DatabaseError>) -> String {
    match answer {
        Err(DatabaseError::Unavailable { message, indeterminate: true }) => message,
        other => panic!("expected an error with doubt, found {other:?}"),
    }
}
