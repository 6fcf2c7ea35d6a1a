//! From the text of an expression to its tree.
//!
//! The `cel` crate parses; its tree is then lowered to ours, where every name and every function is known
//! and the macros are loops. Everything that can be wrong whatever the input is refused here.

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr,
    operators as cel_operators,
};
use cel::parser::PrattParser;

use crate::value::Value;

use super::budget::{DEPTH_OF_STEPS_MAX, EXPRESSION_BYTES_MAX, NESTING_MAX};
use super::context::Names;
use super::evaluate::key_refusal;
use super::functions::{Called, Function, type_name};
use super::kind::{Kind, one_of};
use super::scan;
use super::syntax::{Comprehension, Form, Node, Operator, Root, TaskPart};

/// Compiles what stands between `${{` and `}}`, and says what it reads.
pub(super) fn compile(source: &str) -> Result<(Node, Names), String> {
    if source.is_empty() {
        return Err("an expression is empty".to_owned());
    }
    if source.len() > EXPRESSION_BYTES_MAX {
        let found = source.len();
        return Err(format!("an expression may be at most {EXPRESSION_BYTES_MAX} bytes long, found {found}"));
    }
    if scan::nesting(source) > NESTING_MAX {
        return Err(format!("brackets and conditionals may nest at most {NESTING_MAX} deep"));
    }
    let tree = PrattParser::new().enable_optional_syntax(true).parse(source).map_err(|errors| {
        let first = errors.errors.into_iter().next();
        first.map_or_else(|| "syntax error".to_owned(), |error| syntax_error(error.pos, &error.msg))
    })?;
    if depth(&tree) > DEPTH_OF_STEPS_MAX {
        return Err(format!("the steps of an expression may nest at most {DEPTH_OF_STEPS_MAX} deep"));
    }
    let mut lowering = Lowering::default();
    let node = lowering.node(&tree)?;
    Ok((node, lowering.names))
}

fn syntax_error((line, column): (isize, isize), message: &str) -> String {
    let message = message.strip_prefix("Syntax error: ").unwrap_or(message);
    match line {
        ..1 => format!("syntax error: {message}"),
        1 => format!("syntax error at column {column}: {message}"),
        _ => format!("syntax error at line {line}, column {column}: {message}"),
    }
}

/// How deep the parser's tree is, found without recursion.
fn depth(tree: &IdedExpr) -> usize {
    let (mut deepest, mut open) = (0, vec![(tree, 1)]);
    while let Some((expr, depth)) = open.pop() {
        deepest = deepest.max(depth);
        let mut push = |expr| open.push((expr, depth + 1));
        match &expr.expr {
            Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
            Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).for_each(push),
            Expr::Select(select) => push(&select.operand),
            Expr::List(list) => list.elements.iter().for_each(push),
            Expr::Map(map) => map.entries.iter().for_each(|entry| push_entry(&entry.expr, &mut push)),
            Expr::Struct(strct) => strct.entries.iter().for_each(|entry| push_entry(&entry.expr, &mut push)),
            Expr::Comprehension(comprehension) => {
                push(&comprehension.iter_range);
                push(&comprehension.loop_step);
            }
        }
    }
    deepest
}

fn push_entry<'e>(entry: &'e EntryExpr, push: &mut impl FnMut(&'e IdedExpr)) {
    match entry {
        EntryExpr::MapEntry(entry) => {
            push(&entry.key);
            push(&entry.value);
        }
        EntryExpr::StructField(field) => push(&field.value),
    }
}

#[derive(Default)]
struct Lowering {
    names: Names,
    /// The variables of the enclosing comprehensions, outermost first.
    variables: Vec<String>,
}

impl Lowering {
    fn node(&mut self, expr: &IdedExpr) -> Result<Node, String> {
        match &expr.expr {
            Expr::Literal(literal) => literal_value(literal).map(Node::Literal),
            Expr::Ident(name) => self.name(name),
            Expr::Select(select) => self.select(select),
            Expr::Call(call) => self.call(call),
            Expr::List(list) => {
                if !list.optional_indices.is_empty() {
                    return Err("optional elements ([?x]) are not supported".to_owned());
                }
                list.elements.iter().map(|item| self.node(item)).collect::<Result<_, _>>().map(Node::List)
            }
            Expr::Map(map) => map
                .entries
                .iter()
                .map(|entry| self.entry(&entry.expr))
                .collect::<Result<_, _>>()
                .map(Node::Map),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Struct(strct) => Err(format!("messages ({}{{…}}) are not supported", strct.type_name)),
            Expr::Unspecified => Err("syntax error".to_owned()),
        }
    }

