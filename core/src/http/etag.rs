//! Entity tags and the conditions on them (RFC 9110, sections 8.8.3 and 13.1).
//!
//! A tag is `"<version>-<format>-<encoding>"`, strong, because it differs wherever the bytes differ.
//! `If-None-Match` compares whole tags; `If-Match` compares the version part alone, since a client that read
//! in one format may write in another.

use super::problem::{Problem, Slug};

/// What `If-Match` or `If-None-Match` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The header is absent.
    Absent,
    /// `*`: any version, so long as there is one.
    Any,
    /// One of these tags.
    Tags(Vec<Tag>),
}

/// An entity tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// What stands between the quotes.
    pub opaque: String,
    /// Whether it says that equal tags mean equal bytes.
    pub strength: Strength,
}

/// Whether equal tags mean equal bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strength {
    /// They do.
    Strong,
    /// They mean equivalent content only: `W/"…"`.
    Weak,
}

/// The text between the quotes of the tag of one representation.
pub fn opaque(version: &str, format: &str, encoding: &str) -> String {
    format!("{version}-{format}-{encoding}")
}

impl Condition {
    /// Reads the header's lines, joined. An empty list is one that nothing matches.
    ///
    /// # Errors
    /// A text that is neither `*` nor a list of entity tags.
    pub fn read(text: Option<&str>) -> Result<Self, String> {
        let Some(text) = text else { return Ok(Condition::Absent) };
        if text.trim() == "*" {
            return Ok(Condition::Any);
        }
        match tags(text) {
            Some(tags) => Ok(Condition::Tags(tags)),
            None => Err(format!(r#"expected * or entity tags such as "abc", found {text}"#)),
        }
    }

    /// Whether `If-None-Match` holds back an answer whose tag is this (weak comparison).
    pub fn matches(&self, opaque: &str) -> bool {
        match self {
            Condition::Absent => false,
            Condition::Any => true,
            Condition::Tags(tags) => tags.iter().any(|tag| tag.opaque == opaque),
        }
    }

    /// Checks `If-Match` against the present version of the resource, or none if there is no resource.
    ///
    /// # Errors
    /// [`Slug::PreconditionFailed`].
    pub fn require(&self, version: Option<&str>) -> Result<(), Problem> {
        let holds = match (self, version) {
            (Condition::Absent, _) => true,
            (_, None) => false,
            (Condition::Any, Some(_)) => true,
            (Condition::Tags(tags), Some(version)) => tags.iter().any(|tag| tag.names(version)),
        };
        if holds {
            return Ok(());
        }
        let found = version.map_or_else(|| "nothing".to_owned(), |version| format!("version {version}"));
        Err(Problem::new(
            Slug::PreconditionFailed,
            format!("If-Match does not hold: the resource is at {found}"),
        ))
    }
}

impl Tag {
    /// Whether this is a strong tag of a representation of this version.
    fn names(&self, version: &str) -> bool {
        let bare = self.opaque.rsplitn(3, '-').nth(2);
        self.strength == Strength::Strong && (self.opaque == version || bare == Some(version))
    }
}

/// A comma-separated list of entity tags. Commas may stand within the quotes.
fn tags(mut text: &str) -> Option<Vec<Tag>> {
    let mut tags = Vec::new();
    loop {
        text = text.trim_start_matches([' ', '\t', ',']);
        if text.is_empty() {
            return Some(tags);
        }
        let (strength, quoted) = match text.strip_prefix("W/") {
            Some(rest) => (Strength::Weak, rest),
            None => (Strength::Strong, text),
        };
        let (opaque, rest) = quoted.strip_prefix('"')?.split_once('"')?;
        if !opaque.bytes().all(|b| b.is_ascii_graphic()) {
            return None;
        }
        tags.push(Tag { opaque: opaque.to_owned(), strength });
        text = rest.trim_start_matches([' ', '\t']);
        if !text.is_empty() && !text.starts_with(',') {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_strictly() {
        let strong = |opaque: &str| Tag { opaque: opaque.to_owned(), strength: Strength::Strong };
        let weak = |opaque: &str| Tag { opaque: opaque.to_owned(), strength: Strength::Weak };
        for (text, expected) in [
            (None, Some(Condition::Absent)),
            (Some("*"), Some(Condition::Any)),
            (Some(r#""a""#), Some(Condition::Tags(vec![strong("a")]))),
            (Some(r#""""#), Some(Condition::Tags(vec![strong("")]))),
            (
                Some(r#" "a" , W/"b,c","d""#),
                Some(Condition::Tags(vec![strong("a"), weak("b,c"), strong("d")])),
            ),
            (Some(r#""a",,"#), Some(Condition::Tags(vec![strong("a")]))),
            (Some("a"), None),
            (Some(""), Some(Condition::Tags(Vec::new()))),
            (Some(","), Some(Condition::Tags(Vec::new()))),
            (Some(r#""a"#), None),
            (Some(r#""a" "b""#), None),
            (Some(r#"w/"a""#), None),
            (Some(r#""a b""#), None),
            (Some(r#"*, "a""#), None),
        ] {
            assert_eq!(Condition::read(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn if_none_match_compares_whole_tags_weakly() {
        for (text, holds_back) in [
            (r#""7-json-identity""#, true),
            (r#"W/"7-json-identity""#, true),
            (r#""x", "7-json-identity""#, true),
            ("*", true),
            (r#""7-msgpack-identity""#, false),
            (r#""7""#, false),
        ] {
            let condition = Condition::read(Some(text)).expect("well-formed");
            assert_eq!(condition.matches(&opaque("7", "json", "identity")), holds_back, "{text}");
        }
        assert!(!Condition::Absent.matches("7-json-identity"));
    }

    #[test]
    fn if_match_compares_the_version() {
        for (text, version, holds) in [
            (Some(r#""7-json-identity""#), Some("7"), true),
            (Some(r#""7-msgpack-gzip""#), Some("7"), true),
            (Some(r#""a-b-json-identity""#), Some("a-b"), true),
            (Some(r#""7""#), Some("7"), true),
            (Some(r#"W/"7-json-identity""#), Some("7"), false),
            (Some(r#""8-json-identity""#), Some("7"), false),
            (Some(r#""8-json-identity", "7-json-br""#), Some("7"), true),
            (Some("*"), Some("7"), true),
            (Some("*"), None, false),
            (Some(r#""7-json-identity""#), None, false),
            (None, Some("7"), true),
            (None, None, true),
        ] {
            let condition = Condition::read(text).expect("well-formed");
            let refused = condition.require(version).err().map(|problem| problem.slug);
            assert_eq!(refused, (!holds).then_some(Slug::PreconditionFailed), "{text:?} {version:?}");
        }
    }
}
