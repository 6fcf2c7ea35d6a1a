//! The language, as rows of expressions and what they yield.

use super::*;
use crate::time::Timestamp;
use crate::value::{Object, Pointer, Value};

/// A context with something of every type.
pub(super) fn context() -> Context {
    let items =
        [("a", 1), ("b", 2), ("c", 3)].map(|(name, n)| Value::from([("name", name.into()), ("n", int(n))]));
    let reserve = TaskView {
        output: Value::from([("ok", true.into()), ("parts", Value::from(vec![int(1), int(2)]))]),
        status: "completed",
        failure: Value::Null,
    };
    let pack = TaskView {
        output: Value::Null,
        status: "failed",
        failure: Value::from([("code", "broken".into()), ("message", "it broke".into())]),
    };
    Context {
        input: Value::from([
            ("sku", "S-1".into()),
            ("count", int(7)),
            ("price", Value::Float(2.5)),
            ("big", Value::UInt(u64::MAX)),
            ("nothing", Value::Null),
            ("blob", Value::Bytes(vec![0xff, 0x00])),
            ("flag", true.into()),
            ("items", Value::from(items.to_vec())),
            ("labels", Value::from([("z", "last".into()), ("a", "first".into())])),
        ]),
        vars: Object::from([("approved_by".to_owned(), Value::Null), ("n".to_owned(), int(4))]),
        tasks: [("reserve".to_owned(), reserve), ("pack".to_owned(), pack)].into(),
        run: Value::from([("id", "r-1".into()), ("tasks", Value::from([("total", int(4))]))]),
        now: Timestamp::from_millis(1_769_860_800_250),
    }
}

fn int(number: i64) -> Value {
    Value::Int(number)
}

/// What the template of one string yields, as JSON text.
fn yields(text: &str) -> Result<String, String> {
    let mut faults = Vec::new();
    let template = Template::compile(&Value::from(text), &Pointer::root(), &mut faults);
    match faults.into_iter().next() {
        Some(fault) => Err(format!("fault: {}", fault.message)),
        None => match template.evaluate(&context()) {
            Ok(value) => Ok(text::to_json(&value).expect("the result was checked")),
            Err(error) => Err(error.to_string()),
        },
    }
}

fn check(rows: &[(&str, &str)]) {
    for (expression, expected) in rows {
        assert_eq!(yields(&format!("${{{{ {expression} }}}}")).as_deref(), Ok(*expected), "{expression}");
    }
}

/// Each of these errors, at run time or when compiled, contains the text beside it.
fn check_errors(rows: &[(&str, &str)]) {
    for (expression, expected) in rows {
        let error = yields(&format!("${{{{ {expression} }}}}")).expect_err(expression);
        assert!(error.contains(expected), "{expression}: {error}");
    }
}

#[test]
fn values_and_names() {
    check(&[
        ("null", "null"),
        ("true", "true"),
        ("-7", "-7"),
        ("0x10", "16"),
        ("7u", "7"),
        ("1.5", "1.5"),
        ("1e3", "1000.0"),
        ("'a' + \"b\"", "\"ab\""),
        ("r'\\d'", "\"\\\\d\""),
        ("'\\u00e9'", "\"é\""),
        ("b'\\xff'", "{\"$binary\":\"/w==\"}"),
        ("[1, 'a', [null]]", "[1,\"a\",[null]]"),
        ("{'b': 1, 'a': {}}", "{\"a\":{},\"b\":1}"),
        ("input.sku", "\"S-1\""),
        ("input['sku']", "\"S-1\""),
        ("input.big", "18446744073709551615"),
        ("input.items[1].name", "\"b\""),
        ("input.items[1.0].n", "2"),
        ("vars.n", "4"),
        ("vars", "{\"approved_by\":null,\"n\":4}"),
        ("vars['n'] + vars.?n.value()", "8"),
        ("tasks.reserve.output.ok", "true"),
        ("tasks['reserve'].output.parts[0]", "1"),
        ("tasks.pack.status", "\"failed\""),
        ("tasks.pack.failure.code", "\"broken\""),
        ("tasks.reserve.failure", "null"),
        ("run.tasks.total", "4"),
        ("now", "\"2026-01-31T12:00:00.250Z\""),
        ("1 // a comment", "1"),
    ]);
}

