//! Which path the server is to see: stages and base path mappings come and go between a client and its event.
//!
//! The server is mounted under a base path, the one that clients see, so that its `Location`s are right. What
//! an event tells of it differs: a REST API's `path` is without the stage, an HTTP API's `rawPath` is with it,
//! and a custom domain's mapping is in the one and not in the other.

use std::fmt::Write;

/// The paths that an event tells, percent-encoded or not.
pub(crate) struct Told<'a> {
    /// The path of the request, possibly with the stage.
    pub(crate) path: &'a str,
    /// What the client asked for, where the event tells it beside `path`.
    pub(crate) whole: Option<&'a str>,
    /// The stage that `path` may begin with.
    pub(crate) stage: Option<&'a str>,
    /// Whose paths these are.
    pub(crate) mapping: Mapping,
}

/// Whether something before the function may have taken a prefix off the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mapping {
    /// API Gateway: its stage or a custom domain's mapping may be missing.
    Hidden,
    /// Function URLs and load balancers: the path is the client's.
    None,
}

/// The path for the server under `base`, percent-encoded.
pub(crate) fn place(told: &Told<'_>, base: &str) -> String {
    let (path, whole) = (encoded(told.path), told.whole.map(encoded));
    if !base.is_empty()
        && let Some(path) =
            [whole.as_ref(), Some(&path)].into_iter().flatten().find(|path| is_below(path, base))
    {
        return path.clone();
    }
    let stage = told.stage.filter(|stage| *stage != "$default").map(|stage| format!("/{}", encoded(stage)));
    let inner = match &stage {
        Some(stage) if is_below(&path, stage) => &path[stage.len()..],
        _ => path.as_str(),
    };
    let slash = if inner.starts_with('/') { "" } else { "/" };
    match told.mapping {
        Mapping::Hidden if is_below(inner, base) => format!("{slash}{inner}"),
        Mapping::Hidden => format!("{base}{slash}{inner}"),
        Mapping::None => format!("{slash}{inner}"),
    }
}

/// A query without what cannot stand in a URI.
pub(crate) fn query(raw: &str) -> String {
    escaped(raw, b"?")
}

/// API Gateway decodes some paths: what cannot stand in a URI is encoded again, and what is encoded stays.
fn encoded(path: &str) -> String {
    escaped(path, b"")
}

fn escaped(text: &str, further: &[u8]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (at, byte) in text.bytes().enumerate() {
        let is_escape =
            || text.as_bytes()[at + 1..].iter().take(2).filter(|b| b.is_ascii_hexdigit()).count() == 2;
        let stays = match byte {
            b'%' => is_escape(),
            b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b','
            | b';' => true,
            b'=' | b':' | b'@' | b'/' | b'[' | b']' => true,
            byte => byte.is_ascii_alphanumeric() || further.contains(&byte),
        };
        if stays {
            escaped.push(char::from(byte));
        } else {
            write!(escaped, "%{byte:02X}").expect("writing to a string does not fail");
        }
    }
    escaped
}

fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_sees_the_path_that_clients_see() {
        use Mapping::{Hidden, None as Plain};
        type Row<'a> = (&'a str, &'a str, Option<&'a str>, Option<&'a str>, Mapping, &'a str, &'a str);
        let rows: &[Row<'_>] = &[
            (
                "REST API, its own domain",
                "/api/v1/runs",
                Some("/prod/api/v1/runs"),
                None,
                Hidden,
                "/prod",
                "/prod/api/v1/runs",
            ),
            (
                "REST API, no base path",
                "/api/v1/runs",
                Some("/prod/api/v1/runs"),
                None,
                Hidden,
                "",
                "/api/v1/runs",
            ),
            (
                "REST API, a stage named api",
                "/api/v1/runs",
                Some("/api/api/v1/runs"),
                None,
                Hidden,
                "",
                "/api/v1/runs",
            ),
            (
                "REST API, mapping",
                "/flows/api/v1/runs",
                Some("/flows/api/v1/runs"),
                None,
                Hidden,
                "/flows",
                "/flows/api/v1/runs",
            ),
            (
                "REST API, the other domain",
                "/api/v1/runs",
                Some("/prod/api/v1/runs"),
                None,
                Hidden,
                "/flows",
                "/flows/api/v1/runs",
            ),
            ("HTTP API, $default", "/api/v1/runs", None, Some("$default"), Hidden, "", "/api/v1/runs"),
            ("HTTP API, stage", "/prod/api/v1/runs", None, Some("prod"), Hidden, "", "/api/v1/runs"),
            (
                "HTTP API, stage as base path",
                "/prod/api/v1/runs",
                None,
                Some("prod"),
                Hidden,
                "/prod",
                "/prod/api/v1/runs",
            ),
            (
                "HTTP API, mapping",
                "/prod/api/v1/runs",
                None,
                Some("prod"),
                Hidden,
                "/flows",
                "/flows/api/v1/runs",
            ),
            (
                "HTTP API, $default, mapping",
                "/api/v1/runs",
                None,
                Some("$default"),
                Hidden,
                "/flows",
                "/flows/api/v1/runs",
            ),
            (
                "HTTP API, a path like the stage",
                "/production/x",
                None,
                Some("prod"),
                Hidden,
                "",
                "/production/x",
            ),
            ("HTTP API, the stage alone", "/prod", None, Some("prod"), Hidden, "", "/"),
            ("function URL", "/api/v1/runs", None, Some("$default"), Plain, "", "/api/v1/runs"),
            (
                "function URL below a base path",
                "/f/api/v1/runs",
                None,
                Some("$default"),
                Plain,
                "/f",
                "/f/api/v1/runs",
            ),
            ("function URL outside", "/api/v1/runs", None, Some("$default"), Plain, "/f", "/api/v1/runs"),
            ("load balancer, nearly", "/flowsier/x", None, None, Plain, "/flows", "/flowsier/x"),
            ("no path", "", None, None, Plain, "", "/"),
            ("encoded stays", "/a/name%5B0%5D/%2e%2E/x", None, None, Plain, "", "/a/name%5B0%5D/%2e%2E/x"),
            (
                "decoded is encoded",
                "/a b/name[0]/ü/%zz/100%",
                None,
                None,
                Plain,
                "",
                "/a%20b/name[0]/%C3%BC/%25zz/100%25",
            ),
            ("question marks are no query", "/a?b#c", None, None, Plain, "", "/a%3Fb%23c"),
        ];
        for (name, path, whole, stage, mapping, base, expected) in rows {
            let told = Told { path, whole: *whole, stage: *stage, mapping: *mapping };
            let found = place(&told, base);
            assert_eq!(found, *expected, "{name}");
            assert!(found.parse::<http::Uri>().is_ok(), "{name}");
        }
    }

    #[test]
    fn queries_stay_as_they_are_unless_they_cannot() {
        for (raw, expected) in [
            ("a=1&a=2&b=%5B0%5D", "a=1&a=2&b=%5B0%5D"),
            ("q=a+b?c/d", "q=a+b?c/d"),
            ("q=a b\"<ü>#%", "q=a%20b%22%3C%C3%BC%3E%23%25"),
        ] {
            assert_eq!(query(raw), expected);
        }
    }
}
