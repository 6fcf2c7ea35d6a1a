//! YAML (1.2 core schema, one document), read into the same values as JSON.
//!
//! serde-saphyr reads the text into nodes that know their place, and the nodes become values here, where each
//! rule can name its line and column. What YAML adds to JSON is kept small: anchors, aliases and merge keys
//! expand within a budget that follows from the length of the text; `yes`, `on`, `007` and `1_000` are strings;
//! `!!binary` is binary; tags of one's own are refused.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{Error, Location, MessageFormatter, Options, Spanned, Tagged, UserMessageFormatter};

use super::rules::{self, BASE64, Fault};
use super::{DEPTH_MAX, Object, ReadError, Value, json};

/// How many scalars, arrays and objects a text may hold, aliases expanded.
const NODES_MAX: usize = 250_000;

/// How many aliases a text may hold; fewer if it is long, see [`EXPANDED_BYTES_MAX`].
const ALIASES_MAX: usize = 1_000;

/// How much text aliases may expand to.
const EXPANDED_BYTES_MAX: usize = 16 << 20;

/// What YAML 1.1 and 1.2 call the tag of base64 text.
const BINARY_TAG: &str = "tag:yaml.org,2002:binary";

/// Integers and floats from here on may be integers that `u64` cannot hold.
const WIDE_FLOAT_MIN: f64 = 9_223_372_036_854_775_808.0;

/// A node with its place and its tag.
pub(super) type Placed<'a> = Spanned<Tagged<Node<'a>>>;

/// What YAML text holds before the rules of values are applied.
pub(super) enum Node<'a> {
    /// Null, a truth value or a number.
    Plain(Value),
    /// Text, quoted or not.
    Text(Cow<'a, str>),
    /// A list.
    Sequence(Vec<Placed<'a>>),
    /// Keys and values as they are written.
    Mapping(Vec<(Placed<'a>, Placed<'a>)>),
}

impl Value {
    /// Reads YAML text that holds one document.
    pub fn from_yaml(text: &str) -> Result<Value, ReadError> {
        let root = parse(text)?;
        Builder { text, bytes: 0 }.value(root, 0)
    }
}

/// Reads the nodes of the text.
pub(super) fn parse(text: &str) -> Result<Placed<'_>, ReadError> {
    if text.trim().is_empty() {
        return Err(ReadError::new("the text is empty, expected a YAML document"));
    }
    serde_saphyr::from_str_with_options(text, options(text.len())).map_err(|error| from_saphyr(&error))
}

/// Where a node stands in the text; an alias stands where it is used.
pub(super) fn line_and_column(location: Location) -> Option<(usize, usize)> {
    let (line, column) = (usize::try_from(location.line()).ok()?, usize::try_from(location.column()).ok()?);
    (line > 0).then_some((line, column))
}

/// The reader's options for a text of this length. Every event that an alias replays may carry a copy of text,
/// so the longer the text, the fewer aliases.
fn options(text_bytes: usize) -> Options {
    let aliases_max = (EXPANDED_BYTES_MAX / text_bytes.max(1)).clamp(1, ALIASES_MAX);
    serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        ignore_binary_tag_for_string: true,
        reject_unsupported_tags: true,
        with_snippet: false,
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: NODES_MAX,
        },
        budget: serde_saphyr::budget! {
            // One more than arrays may nest, see `rules::open_object`.
            max_depth: DEPTH_MAX + 1,
            max_nodes: NODES_MAX,
            max_events: 3 * NODES_MAX,
            max_aliases: aliases_max,
            max_anchors: ALIASES_MAX,
            max_merge_keys: ALIASES_MAX,
            max_recorded_anchor_events: NODES_MAX,
            max_recorded_anchor_bytes: 2 * text_bytes + 65_536,
        },
    }
}

/// The error of serde-saphyr in our words.
fn from_saphyr(error: &Error) -> ReadError {
    let read = match error.without_snippet() {
        Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => ReadError::new(Fault::TooDeep),
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            ReadError::new(Fault::DuplicateKey(rules::shown(key)))
        }
        Error::NonFiniteFloat { value, .. } => ReadError::new(Fault::NotFinite(rules::shown(value))),
        Error::MultipleDocuments { .. } => {
            ReadError::new("expected one YAML document, found another after `---`")
        }
        other => ReadError::new(UserMessageFormatter.format_message(other)),
    };
    match error.location().and_then(line_and_column) {
        Some(place) => read.at(place),
        None => read,
    }
}

/// Makes values of nodes.
struct Builder<'a> {
    text: &'a str,
    /// How much text the values hold so far.
    bytes: usize,
}

