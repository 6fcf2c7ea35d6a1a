//! Input that wants to hang, to overflow or to panic, and the bounds at their edges.
//!
//! Everything runs on a stack of 512 KiB.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::agreement::sentence;
use super::tests::context;
use super::*;
use crate::value::{Object, Pointer, Value};

const STACK_BYTES: usize = 512 << 10;

/// Runs on a small stack; an overflow aborts the whole test program.
fn on_a_small_stack<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(run);
    thread.expect("a thread starts").join().expect("nothing panics")
}

fn compile(text: &str) -> Result<Template, String> {
    let mut faults = Vec::new();
    let template = Template::compile(&Value::from(text), &Pointer::root(), &mut faults);
    faults.pop().map_or(Ok(template), |fault| Err(fault.message))
}

pub(super) fn expression(source: &str) -> Result<Template, String> {
    compile(&format!("${{{{ {source} }}}}"))
}

/// A context whose input is as large as a payload may be.
fn large() -> Context {
    let mut context = context();
    context.input = Value::from([
        ("text", Value::from("x".repeat(RESULT_BYTES_MAX))),
        ("same", Value::from("x".repeat(RESULT_BYTES_MAX))),
        ("numbers", Value::from(vec![Value::Int(1); RESULT_BYTES_MAX / 2])),
        ("deep", (0..DEPTH_MAX).fold(Value::Null, |inner, _| Value::from(vec![inner]))),
        ("map", Value::Object((0..50_000).map(|n| (n.to_string(), Value::Int(n))).collect())),
    ]);
    context
}

/// `open`, repeated, around `inner`.
fn nested(open: &str, inner: &str, close: &str, times: usize) -> String {
    format!("{}{inner}{}", open.repeat(times), close.repeat(times))
}

#[test]
fn the_length_of_an_expression_is_bounded() {
    let of_length = |bytes: usize| format!("'{}'", "x".repeat(bytes - 2));
    assert_eq!(expression(&of_length(EXPRESSION_BYTES_MAX)).map(drop), Ok(()));
    let error = expression(&of_length(EXPRESSION_BYTES_MAX + 1)).map(drop).expect_err("too long");
    assert!(error.contains("an expression may be at most 1024 bytes long, found 1025"), "{error}");
}

#[test]
fn nesting_is_bounded() {
    on_a_small_stack(|| {
        let context = context();
        for (open, inner, close) in [
            ("(", "1", ")"),
            ("[", "1", "]"),
            ("{'a':", "1", "}"),
            ("dyn(", "1", ")"),
            ("!(", "input.flag", ")"),
            ("-(", "1", ")"),
            ("1+(", "1", ")"),
            ("(1+", "1", ")"),
            ("input.flag&&(", "true", ")"),
            ("true?1:", "2", ""),
            ("[", "0", "][0]"),
            ("[1].map(x,", "x", ")"),
            ("[1].map(x,[", "x", "])"),
            ("[1].all(x,", "true", ")"),
            ("[1].filter(x,", "true", ")==[1]"),
            ("input.items.exists(x,", "false", ")"),
            ("''.split(", "''", ")[0]"),
        ] {
            let compiled = |times: &usize| expression(&nested(open, inner, close, *times)).is_ok();
            let most = (1..=200).rev().find(compiled).expect(open);
            assert!((20..=NESTING_MAX).contains(&most), "{open} {most}");
            let template = expression(&nested(open, inner, close, most)).expect(open);
            drop(template.evaluate(&context));
            for times in [200, 500, 1000] {
                assert!(!compiled(&times), "{open} {times}");
                assert!(expression(&open.repeat(times)).is_err(), "{open} {times}");
            }
        }
    });
}

#[test]
fn chains_are_bounded() {
    on_a_small_stack(|| {
        let context = context();
        for (start, link, steps) in [
            ("1", "+1", 1),
            ("'a'", "+'a'", 1),
            ("[]", "+[1]", 1),
            ("input", ".a", 1),
            ("input", ".?a", 1),
            ("[0]", "[0]", 1),
            ("''", ".lower()", 1),
            ("[1]", ".map(x,x)", 1),
        ] {
            let chain = |steps_wanted: usize| format!("{start}{}", link.repeat(steps_wanted / steps));
            let most = (DEPTH_OF_STEPS_MAX - 2).min((EXPRESSION_BYTES_MAX - start.len()) / link.len());
            let most = most.min(if link.contains('?') { NESTING_MAX } else { most });
            let template = expression(&chain(most)).expect(link);
            drop(template.evaluate(&context));
            for links in [DEPTH_OF_STEPS_MAX + 1, 200, 500, 1000] {
                assert!(expression(&chain(links)).is_err(), "{link} {links}");
            }
        }
        for hostile in
            ["!-".repeat(500) + "1", "-!".repeat(500) + "a", "a".to_owned() + &".a".repeat(500) + "{"]
        {
            assert!(expression(&hostile).is_err(), "{hostile}");
        }
        assert!(expression(&("true".to_owned() + &"||true".repeat(150))).is_ok(), "these trees are balanced");
    });
}

