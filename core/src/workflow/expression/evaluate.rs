//! Walking the tree with a context.
//!
//! Values are borrowed from the context and the tree as long as they are only looked at; a copy is made when
//! one becomes part of a new value, and charged. The kinds of step are functions of their own, so that the
//! frame that recurses stays small.

use crate::value::{Object, Value};

use super::budget::{Meter, Stop};
use super::calls;
use super::context::{Context, TaskView};
use super::kind::Kind;
use super::operators;
use super::syntax::{Comprehension, Form, Node, Root, TaskPart};
use super::term::{Scope, Term};

/// One evaluation: a condition, or a template with all its expressions.
pub(super) struct Evaluation<'c> {
    context: &'c Context,
    /// The budget.
    pub(super) meter: Meter,
}

impl<'c> Evaluation<'c> {
    /// An evaluation with a full budget.
    pub(super) fn new(context: &'c Context) -> Self {
        Self { context, meter: Meter::new() }
    }

    /// What an expression yields.
    pub(super) fn value(&self, node: &Node) -> Result<Value, Stop> {
        self.term(node, None)?.own(&self.meter)
    }

    /// What a step yields.
    pub(super) fn term<'a>(&'a self, node: &'a Node, scope: Option<&'a Scope<'a>>) -> Result<Term<'a>, Stop> {
        self.meter.charge(1)?;
        match node {
            Node::Literal(value) => Ok(Term::Borrowed(value)),
            Node::Local(outward) => Ok(Term::Borrowed(Scope::element(scope, *outward))),
            Node::Root(root) => self.root(*root),
            Node::Task(name, part) => self.task(name, *part),
            Node::Select(of, name) => self.select(of, name, scope),
            Node::OptionalSelect(of, name) => self.optional_select(of, name, scope),
            Node::Has(of, name) => self.has(of, name, scope),
            Node::Index(operands) => self.index(operands, scope, Missing::Refused),
            Node::OptionalIndex(operands) => self.index(operands, scope, Missing::Absent),
            Node::Not(of) => self.truth(of, scope).map(|truth| Term::boolean(!truth)),
            Node::Negate(of) => operators::negate(self.term(of, scope)?.value()?).map(Term::Owned),
            Node::And(operands) => self.logical(operands, scope, false).map(Term::boolean),
            Node::Or(operands) => self.logical(operands, scope, true).map(Term::boolean),
            Node::Conditional(branches) => {
                let [condition, then, otherwise] = &**branches;
                let taken = if self.truth(condition, scope)? { then } else { otherwise };
                self.term(taken, scope)
            }
            Node::Binary(operator, operands) => {
                let [left, right] = &**operands;
                let left = self.term(left, scope)?;
                operators::apply(&self.meter, *operator, left, self.term(right, scope)?)
            }
            Node::List(items) => self.list(items, scope),
            Node::Map(entries) => self.map(entries, scope),
            Node::Call(function, arguments) => calls::call(self, *function, arguments, scope),
            Node::Comprehension(comprehension) => self.comprehension(comprehension, scope),
        }
    }