impl Builder<'_> {
    fn value(&mut self, node: Placed<'_>, depth: usize) -> Result<Value, ReadError> {
        let (used, defined) = (node.referenced, node.defined);
        let Tagged(node, tag) = node.value;
        match node {
            Node::Plain(value) => self.plain(value, tag.as_deref(), defined).map_err(|fault| at(fault, used)),
            Node::Text(text) => self.string(text, tag.as_deref(), defined).map_err(|fault| at(fault, used)),
            Node::Sequence(items) => self.array(items, used, depth + 1),
            Node::Mapping(entries) => self.object(entries, used, depth + 1),
        }
    }

    fn array(&mut self, items: Vec<Placed<'_>>, used: Location, depth: usize) -> Result<Value, ReadError> {
        rules::open_array(depth).map_err(|fault| at(fault, used))?;
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            values.push(self.value(item, depth)?);
        }
        Ok(Value::Array(values))
    }

    fn object(
        &mut self,
        entries: Vec<(Placed<'_>, Placed<'_>)>,
        used: Location,
        depth: usize,
    ) -> Result<Value, ReadError> {
        rules::open_object(depth).map_err(|fault| at(fault, used))?;
        let mut members = Object::new();
        for (key, value) in entries {
            let place = key.referenced;
            let name = self.name(key).map_err(|fault| at(fault, place))?;
            rules::new_name(&members, &name).map_err(|fault| at(fault, place))?;
            let value = self.value(value, depth)?;
            members.insert(name, value);
        }
        rules::close_object(members, depth).map_err(|fault| at(fault, used))
    }

    fn name(&mut self, key: Placed<'_>) -> Result<String, Fault> {
        match key.value.0 {
            Node::Text(name) => self.count(&name).map(|()| name.into_owned()),
            Node::Plain(value) => {
                let written = self.written(key.defined).map_or_else(|| value.to_json(), str::to_owned);
                Err(Fault::KeyNotString(rules::shown(&written)))
            }
            Node::Sequence(_) => Err(Fault::KeyKind("array")),
            Node::Mapping(_) => Err(Fault::KeyKind("object")),
        }
    }

    /// Null, a truth value or a number. An integer that is too large arrives as a float.
    fn plain(&self, value: Value, tag: Option<&str>, defined: Location) -> Result<Value, Fault> {
        match value {
            Value::Float(number) if number.abs() >= WIDE_FLOAT_MIN && tag.is_none() => {
                match self.written(defined).filter(|written| json::is_wide_integer(written)) {
                    Some(integer) => Err(rules::integer_range(integer)),
                    None => Ok(value),
                }
            }
            _ => Ok(value),
        }
    }

    /// Text, or binary by its tag. An integer in another base that is too large arrives as text.
    fn string(&mut self, text: Cow<'_, str>, tag: Option<&str>, defined: Location) -> Result<Value, Fault> {
        self.count(&text)?;
        if tag == Some(BINARY_TAG) {
            let text: String = text.split_ascii_whitespace().collect();
            return BASE64.decode(text).map(Value::Bytes).map_err(Fault::NotBase64);
        }
        if tag.is_none() && is_wide_in_another_base(&text) && self.written(defined) == Some(&*text) {
            return Err(rules::integer_range(&text));
        }
        Ok(Value::String(text.into_owned()))
    }

    /// Counts text that becomes part of the value. Without aliases it cannot be much more than the source.
    fn count(&mut self, text: &str) -> Result<(), Fault> {
        self.bytes += text.len();
        if self.bytes > EXPANDED_BYTES_MAX + 2 * self.text.len() { Err(Fault::Expansion) } else { Ok(()) }
    }

    /// The scalar as it is written in the text.
    fn written(&self, defined: Location) -> Option<&str> {
        let span = defined.span();
        let start = usize::try_from(span.byte_offset()?).ok()?;
        let end = start + usize::try_from(span.byte_len()?).ok()?;
        self.text.get(start..end).map(str::trim)
    }
}

fn at(fault: Fault, location: Location) -> ReadError {
    match line_and_column(location) {
        Some(place) => ReadError::new(fault).at(place),
        None => ReadError::new(fault),
    }
}

/// Whether the text reads as a hexadecimal, octal or binary integer, which here means one beyond 64 bits: a
/// smaller one has become an integer.
fn is_wide_in_another_base(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let base = match digits.get(..2) {
        Some("0x") => 16,
        Some("0o") => 8,
        Some("0b") => 2,
        _ => return false,
    };
    digits.len() > 2 && digits[2..].chars().all(|digit| digit.is_digit(base))
}

impl<'de> Deserialize<'de> for Node<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML node")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Node<'de>, E> {
        Ok(Node::Plain(Value::Null))
    }

    fn visit_bool<E: serde::de::Error>(self, truth: bool) -> Result<Node<'de>, E> {
        Ok(Node::Plain(Value::Bool(truth)))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Node<'de>, E> {
        Ok(Node::Plain(Value::Int(number)))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Node<'de>, E> {
        Ok(Node::Plain(Value::from(number)))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Node<'de>, E> {
        rules::float(number).map(Node::Plain).map_err(E::custom)
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Node<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = elements.next_element()? {
            items.push(item);
        }
        Ok(Node::Sequence(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Node<'de>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = pairs.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Mapping(entries))
    }
}
