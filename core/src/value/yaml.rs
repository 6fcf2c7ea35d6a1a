//! YAML (1.2, one document), read into the same values as JSON.
//!
//! The parser's events become a value and its places on a stack of our own, so that no text, however it nests,
//! can exhaust the thread's, and each fault names its line and column. Anchors, aliases and merge keys work,
//! within a budget that stops texts made to explode.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Span};

use super::locate::{Parts, Place};
use super::rules::{self, Fault};
use super::{DEPTH_MAX, Object, ReadError, Value, yaml_scalar};

/// How many values, and how many bytes of text in them, aliases may add to a document.
const EXPANSION_MAX: Size = Size { values: 100_000, bytes: 16 << 20 };

/// The key whose objects add what the object itself does not say.
const MERGE_KEY: &str = "<<";

impl Value {
    /// Reads YAML text that holds one document.
    pub fn from_yaml(text: &str) -> Result<Value, ReadError> {
        compose(text).map(|(value, _)| value)
    }
}

/// Reads the text's one document, and where its parts stand.
pub(super) fn compose(text: &str) -> Result<(Value, Place), ReadError> {
    let options = granit_parser::options! {
        emit_comments: false,
        // One more than arrays may nest, see `rules::open_object`.
        flow_nesting_limit: DEPTH_MAX + 1,
        block_nesting_limit: DEPTH_MAX + 1,
    };
    let mut composer = Composer { text, ..Composer::default() };
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| from_scanner(&error))?;
        composer.at = span;
        composer.take(event, span).map_err(|fault| ReadError::new(fault).at(position(composer.at)))?;
    }
    composer.root.ok_or_else(|| ReadError::new("the text is empty, expected a YAML document"))
}

/// The parser's error in our words.
fn from_scanner(error: &ScanError) -> ReadError {
    let read = match error.kind() {
        ErrorKind::RecursionLimitExceeded => ReadError::new(Fault::TooDeep),
        ErrorKind::UnknownAnchor => ReadError::new("the alias names no anchor before it"),
        _ => ReadError::new(error.info()),
    };
    read.at((error.marker().line(), error.marker().col() + 1))
}

fn position(span: Span) -> (usize, usize) {
    (span.start.line(), span.start.col() + 1)
}

/// A value with its places, and the id that its anchor has; 0 without anchor.
struct Node {
    value: Value,
    place: Place,
    anchor: usize,
}

/// How much a value holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Size {
    values: usize,
    bytes: usize,
}

impl Size {
    fn of(value: &Value) -> Self {
        let own = |bytes| Size { values: 1, bytes };
        match value {
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::UInt(_) | Value::Float(_) => own(0),
            Value::String(text) => own(text.len()),
            Value::Bytes(bytes) => own(bytes.len()),
            Value::Array(items) => items.iter().map(Size::of).fold(own(0), Size::plus),
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| Size::of(value).plus(Size { values: 0, bytes: name.len() }))
                .fold(own(0), Size::plus),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self { values: self.values + other.values, bytes: self.bytes + other.bytes }
    }

    fn exceeds(self, limit: Self) -> bool {
        self.values > limit.values || self.bytes > limit.bytes
    }
}

/// A value that an alias can repeat.
struct Anchored {
    value: Value,
    depth: usize,
    size: Size,
}

/// An array or object whose end has not come yet.
enum Open {
    Array { span: Span, anchor: usize, items: Vec<Value>, places: Vec<Place> },
    Object(OpenObject),
}

struct OpenObject {
    span: Span,
    anchor: usize,
    members: Object,
    places: BTreeMap<String, Place>,
    /// The key that waits for its value.
    key: Option<Key>,
    /// What the merge key brought, with its place.
    merged: Option<(Vec<Object>, Span)>,
}

enum Key {
    Name(String),
    Merge,
}

#[derive(Default)]
struct Composer<'a> {
    text: &'a str,
    /// What a fault is blamed on: the event, or where the array or object begins that it ends.
    at: Span,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Anchored>,
    expanded: Size,
    root: Option<(Value, Place)>,
}

