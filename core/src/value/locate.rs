//! Where each part of a value stands in the text that it was read from, so that a fault can name its place.

use std::collections::BTreeMap;
use std::ops::Range;

use ::toml::Spanned;
use ::toml::de::{DeTable, DeValue};
use serde_saphyr::Tagged;

use super::yaml::{self, Node, Placed};
use super::{Pointer, Value, json};

/// A step between two known places of a line, in characters: what bounds the search for a column.
const CHARS_PER_MARK: usize = 256;

/// The places of a text's values, by pointer; none if the text does not parse.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Locations(Option<Place>);

/// One value's place and, like the value itself, its parts. A tree instead of a map by pointer, because
/// pointers repeat the names above them and could outgrow the text by far.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    line: usize,
    column: usize,
    parts: Parts,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Parts {
    None,
    Items(Vec<Place>),
    Members(BTreeMap<String, Place>),
}

impl Locations {
    /// The places in YAML text. What an alias or a merge key brings in stands where it is used.
    pub fn of_yaml(text: &str) -> Self {
        Self(yaml::parse(text).ok().map(|root| of_node(&root)))
    }

    /// The places in JSON text.
    pub fn of_json(text: &str) -> Self {
        // The scanner relies on what the reader has checked: the syntax and the depth.
        if Value::from_json(text.as_bytes()).is_err() {
            return Self(None);
        }
        Self(Some(Scanner { text, at: 0, lines: Lines::of(text) }.value()))
    }

    /// The places in TOML text. A table that only dotted keys or longer headers imply stands where the first
    /// of them does.
    pub fn of_toml(text: &str) -> Self {
        let lines = Lines::of(text);
        Self(DeTable::parse(text).ok().map(|root| of_table(root.get_ref(), root.span(), &lines)))
    }

    /// Line and column, both from one, of the value that the pointer names. A pointer that names something
    /// missing answers the place of the nearest value around it that exists.
    pub fn get(&self, pointer: &Pointer) -> Option<(usize, usize)> {
        let mut place = self.0.as_ref()?;
        for step in pointer.as_str().split('/').skip(1) {
            let name = step.replace("~1", "/").replace("~0", "~");
            let part = match &place.parts {
                Parts::None => None,
                Parts::Items(items) => name.parse::<usize>().ok().and_then(|index| items.get(index)),
                Parts::Members(members) => members.get(&name),
            };
            match part {
                Some(part) => place = part,
                None => break,
            }
        }
        Some((place.line, place.column))
    }
}

fn of_node(node: &Placed<'_>) -> Place {
    let (line, column) = yaml::line_and_column(node.referenced).unwrap_or((1, 1));
    let Tagged(inner, _) = &node.value;
    let parts = match inner {
        Node::Plain(_) | Node::Text(_) => Parts::None,
        Node::Sequence(items) => Parts::Items(items.iter().map(of_node).collect()),
        Node::Mapping(entries) => Parts::Members(
            entries.iter().filter_map(|(key, value)| Some((key_text(key)?, of_node(value)))).collect(),
        ),
    };
    Place { line, column, parts }
}

fn key_text(key: &Placed<'_>) -> Option<String> {
    match &key.value.0 {
        Node::Text(name) => Some(name.to_string()),
        _ => None,
    }
}

fn of_table(table: &DeTable<'_>, span: Range<usize>, lines: &Lines<'_>) -> Place {
    let members = table.iter().map(|(name, value)| (name.get_ref().to_string(), of_toml_value(value, lines)));
    lines.place(span.start, Parts::Members(members.collect()))
}

fn of_toml_value(value: &Spanned<DeValue<'_>>, lines: &Lines<'_>) -> Place {
    match value.get_ref() {
        DeValue::Table(table) => of_table(table, value.span(), lines),
        DeValue::Array(items) => {
            let items = items.iter().map(|item| of_toml_value(item, lines)).collect();
            lines.place(value.span().start, Parts::Items(items))
        }
        _ => lines.place(value.span().start, Parts::None),
    }
}

/// Walks over JSON text that is known to be right.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
    lines: Lines<'a>,
}

impl Scanner<'_> {
    fn value(&mut self) -> Place {
        self.skip_space();
        let start = self.at;
        let bytes = self.text.as_bytes();
        let parts = match bytes[start] {
            b'{' => self.members(),
            b'[' => self.items(),
            b'"' => self.pass(json::after_string(bytes, start)),
            b'-' | b'0'..=b'9' => self.pass(json::after_number(bytes, start)),
            b'f' => self.pass(start + "false".len()),
            _ => self.pass(start + "null".len()),
        };
        self.lines.place(start, parts)
    }

    fn items(&mut self) -> Parts {
        let mut items = Vec::new();
        self.at += 1;
        while self.more(b']') {
            items.push(self.value());
        }
        Parts::Items(items)
    }

    fn members(&mut self) -> Parts {
        let mut members = BTreeMap::new();
        self.at += 1;
        while self.more(b'}') {
            let start = self.at;
            self.at = json::after_string(self.text.as_bytes(), start);
            let name = serde_json::from_str(&self.text[start..self.at]).expect("the reader has accepted it");
            self.skip_space();
            self.at += 1;
            members.insert(name, self.value());
        }
        Parts::Members(members)
    }

    /// Goes to the next part of a container, or past the end of it.
    fn more(&mut self, end: u8) -> bool {
        self.skip_space();
        let bytes = self.text.as_bytes();
        if bytes[self.at] == b',' {
            self.at += 1;
            self.skip_space();
        }
        let more = bytes[self.at] != end;
        self.at += usize::from(!more);
        more
    }

    fn pass(&mut self, end: usize) -> Parts {
        self.at = end;
        Parts::None
    }

    fn skip_space(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
    }
}

/// From byte offsets to lines and columns, fast also where everything is on one line.
struct Lines<'a> {
    text: &'a str,
    /// The start of each line, and every so many characters in it: offset, line, column.
    marks: Vec<(usize, usize, usize)>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let mut marks = vec![(0, 1, 1)];
        let (mut line, mut column) = (1, 1);
        for (offset, char) in text.char_indices() {
            if column > 1 && column % CHARS_PER_MARK == 1 {
                marks.push((offset, line, column));
            }
            column += 1;
            if char == '\n' {
                (line, column) = (line + 1, 1);
                marks.push((offset + 1, line, column));
            }
        }
        Self { text, marks }
    }

    fn place(&self, offset: usize, parts: Parts) -> Place {
        let mark = self.marks.partition_point(|(start, ..)| *start <= offset) - 1;
        let (start, line, column) = self.marks[mark];
        let column = column + self.text[start..offset].chars().count();
        Place { line, column, parts }
    }
}
