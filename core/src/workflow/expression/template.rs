//! Values with expressions inside of their strings.

use crate::value::{Object, Pointer, Value};
use crate::workflow::fault::Fault;

use super::ExpressionError;
use super::budget::{self, Stop};
use super::compile::compile;
use super::context::{Context, Names};
use super::evaluate::Evaluation;
use super::scan::{self, Piece, contains_expression};
use super::syntax::Node;
use super::text;

/// A value with expressions inside its strings, compiled.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    source: Value,
    names: Names,
    part: Part,
}

/// A value, or what one is made of.
#[derive(Debug, Clone, PartialEq)]
enum Part {
    /// Without any expression in it.
    Constant(Value),
    /// A string that is one whole expression.
    Whole(Compiled),
    /// A string with expressions in it.
    Text(Vec<Segment>),
    List(Vec<Part>),
    Map(Vec<(String, Part)>),
}

#[derive(Debug, Clone, PartialEq)]
enum Segment {
    Text(String),
    Expression(Compiled),
}

#[derive(Debug, Clone, PartialEq)]
struct Compiled {
    source: String,
    node: Node,
}

impl Template {
    /// Compiles every string in `value`; faults carry pointers below `at`.
    pub fn compile(value: &Value, at: &Pointer, faults: &mut Vec<Fault>) -> Template {
        let mut names = Names::default();
        let part = Compiling { names: &mut names, faults }.part(value, at);
        Template { source: value.clone(), names, part }
    }

    /// What its expressions read.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The value with every expression replaced by what it yields. All of them share one budget.
    pub fn evaluate(&self, context: &Context) -> Result<Value, ExpressionError> {
        if let Part::Constant(value) = &self.part {
            return Ok(value.clone());
        }
        let value = self.part.evaluate(&Evaluation::new(context))?;
        budget::check_result(&value).map_err(|stop| ExpressionError::of(self.first_source(), stop))?;
        Ok(value)
    }

    /// The value if there is no expression in it (with `$${{` unescaped).
    pub fn constant(&self) -> Option<&Value> {
        match &self.part {
            Part::Constant(value) => Some(value),
            _ => None,
        }
    }

    /// The value as it was compiled.
    pub fn source(&self) -> &Value {
        &self.source
    }

    /// The expression to name in an error that concerns all of them.
    fn first_source(&self) -> &str {
        self.part.first_source().expect("a part that is not constant has an expression")
    }
}

struct Compiling<'a> {
    names: &'a mut Names,
    faults: &'a mut Vec<Fault>,
}

impl Compiling<'_> {
    fn part(&mut self, value: &Value, at: &Pointer) -> Part {
        match value {
            Value::String(text) => self.string(text, at),
            Value::Array(items) => {
                let parts: Vec<_> =
                    items.iter().enumerate().map(|(index, item)| self.part(item, &at.push(index))).collect();
                constant_list(&parts).map_or(Part::List(parts), Part::Constant)
            }
            Value::Object(members) => {
                let parts: Vec<_> =
                    members.iter().map(|(name, member)| self.member(name, member, at)).collect();
                constant_map(&parts).map_or(Part::Map(parts), Part::Constant)
            }
            other => Part::Constant(other.clone()),
        }
    }

    fn member(&mut self, name: &str, member: &Value, at: &Pointer) -> (String, Part) {
        let at = at.push(name);
        if contains_expression(name) {
            let message = "`${{` in the name of a member, where expressions are not evaluated".to_owned();
            self.faults.push(Fault { pointer: at.clone(), message });
        }
        (name.to_owned(), self.part(member, &at))
    }

    fn string(&mut self, text: &str, at: &Pointer) -> Part {
        let pieces = match scan::pieces(text) {
            Ok(pieces) => pieces,
            Err(message) => {
                self.faults.push(Fault { pointer: at.clone(), message });
                return Part::Constant(Value::from(text));
            }
        };
        let segments: Vec<_> = pieces.into_iter().filter_map(|piece| self.segment(piece, at)).collect();
        match <[Segment; 1]>::try_from(segments) {
            Ok([Segment::Expression(compiled)]) => Part::Whole(compiled),
            Ok([Segment::Text(text)]) => Part::Constant(Value::String(text)),
            Err(segments) if segments.is_empty() => Part::Constant(Value::from("")),
            Err(segments) => Part::Text(segments),
        }
    }

    fn segment(&mut self, piece: Piece<'_>, at: &Pointer) -> Option<Segment> {
        let source = match piece {
            Piece::Text(text) => return Some(Segment::Text(text)),
            Piece::Expression(source) => source,
        };
        match compile(source) {
            Ok((node, names)) => {
                self.names.extend(&names);
                Some(Segment::Expression(Compiled { source: source.to_owned(), node }))
            }
            Err(message) => {
                let message = super::about(source, &message);
                self.faults.push(Fault { pointer: at.clone(), message });
                None
            }
        }
    }
}

fn constant_list(parts: &[Part]) -> Option<Value> {
    let constant = |part: &Part| match part {
        Part::Constant(value) => Some(value.clone()),
        _ => None,
    };
    parts.iter().map(constant).collect::<Option<Vec<_>>>().map(Value::Array)
}

fn constant_map(parts: &[(String, Part)]) -> Option<Value> {
    let constant = |(name, part): &(String, Part)| match part {
        Part::Constant(value) => Some((name.clone(), value.clone())),
        _ => None,
    };
    parts.iter().map(constant).collect::<Option<Object>>().map(Value::Object)
}

impl Part {
    fn evaluate(&self, evaluation: &Evaluation<'_>) -> Result<Value, ExpressionError> {
        match self {
            Part::Constant(value) => Ok(value.clone()),
            Part::Whole(compiled) => {
                evaluation.value(&compiled.node).map_err(|stop| ExpressionError::of(&compiled.source, stop))
            }
            Part::Text(segments) => interpolate(segments, evaluation),
            Part::List(parts) => {
                parts.iter().map(|part| part.evaluate(evaluation)).collect::<Result<_, _>>().map(Value::Array)
            }
            Part::Map(parts) => {
                let member = |(name, part): &(String, Part)| Ok((name.clone(), part.evaluate(evaluation)?));
                parts.iter().map(member).collect::<Result<_, _>>().map(Value::Object)
            }
        }
    }

    fn first_source(&self) -> Option<&str> {
        match self {
            Part::Constant(_) => None,
            Part::Whole(compiled) => Some(&compiled.source),
            Part::Text(segments) => segments.iter().find_map(|segment| match segment {
                Segment::Expression(compiled) => Some(compiled.source.as_str()),
                Segment::Text(_) => None,
            }),
            Part::List(parts) => parts.iter().find_map(Part::first_source),
            Part::Map(parts) => parts.iter().find_map(|(_, part)| part.first_source()),
        }
    }
}

fn interpolate(segments: &[Segment], evaluation: &Evaluation<'_>) -> Result<Value, ExpressionError> {
    let mut out = String::new();
    for segment in segments {
        match segment {
            Segment::Text(text) => out.push_str(text),
            Segment::Expression(compiled) => {
                append(compiled, evaluation, &mut out)
                    .map_err(|stop| ExpressionError::of(&compiled.source, stop))?;
            }
        }
    }
    Ok(Value::String(out))
}

fn append(compiled: &Compiled, evaluation: &Evaluation<'_>, out: &mut String) -> Result<(), Stop> {
    let before = out.len();
    let term = evaluation.term(&compiled.node, None)?;
    text::interpolate(term.value()?, out)?;
    evaluation.meter.charge_bytes(out.len() - before)
}