impl Composer<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        match event {
            Event::DocumentStart(..) if self.root.is_some() => Err(Fault::SecondDocument),
            Event::Scalar(text, style, anchor, tag) => {
                if self.is_merge_key(&text, style) && tag.is_none() {
                    return self.take_merge_key();
                }
                let value = yaml_scalar::resolve(&text, style, tag.as_deref())?;
                self.add(Node { value, place: place(span, Parts::None), anchor }, span)
            }
            Event::SequenceStart(_, anchor, tag) => {
                yaml_scalar::check_collection(tag.as_deref(), "seq")?;
                self.open_collection(rules::open_array, "array")?;
                self.open.push(Open::Array { span, anchor, items: Vec::new(), places: Vec::new() });
                Ok(())
            }
            Event::MappingStart(_, anchor, tag) => {
                yaml_scalar::check_collection(tag.as_deref(), "map")?;
                self.open_collection(rules::open_object, "object")?;
                self.open.push(Open::Object(OpenObject {
                    span,
                    anchor,
                    members: Object::new(),
                    places: BTreeMap::new(),
                    key: None,
                    merged: None,
                }));
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => self.repeat(anchor, span),
            _ => Ok(()),
        }
    }

    /// Checks that an array or object may begin here: not too deep, and not as a key.
    fn open_collection(&self, rule: fn(usize) -> Result<(), Fault>, kind: &'static str) -> Result<(), Fault> {
        if self.expects_key() {
            return Err(Fault::KeyKind(kind));
        }
        rule(self.open.len() + 1)
    }

    fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some(Open::Object(OpenObject { key: None, .. })))
    }

    fn is_merge_key(&self, text: &str, style: ScalarStyle) -> bool {
        text == MERGE_KEY && style == ScalarStyle::Plain && self.expects_key()
    }

    fn take_merge_key(&mut self) -> Result<(), Fault> {
        match self.open.last_mut() {
            Some(Open::Object(object)) if object.merged.is_none() => object.key = Some(Key::Merge),
            _ => return Err(Fault::DuplicateKey(MERGE_KEY.to_owned())),
        }
        Ok(())
    }

    /// Puts a finished value where it belongs.
    fn add(&mut self, node: Node, span: Span) -> Result<(), Fault> {
        let Node { value, place, anchor } = node;
        if anchor != 0 {
            let anchored = Anchored { depth: value.depth(), size: Size::of(&value), value: value.clone() };
            self.expand(anchored.size)?;
            self.anchors.insert(anchor, anchored);
        }
        match self.open.last_mut() {
            None => self.root = Some((value, place)),
            Some(Open::Array { items, places, .. }) => {
                items.push(value);
                places.push(place);
            }
            Some(Open::Object(object)) => match object.key.take() {
                None => object.key = Some(Key::Name(object.name(value, self.text, span)?)),
                Some(Key::Merge) => object.merged = Some((merge_sources(value)?, span)),
                Some(Key::Name(name)) => {
                    object.places.insert(name.clone(), place);
                    object.members.insert(name, value);
                }
            },
        }
        Ok(())
    }

    /// Ends the innermost array or object.
    fn close(&mut self) -> Result<(), Fault> {
        let depth = self.open.len();
        match self.open.pop().expect("the parser closes what it has opened") {
            Open::Array { span, anchor, items, places } => {
                self.at = span;
                let place = place(span, Parts::Items(places));
                self.add(Node { value: Value::Array(items), place, anchor }, span)
            }
            Open::Object(object) => {
                let (span, anchor) = (object.span, object.anchor);
                self.at = span;
                let (members, places) = object.finish();
                let value = rules::close_object(members, depth)?;
                self.add(Node { value, place: place(span, Parts::Members(places)), anchor }, span)
            }
        }
    }

    /// Puts the value that an anchor names here, too.
    fn repeat(&mut self, anchor: usize, span: Span) -> Result<(), Fault> {
        let anchored = self.anchors.get(&anchor).ok_or(Fault::AliasOfItself)?;
        if self.open.len() + anchored.depth > DEPTH_MAX {
            return Err(Fault::TooDeep);
        }
        let (value, size) = (anchored.value.clone(), anchored.size);
        self.expand(size)?;
        self.add(Node { value, place: place(span, Parts::None), anchor: 0 }, span)
    }

    /// Counts a copy.
    fn expand(&mut self, size: Size) -> Result<(), Fault> {
        self.expanded = self.expanded.plus(size);
        if self.expanded.exceeds(EXPANSION_MAX) { Err(Fault::Expansion) } else { Ok(()) }
    }
}

impl OpenObject {
    /// The name that a key gives to its member.
    fn name(&self, key: Value, text: &str, span: Span) -> Result<String, Fault> {
        match key {
            Value::String(name) => rules::new_name(&self.members, &name).map(|()| name),
            Value::Bytes(_) | Value::Array(_) | Value::Object(_) => Err(Fault::KeyKind(key.kind())),
            scalar => {
                let written = span.slice(text).filter(|written| !written.is_empty());
                Err(Fault::KeyNotString(written.map_or_else(|| scalar.to_json(), rules::shown)))
            }
        }
    }

    /// The members with what is merged into them: the object's own go first, then earlier sources.
    fn finish(self) -> (Object, BTreeMap<String, Place>) {
        let Self { mut members, mut places, merged, .. } = self;
        let (sources, span) = merged.unwrap_or((Vec::new(), self.span));
        for (name, value) in sources.into_iter().flatten() {
            if let Entry::Vacant(vacant) = members.entry(name) {
                places.insert(vacant.key().clone(), place(span, Parts::None));
                vacant.insert(value);
            }
        }
        (members, places)
    }
}