#[test]
fn operators() {
    check(&[
        ("1 + 2 * 3 - 4", "3"),
        ("-7 / 2", "-3"),
        ("-7 % 2", "-1"),
        ("7.0 / 2.0", "3.5"),
        ("9223372036854775807 + 1", "9223372036854775808"),
        ("input.big - 1", "18446744073709551614"),
        ("-input.count", "-7"),
        ("--input.count", "7"),
        ("!input.flag", "false"),
        ("1 == 1.0 && 1 != 2 && [1] == [1.0] && {'a': 1} == {'a': 1.0}", "true"),
        ("1 == '1' || null == false", "false"),
        ("1 < 1.5 && 2 > 1.5 && 'a' < 'b' && b'a' <= b'a' && false < true", "true"),
        ("input.big > 9223372036854775807", "true"),
        ("2 in [1, 2.0] && !('x' in ['y'])", "true"),
        ("'sku' in input && !('nope' in input) && !(1 in input)", "true"),
        ("[1] + [2, 3]", "[1,2,3]"),
        ("b'a' + b'b' == b'ab'", "true"),
        ("input.count > 5 ? 'many' : 'few'", "\"many\""),
        ("true ? 1 : input.nope", "1"),
        ("input.nope == 1 || true", "true"),
        ("input.nope == 1 && false", "false"),
        ("false && input.nope == 1", "false"),
    ]);
    check_errors(&[
        ("input.sku + 1", "+ does not take string and int, convert with string()"),
        ("input.count + input.price", "+ does not take int and double, convert one with int() or double()"),
        ("input.price % 2.0", "% does not take"),
        ("input.count / 0", "7 / 0: division by zero"),
        ("input.big + input.big", "beyond the integers of 64 bits"),
        ("input.sku < 1", "< does not take string and int"),
        ("!input.sku", "expected bool, found string"),
        ("-input.sku", "- does not take string"),
        ("input.sku && true", "expected bool, found string"),
        ("input.nope == 1 || false", "there is no \"nope\""),
        ("input.sku ? 1 : 2", "expected bool, found string"),
        ("'a' in input.sku", "in does not take string and string"),
        ("{input.sku: 1, 'S-1': 2}", "a map names the same key twice"),
        ("{input.count: 1}", "the keys of a map are strings, found int"),
    ]);
}

#[test]
fn members_and_optionals() {
    check(&[
        ("has(input.sku) && !has(input.nope)", "true"),
        ("has(vars.n) && !has(vars.nope)", "true"),
        ("has(tasks.pack.output)", "true"),
        ("has(tasks.reserve.output.ok)", "true"),
        ("has(input.?labels.z)", "true"),
        ("has(input.?nope.z)", "false"),
        ("input.?sku.orValue('none')", "\"S-1\""),
        ("input.?nope.orValue('none')", "\"none\""),
        ("input.?nope.deep.deeper.orValue(0)", "0"),
        ("input.?sku.?x.orValue('not a map')", "\"not a map\""),
        ("input.items[?7].orValue({})", "{}"),
        ("input.items[?0].name.value()", "\"a\""),
        ("input.?nope.or(input.?sku).value()", "\"S-1\""),
        ("input.?nope.hasValue()", "false"),
        ("vars.?nope.orValue(1)", "1"),
        ("tasks.reserve.output.?parts[0].value()", "1"),
        ("tasks.reserve.output.?parts[9].orValue(3)", "3"),
    ]);
    check_errors(&[
        ("input.nope", "there is no \"nope\""),
        ("input['nope']", "there is no \"nope\""),
        ("input.items[3]", "there is no 3"),
        ("input.items[-1]", "there is no -1"),
        ("input.sku.x", "cannot take \"x\" of string"),
        ("input.nothing.x", "cannot take \"x\" of null"),
        ("has(input.nothing.x)", "cannot take \"x\" of null"),
        ("input.items['a']", "cannot take \"a\" of list"),
        ("input.items[true ? null : null]", "an index expects int or double or string, found null"),
        ("input[input.flag]", "cannot index map with bool"),
        ("input.?sku", "an optional is no value by itself"),
        ("[input.?sku]", "an optional is no value by itself"),
        ("input.?nope.value()", "an optional that holds nothing"),
        ("input.sku.orValue(1)", "orValue expects an optional such as a.?b, found string"),
    ]);
}

