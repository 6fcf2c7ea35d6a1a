//! Where a server is, and what it wants to see: read once, and printable without a secret.
//!
//! The address of a database ends up in logs, errors and `--print-config`. So it must not hold the token,
//! and one that does is refused with the place where the token belongs.

use std::fmt;
use std::str::FromStr;

use http::HeaderValue;
use reqwest::Url;

/// The schemes of a libsql server's address.
const SCHEMES: &str = "http://, https:// or libsql://";

/// The address of a libsql server: `http://`, `https://` or `libsql://`, which is `https://` unless
/// `?tls=0` follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// As it was given.
    text: String,
    /// Where pipelines are sent.
    pipeline: Url,
}

/// Why a text is not the address of a libsql server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is no URL.
    #[error("expected the address of a libsql server ({SCHEMES}), found {0:?}: {1}")]
    NotAUrl(String, String),
    /// It is a URL of something else.
    #[error("expected the address of a libsql server ({SCHEMES}), found {0}://")]
    Scheme(String),
    /// A user or password stands before the host.
    #[error("the address of a database holds no user or password: give the token apart from it")]
    Credentials,
    /// The token stands behind the question mark.
    #[error("the address of a database does not hold its token: give it apart from the address")]
    TokenInside,
    /// Something else stands behind the question mark.
    #[error("the address of a database takes ?tls=0 or ?tls=1 and nothing else after it, found {0:?}")]
    Query(String),
    /// `?tls=0` with https, or `?tls=1` with http.
    #[error("?tls={1} contradicts {0}://")]
    Tls(&'static str, char),
}

/// What a server asks for before it answers. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// Why a text is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a token of visible ASCII characters without spaces")]
pub struct TokenError;

impl Address {
    /// The address as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the connection is encrypted.
    pub(super) fn is_https(&self) -> bool {
        self.pipeline.scheme() == "https"
    }

