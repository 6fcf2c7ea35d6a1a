//! A schema in the middle of being asked about a value: what an evaluation has on its stack.

use std::slice;
use std::vec;

use crate::value::Value;

use super::complaint::Step;
use super::evaluated::Evaluated;
use super::rule::{NodeIx, Rule};

/// One schema that is being asked about one value.
pub(super) struct Frame<'s, 'v> {
    pub(super) voice: Voice,
    pub(super) verdict: Verdict,
    /// Only for arrays and objects, and only if anybody asks.
    pub(super) evaluated: Option<Box<Evaluated<'v>>>,
    pub(super) rules: &'s [Rule],
    pub(super) next_rule: usize,
    pub(super) instance: &'v Value,
    /// How this value was reached from that of the frame below; none if it is the same.
    pub(super) step: Option<Step<'v>>,
    pub(super) plan: Plan<'s, 'v>,
    pub(super) fold: Fold<'s>,
}

/// A subschema that is to be asked.
pub(super) struct Child<'v> {
    pub(super) node: NodeIx,
    pub(super) instance: &'v Value,
    pub(super) step: Option<Step<'v>>,
}

/// Who is still to be asked for a rule.
pub(super) enum Plan<'s, 'v> {
    /// These nodes, about the frame's own value.
    Here(slice::Iter<'s, NodeIx>),
    /// These, mostly about its parts.
    Parts(vec::IntoIter<Child<'v>>),
}

/// What the verdicts on the planned children mean for the frame.
pub(super) enum Fold<'s> {
    /// All must fit.
    All,
    /// One or exactly one must fit; the complaints of each end at `ends`, those of the first begin at `start`.
    Choice { which: Choice, start: usize, ends: Vec<usize>, fitting: usize },
    /// It must not fit.
    Not,
    /// It decides which of these is asked next.
    If(&'s [NodeIx], &'s [NodeIx]),
    /// At least `min` and at most `max` must fit.
    Count { min: u64, max: Option<u64>, fitting: u64 },
}

/// How many of the alternatives must fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    AnyOf,
    OneOf,
}

/// Whether complaints are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Voice {
    Loud,
    Silent,
}

/// Whether a value fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Fits,
    Fails,
}

impl Plan<'_, '_> {
    /// Nobody.
    pub(super) fn none() -> Self {
        Plan::Here([].iter())
    }
}

impl<'s, 'v> Frame<'s, 'v> {
    /// A child before its first rule.
    pub(super) fn new(
        rules: &'s [Rule],
        child: Child<'v>,
        voice: Voice,
        evaluated: Option<Box<Evaluated<'v>>>,
    ) -> Self {
        Self {
            voice,
            verdict: Verdict::Fits,
            evaluated,
            rules,
            next_rule: 0,
            instance: child.instance,
            step: child.step,
            plan: Plan::none(),
            fold: Fold::All,
        }
    }

    /// Takes the next child from the plan.
    pub(super) fn next_child(&mut self) -> Option<Child<'v>> {
        match &mut self.plan {
            Plan::Here(nodes) => {
                nodes.next().map(|node| Child { node: *node, instance: self.instance, step: None })
            }
            Plan::Parts(children) => children.next(),
        }
    }
}
