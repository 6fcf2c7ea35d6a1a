//! Walking the tree with a context.
//!
//! Values are borrowed from the context and the tree as long as they are only looked at; a copy is made when
//! one becomes part of a new value, and charged. The kinds of step are functions of their own, so that the
//! frame that recurses stays small.

use crate::value::{Object, Value};

use super::budget::{Meter, Stop};
use super::context::{Context, TaskView};
use super::functions;
use super::kind::Kind;
use super::operators;
use super::syntax::{Comprehension, Form, Node, Root, TaskPart};

/// One evaluation: a condition, or a template with all its expressions.
pub(super) struct Evaluation<'c> {
    context: &'c Context,
    /// The budget.
    pub(super) meter: Meter,
}

/// What a step yields.
#[derive(Debug)]
pub(super) enum Term<'a> {
    /// A value that lives in the context, in the tree or in an enclosing comprehension.
    Borrowed(&'a Value),
    /// A value made on the way.
    Owned(Value),
    /// What `a.?b` yields.
    Optional(Option<Box<Term<'a>>>),
}

/// The variable of a comprehension, and what encloses it.
pub(super) struct Scope<'a> {
    element: &'a Value,
    outer: Option<&'a Scope<'a>>,
}

impl<'a> Term<'a> {
    /// The value, which an optional is not.
    pub(super) fn value(&self) -> Result<&Value, Stop> {
        match self {
            Term::Borrowed(value) => Ok(value),
            Term::Owned(value) => Ok(value),
            Term::Optional(_) => Err(Stop::Failed(
                "an optional is no value by itself, take what it holds with .orValue(…)".to_owned(),
            )),
        }
    }

    /// The value, copied where it was borrowed.
    pub(super) fn own(self, meter: &Meter) -> Result<Value, Stop> {
        match self {
            Term::Owned(value) => Ok(value),
            other => meter.copy(other.value()?),
        }
    }

    /// The name of the kind, for messages.
    pub(super) fn kind(&self) -> &'static str {
        self.value().map_or("an optional", |value| Kind::of(value).name())
    }

    fn boolean(truth: bool) -> Term<'static> {
        Term::Owned(Value::Bool(truth))
    }

    /// A member, if this is a map that has it; a value that is no map is refused.
    fn member(self, name: &str) -> Result<Option<Term<'a>>, Stop> {
        match self {
            Term::Borrowed(Value::Object(members)) => Ok(members.get(name).map(Term::Borrowed)),
            Term::Owned(Value::Object(mut members)) => Ok(members.remove(name).map(Term::Owned)),
            other => Err(Stop::Failed(format!("cannot take {name:?} of {}", other.kind()))),
        }
    }

    /// An element of a list or a member of a map.
    fn element(self, at: &Value) -> Result<Option<Term<'a>>, Stop> {
        if let Value::String(name) = at {
            return self.member(name);
        }
        let place = match at {
            Value::Int(place) => usize::try_from(*place).ok(),
            Value::Float(place) if place.fract() == 0.0 && *place >= 0.0 => Some(*place as usize),
            Value::UInt(_) => None,
            other => {
                return Err(Stop::Failed(format!(
                    "cannot index {} with {}",
                    self.kind(),
                    Kind::of(other).name()
                )));
            }
        };
        match self {
            Term::Borrowed(Value::Array(items)) => Ok(place.and_then(|at| items.get(at)).map(Term::Borrowed)),
            Term::Owned(Value::Array(mut items)) => {
                Ok(place.filter(|at| *at < items.len()).map(|at| Term::Owned(items.swap_remove(at))))
            }
            other => Err(Stop::Failed(format!("cannot index {} with {}", other.kind(), Kind::of(at).name()))),
        }
    }
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
            Node::Local(outward) => Ok(Term::Borrowed(local(*outward, scope))),
            Node::Root(root) => self.root(*root),
            Node::Task(name, part) => self.task(name, *part),
            Node::Select(of, name) => self.select(of, name, scope),
            Node::OptionalSelect(of, name) => self.optional_select(of, name, scope),
            Node::Has(of, name) => self.has(of, name, scope),
            Node::Index(operands) => self.index(operands, scope),
            Node::OptionalIndex(operands) => self.optional_index(operands, scope),
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
            Node::Call(function, arguments) => functions::call(self, *function, arguments, scope),
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
            Term::Optional(Some(held)) => self.absorbed(held.member(name)),
            term => self.absorbed(term.member(name)),
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

    fn index<'a>(&'a self, operands: &'a [Node; 2], scope: Option<&'a Scope<'a>>) -> Result<Term<'a>, Stop> {
        let [of, at] = operands;
        let term = self.term(of, scope)?;
        let at = self.term(at, scope)?;
        let at = at.value()?;
        match term {
            Term::Optional(None) => Ok(Term::Optional(None)),
            Term::Optional(Some(held)) => self.absorbed(held.element(at)),
            term => found(term.element(at)?, || match at {
                Value::String(name) => format!("{:?}", shortened(name)),
                Value::Int(place) => place.to_string(),
                _ => "there".to_owned(),
            }),
        }
    }

    fn optional_index<'a>(
        &'a self,
        operands: &'a [Node; 2],
        scope: Option<&'a Scope<'a>>,
    ) -> Result<Term<'a>, Stop> {
        let [of, at] = operands;
        let term = self.term(of, scope)?;
        let at = self.term(at, scope)?;
        let at = at.value()?;
        match term {
            Term::Optional(None) => Ok(Term::Optional(None)),
            Term::Optional(Some(held)) => self.absorbed(held.element(at)),
            term => self.absorbed(term.element(at)),
        }
    }

    /// What an optional step found: nothing, also where there was nothing to look into.
    fn absorbed<'a>(&self, looked_up: Result<Option<Term<'a>>, Stop>) -> Result<Term<'a>, Stop> {
        match looked_up {
            Ok(found) => Ok(Term::Optional(found.map(Box::new))),
            Err(Stop::Failed(_)) => Ok(Term::Optional(None)),
            Err(stop) => Err(stop),
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
            match self.truth(&comprehension.body, Some(&Scope { element, outer: scope })) {
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
            count += usize::from(self.truth(&comprehension.body, Some(&Scope { element, outer: scope }))?);
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
            let scope = Scope { element, outer: scope };
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

fn local<'a>(outward: usize, scope: Option<&'a Scope<'a>>) -> &'a Value {
    let mut scope = scope.expect("variables are resolved when the expression is compiled");
    for _ in 0..outward {
        scope = scope.outer.expect("variables are resolved when the expression is compiled");
    }
    scope.element
}

fn found<'a>(looked_up: Option<Term<'a>>, name: impl FnOnce() -> String) -> Result<Term<'a>, Stop> {
    looked_up.ok_or_else(|| Stop::Failed(format!("there is no {}", name())))
}

/// A name that may be of any length, for a message.
fn shortened(name: &str) -> &str {
    &name[..name.floor_char_boundary(80)]
}
