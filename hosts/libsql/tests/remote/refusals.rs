//! Addresses that lead to no database, and tokens that open none: each says what to do.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use selvedge_libsql::{Remote, Token};
use selvedge_test_sqld::Sqld;

use super::net::{always, answer};
use super::{number, open};

async fn refusal(url: &str, token: Option<&str>) -> String {
    let token = token.map(|token| token.parse::<Token>().expect("a token"));
    let fault = Remote::open(url.parse().expect("an address"), token).await.expect_err("it does not open");
    assert!(fault.to_string().contains(url), "{fault} does not name {url}");
    fault.to_string()
}

#[tokio::test]
async fn a_token_opens_a_database_and_another_does_not() {
    let random = SystemRandom::new();
    let pair = || {
        let pair = Ed25519KeyPair::generate_pkcs8(&random).expect("randomness");
        Ed25519KeyPair::from_pkcs8(pair.as_ref()).expect("just made")
    };
    let (ours, other) = (pair(), pair());
    let sqld = Sqld::with(&[("SQLD_AUTH_JWT_KEY", &BASE64.encode(ours.public_key()))]);

    let asks = refusal(&sqld.url(), None).await;
    assert!(asks.contains("asks for a token, with status 401") && says_what_to_do(&asks), "{asks}");
    for wrong in ["nonsense", &token(&other)] {
        let refused = refusal(&sqld.url(), Some(wrong)).await;
        assert!(
            refused.contains("refused the token with status 401") && says_what_to_do(&refused),
            "{refused}"
        );
        assert!(!refused.contains(wrong), "{refused}");
    }
    let database = open(&sqld.url(), Some(token(&ours).parse().expect("a token"))).await;
    assert_eq!(number(&database, "SELECT 7").await, 7);
}

fn says_what_to_do(text: &str) -> bool {
    text.ends_with(": give a valid token with --database-token or SELVEDGE_DATABASE_TOKEN")
}

/// A JSON web token that may write, signed with this key.
fn token(key: &Ed25519KeyPair) -> String {
    let signed =
        [r#"{"alg":"EdDSA","typ":"JWT"}"#, r#"{"a":"rw"}"#].map(|part| BASE64.encode(part)).join(".");
    let signature = BASE64.encode(key.sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

#[tokio::test]
async fn a_server_that_repeats_the_token_does_not_get_it_into_the_log() {
    let body = r#"{"error":"unauthorized: {authorization}"}"#;
    let server = always(&answer("401 Unauthorized", "content-type: application/json\r\n", body)).await;
    let refused = refusal(&format!("http://{server}"), Some("s3cret.s3cret")).await;
    assert!(refused.contains("unauthorized: Bearer …") && !refused.contains("s3cret"), "{refused}");
}

#[tokio::test]
async fn what_is_no_libsql_server_is_named() {
    let html = "content-type: text/html; charset=utf-8\r\n";
    let page = "<html><body>Welcome</body></html>";
    for (answer, expected) in [
        (
            answer("404 Not Found", "", ""),
            "is not the address of a libsql server: it answered with status 404",
        ),
        (answer("404 Not Found", html, page), "with status 404, a page for people"),
        (answer("200 OK", html, page), "with status 200, a page for people"),
        (answer("200 OK", "", "hello"), "no result of Hrana: expected value at line 1 column 1"),
        (answer("200 OK", "", "{}"), "no result of Hrana: missing field `results`"),
        (answer("405 Method Not Allowed", "", "no\nPOST"), "with status 405: no POST"),
        (answer("301 Moved", "location: https://h/\r\n", ""), "a redirect to https://h/"),
        (answer("400 Bad Request", "", "what?"), "refused a request: status 400: what?"),
        (answer("429 Too Many", "", ""), "takes no requests now: status 429"),
        (answer("502 Bad Gateway", html, page), "gave no usable answer: status 502, a page for people"),
        ("SSH-2.0-OpenSSH_9.9\r\n".into(), "broke the connection: "),
        (String::new(), "broke the connection: "),
    ] {
        let url = format!("http://{}", always(&answer).await);
        let refused = refusal(&url, None).await;
        assert!(refused.contains(expected), "{refused}");
    }
}

#[tokio::test]
async fn places_where_nobody_is_are_named() {
    let sqld = Sqld::start();
    for (url, expected) in [
        ("http://127.0.0.1:1".to_owned(), "Connection refused"),
        (sqld.url().replace("http://", "https://"), "it does not speak TLS ("),
        (sqld.url().replace("http://", "libsql://"), "its address is http:// or libsql://…?tls=0"),
        ("http://nowhere.invalid".to_owned(), "dns error: "),
    ] {
        let refused = refusal(&url, Some("s3cret")).await;
        let cannot = format!("the database {url} cannot be reached: ");
        assert!(refused.starts_with(&cannot) && refused.contains(expected), "{refused}");
        assert!(!refused.contains("s3cret"), "{refused}");
    }
}
