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
use std::slice;

use crate::value::{Pointer, Value};
use crate::workflow::fault::Fault;

use super::alternatives::{self, Place};
use super::assertion;
use super::complaint::{Complaint, Reason, Step};
use super::frame::{Child, Choice, Fold, Frame, Plan, Verdict, Voice};
use super::rule::{NodeIx, Program, Rule, Tracking};
use super::{FAULT_BYTES_MAX, FAULTS_MAX, STEPS_MAX};

/// How many complaints are kept while alternatives are still open; further ones only count.
const PENDING_MAX: usize = 10 * FAULTS_MAX;

/// The steps that it takes to remember one member or element as evaluated.
pub(super) const ENTRY_STEPS: u64 = 4;

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
            if !hopeless && let Some(child) = frame.next_child() {
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

    /// Leaves children to be asked next, one after another.
    pub(super) fn plan(&mut self, children: Vec<Child<'v>>, fold: Fold<'s>) {
        let frame = self.frame();
        frame.plan = Plan::Parts(children.into_iter());
        frame.fold = fold;
    }

    fn plan_here(&mut self, nodes: &'s [NodeIx], fold: Fold<'s>) {
        let frame = self.frame();
        frame.plan = Plan::Here(nodes.iter());
        frame.fold = fold;
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
        let rules = &self.program.nodes[child.node.0].rules;
        self.frames.push(Frame::new(rules, child, voice, evaluated));
    }

    /// Judges the frame's value by a rule, or plans whom to ask.
    fn ask(&mut self, rule: &'s Rule, instance: &'v Value) -> Result<(), Exhausted> {
        self.spend(rule.steps())?;
        match rule {
            Rule::Reference(node) => self.plan_here(slice::from_ref(node), Fold::All),
            Rule::AllOf(nodes) => self.plan_here(nodes, Fold::All),
            Rule::AnyOf(nodes) => self.choose(Choice::AnyOf, nodes),
            Rule::OneOf(nodes) => self.choose(Choice::OneOf, nodes),
            Rule::Not(node) => self.plan_here(slice::from_ref(node), Fold::Not),
            Rule::If(condition, then, otherwise) => {
                let next = Fold::If(then.as_slice(), otherwise.as_slice());
                self.plan_here(slice::from_ref(condition), next);
            }
            Rule::DependentSchemas(nodes) => {
                let present = nodes.iter().filter(|(name, _)| instance.get(name).is_some());
                let children = present.map(|(_, node)| Child { node: *node, instance, step: None });
                self.plan(children.collect(), Fold::All);
            }
            _ => {
                return match instance {
                    Value::Array(items) if rule.is_of_array() => self.ask_array(rule, items),
                    Value::Object(members) if rule.is_of_object() => self.ask_object(rule, members),
                    _ => self.assert(rule, instance),
                };
            }
        }
        Ok(())
    }

    fn choose(&mut self, which: Choice, nodes: &'s [NodeIx]) {
        let start = self.complaints.len();
        self.plan_here(nodes, Fold::Choice { which, start, ends: Vec::new(), fitting: 0 });
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

    /// Takes in what a child has found out.
    fn absorb(&mut self, child: Frame<'s, 'v>) -> Result<(), Exhausted> {
        self.fold(child.verdict, child.step);
        if child.verdict == Verdict::Fits
            && child.step.is_none()
            && let (Some(all), Some(more)) = (&mut self.frame().evaluated, child.evaluated)
        {
            let moved = all.merge(*more);
            self.spend(moved * ENTRY_STEPS)?;
        }
        Ok(())
    }

    /// Adds a child's verdict to the others, and asks no more children once the sum is certain.
    fn fold(&mut self, verdict: Verdict, step: Option<Step<'v>>) {
        let complaints = self.complaints.len();
        let untracked = self.program.tracking == Tracking::Off;
        let frame = self.frame();
        let enough = match (&mut frame.fold, verdict) {
            (Fold::All, Verdict::Fits) => false,
            (Fold::All, Verdict::Fails) => {
                frame.verdict = Verdict::Fails;
                false
            }
            (Fold::Choice { which, fitting, .. }, Verdict::Fits) => {
                *fitting += 1;
                match which {
                    Choice::AnyOf => untracked,
                    Choice::OneOf => *fitting > 1,
                }
            }
            (Fold::Choice { ends, .. }, Verdict::Fails) => {
                ends.push(complaints);
                false
            }
            (Fold::Not, verdict) => {
                frame.fold = Fold::All;
                if verdict == Verdict::Fits {
                    self.refuse(None, Reason::FitsNot);
                }
                return;
            }
            (Fold::If(then, otherwise), verdict) => {
                let next = if verdict == Verdict::Fits { *then } else { *otherwise };
                frame.fold = Fold::All;
                frame.plan = Plan::Here(next.iter());
                return;
            }
            (Fold::Count { min, max, fitting }, Verdict::Fits) => {
                *fitting += 1;
                if let (Some(evaluated), Some(Step::Element(index))) = (&mut frame.evaluated, step) {
                    evaluated.add_item(index);
                }
                untracked && max.is_none() && *fitting >= *min
            }
            (Fold::Count { .. }, Verdict::Fails) => false,
        };
        if enough {
            frame.plan = Plan::none();
        }
    }

    /// Draws the sum when all planned children have been asked.
    fn conclude(&mut self) {
        match mem::replace(&mut self.frame().fold, Fold::All) {
            Fold::Choice { start, ends, fitting: 0, .. } => {
                if self.frame().voice == Voice::Loud {
                    self.settle(start, &ends);
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

    /// Keeps those complaints of the alternatives that help.
    fn settle(&mut self, start: usize, ends: &[usize]) {
        let place = self.place();
        let mut complaints = self.complaints.drain(start..);
        let starts = std::iter::once(&start).chain(ends);
        let lengths = starts.zip(ends).map(|(start, end)| end - start);
        let alternatives = lengths.map(|length| complaints.by_ref().take(length).collect()).collect();
        drop(complaints);
        self.complaints.extend(alternatives::closest(alternatives, place));
    }
}
