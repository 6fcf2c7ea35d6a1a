//! Sentences of CEL, evaluated here and by the `cel` crate.

use cel::parser::PrattParser;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::hostile::expression;
use super::tests::context;
use crate::value::Value;

/// What ours yields is what the evaluator of the `cel` crate yields, where the language is the same.
#[test]
fn the_cel_crate_agrees() {
    const STACK_OF_CEL_BYTES: usize = 64 << 20;
    let compared = std::thread::Builder::new().stack_size(STACK_OF_CEL_BYTES).spawn(|| {
        let (context, mut random) = (context(), ChaCha8Rng::seed_from_u64(3));
        let environment = std::sync::Arc::new(cel::Env::stdlib());
        let mut theirs = cel::Context::with_env(environment);
        theirs.add_variable_from_value("input", to_cel(&without_wide_integers(&context.input)));
        let mut compared = 0;
        for _ in 0..20_000 {
            let mut source = String::new();
            sentence(&mut random, 4, &mut source);
            let Ok(template) = expression(&source) else { continue };
            let tree = PrattParser::new().enable_optional_syntax(true).parse(&source).expect(&source);
            let ours = template.evaluate(&context);
            match (&ours, cel::Value::resolve(&tree, &theirs)) {
                (Ok(ours), Ok(theirs)) => {
                    assert_eq!(to_cel(ours), theirs, "{source}");
                    compared += 1;
                }
                (Err(_), Err(_)) => compared += 1,
                // Theirs overflows at 63 bits, has floats that JSON has not, and adds the keys of a map to a list.
                (Ok(_), Err(cel::ExecutionError::Overflow(..))) => {}
                (Err(error), Ok(_)) if error.to_string().contains("no number that JSON") => {}
                (Err(error), Ok(_)) if error.to_string().contains("+ does not take list and map") => {}
                // Theirs evaluates the alternative also where it is not taken.
                (Ok(_), Err(_)) if source.contains(".orValue(") => {}
                // Theirs takes a member of an optional list for absent.
                (Err(error), Ok(_)) if error.to_string().contains("of list") && source.contains(".?") => {}
                (ours, theirs) => panic!("{source}: {ours:?}, the cel crate: {theirs:?}"),
            }
        }
        compared
    });
    let compared = compared.expect("a thread starts").join().expect("both agree");
    assert!(compared > 5_000, "too few sentences compile: {compared}");
}

/// A sentence of the part of the language that is CEL's own, mostly with the types that it needs.
pub(super) fn sentence(random: &mut ChaCha8Rng, depth: u32, out: &mut String) {
    const LEAVES: &[&str] = &[
        "0",
        "1",
        "2",
        "-3",
        "7",
        "1.5",
        "0.0",
        "-2.0",
        "'a'",
        "'b'",
        "''",
        "'é'",
        "b'a'",
        "true",
        "false",
        "null",
        "[]",
        "[1, 2]",
        "['a', 'b']",
        "{}",
        "{'a': 1}",
        "input.sku",
        "input.count",
        "input.price",
        "input.nothing",
        "input.flag",
        "input.items",
        "input.items[0]",
        "input.items[2].name",
        "input.items[1].n",
        "input.nope",
        "input.labels",
        "input.labels.z",
        "input['count']",
        "input.blob",
        "has(input.sku)",
        "has(input.nope)",
    ];
    const FORMS: &[&str] = &[
        "# + #",
        "# - #",
        "# * #",
        "# / #",
        "# % #",
        "# == #",
        "# != #",
        "# < #",
        "# <= #",
        "# > #",
        "# >= #",
        "# in #",
        "(#) && (#)",
        "(#) || (#)",
        "!(#)",
        "-(#)",
        "(#) ? (#) : (#)",
        "[#, #]",
        "{'a': #, 'b': #}",
        "(#)[#]",
        "(#).a",
        "has((#).n)",
        "[#, #].map(x, #)",
        "[#, #].filter(x, #)",
        "input.items.map(x, x.n + (#))",
        "input.items.filter(x, x.n > (#))",
        "[#, #].all(x, #)",
        "[#, #].exists(x, #)",
        "[#, #].exists_one(x, #)",
        "[1, 2, 3].map(x, x > 1, x + (#))",
        "[0, 1, 2].exists(x, 2 / x > (#))",
        "[0, 1, 2].all(x, 2 / x > (#))",
        "input.items.exists(x, x.name == (#))",
        "size(#)",
        "string(#)",
        "int(#)",
        "double(#)",
        "bool(#)",
        "bytes(#)",
        "(#).contains(#)",
        "(#).startsWith(#)",
        "(#).endsWith(#)",
        "(#).?a.orValue(#)",
        "(#)[?#].orValue(#)",
        "(#).?n.hasValue()",
        "(#).?a.b.orValue(#)",
        "dyn(#) == (#)",
    ];
    let form = match depth {
        0 => LEAVES[random.next_u32() as usize % LEAVES.len()],
        _ if random.next_u32().is_multiple_of(4) => LEAVES[random.next_u32() as usize % LEAVES.len()],
        _ => FORMS[random.next_u32() as usize % FORMS.len()],
    };
    for character in form.chars() {
        match character {
            '#' => sentence(random, depth.saturating_sub(1), out),
            other => out.push(other),
        }
    }
}

fn without_wide_integers(input: &Value) -> Value {
    let mut input = input.as_object().expect("the input is an object").clone();
    input.remove("big");
    Value::Object(input)
}

fn to_cel(value: &Value) -> cel::Value {
    match value {
        Value::Null => cel::Value::Null,
        Value::Bool(truth) => (*truth).into(),
        Value::Int(number) => (*number).into(),
        Value::UInt(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::String(text) => text.as_str().into(),
        Value::Bytes(bytes) => bytes.clone().into(),
        Value::Array(items) => items.iter().map(to_cel).collect::<Vec<_>>().into(),
        Value::Object(members) => {
            let members = members.iter().map(|(name, member)| (name.clone(), to_cel(member)));
            members.collect::<std::collections::HashMap<_, _>>().into()
        }
    }
}