    fn name(&mut self, name: &str) -> Result<Node, String> {
        if let Some(outward) = self.variables.iter().rev().position(|variable| variable == name) {
            return Ok(Node::Local(outward));
        }
        let root = match name {
            "input" => Root::Input,
            "vars" => Root::Vars,
            "run" => Root::Run,
            "now" => Root::Now,
            "tasks" => return Err(TASKS_USE.to_owned()),
            "item" | "index" | "update" | "secrets" => {
                return Err(format!("{name:?} is not supported by this version, {ROOTS}"));
            }
            other => {
                let name = type_name(other).ok_or_else(|| format!("unknown name {other:?}, {ROOTS}"))?;
                return Ok(Node::Literal(Value::from(name)));
            }
        };
        self.names.roots.insert(name.to_owned());
        Ok(Node::Root(root))
    }

    fn select(&mut self, select: &SelectExpr) -> Result<Node, String> {
        if self.is_tasks(&select.operand) {
            return Err(task_use(&select.field));
        }
        if let Some(task) = self.task_name(&select.operand)? {
            let part = task_part(task, &select.field)?;
            let node = self.task(task, part);
            return Ok(if select.test { Node::Literal(Value::Bool(true)) } else { node });
        }
        let of = self.node(&select.operand)?;
        expect("taking a member", &of, &[Kind::Map])?;
        let (of, name) = (Box::new(of), select.field.clone());
        Ok(if select.test { Node::Has(of, name) } else { Node::Select(of, name) })
    }

    fn is_tasks(&self, expr: &IdedExpr) -> bool {
        let Expr::Ident(name) = &expr.expr else { return false };
        name == "tasks" && !self.variables.contains(name)
    }