fn place(span: Span, parts: Parts) -> Place {
    let (line, column) = position(span);
    Place { line, column, parts }
}

/// The objects that a merge key names: one, or an array of them.
fn merge_sources(value: Value) -> Result<Vec<Object>, Fault> {
    let sources = match value {
        Value::Array(items) => items,
        other => vec![other],
    };
    let object = |source| match source {
        Value::Object(members) => Ok(members),
        other => Err(Fault::MergeKind(other.kind())),
    };
    sources.into_iter().map(object).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text, the message that it gets, and line and column.
    type Refused<'a> = (&'a str, &'static str, Option<(usize, usize)>);

    fn read(text: &str) -> Value {
        Value::from_yaml(text).unwrap_or_else(|error| panic!("{text:?}: {error:?}"))
    }

    #[test]
    fn yaml_means_what_its_json_says() {
        let rows = [
            ("a: 1\nb: [x, 'y', \"z\"]\n", r#"{"a":1,"b":["x","y","z"]}"#),
            ("{\"a\":\t[1,\n\t2]}", r#"{"a":[1,2]}"#),
            ("\u{feff}a: 1", r#"{"a":1}"#),
            ("%YAML 1.2\n---\na: 1\n...\n", r#"{"a":1}"#),
            ("a:\nb: ~\n", r#"{"a":null,"b":null}"#),
            ("on: yes\nno: 'no'\n", r#"{"on":"yes","no":"no"}"#),
            ("a: |\n  x\n  y\nb: >\n  x\n  y\n", r#"{"a":"x\ny\n","b":"x y\n"}"#),
            ("a: \"\\ud83d\\ude00\\t\"", r#"{"a":"😀\t"}"#),
            ("'1': a\n\"true\": b\n", r#"{"1":"a","true":"b"}"#),
            ("a: !!str 1\nb: ! 1\nc: !!int '1'\n", r#"{"a":"1","b":"1","c":1}"#),
            ("a: !!float 1\nb: !!null ''\nc: !!bool 'true'\n", r#"{"a":1.0,"b":null,"c":true}"#),
            ("a: !!float 99999999999999999999", r#"{"a":1e20}"#),
            ("a: !!map {b: !!seq [1]}", r#"{"a":{"b":[1]}}"#),
            ("a: !!binary |\n  aGVs\n  bG8=\n", r#"{"a":{"$binary":"aGVsbG8="}}"#),
            ("a: {$binary: aGVsbG8}", r#"{"a":{"$binary":"aGVsbG8="}}"#),
            ("a: &x [1]\nb: *x\nc: [*x, &y z, *y]", r#"{"a":[1],"b":[1],"c":[[1],"z","z"]}"#),
            ("&k a: 1\nb: *k", r#"{"a":1,"b":"a"}"#),
            ("a: &x {p: 1, q: 1}\nb: {q: 2, <<: *x}", r#"{"a":{"p":1,"q":1},"b":{"p":1,"q":2}}"#),
            ("<<: [{p: 1}, {p: 2, q: 2}, {r: 3}]\nr: 0\n", r#"{"p":1,"q":2,"r":0}"#),
            ("'<<': {p: 1}", r#"{"<<":{"p":1}}"#),
            ("[<<, 1]", r#"["<<",1]"#),
        ];
        for (yaml, json) in rows {
            assert_eq!(read(yaml), Value::from_json(json.as_bytes()).expect(json), "{yaml:?}");
        }
    }

    #[test]
    fn what_is_refused_and_where() {
        let rows: [Refused<'_>; 35] = [
            ("", "the text is empty, expected a YAML document", None),
            ("# only a comment\n", "the text is empty, expected a YAML document", None),
            ("a: 1\na: 2\n", "the key \"a\" appears twice in one object", Some((2, 1))),
            ("a: 1\n\"\\x61\": 2\n", "the key \"a\" appears twice in one object", Some((2, 1))),
            ("a: {x: 1, x: 2}", "the key \"x\" appears twice in one object", Some((1, 11))),
            ("<<: {x: 1}\n<<: {x: 1}", "the key \"<<\" appears twice in one object", Some((2, 1))),
            ("<<: 1", "a merge key takes an object or an array of objects, found integer", Some((1, 5))),
            ("<<: [{}, x]", "a merge key takes an object or an array of objects, found string", Some((1, 5))),
            ("1: x", "the key 1 is not a string, write it in quotes", Some((1, 1))),
            ("a: {true: x}", "the key true is not a string, write it in quotes", Some((1, 5))),
            ("~: x", "the key ~ is not a string, write it in quotes", Some((1, 1))),
            (": x", "the key null is not a string, write it in quotes", Some((1, 1))),
            ("1.50: x", "the key 1.50 is not a string, write it in quotes", Some((1, 1))),
            ("? [a]\n: b", "a key must be a string, found array", Some((1, 3))),
            ("? {a: b}\n: b", "a key must be a string, found object", Some((1, 3))),
            ("a: &x [1]\n*x : b", "a key must be a string, found array", Some((2, 1))),
            ("ä: .nan", "the number .nan is not finite", Some((1, 4))),
            ("a: 1e999", "the number 1e999 is not finite", Some((1, 4))),
            (
                "a: 18446744073709551616",
                "the integer 18446744073709551616 does not fit 64 bits",
                Some((1, 4)),
            ),
            ("a: !!int x", "\"x\" does not fit the tag !!int", Some((1, 10))),
            ("a: !!bool 1", "\"1\" does not fit the tag !!bool", Some((1, 11))),
            ("a: !!null x", "\"x\" does not fit the tag !!null", Some((1, 11))),
            ("a: !!float x", "\"x\" does not fit the tag !!float", Some((1, 12))),
            ("a: !secret b", "the tag !secret is not known here", Some((1, 12))),
            ("a: !!set {b}", "the tag !!set is not known here", Some((1, 10))),
            ("a: !!seq {b: 1}", "the tag !!seq is not known here", Some((1, 10))),
            (
                "a: !!binary '?'",
                "the text of $binary is not base64: Invalid symbol 63, offset 0.",
                Some((1, 13)),
            ),
            ("--- 1\n--- 2\n", "expected one YAML document, found another one", Some((2, 1))),
            ("b: *x", "the alias names no anchor before it", Some((1, 4))),
            ("a: &a [*a]", "an alias stands inside of the value that it names", Some((1, 8))),
            ("a: 1\nb: [1, 2\n", "unclosed bracket '['", Some((2, 4))),
            ("a: 'x", "unclosed quote", Some((1, 4))),
            ("a: b: c", "mapping values are not allowed in this context", Some((1, 5))),
            ("a:\n\t- b", "tabs disallowed within this context (block indentation)", Some((2, 2))),
            ("a: @x", "unexpected character: `@'", Some((1, 4))),
        ];
        for (text, message, place) in rows {
            let error = Value::from_yaml(text).expect_err(text);
            assert_eq!(error.message, message, "{text:?}");
            assert_eq!(error.line.zip(error.column), place, "{text:?}");
        }
    }

    #[test]
    fn nesting_ends_at_its_limit() {
        let flow = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        let block = |depth: usize| "- ".repeat(depth) + "x";
        let maps = |depth: usize| "{a: ".repeat(depth) + "1" + &"}".repeat(depth);
        let anchored = |depth: usize| format!("- &a {}\n- {}", flow(50), block(depth).replace('x', "*a"));
        for text in [flow(DEPTH_MAX), block(DEPTH_MAX), maps(DEPTH_MAX), anchored(49)] {
            assert_eq!(read(&text).depth(), DEPTH_MAX, "{text:.60}");
        }
        let rows = [
            flow(DEPTH_MAX + 1),
            block(DEPTH_MAX + 1),
            maps(DEPTH_MAX + 1),
            anchored(50),
            "[".repeat(20_000),
            "{a: ".repeat(20_000),
            "- ".repeat(3_000),
        ];
        for text in rows {
            let error = Value::from_yaml(&text).expect_err("it is too deep");
            assert_eq!(error.message, Fault::TooDeep.to_string(), "{text:.60}");
        }
    }

    #[test]
    fn alias_bombs_stop_early() {
        let bomb = |first: &str, copies: usize, levels: usize| {
            let mut text = format!("a0: &a0 {first}\n");
            for level in 1..levels {
                let aliases = vec![format!("*a{}", level - 1); copies].join(", ");
                text += &format!("a{level}: &a{level} [{aliases}]\n");
            }
            text
        };
        let long = "x".repeat(500_000);
        let rows = [
            bomb("[x]", 10, 12),
            bomb("[]", 1_000, 4),
            bomb(&long, 2, 10),
            bomb(&format!("\"\\t{long}\""), 2, 10),
            format!("a: &a {{{}: 1}}\nb: [{}*a]", "k".repeat(1_000), "*a, ".repeat(20_000)),
            format!("a: &a {{k: {long}}}\nb: [{}]", "{<<: *a}, ".repeat(1_000)),
        ];
        for text in rows {
            let error = Value::from_yaml(&text).expect_err("it is a bomb");
            assert_eq!(error.message, Fault::Expansion.to_string(), "{text:.60}");
        }
        let fair = format!("a: &a {{k: [1, 2, 3]}}\nb: [{}*a]", "*a, ".repeat(5_000));
        assert_eq!(read(&fair).get("b").and_then(Value::as_array).map(<[Value]>::len), Some(5_001));
    }
}