    /// The truth that a step yields.
    pub(super) fn truth<'a>(&'a self, node: &'a Node, scope: Option<&'a Scope<'a>>) -> Result<bool, Stop> {
        let term = self.term(node, scope)?;
        match term.value()? {
            Value::Bool(truth) => Ok(*truth),
            other => Err(Stop::Failed(format!("expected bool, found {}", Kind::of(other).name()))),
        }
    }

    /// The keys of a map, in their order.
    pub(super) fn keys(&self, map: &Value) -> Result<Vec<Value>, Stop> {
        let members = map
            .as_object()
            .ok_or_else(|| Stop::Failed(format!("expected list or map, found {}", Kind::of(map).name())))?;
        let key = |name: &String| {
            self.meter.charge_bytes(name.len())?;
            Ok(Value::from(name.as_str()))
        };
        members.keys().map(key).collect()
    }

    fn root<'a>(&'a self, root: Root) -> Result<Term<'a>, Stop> {
        match root {
            Root::Input => Ok(Term::Borrowed(&self.context.input)),
            Root::Run => Ok(Term::Borrowed(&self.context.run)),
            Root::Now => Ok(Term::Owned(Value::String(self.context.now.to_string()))),
            Root::Vars => {
                let mut vars = Object::new();
                self.meter.charge_map(self.context.vars.len())?;
                for (name, value) in &self.context.vars {
                    self.meter.charge_bytes(name.len())?;
                    vars.insert(name.clone(), self.meter.copy(value)?);
                }
                Ok(Term::Owned(Value::Object(vars)))
            }
        }
    }

    fn task<'a>(&'a self, name: &str, part: TaskPart) -> Result<Term<'a>, Stop> {
        let Some(TaskView { output, status, failure }) = self.context.tasks.get(name) else {
            return Err(Stop::Failed(format!("nothing is known of the task {name:?} here")));
        };
        Ok(match part {
            TaskPart::Output => Term::Borrowed(output),
            TaskPart::Failure => Term::Borrowed(failure),
            TaskPart::Status => Term::Owned(Value::from(*status)),
        })
    }

    /// A variable of the run, where a step is `vars.name`: looked up without copying `vars` as a whole.
    fn variable<'a>(&'a self, of: &Node, name: &str) -> Option<Option<Term<'a>>> {
        matches!(of, Node::Root(Root::Vars)).then(|| self.context.vars.get(name).map(Term::Borrowed))
    }

    fn select<'a>(
        &'a self,
        of: &'a Node,
        name: &str,
        scope: Option<&'a Scope<'a>>,
    ) -> Result<Term<'a>, Stop> {
        if let Some(variable) = self.variable(of, name) {
            return found(variable, || format!("{name:?}"));
        }
        match self.term(of, scope)? {
            Term::Optional(None) => Ok(Term::Optional(None)),
            Term::Optional(Some(held)) => Ok(Term::Optional(held.member(name)?.map(Box::new))),
            term => found(term.member(name)?, || format!("{name:?}")),
        }
    }

    fn optional_select<'a>(
        &'a self,
        of: &'a Node,
        name: &str,
        scope: Option<&'a Scope<'a>>,
    ) -> Result<Term<'a>, Stop> {
        if let Some(variable) = self.variable(of, name) {
            return Ok(Term::Optional(variable.map(Box::new)));
        }
        match self.term(of, scope)? {
            Term::Optional(None) => Ok(Term::Optional(None)),
            Term::Optional(Some(held)) => absorbed(held.member(name)),
            term => absorbed(term.member(name)),
        }
    }

    fn has<'a>(&'a self, of: &'a Node, name: &str, scope: Option<&'a Scope<'a>>) -> Result<Term<'a>, Stop> {
        if let Some(variable) = self.variable(of, name) {
            return Ok(Term::boolean(variable.is_some()));
        }
        match self.term(of, scope)? {
            Term::Optional(None) => Ok(Term::boolean(false)),
            Term::Optional(Some(held)) => Ok(Term::boolean(held.member(name)?.is_some())),
            term => Ok(Term::boolean(term.member(name)?.is_some())),
        }
    }

    /// `of[at]` and `of[?at]`; the first is optional too where `of` is.
    fn index<'a>(
        &'a self,
        operands: &'a [Node; 2],
        scope: Option<&'a Scope<'a>>,
        missing: Missing,
    ) -> Result<Term<'a>, Stop> {
        let [of, at] = operands;
        let term = self.term(of, scope)?;
        let at = self.term(at, scope)?;
        let at = at.value()?;
        match (term, missing) {
            (Term::Optional(None), _) => Ok(Term::Optional(None)),
            (Term::Optional(Some(held)), _) => absorbed(held.element(at)),
            (term, Missing::Absent) => absorbed(term.element(at)),
            (term, Missing::Refused) => found(term.element(at)?, || match at {
                Value::String(name) => format!("{:?}", shortened(name)),
                Value::Int(place) => place.to_string(),
                _ => "there".to_owned(),
            }),
        }
    }

    /// `&&` and `||`, of which `decisive` decides whatever the other operand is, also an error.
    fn logical<'a>(
        &'a self,
        operands: &'a [Node; 2],
        scope: Option<&'a Scope<'a>>,
        decisive: bool,
    ) -> Result<bool, Stop> {
        let [left, right] = operands;
        match self.truth(left, scope) {
            Ok(truth) if truth == decisive => Ok(decisive),
            Ok(_) => self.truth(right, scope),
            Err(Stop::Failed(message)) => match self.truth(right, scope) {
                Ok(truth) if truth == decisive => Ok(decisive),
                Ok(_) | Err(Stop::Failed(_)) => Err(Stop::Failed(message)),
                Err(stop) => Err(stop),
            },
            Err(stop) => Err(stop),
        }
    }

    fn list<'a>(&'a self, items: &'a [Node], scope: Option<&'a Scope<'a>>) -> Result<Term<'a>, Stop> {
        let mut list = Vec::with_capacity(items.len());
        for item in items {
            list.push(self.term(item, scope)?.own(&self.meter)?);
        }
        Ok(Term::Owned(Value::Array(list)))
    }

    fn map<'a>(&'a self, entries: &'a [[Node; 2]], scope: Option<&'a Scope<'a>>) -> Result<Term<'a>, Stop> {
        self.meter.charge_map(entries.len())?;
        let mut members = Object::new();
        for [key, value] in entries {
            let name = match self.term(key, scope)?.own(&self.meter)? {
                Value::String(name) => name,
                other => return Err(Stop::Failed(key_refusal(Kind::of(&other)))),
            };
            let value = self.term(value, scope)?.own(&self.meter)?;
            if members.insert(name, value).is_some() {
                return Err(Stop::Failed("a map names the same key twice".to_owned()));
            }
        }
        Ok(Term::Owned(Value::Object(members)))
    }

    fn comprehension<'a>(
        &'a self,
        comprehension: &'a Comprehension,
        scope: Option<&'a Scope<'a>>,
    ) -> Result<Term<'a>, Stop> {
        let range = self.term(&comprehension.range, scope)?;
        let keys;
        let elements = match range.value()? {
            Value::Array(items) => items.as_slice(),
            map => {
                keys = self.keys(map)?;
                keys.as_slice()
            }
        };
        match comprehension.form {
            Form::All => self.any(comprehension, elements, scope, false).map(Term::boolean),
            Form::Exists => self.any(comprehension, elements, scope, true).map(Term::boolean),
            Form::ExistsOne => self.exactly_one(comprehension, elements, scope).map(Term::boolean),
            Form::Map => self.collect(comprehension, elements, scope).map(Term::Owned),
        }
    }

    /// `exists` where `decisive` is true, `all` where it is false: the first element whose body yields it
    /// decides, and an error counts only if none does.
    fn any(
        &self,
        comprehension: &Comprehension,
        elements: &[Value],
        scope: Option<&Scope<'_>>,
        decisive: bool,
    ) -> Result<bool, Stop> {
        let mut failed = None;
        for element in elements {
            match self.truth(&comprehension.body, Some(&Scope::new(element, scope))) {
                Ok(truth) if truth == decisive => return Ok(decisive),
                Ok(_) => {}
                Err(Stop::Failed(message)) => failed = Some(message),
                Err(stop) => return Err(stop),
            }
        }
        failed.map_or(Ok(!decisive), |message| Err(Stop::Failed(message)))
    }

    fn exactly_one(
        &self,
        comprehension: &Comprehension,
        elements: &[Value],
        scope: Option<&Scope<'_>>,
    ) -> Result<bool, Stop> {
        let mut count = 0_usize;
        for element in elements {
            count += usize::from(self.truth(&comprehension.body, Some(&Scope::new(element, scope)))?);
        }
        Ok(count == 1)
    }

    fn collect(
        &self,
        comprehension: &Comprehension,
        elements: &[Value],
        scope: Option<&Scope<'_>>,
    ) -> Result<Value, Stop> {
        let mut collected = Vec::new();
        for element in elements {
            let scope = Scope::new(element, scope);
            let counts = match &comprehension.guard {
                Some(guard) => self.truth(guard, Some(&scope))?,
                None => true,
            };
            if counts {
                collected.push(self.term(&comprehension.body, Some(&scope))?.own(&self.meter)?);
            }
        }
        Ok(Value::Array(collected))
    }
}

/// Why a value cannot name the member of a map.
pub(super) fn key_refusal(kind: Kind) -> String {
    format!("the keys of a map are strings, found {}", kind.name())
}

/// What becomes of an element that is not there.
#[derive(Clone, Copy)]
enum Missing {
    /// An error.
    Refused,
    /// An optional that holds nothing.
    Absent,
}

/// What an optional step found: nothing, also where there was nothing to look into.
fn absorbed<'a>(looked_up: Result<Option<Term<'a>>, Stop>) -> Result<Term<'a>, Stop> {
    match looked_up {
        Ok(found) => Ok(Term::Optional(found.map(Box::new))),
        Err(Stop::Failed(_)) => Ok(Term::Optional(None)),
        Err(stop) => Err(stop),
    }
}

fn found<'a>(looked_up: Option<Term<'a>>, name: impl FnOnce() -> String) -> Result<Term<'a>, Stop> {
    looked_up.ok_or_else(|| Stop::Failed(format!("there is no {}", name())))
}

/// A name that may be of any length, for a message.
fn shortened(name: &str) -> &str {
    &name[..name.floor_char_boundary(80)]
}
