use super::*;
#[test]
fn explore() {
    for y in ["a: 1\nb: [1, 2\n", "a: 1\na: 2\n", "1: x", "~: x", "? [a]\n: b", "a: .nan", "a: 1e999", "--- 1\n--- 2\n", "a: !foo b", "a: !!binary aGVsbG8=", "a: !!binary '?'", "a: 18446744073709551616", "a: -9223372036854775809","a: 18446744073709551615", "a: 0xFFFFFFFFFFFFFFFFF","a: '0xFFFFFFFFFFFFFFFFF'", "a: !!str 0xFFFFFFFFFFFFFFFFF", "a: !!float 18446744073709551616", "a: 1e30", "a: [-0, 007, 1_000, yes, on, ~, null, True, 0x1F, 0o17, 1.0, .5, 1., +1, 12e03, -0.0, 2026-01-01]", "a: &x [1]\nb: *x", "b: *x", "a: &a [*a]", "x: &x {p: 1}\ny: {<<: *x, q: 2}", "\u{feff}a: 1", "# only", "a:\n\t- b", "a: b: c", "\"a", "a: 'x\n", "a: {$binary: aGk=}", "a: !!int 99999999999999999999999", "a: \"\\ud83d\\ude00\"", "a: @x", "%YAML 1.2\n---\na: 1\n...\n", "{\"a\":\t1}", "a: |\n  x\n b"] {
        println!("{y:?} -> {:?}", Value::from_yaml(y));
    }
    println!("{:?}", Value::from_yaml(&"[".repeat(20000)));
    println!("{:?}", Value::from_yaml(&format!("{}{}", "[".repeat(101), "]".repeat(101))));
    println!("{:?}", Value::from_yaml(&format!("{}{}", "[".repeat(102), "]".repeat(102))));
    println!("{:?}", Value::from_yaml(&format!("{}{}", "[".repeat(100), "]".repeat(100))).map(|v|v.depth()));
    println!("{:?}", Value::from_yaml(&format!("{}x", "- ".repeat(3000))));
    let mut bomb = String::from("a0: &a0 [x]\n");
    for i in 1..30 { bomb += &format!("a{i}: &a{i} [*a{0}, *a{0}, *a{0}]\n", i-1); }
    println!("{:?}", Value::from_yaml(&bomb).map(|_|()));
    let mut bomb = format!("a0: &a0 {}\n", "x".repeat(500_000));
    for i in 1..9 { bomb += &format!("a{i}: &a{i} [*a{0}, *a{0}]\n", i-1); }
    println!("{:?}", Value::from_yaml(&bomb).map(|_|()));
    let mut bomb = format!("a0: &a0 \"\\t{}\"\n", "x".repeat(500_000));
    for i in 1..9 { bomb += &format!("a{i}: &a{i} [*a{0}, *a{0}]\n", i-1); }
    println!("{:?}", Value::from_yaml(&bomb).map(|_|()));
    for t in ["a = 1\na = 2", "a = [1,", "x = 1979-05-27T07:32:00Z\ny=07:32:00\nz=1979-05-27", "a = 18446744073709551615", "a = 18446744073709551616", "a = 0xffffffffffffffff", "a = nan", "a=1e400", "a=-0", "a=-0.0", "a = 1_000", "", "[a]\nb=1\n[a]\nc=1", "a.b=1\na=2", "= 1", "a = ", "é = \"x\ny\""] {
        println!("{t:?} -> {:?}", Value::from_toml(t));
    }
    println!("{:?}", Value::from_toml(&format!("a = {}{}", "[".repeat(81), "]".repeat(81))).map(|_|()));
    println!("{:?}", Value::from_toml(&format!("a = {}{}", "[".repeat(79), "]".repeat(79))).map(|_|()));
    println!("{:?}", Value::from_toml(&format!("a = {}{}", "[".repeat(20000), "]".repeat(20000))).map(|_|()));
    println!("{:?}", Value::from_toml(&format!("{}=1", vec!["a"; 20000].join("."))).map(|_|()));
    println!("{:?}", Value::from_toml(&format!("[{}]\n{}=1", vec!["a"; 70].join("."), vec!["a"; 70].join("."))).map(|_|()));
    for j in ["", " \n", "{", "[1,]", "{\"a\":1,\"a\":2}", "[1] x", "18446744073709551616", "-9223372036854775809", "1e400", "-0", "[-0,-0.0,1.0,-0e1]", "{\"$binary\":\"aGVsbG8\"}", "{\"$binary\":\"aGVsbG8=\"}", "{\"$binary\":\"?\"}", "{\"$binary\":1}", "{\"$binary\":\"\",\"x\":1}", "\"\\ud800\"", "{a:1}", "tru", "{\"a\":\n  \u{e9}}", "nan", "[01]", "\u{feff}1", "\"a\tb\"", "12345678901234567890123456789012345"] {
        println!("{j:?} -> {:?}", Value::from_json(j.as_bytes()));
    }
    println!("{:?}", Value::from_json(b"\"\xff\""));
    println!("{:?}", Value::from_json("[".repeat(101).as_bytes()));
    for f in [1e15, 1e16,1e21,1e-7,0.1,1.5e300,5e-324, f64::MAX, 100.0, 123456789012345680.0] { println!("{}", Value::Float(f).to_json()); }
    println!("{:?}", Locations::of_toml("a.b = 1\n[x.y]\nz = 2\n[[t]]\nq=1\n[[t]]\nq=2\n"));
}
