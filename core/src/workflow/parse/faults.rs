//! Collecting the faults of a document, and saying what a misspelt name may have meant.
//!
//! Both are bounded: a hostile document of a megabyte can hold hundreds of thousands of faults, and each
//! suggestion compares a name with every candidate.

use crate::value::{Pointer, Value};

use super::super::fault::Fault;
use super::super::nearest::nearest;

/// A document's report lists at most this many faults, and says how many more there are.
pub const FAULTS_MAX: usize = 1000;
/// A document's report compares names at most this often to find suggestions; later faults have none.
const COMPARISONS_MAX: usize = 100_000;
/// What a message quotes of a document is cut to this many characters.
const QUOTE_CHARS_MAX: usize = 64;

/// The faults found so far.
#[derive(Debug)]
pub(super) struct Faults {
    list: Vec<Fault>,
    comparisons_left: usize,
}

impl Faults {
    pub(super) fn new() -> Self {
        Self { list: Vec::new(), comparisons_left: COMPARISONS_MAX }
    }

    pub(super) fn add(&mut self, pointer: Pointer, message: impl Into<String>) {
        self.list.push(Fault { pointer, message: message.into() });
    }

    /// The list itself, for compilers that push their own.
    pub(super) fn list(&mut self) -> &mut Vec<Fault> {
        &mut self.list
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// ", did you mean `needs`?", or nothing where no candidate is near.
    pub(super) fn suggestion<'n>(
        &mut self,
        name: &str,
        candidates: impl ExactSizeIterator<Item = &'n str>,
    ) -> String {
        let Some(left) = self.comparisons_left.checked_sub(candidates.len()) else { return String::new() };
        self.comparisons_left = left;
        let near = (name.len() <= 2 * QUOTE_CHARS_MAX).then(|| nearest(name, candidates)).flatten();
        near.map_or_else(String::new, |near| format!(", did you mean `{near}`?"))
    }

    /// By pointer, each once, at most [`FAULTS_MAX`]; a first one at the root tells how many were left out.
    pub(super) fn into_sorted(self) -> Vec<Fault> {
        let mut list = self.list;
        list.sort_by(|a, b| (&a.pointer, &a.message).cmp(&(&b.pointer, &b.message)));
        list.dedup();
        let more = list.len().saturating_sub(FAULTS_MAX);
        if more > 0 {
            list.truncate(FAULTS_MAX);
            let message = format!("{more} more faults are not listed: these are the first {FAULTS_MAX}");
            list.insert(0, Fault { pointer: Pointer::root(), message });
        }
        list
    }
}

/// What stands in the document, as messages say it: `integer 30`, `string "abc"`, `object`.
pub(super) fn found(value: &Value) -> String {
    match value {
        Value::Null | Value::Bytes(_) | Value::Array(_) | Value::Object(_) => value.kind().to_owned(),
        Value::Bool(truth) => format!("boolean {truth}"),
        Value::Int(number) => format!("integer {number}"),
        Value::UInt(number) => format!("integer {number}"),
        Value::Float(number) => format!("number {number}"),
        Value::String(text) => format!("string {:?}", quote(text)),
    }
}

/// The text, cut to what a message has room for.
pub(super) fn quote(text: &str) -> String {
    match text.char_indices().nth(QUOTE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_sorted_and_each_once() {
        let mut faults = Faults::new();
        for (pointer, message) in [("/b", "x"), ("/a", "y"), ("/b", "x"), ("/a", "x")] {
            faults.add(Pointer::from(pointer), message);
        }
        let list: Vec<String> =
            faults.into_sorted().iter().map(|fault| format!("{} {}", fault.pointer, fault.message)).collect();
        assert_eq!(list, ["/a x", "/a y", "/b x"]);
    }

    #[test]
    fn a_flood_of_faults_is_cut_and_says_so() {
        let mut faults = Faults::new();
        for index in 0..FAULTS_MAX + 5 {
            faults.add(Pointer::root().push(index), "bad");
        }
        let list = faults.into_sorted();
        assert_eq!(list.len(), FAULTS_MAX + 1);
        assert_eq!(list[0].pointer, Pointer::root());
        assert!(list[0].message.starts_with("5 more faults"), "{}", list[0].message);
    }

    #[test]
    fn suggestions_end_with_their_budget() {
        let mut faults = Faults::new();
        faults.comparisons_left = 3;
        assert_eq!(
            faults.suggestion("tiemout", ["timeout", "needs"].into_iter()),
            ", did you mean `timeout`?"
        );
        assert_eq!(faults.suggestion("tiemout", ["timeout", "needs"].into_iter()), "");
    }

    #[test]
    fn values_are_named_with_what_they_hold() {
        for (value, text) in [
            (Value::Int(30), "integer 30"),
            (Value::UInt(u64::MAX), "integer 18446744073709551615"),
            (Value::Float(0.5), "number 0.5"),
            (Value::from("a\"b"), "string \"a\\\"b\""),
            (Value::Null, "null"),
            (Value::Array(Vec::new()), "array"),
        ] {
            assert_eq!(found(&value), text);
        }
        assert_eq!(quote(&"é".repeat(65)), format!("{}…", "é".repeat(64)));
    }
}