    /// The `x` of `tasks.x` and `tasks["x"]`.
    fn task_name<'e>(&self, expr: &'e IdedExpr) -> Result<Option<&'e str>, String> {
        match &expr.expr {
            Expr::Select(select) if !select.test && self.is_tasks(&select.operand) => Ok(Some(&select.field)),
            Expr::Call(call) if call.func_name == cel_operators::INDEX => match call.args.as_slice() {
                [of, at] if self.is_tasks(of) => match &at.expr {
                    Expr::Literal(LiteralValue::String(name)) => Ok(Some(name.inner())),
                    _ => Err(TASKS_USE.to_owned()),
                },
                _ => Ok(None),
            },
            _ => Ok(None),
        }
    }

    fn task(&mut self, name: &str, part: TaskPart) -> Node {
        self.names.roots.insert("tasks".to_owned());
        self.names.tasks.insert(name.to_owned());
        Node::Task(name.to_owned(), part)
    }

    fn call(&mut self, call: &CallExpr) -> Result<Node, String> {
        if let Some(target) = &call.target {
            let receiver = match self.is_tasks(target) {
                true => return Err(TASKS_USE.to_owned()),
                false => self.node(target)?,
            };
            let mut arguments = vec![receiver];
            for argument in &call.args {
                arguments.push(self.node(argument)?);
            }
            let function = Function::find(&call.func_name, Called::OnReceiver, &arguments)?;
            return Ok(Node::Call(function, arguments));
        }
        if call.func_name == cel_operators::INDEX {
            for operand in &call.args {
                if let Some(task) = self.task_name(operand)? {
                    return Err(task_use(task));
                }
            }
        }
        if call.func_name == cel_operators::OPT_SELECT {
            return self.optional_select(call);
        }
        let arguments =
            call.args.iter().map(|argument| self.node(argument)).collect::<Result<Vec<_>, _>>()?;
        match Operation::named(&call.func_name) {
            Some(operation) => operation.node(arguments),
            None => {
                let function = Function::find(&call.func_name, Called::Globally, &arguments)?;
                Ok(Node::Call(function, arguments))
            }
        }
    }

    /// `of.?name`
    fn optional_select(&mut self, call: &CallExpr) -> Result<Node, String> {
        let [of, name] = call.args.as_slice() else { return Err("syntax error".to_owned()) };
        let Expr::Literal(LiteralValue::String(name)) = &name.expr else {
            return Err("syntax error".to_owned());
        };
        if self.is_tasks(of) {
            return Err(task_use(name.inner()));
        }
        if let Some(task) = self.task_name(of)? {
            return Err(task_use(task));
        }
        Ok(Node::OptionalSelect(Box::new(self.node(of)?), name.inner().to_owned()))
    }

    fn entry(&mut self, entry: &EntryExpr) -> Result<[Node; 2], String> {
        let EntryExpr::MapEntry(entry) = entry else { return Err("syntax error".to_owned()) };
        if entry.optional {
            return Err("optional members ({?k: v}) are not supported".to_owned());
        }
        let (key, value) = (self.node(&entry.key)?, self.node(&entry.value)?);
        match Kind::of_node(&key) {
            None | Some(Kind::String) => Ok([key, value]),
            Some(kind) => Err(key_refusal(kind)),
        }
    }

    /// The macros, told apart by what their loops start from.
    fn comprehension(&mut self, comprehension: &ComprehensionExpr) -> Result<Node, String> {
        let range = self.node(&comprehension.iter_range)?;
        expect("a comprehension", &range, &[Kind::List, Kind::Map])?;
        let variable = &comprehension.iter_var;
        if variable.starts_with('.') {
            return Err(format!("unexpected {variable:?}, expected a simple name"));
        }
        self.variables.push(variable.clone());
        let lowered = self.loop_step(comprehension);
        self.variables.pop();
        let (form, guard, body) = lowered?;
        if form != Form::Map {
            expect("the condition of all, exists and exists_one", &body, &[Kind::Bool])?;
        }
        if let Some(guard) = &guard {
            expect("the condition of filter and map", guard, &[Kind::Bool])?;
        }
        Ok(Node::Comprehension(Box::new(Comprehension { form, range, guard, body })))
    }

    fn loop_step(&mut self, comprehension: &ComprehensionExpr) -> Result<(Form, Option<Node>, Node), String> {
        let unknown = || "a macro that is not supported".to_owned();
        let Expr::Call(step) = &comprehension.loop_step.expr else { return Err(unknown()) };
        match (&comprehension.accu_init.expr, step.args.as_slice()) {
            (Expr::Literal(LiteralValue::Boolean(start)), [_, body]) => {
                let form = if *start.inner() { Form::All } else { Form::Exists };
                Ok((form, None, self.node(body)?))
            }
            (Expr::Literal(LiteralValue::Int(_)), [body, _, _]) => {
                Ok((Form::ExistsOne, None, self.node(body)?))
            }
            (Expr::List(_), [_, appended]) => {
                Ok((Form::Map, None, self.node(appended_item(appended).ok_or_else(unknown)?)?))
            }
            (Expr::List(_), [guard, then, _]) => {
                let Expr::Call(then) = &then.expr else { return Err(unknown()) };
                let appended = then.args.get(1).and_then(appended_item).ok_or_else(unknown)?;
                Ok((Form::Map, Some(self.node(guard)?), self.node(appended)?))
            }
            _ => Err(unknown()),
        }
    }
}

/// The `x` of `[x]`.
fn appended_item(list: &IdedExpr) -> Option<&IdedExpr> {
    match &list.expr {
        Expr::List(list) => list.elements.first(),
        _ => None,
    }
}

/// What CEL's operators are called in the parser's tree.
enum Operation {
    Strict(Operator),
    And,
    Or,
    Not,
    Negate,
    Conditional,
    Index,
    OptionalIndex,
}

impl Operation {
    fn named(name: &str) -> Option<Operation> {
        Some(match name {
            cel_operators::ADD => Operation::Strict(Operator::Add),
            cel_operators::SUBSTRACT => Operation::Strict(Operator::Subtract),
            cel_operators::MULTIPLY => Operation::Strict(Operator::Multiply),
            cel_operators::DIVIDE => Operation::Strict(Operator::Divide),
            cel_operators::MODULO => Operation::Strict(Operator::Remainder),
            cel_operators::EQUALS => Operation::Strict(Operator::Equal),
            cel_operators::NOT_EQUALS => Operation::Strict(Operator::NotEqual),
            cel_operators::LESS => Operation::Strict(Operator::Less),
            cel_operators::LESS_EQUALS => Operation::Strict(Operator::LessOrEqual),
            cel_operators::GREATER => Operation::Strict(Operator::Greater),
            cel_operators::GREATER_EQUALS => Operation::Strict(Operator::GreaterOrEqual),
            cel_operators::IN => Operation::Strict(Operator::In),
            cel_operators::LOGICAL_AND => Operation::And,
            cel_operators::LOGICAL_OR => Operation::Or,
            cel_operators::LOGICAL_NOT => Operation::Not,
            cel_operators::NEGATE => Operation::Negate,
            cel_operators::CONDITIONAL => Operation::Conditional,
            cel_operators::INDEX => Operation::Index,
            cel_operators::OPT_INDEX => Operation::OptionalIndex,
            _ => return None,
        })
    }

