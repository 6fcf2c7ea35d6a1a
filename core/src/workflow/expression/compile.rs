//! From the text of an expression to its tree, within bounds.
//!
//! The `cel` crate parses. What would take it, or us, too much stack is refused before.

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::parser::PrattParser;

use super::budget::{DEPTH_OF_STEPS_MAX, EXPRESSION_BYTES_MAX, NESTING_MAX};
use super::context::Names;
use super::lower::Lowering;
use super::scan;
use super::syntax::Node;

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
