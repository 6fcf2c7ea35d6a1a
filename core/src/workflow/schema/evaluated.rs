//! What of an array or object some subschema has already looked at, for `unevaluatedItems` and
//! `unevaluatedProperties`.

use std::collections::BTreeSet;
use std::mem;

/// The elements and members of one value that have been evaluated successfully.
#[derive(Debug, Default)]
pub(super) struct Evaluated<'v> {
    /// All elements below this index.
    items_below: usize,
    /// Further elements, found by `contains`.
    items: BTreeSet<usize>,
    /// Some members, or all there are.
    members: Names<'v>,
}

#[derive(Debug)]
enum Names<'v> {
    Some(BTreeSet<&'v str>),
    All,
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
        if let Names::Some(names) = &mut self.members {
            names.insert(name);
        }
    }

    /// All members have been looked at.
    pub(super) fn add_all_members(&mut self) {
        self.members = Names::All;
    }

    /// Whether an element has been looked at.
    pub(super) fn has_item(&self, index: usize) -> bool {
        index < self.items_below || self.items.contains(&index)
    }

    /// Whether a member has been looked at.
    pub(super) fn has_member(&self, name: &str) -> bool {
        match &self.members {
            Names::Some(names) => names.contains(name),
            Names::All => true,
        }
    }

    /// Adds what another subschema has looked at in the same value, and says how many entries had to be moved.
    pub(super) fn merge(&mut self, other: Evaluated<'v>) -> u64 {
        self.add_items_below(other.items_below);
        let mut moved = unite(&mut self.items, other.items);
        match (&mut self.members, other.members) {
            (Names::All, _) => {}
            (members, Names::All) => *members = Names::All,
            (Names::Some(names), Names::Some(more)) => moved += unite(names, more),
        }
        moved
    }
}

/// Moves the smaller set into the larger one.
fn unite<T: Ord>(all: &mut BTreeSet<T>, mut more: BTreeSet<T>) -> u64 {
    if more.len() > all.len() {
        mem::swap(all, &mut more);
    }
    let moved = more.len();
    all.extend(more);
    moved as u64
}

impl Default for Names<'_> {
    fn default() -> Self {
        Names::Some(BTreeSet::new())
    }
}