#[test]
fn comprehensions() {
    check(&[
        ("input.items.map(i, i.n * 2)", "[2,4,6]"),
        ("input.items.map(i, i.n > 1, i.name)", "[\"b\",\"c\"]"),
        ("input.items.filter(i, i.n != 2).map(i, i.name)", "[\"a\",\"c\"]"),
        ("input.items.all(i, i.n > 0)", "true"),
        ("input.items.exists(i, i.n > 2)", "true"),
        ("input.items.exists_one(i, i.n > 1)", "false"),
        ("[].all(i, false) && ![].exists(i, true)", "true"),
        ("input.labels.map(k, input.labels[k])", "[\"first\",\"last\"]"),
        ("[[1, 2], [3]].map(x, x.map(y, [y, size(x)]))", "[[[1,2],[2,2]],[[3,1]]]"),
        ("[1, 2].map(input, input + 1)", "[2,3]"),
        ("[{'output': 1}].map(tasks, tasks.output)", "[1]"),
        ("[0, 1].exists(i, 1 / i == 1)", "true"),
        ("[0, 2].all(i, 1 / i == 1)", "false"),
    ]);
    check_errors(&[
        ("[0, 2].exists(i, 1 / i == 1)", "division by zero"),
        ("input.sku.map(c, c)", "expected list or map, found string"),
        ("input.items.filter(i, i.n)", "expected bool, found int"),
        ("[1].map(x, y)", "unknown name \"y\""),
        ("[1].map(x, x) == x", "unknown name \"x\""),
        ("[1].map(x.y, 1)", "argument must be a simple name"),
    ]);
}

#[test]
fn functions() {
    check(&[
        ("size('é') + 'ab'.size() + size([1]) + size({'a': 1}) + size(b'abc')", "8"),
        ("string(1) + string(2.5) + string(true) + string(b'x') + string('y')", "\"12.5truexy\""),
        ("string(input.big)", "\"18446744073709551615\""),
        ("int('-5') + int(2.9) + int(3)", "0"),
        ("uint('18446744073709551615') == input.big && int('18446744073709551615') == input.big", "true"),
        ("double('1.5') + double(2)", "3.5"),
        ("bool('true') && !bool('0') && bool(true)", "true"),
        ("bytes('é') == b'\\xc3\\xa9'", "true"),
        ("type(1) == int && type(1u) == uint && type('') == string && type(null) == null_type", "true"),
        (
            "[1, 1.0, '', b'', true, null, [], {}].map(x, type(x))",
            "[\"int\",\"double\",\"string\",\"bytes\",\"bool\",\"null\",\"list\",\"map\"]",
        ),
        ("dyn(input.sku)", "\"S-1\""),
        ("'abc'.contains('b') && 'abc'.startsWith('ab') && 'abc'.endsWith('bc')", "true"),
        ("json({'a': [1, b'x']})", "\"{\\\"a\\\":[1,{\\\"$binary\\\":\\\"eA==\\\"}]}\""),
        ("join(['a', 'b'], '-') + ['c', 'd'].join()", "\"a-bcd\""),
        ("'a,b,,c'.split(',')", "[\"a\",\"b\",\"\",\"c\"]"),
        ("split('aé', '')", "[\"a\",\"é\"]"),
        ("lower('ÀB') + upper('éß')", "\"àbÉSS\""),
        ("keys(input.labels)", "[\"a\",\"z\"]"),
        ("range(3) + range(0)", "[0,1,2]"),
    ]);
    check_errors(&[
        ("size(1)", "size expects string or bytes or list or map, found int"),
        ("size(input.count)", "size expects string or bytes or list or map, found int"),
        ("string(input.items)", "string expects string or bytes or bool or int or double, found list"),
        ("string(input.blob)", "string expects bytes that are UTF-8"),
        ("int(input.sku)", "int of a string that is no integer"),
        ("int(1e30)", "which no integer of 64 bits holds"),
        ("int(0.0 / 0.0)", "int of NaN"),
        ("uint(-1)", "uint of a negative number"),
        ("double(input.sku)", "double of a string that is no number"),
        ("bool('yes')", "neither true nor false"),
        ("join([input.count])", "join expects a list of strings, found int at 0"),
        ("input.sku.contains(input.count)", "contains expects string, found int"),
        ("range(-1)", "range of a negative number"),
        ("1.0 / 0.0", "no number that JSON can hold"),
    ]);
}

