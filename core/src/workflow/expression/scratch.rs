use super::*;
use crate::value::{Pointer, Value};
use std::time::Instant;
fn t(name: &str, doc: Value) {
    let s = Instant::now();
    let mut f = vec![];
    let t = Template::compile(&doc, &Pointer::root(), &mut f);
    let c = s.elapsed();
    let s = Instant::now();
    let r = t.evaluate(&super::tests::context()).map(drop);
    eprintln!("bomb {name}: compile {c:?} faults {} evaluate {:?} {}", f.len(), s.elapsed(), match r { Ok(()) => "ok".into(), Err(e) => e.to_string() });
}
#[test]
fn scratch() {
    t("many small", Value::from("${{1}}".repeat(174_000)));
    t("many small faults", Value::from("${{?}}".repeat(174_000)));
    let many = |e: String| Value::from(vec![Value::from(format!("${{{{{e}}}}}")); (1 << 20) / (e.len() + 6)]);
    let ones = |n: usize| vec!["1"; n].join(",");
    t("nested dyn list", many(format!("{}[{}]{}", "dyn(".repeat(62), ones(320), ")".repeat(62))));
    t("nested all", many(format!("{}[{}]{}", "[].all(x,".repeat(62), ones(200), "==[])".repeat(62))));
    t("chain", many(format!("[{}]{}", ones(100), ".size()".repeat(115))));
    t("chain2", many(format!("[{}]{}", ones(200), ".f()".repeat(150))));
    t("chain map", many(format!("[{}]{}", ones(100), ".map(x,x)".repeat(88))));
    t("args", many(format!("{}[{}]{}", "1.f(".repeat(62), ones(320), ")".repeat(62))));
    t("ors", many(vec!["true"; 170].join("||")));
    t("long", many(format!("'{}'", "x".repeat(1000))));
    t("parens", many(format!("{}1{}", "(".repeat(62), ")".repeat(62))));
    t("parens2", many("((1)+".repeat(60) + "1" + &")".repeat(60)));
    t("soup", many("((((((((1".repeat(7) + ")"));
}