    fn node(self, operands: Vec<Node>) -> Result<Node, String> {
        match self {
            Operation::Not => {
                let [of] = exactly(operands)?;
                expect("!", &of, &[Kind::Bool])?;
                Ok(Node::Not(Box::new(of)))
            }
            Operation::Negate => {
                let [of] = exactly(operands)?;
                expect("-", &of, &[Kind::Int, Kind::Double])?;
                Ok(Node::Negate(Box::new(of)))
            }
            Operation::Conditional => {
                let branches: [Node; 3] = exactly(operands)?;
                expect("the condition before ?", &branches[0], &[Kind::Bool])?;
                Ok(Node::Conditional(Box::new(branches)))
            }
            Operation::And | Operation::Or => {
                let operands: [Node; 2] = exactly(operands)?;
                let sign = if matches!(self, Operation::And) { "&&" } else { "||" };
                expect(sign, &operands[0], &[Kind::Bool])?;
                expect(sign, &operands[1], &[Kind::Bool])?;
                let operands = Box::new(operands);
                Ok(if matches!(self, Operation::And) { Node::And(operands) } else { Node::Or(operands) })
            }
            Operation::Index | Operation::OptionalIndex => {
                let operands: [Node; 2] = exactly(operands)?;
                expect("indexing", &operands[0], &[Kind::List, Kind::Map])?;
                expect("an index", &operands[1], &[Kind::Int, Kind::Double, Kind::String])?;
                let operands = Box::new(operands);
                Ok(if matches!(self, Operation::Index) {
                    Node::Index(operands)
                } else {
                    Node::OptionalIndex(operands)
                })
            }
            Operation::Strict(operator) => {
                let operands: [Node; 2] = exactly(operands)?;
                let kinds = [Kind::of_node(&operands[0]), Kind::of_node(&operands[1])];
                if !operator.accepts(kinds[0], kinds[1]) {
                    return Err(operator.refusal(kinds[0], kinds[1]));
                }
                Ok(Node::Binary(operator, Box::new(operands)))
            }
        }
    }
}

fn exactly<const N: usize>(operands: Vec<Node>) -> Result<[Node; N], String> {
    operands.try_into().map_err(|_| "syntax error".to_owned())
}

/// Refuses a step that can only yield another kind than these.
fn expect(what: &str, node: &Node, kinds: &[Kind]) -> Result<(), String> {
    match Kind::of_node(node) {
        Some(kind) if !kinds.contains(&kind) => {
            Err(format!("{what} expects {}, found {}", one_of(kinds), kind.name()))
        }
        _ => Ok(()),
    }
}

fn literal_value(literal: &LiteralValue) -> Result<Value, String> {
    Ok(match literal {
        LiteralValue::Null => Value::Null,
        LiteralValue::Boolean(truth) => Value::Bool(*truth.inner()),
        LiteralValue::Int(number) => Value::Int(*number.inner()),
        LiteralValue::UInt(number) => Value::from(*number.inner()),
        LiteralValue::Double(number) => Value::Float(*number.inner()),
        LiteralValue::String(text) => Value::from(text.inner()),
        LiteralValue::Bytes(bytes) => Value::Bytes(bytes.inner().to_vec()),
    })
}

const ROOTS: &str = "expected input, vars, tasks, run or now";
const TASKS_USE: &str = "tasks is used as tasks.<name>.output, .status or .failure";

fn task_use(task: &str) -> String {
    format!("expected tasks.{task}.output, tasks.{task}.status or tasks.{task}.failure")
}

fn task_part(task: &str, part: &str) -> Result<TaskPart, String> {
    match part {
        "output" => Ok(TaskPart::Output),
        "status" => Ok(TaskPart::Status),
        "failure" => Ok(TaskPart::Failure),
        other => Err(format!("a task has no {other:?}, {}", task_use(task))),
    }
}
