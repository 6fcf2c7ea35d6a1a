//! The path under which a server is mounted, read from a setting's text: one rule for every host.

/// Reads a base path: empty, or a slash and segments. A slash at the end is dropped.
///
/// # Errors
/// Expected and found, when the text is no such path.
pub fn read(text: &str) -> Result<String, String> {
    let path = text.trim_end_matches('/');
    let is_segment = |segment: &str| {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        !segment.is_empty() && !matches!(segment, "." | "..") && segment.bytes().all(is_plain)
    };
    match path.strip_prefix('/') {
        None if path.is_empty() => Ok(String::new()),
        Some(segments) if segments.split('/').all(is_segment) => Ok(path.to_owned()),
        _ => Err(format!("expected a path such as /selvedge, of letters, digits and -._~, found {text:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_path_is_plain_segments() {
        for (text, path) in [("", ""), ("/", ""), ("/a", "/a"), ("/a/", "/a"), ("/a-b/c.d_~", "/a-b/c.d_~")] {
            assert_eq!(read(text).as_deref(), Ok(path), "{text}");
        }
        for text in ["a", "a/b", "/a//b", "/.", "/a/..", "/a b", "/a%20b", "/ä", "/a?b"] {
            let fault = read(text).expect_err(text);
            assert!(fault.contains(&format!("found {text:?}")), "{fault}");
        }
    }
}
