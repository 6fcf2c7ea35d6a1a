//! Where each part of a value stands in the text that it was read from, so that a fault can name its place.

use std::collections::BTreeMap;
use std::ops::Range;

use ::toml::Spanned;
use ::toml::de::{DeTable, DeValue};

use super::{Pointer, Value, json, yaml};

/// How many characters lie between two known places of a line: what bounds the search for a column.
const CHARS_PER_MARK: usize = 256;

/// The places of a text's values, by pointer; none if the text does not parse.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Locations(Option<Place>);

/// One value's place and, like the value itself, its parts. A tree instead of a map by pointer, because
/// pointers repeat the names above them and could outgrow the text by far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) parts: Parts,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Parts {
    None,
    Items(Vec<Place>),
    Members(BTreeMap<String, Place>),
}

impl Locations {
    /// The places in YAML text. What an alias or a merge key brings in stands where it is used.
    pub fn of_yaml(text: &str) -> Self {
        Self(yaml::compose(text).ok().map(|(_, root)| root))
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
            // `true` is as long.
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

#[cfg(test)]
mod tests {
    use super::*;

    type Row = (&'static str, (usize, usize));

    fn check(locations: &Locations, rows: &[Row]) {
        for (pointer, place) in rows {
            assert_eq!(locations.get(&Pointer::from(*pointer)), Some(*place), "{pointer:?}");
        }
    }

    #[test]
    fn every_pointer_has_its_place_in_json() {
        let text = "{\n\t\"ä\\ud83d\\ude00\": [1, -2.5e3,\t\"x\\\"]\", {}, []],\r\n  \"a/b~\" :{ \"\": null , \"t\":true}}\n";
        check(
            &Locations::of_json(text),
            &[
                ("", (1, 1)),
                ("/ä😀", (2, 19)),
                ("/ä😀/0", (2, 20)),
                ("/ä😀/1", (2, 23)),
                ("/ä😀/2", (2, 31)),
                ("/ä😀/3", (2, 39)),
                ("/ä😀/4", (2, 43)),
                ("/a~1b~0", (3, 11)),
                ("/a~1b~0/", (3, 17)),
                ("/a~1b~0/t", (3, 28)),
                // What is missing is placed at the nearest value around it.
                ("/x", (1, 1)),
                ("/x/y/z", (1, 1)),
                ("/ä😀/9", (2, 19)),
                ("/ä😀/x/y", (2, 19)),
                ("/a~1b~0/t/deep", (3, 28)),
            ],
        );
        assert_eq!(Locations::of_json(" 1").get(&Pointer::root()), Some((1, 2)));
    }

    #[test]
    fn every_pointer_has_its_place_in_yaml() {
        let text = "\
# head
name: ä
tasks:
  a: &x { worker: \"ö\", n: 1 }
  b:
    needs: [a,
      'c']
    with: *x
  c:
    <<: *x
    n: 2
  d:
list:
  - 1
  -   - 2
";
        check(
            &Locations::of_yaml(text),
            &[
                ("", (2, 1)),
                ("/name", (2, 7)),
                ("/tasks", (4, 3)),
                ("/tasks/a", (4, 9)),
                ("/tasks/a/worker", (4, 19)),
                ("/tasks/a/n", (4, 27)),
                ("/tasks/b", (6, 5)),
                ("/tasks/b/needs/0", (6, 13)),
                ("/tasks/b/needs/1", (7, 7)),
                ("/tasks/b/with", (8, 11)),
                ("/tasks/b/with/n", (8, 11)),
                ("/tasks/c/worker", (10, 9)),
                ("/tasks/c/n", (11, 8)),
                ("/list/0", (14, 5)),
                ("/list/1/0", (15, 9)),
                ("/tasks/zz", (4, 3)),
                ("/zz", (2, 1)),
            ],
        );
    }

    #[test]
    fn every_pointer_has_its_place_in_toml() {
        let text = "a.b = 1\n'ä' = [ 'ö', { c = 2 } ]\n[x.y]\nz = 3\n[[t]]\nq = 1\n[[t]]\nq = 2\n";
        check(
            &Locations::of_toml(text),
            &[
                ("", (1, 1)),
                ("/a/b", (1, 7)),
                ("/ä", (2, 7)),
                ("/ä/0", (2, 9)),
                ("/ä/1/c", (2, 20)),
                ("/x/y", (3, 1)),
                ("/x/y/z", (4, 5)),
                ("/t/0", (5, 1)),
                ("/t/0/q", (6, 5)),
                ("/t/1", (7, 1)),
                ("/t/1/q", (8, 5)),
                ("/t/1/zz", (7, 1)),
            ],
        );
    }

    #[test]
    fn text_that_does_not_parse_has_no_places() {
        let rows = [
            Locations::of_json("{\"a\":"),
            Locations::of_json("{\"a\":1,\"a\":2}"),
            Locations::of_yaml("a: ["),
            Locations::of_yaml(""),
            Locations::of_toml("a = "),
        ];
        for locations in rows {
            assert_eq!(locations, Locations::default());
            assert_eq!(locations.get(&Pointer::root()), None);
        }
    }

    #[test]
    fn columns_are_right_far_into_a_long_line() {
        let count = 2_000;
        let text = format!("[{}0]", "\"ä\", ".repeat(count));
        let locations = Locations::of_json(&text);
        for index in [0, 1, 50, 51, 52, 102, 1_000, count] {
            let pointer = Pointer::root().push(index);
            assert_eq!(locations.get(&pointer), Some((1, 2 + 5 * index)), "{index}");
        }
    }
}