#[test]
fn bombs_spend_the_budget() {
    on_a_small_stack(|| {
        let context = large();
        for bomb in [
            "[1]".to_owned() + &".map(x, [x, x])".repeat(30),
            "['x']".to_owned() + &".map(x, x + x)".repeat(18) + &".map(x, [x, x, x, x])".repeat(8),
            "range(2000).map(x, range(2000).map(y, x * y))".to_owned(),
            "range(9223372036854775807)".to_owned(),
            "range(18446744073709551615u)".to_owned(),
            "input.numbers.map(x, input.text)".to_owned(),
            "input.numbers.map(x, {'a': {'b': x}})".to_owned(),
            "input.numbers.map(x, [x, [x]])".to_owned(),
            "input.numbers.all(x, input.text == input.same)".to_owned(),
            "input.numbers.all(x, input.text <= input.same)".to_owned(),
            "input.numbers.all(x, input.numbers == input.numbers)".to_owned(),
            "input.numbers.all(x, input.map == input.map)".to_owned(),
            "input.numbers.exists(x, input.text.contains('xy'))".to_owned(),
            "input.numbers.exists(x, input.text.lower() == '')".to_owned(),
            "input.numbers.exists(x, 2 in input.numbers)".to_owned(),
            "input.numbers.exists(x, size(input.text) == x)".to_owned(),
            "input.numbers.exists(x, json(input.map) == '')".to_owned(),
            "input.numbers.exists(x, keys(input.map) == [])".to_owned(),
            "input.numbers.exists(x, input.text.split('') == [])".to_owned(),
            "input.numbers.exists(x, bytes(input.text) == b'')".to_owned(),
            "input.numbers.exists(x, (input.numbers + input.numbers) == [])".to_owned(),
            "input.numbers.exists(x, input.map.all(y, y == 'y' || true) && false)".to_owned(),
            "input.numbers.exists(a, input.numbers.exists(b, input.numbers.exists(c, c == 0)))".to_owned(),
            "input.numbers.exists(a, input.numbers.all(b, a / 0 == b) || false) || true".to_owned(),
            "[1].exists(x, range(3000000) == []) || true".to_owned(),
            "false && true || range(3000000) == [] || true".to_owned(),
            "[range(3000000)].?x.orValue(1) == 1".to_owned(),
        ] {
            let outcome = expression(&bomb).expect(&bomb).evaluate(&context).map(drop);
            assert!(matches!(outcome, Err(ExpressionError::Budget { .. })), "{bomb}: {outcome:?}");
        }
    });
}

#[test]
fn the_budget_has_an_exact_edge() {
    // Beside the elements: two calls, the comparison and two literals.
    let most = EVALUATION_STEPS_MAX - 5;
    let holds = |count: u64| {
        let condition = Expression::compile(&format!("${{{{ size(range({count})) > 0 }}}}")).expect("valid");
        condition.holds(&context())
    };
    assert_eq!(holds(most), Ok(true));
    assert!(matches!(holds(most + 1), Err(ExpressionError::Budget { .. })));
}

#[test]
fn the_expressions_of_a_template_share_one_budget() {
    let text = "${{ size(range(500000)) }}";
    let outcome = |times| {
        let source = Value::from(vec![Value::from(text); times]);
        Template::compile(&source, &Pointer::root(), &mut Vec::new()).evaluate(&context()).map(drop)
    };
    assert_eq!(outcome(3), Ok(()));
    assert!(matches!(outcome(4), Err(ExpressionError::Budget { .. })));
}

#[test]
fn results_are_bounded() {
    on_a_small_stack(|| {
        let context = large();
        let quotes = r#"""#.len() * 2;
        for (text, outcome) in [
            ("${{ input.text }}", Err("larger than 1048576 bytes")),
            ("${{ input.numbers }}", Err("larger than 1048576 bytes")),
            ("${{ input.numbers.filter(x, false) }}", Ok(())),
            ("${{ input.text + 'x' }}", Err("larger than 1048576 bytes")),
            ("${{ input.text + '' == input.same }}", Ok(())),
            ("${{ input.text.upper() + input.same.upper() }}", Err("larger than 1048576 bytes")),
            ("${{ join([input.text, input.text]) }}", Err("larger than 1048576 bytes")),
            ("${{ join(input.numbers.map(x, string(x)), '-') }}", Err("larger than 1048576 bytes")),
            ("${{ json(input.text) }}", Err("larger than 1048576 bytes")),
            ("${{ size(input.text) }}", Ok(())),
            ("${{ input.text }}${{ input.text }}", Err("larger than 1048576 bytes")),
            ("${{ input.deep }}", Ok(())),
            ("${{ [input.deep] }}", Err("nests deeper than 100")),
            ("${{ {'a': input.deep} }}", Err("nests deeper than 100")),
            ("is ${{ [input.deep] }}", Err("nests deeper than 100")),
            ("${{ json([input.deep]) }}", Err("nests deeper than 100")),
            ("${{ [[input.deep]] == [[input.deep]] }}", Ok(())),
        ] {
            let found =
                compile(text).expect(text).evaluate(&context).map(drop).map_err(|error| error.to_string());
            match (found, outcome) {
                (Err(error), Err(expected)) => assert!(error.contains(expected), "{text}: {error}"),
                (found, expected) => assert_eq!(found, expected.map_err(str::to_owned), "{text}"),
            }
        }
        for (extra, fits) in [(0, true), (1, false)] {
            let mut context = context.clone();
            context.input = Value::from("x".repeat(RESULT_BYTES_MAX - quotes + extra));
            let outcome = compile("${{ input }}").expect("valid").evaluate(&context);
            assert_eq!(outcome.is_ok(), fits, "{extra}");
        }
    });
}

