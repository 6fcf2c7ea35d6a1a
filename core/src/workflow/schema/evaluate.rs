//! Asking a compiled schema about a value.
//!
//! The stack of schemas that are being asked is a list on the heap, so neither a deep value nor a long
//! chain of references can overflow the real one. Steps are counted, and a schema that would take
//! exponential time is cut off.
//!
//! A frame asks its node's rules one after another. A rule that leads to subschemas leaves a plan of
//! children in the frame, each of which becomes a frame of its own, and a fold that takes their verdicts in.
//! Where verdicts are all that matters (`not`, `if`, `contains`), frames are silent: they keep no complaints
//! and stop at the first thing that does not hold.

use std::mem;
use std::vec;

use crate::value::{Pointer, Value};
use crate::workflow::fault::Fault;

use super::alternatives::{self, Place};
use super::assertion;
use super::complaint::{Complaint, Reason, Step};
use super::evaluated::Evaluated;
use super::rule::{NodeIx, Program, Rule, Tracking};
use super::{FAULT_BYTES_MAX, FAULTS_MAX, STEPS_MAX};

/// How many complaints are kept while alternatives are still open; further ones only count.
const PENDING_MAX: usize = 10 * FAULTS_MAX;

/// Everything a schema has against a value.
pub(super) fn faults(program: &Program, instance: &Value, at: &Pointer) -> Vec<Fault> {
    let mut evaluation = Evaluation::new(program, Voice::Loud, 0);
    if evaluation.run(NodeIx(0), instance).is_err() {
        let message = format!("checking this value against its schema takes more than {STEPS_MAX} steps");
        return vec![Fault { pointer: at.clone(), message }];
    }
    let mut bytes = 0;
    let mut faults = Vec::new();
    for complaint in evaluation.complaints {
        if faults.len() >= FAULTS_MAX || bytes > FAULT_BYTES_MAX {
            break;
        }
        let more = complaint.faults(at);
        bytes += more.iter().map(|fault| fault.pointer.as_str().len() + fault.message.len()).sum::<usize>();
        faults.extend(more);
    }
    faults.truncate(FAULTS_MAX);
    faults
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

/// The steps are used up.
pub(super) struct Exhausted;

/// One run of a program (`'s`) over a value (`'v`).
pub(super) struct Evaluation<'s, 'v> {
    pub(super) program: &'s Program,
    pub(super) steps: u64,
    pub(super) complaints: Vec<Complaint<'s, 'v>>,
    voice: Voice,
    frames: Vec<Frame<'s, 'v>>,
}

/// One schema that is being asked about one value.
pub(super) struct Frame<'s, 'v> {
    pub(super) voice: Voice,
    pub(super) verdict: Verdict,
    /// Only for arrays and objects, and only if anybody asks.
    pub(super) evaluated: Option<Box<Evaluated<'v>>>,
    rules: &'s [Rule],
    next_rule: usize,
    instance: &'v Value,
    /// How this value was reached from that of the frame below; none if it is the same.
    step: Option<Step<'v>>,
    plan: vec::IntoIter<Child<'v>>,
    fold: Fold,
}

/// A subschema that is to be asked.
pub(super) struct Child<'v> {
    pub(super) node: NodeIx,
    pub(super) instance: &'v Value,
    pub(super) step: Option<Step<'v>>,
}

/// What the verdicts on the planned children mean for the frame.
pub(super) enum Fold {
    /// All must fit.
    All,
    /// One or exactly one must fit; the complaints of each end at `ends`, those of the first begin at `start`.
    Choice { which: Choice, start: usize, ends: Vec<usize>, fitting: usize },
    /// It must not fit.
    Not,
    /// It decides which of these is asked next.
    If(Option<NodeIx>, Option<NodeIx>),
    /// At least `min` and at most `max` must fit.
    Count { min: u64, max: Option<u64>, fitting: u64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    AnyOf,
    OneOf,
}

impl<'s, 'v> Evaluation<'s, 'v> {
    /// Nothing asked yet, so many steps already spent.
    pub(super) fn new(program: &'s Program, voice: Voice, steps: u64) -> Self {
        Self { program, steps, complaints: Vec::new(), voice, frames: Vec::new() }
    }

