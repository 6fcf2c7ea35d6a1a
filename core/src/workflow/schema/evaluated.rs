//! What of an array or object some subschema has already looked at, for `unevaluatedItems` and
//! `unevaluatedProperties`.

use std::collections::BTreeSet;

/// The elements and members of one value that have been evaluated successfully.
#[derive(Debug, Default)]
pub(super) struct Evaluated<'v> {
    /// All elements below this index.
    items_below: usize,
    /// Further elements, found by `contains`.
    items: BTreeSet<usize>,
    /// Members by name.
    members: BTreeSet<&'v str>,
}

impl<'v> Evaluated<'v> {
    /// The elements below an index have been looked at.
    pub(super) fn add_items_below(&mut self, index: usize) {
        self.items_below = self.items_below.max(index);
    }

    /// One element has been looked at.
    pub(super) fn add_item(&mut self, index: usize) {
        self.items.insert(index);
    }

    /// One member has been looked at.
    pub(super) fn add_member(&mut self, name: &'v str) {
        self.members.insert(name);
    }

    /// Whether an element has been looked at.
    pub(super) fn has_item(&self, index: usize) -> bool {
        index < self.items_below || self.items.contains(&index)
    }

    /// Whether a member has been looked at.
    pub(super) fn has_member(&self, name: &str) -> bool {
        self.members.contains(name)
    }

    /// Adds what another subschema has looked at in the same value, and says how many entries that was.
    pub(super) fn merge(&mut self, other: Evaluated<'v>) -> u64 {
        let entries = other.items.len() + other.members.len();
        self.add_items_below(other.items_below);
        self.items.extend(other.items);
        self.members.extend(other.members);
        entries as u64
    }
}