#[test]
fn every_payload_can_be_passed_on() {
    on_a_small_stack(|| {
        let mut context = context();
        let tuple = |name: &str, value| Value::from([(name, value)]);
        for (item, bytes) in [
            (Value::Int(1), 1),
            (Value::from(vec![]), 2),
            (Value::from(vec![Value::from(vec![])]), 4),
            (tuple("", Value::Int(1)), 6),
            (tuple("", tuple("", Value::from(vec![]))), 12),
            (Value::Object(Object::new()), 2),
            (Value::from(""), 2),
        ] {
            context.input = Value::from(vec![item; RESULT_BYTES_MAX / (bytes + 1) - 1]);
            let passed_on = compile("${{ input }}").expect("valid").evaluate(&context);
            assert_eq!(passed_on.as_ref(), Ok(&context.input));
        }
    });
}

/// What the soup is made of: every token of the language, and some that only look like one.
const TOKENS: &[&str] = &[
    "input",
    "vars",
    "tasks",
    "run",
    "now",
    "x",
    "y",
    "item",
    "reserve",
    "output",
    "status",
    "sku",
    "items",
    "count",
    ".",
    ".",
    ".",
    ".?",
    "[?",
    "(",
    ")",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "?",
    "+",
    "-",
    "*",
    "/",
    "%",
    "!",
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "&&",
    "||",
    "in",
    "true",
    "false",
    "null",
    "0",
    "1",
    "-1",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551615u",
    "0x",
    "0xff",
    "1.5",
    "1e999",
    ".5",
    "1.",
    "'a'",
    "\"b\"",
    "''",
    "'''c'''",
    "r'\\'",
    "b'\\xff'",
    "'\\u00e9'",
    "'\\ud800'",
    "'\\",
    "'",
    "`a`",
    "é",
    "\u{0}",
    "//",
    "\n",
    " ",
    "@in",
    "@result",
    "&",
    "|",
    "=",
    "$",
    "${{",
    "}}",
    "map",
    ".map(x,",
    ".filter(x,",
    ".all(x,",
    ".exists(y,",
    ".exists_one(x,",
    ".exists(x.y,",
    "has(",
    "size(",
    "string(",
    "int(",
    "double(",
    "json(",
    "join(",
    "range(",
    "keys(",
    "type(",
    "uint(",
    "bytes(",
    "dyn(",
    ".split(",
    ".lower()",
    ".contains(",
    ".orValue(",
    ".or(",
    ".value()",
    ".hasValue()",
    "optional.of(",
    "for",
    "Foo{a:1}",
    "[1,2]",
    "{'a':1}",
    "tasks.reserve.output",
    "input.items",
    "input.?nope",
    "vars.n",
    "input.blob",
    "input.big",
    "input.price",
    "now",
];

#[test]
fn token_soup_never_panics() {
    on_a_small_stack(|| {
        let (context, mut random) = (context(), ChaCha8Rng::seed_from_u64(1));
        let mut compiled = 0;
        for _ in 0..20_000 {
            let mut soup = String::new();
            for _ in 0..random.next_u32() % 12 {
                soup.push_str(TOKENS[random.next_u32() as usize % TOKENS.len()]);
                if random.next_u32().is_multiple_of(3) {
                    soup.push(' ');
                }
            }
            if let Ok(template) = expression(&soup) {
                compiled += 1;
                drop(template.evaluate(&context));
            }
            drop(Expression::compile(&soup));
            drop(compile(&soup));
        }
        assert!(compiled > 500, "the soup is too thin: {compiled}");
    });
}

#[test]
fn damaged_expressions_never_panic() {
    on_a_small_stack(|| {
        let (context, mut random) = (context(), ChaCha8Rng::seed_from_u64(2));
        for round in 0..20_000 {
            let mut text = String::from("${{ ");
            sentence(&mut random, 4, &mut text);
            text.push_str(" }}");
            for _ in 0..round % 4 {
                let at = text.floor_char_boundary(random.next_u32() as usize % text.len());
                match random.next_u32() % 3 {
                    0 => text.truncate(at),
                    1 => text.insert(at, char::from(b' ' + (random.next_u32() % 95) as u8)),
                    _ => drop(text.remove(at)),
                }
                if text.is_empty() {
                    break;
                }
            }
            if let Ok(template) = compile(&text) {
                drop(template.evaluate(&context));
            }
        }
    });
}