    /// Whether the value fits the node.
    pub(super) fn run(&mut self, node: NodeIx, instance: &'v Value) -> Result<Verdict, Exhausted> {
        self.enter(Child { node, instance, step: None }, self.voice);
        loop {
            self.spend(1)?;
            let frame = self.frame();
            let hopeless = frame.voice == Voice::Silent && frame.verdict == Verdict::Fails;
            if !hopeless && let Some(child) = frame.plan.next() {
                let voice = match frame.fold {
                    Fold::All | Fold::Choice { .. } => frame.voice,
                    Fold::Not | Fold::If(..) | Fold::Count { .. } => Voice::Silent,
                };
                self.enter(child, voice);
            } else if !hopeless && !matches!(frame.fold, Fold::All) {
                self.conclude();
            } else if !hopeless && let Some(rule) = frame.rules.get(frame.next_rule) {
                frame.next_rule += 1;
                let instance = frame.instance;
                self.ask(rule, instance)?;
            } else {
                let left = self.frames.pop().expect("the frame that was just looked at");
                if self.frames.is_empty() {
                    return Ok(left.verdict);
                }
                self.absorb(left)?;
            }
        }
    }

    /// The frame whose rules are being asked.
    pub(super) fn frame(&mut self) -> &mut Frame<'s, 'v> {
        self.frames.last_mut().expect("the run ends when the last frame leaves")
    }

    /// Counts steps.
    pub(super) fn spend(&mut self, steps: u64) -> Result<(), Exhausted> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > STEPS_MAX { Err(Exhausted) } else { Ok(()) }
    }

    /// Leaves children to be asked next.
    pub(super) fn plan(&mut self, children: Vec<Child<'v>>, fold: Fold) -> Result<(), Exhausted> {
        self.spend(children.len() as u64)?;
        let frame = self.frame();
        frame.plan = children.into_iter();
        frame.fold = fold;
        Ok(())
    }

    /// The frame's value does not fit, for a reason; `below` leads on to the part of it that does not.
    pub(super) fn refuse(&mut self, below: Option<(Step<'v>, &'v Value)>, reason: Reason<'s, 'v>) {
        let frame = self.frame();
        frame.verdict = Verdict::Fails;
        if frame.voice == Voice::Silent || self.complaints.len() >= PENDING_MAX {
            return;
        }
        let Place { mut path, mut instance } = self.place();
        if let Some((step, part)) = below {
            path.push(step);
            instance = part;
        }
        self.complaints.push(Complaint { path, instance, reason });
    }

