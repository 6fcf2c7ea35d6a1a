//! URI references: enough of RFC 3986 to tell which `$id` of a document a `$ref` means.
//!
//! Nothing is ever fetched, so this only joins and compares texts; there is no normalization beyond
//! dot segments.

/// What a reference means when it stands in a document of this address (RFC 3986, section 5.2). Neither
/// has a fragment.
pub(super) fn resolve(base: &str, reference: &str) -> String {
    let target = Parts::of(reference);
    let base = Parts::of(base);
    let joined = if target.scheme.is_some() {
        Parts { path: without_dots(&target.path), ..target }
    } else if target.authority.is_some() {
        Parts { scheme: base.scheme, path: without_dots(&target.path), ..target }
    } else if target.path.is_empty() {
        Parts { query: target.query.or(base.query), ..base }
    } else if target.path.starts_with('/') {
        Parts { path: without_dots(&target.path), query: target.query, ..base }
    } else {
        Parts { path: without_dots(&base.sibling(&target.path)), query: target.query, ..base }
    };
    joined.text()
}

struct Parts<'a> {
    scheme: Option<&'a str>,
    authority: Option<&'a str>,
    path: String,
    query: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(uri: &'a str) -> Self {
        let (scheme, rest) = match uri.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => (Some(scheme), rest),
            _ => (None, uri),
        };
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => {
                let end = rest.find('/').unwrap_or(rest.len());
                (Some(&rest[..end]), &rest[end..])
            }
            None => (None, rest),
        };
        Self { scheme, authority, path: path.to_owned(), query }
    }

    /// The path of a reference that stands beside this path.
    fn sibling(&self, path: &str) -> String {
        if self.authority.is_some() && self.path.is_empty() {
            return format!("/{path}");
        }
        let folder = self.path.rfind('/').map_or("", |slash| &self.path[..=slash]);
        format!("{folder}{path}")
    }

    fn text(&self) -> String {
        let mut text = String::new();
        if let Some(scheme) = self.scheme {
            text.push_str(scheme);
            text.push(':');
        }
        if let Some(authority) = self.authority {
            text.push_str("//");
            text.push_str(authority);
        }
        text.push_str(&self.path);
        if let Some(query) = self.query {
            text.push('?');
            text.push_str(query);
        }
        text
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Section 5.2.4: `.` goes, `..` takes the segment before it along.
fn without_dots(path: &str) -> String {
    let (root, segments) = match path.strip_prefix('/') {
        Some(segments) => ("/", segments),
        None => ("", path),
    };
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = segments.split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            _ => {
                kept.push(segment);
                continue;
            }
        }
        if last {
            kept.push("");
        }
    }
    format!("{root}{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 3986, sections 5.4.1 and 5.4.2, that have no fragment, and a few of ours.
    #[test]
    fn references_resolve_as_the_rfc_says() {
        let base = "http://a/b/c/d;p?q";
        let rows = [
            (base, "g:h", "g:h"),
            (base, "g", "http://a/b/c/g"),
            (base, "./g", "http://a/b/c/g"),
            (base, "g/", "http://a/b/c/g/"),
            (base, "/g", "http://a/g"),
            (base, "//g", "http://g"),
            (base, "?y", "http://a/b/c/d;p?y"),
            (base, "g?y", "http://a/b/c/g?y"),
            (base, ";x", "http://a/b/c/;x"),
            (base, "", "http://a/b/c/d;p?q"),
            (base, ".", "http://a/b/c/"),
            (base, "./", "http://a/b/c/"),
            (base, "..", "http://a/b/"),
            (base, "../g", "http://a/b/g"),
            (base, "../..", "http://a/"),
            (base, "../../g", "http://a/g"),
            (base, "../../../g", "http://a/g"),
            (base, "/./g", "http://a/g"),
            (base, "/../g", "http://a/g"),
            (base, "g.", "http://a/b/c/g."),
            (base, "..g", "http://a/b/c/..g"),
            (base, "./../g", "http://a/b/g"),
            (base, "g/../h", "http://a/b/c/h"),
            (base, "g?y/../x", "http://a/b/c/g?y/../x"),
            ("http://a", "g", "http://a/g"),
            ("", "g", "g"),
            ("", "urn:uuid:1", "urn:uuid:1"),
            ("urn:uuid:1", "", "urn:uuid:1"),
        ];
        for (base, reference, expected) in rows {
            assert_eq!(resolve(base, reference), expected, "{reference} in {base}");
        }
    }
}
