//! The driver of a server: the suite on a real sqld, and what only a network can do.

mod suite;

use selvedge_libsql::{Remote, Token};
use selvedge_test_sqld::Sqld;

driver_suite!(server, {
    let sqld = Sqld::start();
    (open(&sqld.url(), None).await, sqld)
});

async fn open(url: &str, token: Option<Token>) -> Remote {
    Remote::open(url.parse().expect("an address"), token).await.expect("the database opens")
}
