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
use selvedge_test_sqld::{Sqld, free_address};

use suite::{assert_send, batch, commit, number, rows, sql};

driver_suite!(server, {
    let sqld = Sqld::start();
    (open(&sqld.url(), None).await, sqld)
});

/// A replica passes writes on to its primary, whose errors come without their codes, and answers reads itself, a
/// little later than the primary would.
#[tokio::test]
async fn a_replica_answers_as_its_primary() {
    let replicated = || {
        let inner = free_address().to_string();
        let primary = Sqld::with(&[("SQLD_GRPC_LISTEN_ADDR", &inner)]);
        (Sqld::with(&[("SQLD_PRIMARY_GRPC_URL", &format!("http://{inner}"))]), primary)
    };
    let (replica, _primary) = replicated();
    suite::checks_expectations(&open(&replica.url(), None).await).await;
    let (replica, _primary) = replicated();
    suite::refuses_what_violates_a_constraint(&open(&replica.url(), None).await).await;
    let (replica, _primary) = replicated();
    suite::reads_what_was_answered(&open(&replica.url(), None).await).await;
    let (replica, _primary) = replicated();
    suite::names_wrong_statements(&open(&replica.url(), None).await).await;
}

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