#[test]
fn faults_when_compiled() {
    check_errors(&[
        ("", "an expression is empty"),
        ("1 +", "syntax error at column 4"),
        ("1 + 'a'", "fault: ${{ 1 + 'a' }}: + does not take int and string"),
        ("'a' < 1", "fault: "),
        ("true + input.x", "fault: "),
        ("now - 1", "fault: "),
        ("tasks.a.status && true", "&& expects bool, found string"),
        ("!1", "! expects bool, found int"),
        ("-'a'", "- expects int or double, found string"),
        ("1 ? 2 : 3", "the condition before ? expects bool, found int"),
        ("'a'.map(x, x)", "a comprehension expects list or map, found string"),
        ("[1].filter(x, 'a')", "the condition of filter and map expects bool, found string"),
        ("[1].all(x, 1)", "expects bool, found int"),
        ("'a'.b", "taking a member expects map, found string"),
        ("1[0]", "indexing expects list or map, found int"),
        ("{1: 2}", "the keys of a map are strings, found int"),
        ("nope.x", "unknown name \"nope\", expected input, vars, tasks, run or now"),
        ("item", "\"item\" is not supported by this version"),
        ("index", "\"index\" is not supported by this version"),
        ("update.who", "\"update\" is not supported by this version"),
        ("secrets.KEY", "\"secrets\" is not supported by this version"),
        (".input", "unknown name \".input\""),
        ("tasks", "tasks is used as tasks.<name>.output, .status or .failure"),
        ("tasks.a", "expected tasks.a.output, tasks.a.status or tasks.a.failure"),
        ("has(tasks.a)", "expected tasks.a.output"),
        ("tasks.?a", "expected tasks.a.output"),
        ("tasks.a.?output", "expected tasks.a.output"),
        ("tasks.a['output']", "expected tasks.a.output"),
        ("tasks.a.result", "a task has no \"result\", expected tasks.a.output"),
        ("tasks[input.x].output", "tasks is used as"),
        ("tasks[?'a']", "tasks is used as"),
        ("tasks.size()", "tasks is used as"),
        ("[tasks]", "tasks is used as"),
        ("nope(1)", "unknown function \"nope\", expected one of has, all"),
        ("'a'.matches('b')", "unknown function \"matches\""),
        ("lower()", "lower takes 1 argument(s) here, found 0"),
        ("join([], 'a', 'b')", "join takes 1 to 2 argument(s) here, found 3"),
        ("'a'.split()", "split takes 1 argument(s) here, found 0"),
        ("'a'.string()", "string is called as string(x)"),
        ("contains('a', 'b')", "contains is called as x.contains(…)"),
        ("lower(1)", "lower expects string, found int"),
        ("Foo{a: 1}", "messages (Foo{…}) are not supported"),
        ("[?input.x]", "optional elements ([?x]) are not supported"),
        ("{?'a': input.?x}", "optional members ({?k: v}) are not supported"),
        ("input.`a`", "unsupported syntax"),
        ("a = 1", "syntax error"),
        ("for", "reserved identifier"),
        ("9223372036854775808", "invalid int literal"),
        ("é", "syntax error"),
    ]);
}