    fn place(&mut self) -> Place<'v> {
        self.steps = self.steps.saturating_add(self.frames.len() as u64);
        let path = self.frames.iter().filter_map(|frame| frame.step).collect();
        Place { path, instance: self.frame().instance }
    }

    fn enter(&mut self, child: Child<'v>, voice: Voice) {
        let evaluated = match (self.program.tracking, child.instance) {
            (Tracking::On, Value::Array(_) | Value::Object(_)) => Some(Box::default()),
            _ => None,
        };
        self.frames.push(Frame {
            voice,
            verdict: Verdict::Fits,
            evaluated,
            rules: &self.program.nodes[child.node.0].rules,
            next_rule: 0,
            instance: child.instance,
            step: child.step,
            plan: Vec::new().into_iter(),
            fold: Fold::All,
        });
    }

    /// Judges the frame's value by a rule, or plans whom to ask.
    fn ask(&mut self, rule: &'s Rule, instance: &'v Value) -> Result<(), Exhausted> {
        self.spend(rule.steps())?;
        let here = |node: &NodeIx| Child { node: *node, instance, step: None };
        match rule {
            Rule::Reference(node) => self.plan(vec![here(node)], Fold::All),
            Rule::AllOf(nodes) => self.plan(nodes.iter().map(here).collect(), Fold::All),
            Rule::AnyOf(nodes) => self.choose(Choice::AnyOf, nodes.iter().map(here).collect()),
            Rule::OneOf(nodes) => self.choose(Choice::OneOf, nodes.iter().map(here).collect()),
            Rule::Not(node) => self.plan(vec![here(node)], Fold::Not),
            Rule::If(condition, then, otherwise) => {
                self.plan(vec![here(condition)], Fold::If(*then, *otherwise))
            }
            Rule::DependentSchemas(nodes) => {
                let present = nodes.iter().filter(|(name, _)| instance.get(name).is_some());
                self.plan(present.map(|(_, node)| here(node)).collect(), Fold::All)
            }
            _ => match instance {
                Value::Array(items) if rule.is_of_array() => self.ask_array(rule, items),
                Value::Object(members) if rule.is_of_object() => self.ask_object(rule, members),
                _ => self.assert(rule, instance),
            },
        }
    }

    fn choose(&mut self, which: Choice, children: Vec<Child<'v>>) -> Result<(), Exhausted> {
        let start = self.complaints.len();
        self.plan(children, Fold::Choice { which, start, ends: Vec::new(), fitting: 0 })
    }

    fn assert(&mut self, rule: &'s Rule, instance: &'v Value) -> Result<(), Exhausted> {
        self.spend(assertion::steps(rule, instance))?;
        if assertion::holds(rule, instance) {
            return Ok(());
        }
        self.refuse(None, Reason::Rule(rule));
        if matches!(rule, Rule::Type(..)) {
            // Whatever else the schema asks, the type has to change first.
            let frame = self.frame();
            frame.next_rule = frame.rules.len();
        }
        Ok(())
    }

    /// Takes in the verdict of a child that has been asked.
    fn absorb(&mut self, child: Frame<'s, 'v>) -> Result<(), Exhausted> {
        let complaints = self.complaints.len();
        let tracking = self.program.tracking;
        let fits = child.verdict == Verdict::Fits;
        let frame = self.frame();
        let mut enough = false;
        match &mut frame.fold {
            Fold::All => {
                if !fits {
                    frame.verdict = Verdict::Fails;
                }
            }
            Fold::Choice { ends, .. } if !fits => ends.push(complaints),
            Fold::Choice { which, fitting, .. } => {
                *fitting += 1;
                enough = match which {
                    Choice::AnyOf => tracking == Tracking::Off,
                    Choice::OneOf => *fitting > 1,
                };
            }
            Fold::Not => {
                frame.fold = Fold::All;
                if fits {
                    self.refuse(None, Reason::FitsNot);
                }
                return Ok(());
            }
            Fold::If(then, otherwise) => {
                let next = if fits { *then } else { *otherwise };
                let instance = frame.instance;
                frame.fold = Fold::All;
                frame.plan = next
                    .map(|node| Child { node, instance, step: None })
                    .into_iter()
                    .collect::<Vec<_>>()
                    .into_iter();
            }
            Fold::Count { min, max, fitting } if fits => {
                *fitting += 1;
                enough = tracking == Tracking::Off && max.is_none() && *fitting >= *min;
                if let (Some(evaluated), Some(Step::Element(index))) = (&mut frame.evaluated, child.step) {
                    evaluated.add_item(index);
                }
            }
            Fold::Count { .. } => {}
        }
        if enough {
            frame.plan = Vec::new().into_iter();
        }
        if fits
            && child.step.is_none()
            && let (Some(all), Some(more)) = (&mut frame.evaluated, child.evaluated)
        {
            let entries = all.merge(*more);
            self.spend(entries)?;
        }
        Ok(())
    }

    /// Draws the sum when all planned children have been asked.
    fn conclude(&mut self) {
        match mem::replace(&mut self.frame().fold, Fold::All) {
            Fold::Choice { start, ends, fitting: 0, .. } => {
                if self.frame().voice == Voice::Loud {
                    let place = self.place();
                    let mut alternatives = Vec::new();
                    let mut complaints = self.complaints.drain(start..);
                    let starts = std::iter::once(&start).chain(&ends);
                    for (start, end) in starts.zip(&ends) {
                        alternatives.push(complaints.by_ref().take(end - start).collect());
                    }
                    drop(complaints);
                    self.complaints.extend(alternatives::closest(alternatives, place));
                }
                self.frame().verdict = Verdict::Fails;
            }
            Fold::Choice { which, start, fitting, .. } => {
                self.complaints.truncate(start);
                if which == Choice::OneOf && fitting > 1 {
                    self.refuse(None, Reason::FitsSeveral);
                }
            }
            Fold::Count { min, max, fitting } => {
                if fitting < min || max.is_some_and(|max| fitting > max) {
                    self.refuse(None, Reason::Contains(fitting, min, max));
                }
            }
            Fold::All | Fold::Not | Fold::If(..) => {}
        }
    }
}