    /// Whether the server is on this machine, where no proxy stands between.
    pub(super) fn is_loopback(&self) -> bool {
        let host = self.pipeline.host_str().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// Where pipelines are sent.
    pub(super) fn pipeline(&self) -> &Url {
        &self.pipeline
    }

    /// Where the server wants to see a stream again. None if that is no address, or one without the encryption
    /// of this.
    pub(super) fn of_stream(&self, base_url: &str) -> Option<Url> {
        let mut url = Url::parse(base_url).ok()?;
        let is_safe = url.scheme() == "https" || (url.scheme() == "http" && !self.is_https());
        if !is_safe || !url.has_host() {
            return None;
        }
        end_with_pipeline(&mut url);
        Some(url)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let mut url = Url::parse(text)
            .map_err(|fault| AddressError::NotAUrl(without_query(text).into(), fault.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::Credentials);
        }
        let tls = read_tls(&url)?;
        let scheme = match (url.scheme(), tls) {
            ("http", Some(true)) => return Err(AddressError::Tls("http", '1')),
            ("https", Some(false)) => return Err(AddressError::Tls("https", '0')),
            ("http", _) | ("libsql", Some(false)) => "http",
            ("https", _) | ("libsql", _) => "https",
            (other, _) => return Err(AddressError::Scheme(other.to_owned())),
        };
        // A URL does not let its scheme change between one that it knows and one that it does not.
        let rest = &url.as_str()[url.scheme().len()..];
        url = Url::parse(&format!("{scheme}{rest}"))
            .map_err(|fault| AddressError::NotAUrl(without_query(text).into(), fault.to_string()))?;
        end_with_pipeline(&mut url);
        Ok(Self { text: text.to_owned(), pipeline: url })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Token {
    /// The header that shows it.
    pub(super) fn header(&self) -> HeaderValue {
        let mut header = HeaderValue::from_str(&format!("Bearer {}", self.0))
            .expect("a token is of visible ASCII characters");
        header.set_sensitive(true);
        header
    }

    /// What somebody else said, without the token should it be in there.
    pub(super) fn strike_from(&self, text: &str) -> String {
        text.replace(&self.0, "…")
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

fn read_tls(url: &Url) -> Result<Option<bool>, AddressError> {
    let mut tls = None;
    for (name, value) in url.query_pairs() {
        tls = match (&*name, &*value) {
            ("tls", "0") => Some(false),
            ("tls", "1") => Some(true),
            ("tls", other) => return Err(AddressError::Query(format!("tls={other}"))),
            _ if name.to_ascii_lowercase().contains("token") || name.eq_ignore_ascii_case("jwt") => {
                return Err(AddressError::TokenInside);
            }
            _ => return Err(AddressError::Query(name.into_owned())),
        };
    }
    Ok(tls)
}

fn end_with_pipeline(url: &mut Url) {
    url.set_query(None);
    url.set_fragment(None);
    url.set_path(&format!("{}/v3/pipeline", url.path().trim_end_matches('/')));
}

/// The part that can hold no secret.
fn without_query(text: &str) -> &str {
    text.split(['?', '#', '@']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lead_to_their_pipeline() {
        for (text, pipeline, https, loopback) in [
            ("http://127.0.0.1:8081", "http://127.0.0.1:8081/v3/pipeline", false, true),
            ("http://[::1]:8081/", "http://[::1]:8081/v3/pipeline", false, true),
            ("http://localhost", "http://localhost/v3/pipeline", false, true),
            ("https://db.example.com/", "https://db.example.com/v3/pipeline", true, false),
            ("https://h/dev/acme/", "https://h/dev/acme/v3/pipeline", true, false),
            ("libsql://db-acme.turso.io", "https://db-acme.turso.io/v3/pipeline", true, false),
            ("libsql://h:8081?tls=1", "https://h:8081/v3/pipeline", true, false),
            ("libsql://10.0.0.7:8081?tls=0", "http://10.0.0.7:8081/v3/pipeline", false, false),
            ("http://h?tls=0", "http://h/v3/pipeline", false, false),
        ] {
            let address: Address = text.parse().expect(text);
            assert_eq!(address.pipeline().as_str(), pipeline);
            assert_eq!((address.is_https(), address.is_loopback()), (https, loopback), "{text}");
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn streams_are_not_followed_into_the_open() {
        for (address, base_url, expected) in [
            ("http://h", "http://10.0.0.7:81", Some("http://10.0.0.7:81/v3/pipeline")),
            ("http://h", "https://m7.h/x/", Some("https://m7.h/x/v3/pipeline")),
            ("https://h", "https://m7.h", Some("https://m7.h/v3/pipeline")),
            ("https://h", "http://m7.h", None),
            ("http://h", "ws://m7.h", None),
            ("http://h", "/relative", None),
            ("http://h", "", None),
        ] {
            let address: Address = address.parse().expect("an address");
            assert_eq!(address.of_stream(base_url).as_ref().map(Url::as_str), expected, "{base_url}");
        }
    }

    #[test]
    fn other_addresses_say_what_is_wrong() {
        for (text, expected) in [
            ("ws://h", "found ws://"),
            ("ftp://h", "found ftp://"),
            ("http://", "found \"http://\""),
            ("nonsense", "found \"nonsense\""),
            ("http://me:secret@h", "no user or password"),
            ("http://secret@h", "no user or password"),
            ("libsql://h?authToken=secret", "does not hold its token"),
            ("libsql://h?jwt=secret", "does not hold its token"),
            ("libsql://h?tls=2", "found \"tls=2\""),
            ("libsql://h?mode=secret", "found \"mode\""),
            ("https://h?tls=0", "?tls=0 contradicts https://"),
            ("http://h?tls=1", "?tls=1 contradicts http://"),
            ("http://h:port?authToken=secret", "found \"http://h:port\""),
        ] {
            let fault = text.parse::<Address>().expect_err(text).to_string();
            assert!(fault.contains(expected) && !fault.contains("secret"), "{text}: {fault}");
        }
    }

    #[test]
    fn a_token_is_not_printed() {
        let token: Token = "abc.DEF-_".parse().expect("a token");
        assert_eq!(format!("{token:?}"), "Token(…)");
        assert!(token.header().is_sensitive());
        assert_eq!(token.strike_from("bad token abc.DEF-_!"), "bad token …!");
        for text in ["", "two words", "tab\t", "ümlaut", "line\n"] {
            assert_eq!(text.parse::<Token>(), Err(TokenError), "{text:?}");
        }
    }
}