#[test]
fn texts() {
    for (text, expected) in [
        ("plain", "\"plain\""),
        ("", "\"\""),
        ("${{ input.count }}", "7"),
        ("${{input.count}}", "7"),
        ("${{\n  input.count\n}}", "7"),
        (" ${{ input.count }}", "\" 7\""),
        ("n=${{ input.count }}, ${{ input.price }}", "\"n=7, 2.5\""),
        ("${{ input.sku }}${{ input.nothing }}", "\"S-1null\""),
        (
            "is ${{ input.flag }} ${{ [1, 'a'] }} ${{ {'a': b'x'} }}",
            "\"is true [1,\\\"a\\\"] {\\\"a\\\":{\\\"$binary\\\":\\\"eA==\\\"}}\"",
        ),
        ("$${{ input.count }}", "\"${{ input.count }}\""),
        ("$$${{ x }} ${{ 1 }}", "\"$${{ x }} 1\""),
        ("${{ '$' }}${{ 1 }}", "\"$1\""),
        ("${{ 'a}}b' }}", "\"a}}b\""),
        ("${{ \"}}\" + '\\'}}' + r'}}\\' + '''}}''' + rb'}}\\'.type_is_no_method() }}", "unknown function"),
        ("${{ \"}}\" + '\\'}}' + r'}}\\' + '''}}'}}''' }}!", "\"}}'}}}}\\\\}}'}}!\""),
        ("${{ {'a': {'b': 1}} }}", "{\"a\":{\"b\":1}}"),
        ("${{{'a': {'b': 1}}}}", "{\"a\":{\"b\":1}}"),
        ("${{ 1 // it's fine }}", "1"),
        ("${{ 1 // it's }} fine\n + 1 }}", "\"1 fine\\n + 1 }}\""),
        ("$ {{ 1 }} }} {{", "\"$ {{ 1 }} }} {{\""),
        ("${{ 1", "without its `}}`"),
        ("${{ 'a }}", "without its `}}`"),
        ("${{ {'a': 1 }}", "without its `}}`"),
        ("a ${{ }} b", "an expression is empty"),
    ] {
        match yields(text) {
            Ok(json) => assert_eq!(json, expected, "{text}"),
            Err(error) => assert!(error.contains(expected), "{text}: {error}"),
        }
    }
}

#[test]
fn escaped_marks_are_no_expressions() {
    for (text, contains) in [
        ("", false),
        ("${ {", false),
        ("${{", true),
        ("a ${{ b }}", true),
        ("$${{ a }}", false),
        ("$${{ a }} ${{ b }}", true),
        ("$${{$${{", false),
        ("$${{${{", true),
        ("$$${{", false),
    ] {
        assert_eq!(contains_expression(text), contains, "{text}");
    }
}

#[test]
fn templates_walk_lists_and_objects() {
    let source = Value::from([
        ("plain", Value::from(vec!["a".into(), "$${{ b }}".into()])),
        ("sum", "${{ input.count + tasks.reserve.output.parts[0] }}".into()),
        ("deep", Value::from(vec![Value::from([("who", "${{ vars.approved_by }} at ${{ now }}".into())])])),
    ]);
    let mut faults = Vec::new();
    let template = Template::compile(&source, &Pointer::root(), &mut faults);
    assert_eq!(faults, []);
    assert_eq!(template.source(), &source);
    assert_eq!(template.constant(), None);
    assert_eq!(Vec::from_iter(&template.names().roots), ["input", "now", "tasks", "vars"]);
    assert_eq!(Vec::from_iter(&template.names().tasks), ["reserve"]);
    let value = template.evaluate(&context()).map(|value| text::to_json(&value));
    let expected =
        r#"{"deep":[{"who":"null at 2026-01-31T12:00:00.250Z"}],"plain":["a","${{ b }}"],"sum":8}"#;
    assert_eq!(value, Ok(Ok(expected.to_owned())));
}

#[test]
fn values_without_expressions_are_constants() {
    let source = Value::from([("a", Value::from(vec!["$${{ x }}".into(), int(1)]))]);
    let template = Template::compile(&source, &Pointer::root(), &mut Vec::new());
    let constant = Value::from([("a", Value::from(vec!["${{ x }}".into(), int(1)]))]);
    assert_eq!(template.constant(), Some(&constant));
    assert_eq!(template.evaluate(&context()), Ok(constant));
    assert_eq!(template.names(), &Names::default());
}

#[test]
fn every_fault_is_found_with_its_place() {
    let source = Value::from([
        ("a", Value::from(vec![int(1), "${{ nope }}".into(), "${{ input.x".into()])),
        ("b/c", "${{ 1 + }} and ${{ tasks }}".into()),
        ("${{ key }}", Value::Null),
    ]);
    let mut faults = Vec::new();
    Template::compile(&source, &Pointer::from("/tasks/t/with"), &mut faults);
    let places: Vec<_> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
    assert_eq!(
        places,
        [
            "/tasks/t/with/${{ key }}",
            "/tasks/t/with/a/1",
            "/tasks/t/with/a/2",
            "/tasks/t/with/b~1c",
            "/tasks/t/with/b~1c"
        ]
    );
}

#[test]
fn conditions_are_one_whole_expression_that_yields_a_bool() {
    let holds = |text: &str| match Expression::compile(text) {
        Ok(expression) => expression.holds(&context()).map_err(|error| error.to_string()),
        Err(message) => Err(message),
    };
    assert_eq!(holds("${{ tasks.reserve.output.ok }}"), Ok(true));
    assert_eq!(holds(" ${{ tasks.pack.status == 'completed' }}\n"), Ok(false));
    for (text, expected) in [
        ("true", "expected one whole expression"),
        ("", "expected one whole expression"),
        ("${{ true }} ${{ true }}", "expected one whole expression"),
        ("not ${{ true }}", "expected one whole expression"),
        ("$${{ true }}", "expected one whole expression"),
        ("${{ true", "without its `}}`"),
        ("${{ 'true' }}", "${{ 'true' }}: expected bool, found string"),
        ("${{ tasks.pack.status }}", "expected bool, found string"),
        ("${{ input.count }}", "${{ input.count }}: expected bool, found int"),
        ("${{ input.?flag }}", "an optional is no value by itself"),
        ("${{ input.nope }}", "${{ input.nope }}: there is no \"nope\""),
    ] {
        let error = holds(text).expect_err(text);
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn conditions_say_what_they_read() {
    for (text, roots, tasks) in [
        ("${{ true }}", vec![], vec![]),
        ("${{ input.x == vars.y && run.z == now }}", vec!["input", "now", "run", "vars"], vec![]),
        (
            "${{ tasks.a.output || tasks['b'].status == '' || has(tasks.c.failure.x) }}",
            vec!["tasks"],
            vec!["a", "b", "c"],
        ),
        ("${{ has(tasks.d.output) }}", vec!["tasks"], vec!["d"]),
        ("${{ [1].all(input, input > 0) }}", vec![], vec![]),
    ] {
        let expression = Expression::compile(text).expect(text);
        assert_eq!(Vec::from_iter(&expression.names().roots), roots, "{text}");
        assert_eq!(Vec::from_iter(&expression.names().tasks), tasks, "{text}");
    }
}

#[test]
fn errors_name_the_expression_and_cut_it() {
    let long = format!("'{}' + input.count", "é".repeat(100));
    let error = yields(&format!("${{{{ {long} }}}}")).expect_err("a string and an int");
    let shown = format!("${{{{ '{}… }}}}: + does not take string and int", "é".repeat(79));
    assert!(error.starts_with(&shown), "{error}");
}

#[test]
fn a_task_that_is_not_known_is_an_error() {
    let error = yields("${{ tasks.nope.output }}").expect_err("unknown");
    assert!(error.contains("nothing is known of the task \"nope\" here"), "{error}");
}
