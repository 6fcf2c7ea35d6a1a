//! What a call of a module costs beside a closure of the same work: `cargo bench -p selvedge-wasmtime`.
//!
//! Both answer `{"output": <input>}`. They are measured in turns, so that what else the machine does falls on
//! both. `instantiation` is a call of a function that does nothing, `compilation` that of the module.
#![allow(clippy::print_stdout, reason = "a bench prints what it measures")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use selvedge::ids::ModuleDigest;
use selvedge::module::{Checkpoints, Encoding, Guest, ModuleCall, ModuleLimits};
use selvedge::time::Timestamp;
use selvedge_wasmtime::{Modules, Options};

const ROUNDS: usize = 20;
const CALLS: usize = 2_000;

const ECHO: &str = r#"(module
  (memory (export "memory") 1)
  (data (i32.const 1014) "{\22output\22:")
  (func (export "selvedge_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "nothing") (param i32 i32) (result i64) (i64.const 0))
  (func (export "echo") (param i32 i32) (result i64)
    (i32.store8 (i32.add (local.get 0) (local.get 1)) (i32.const 125))
    (i64.or (i64.shl (i64.const 1014) (i64.const 32)) (i64.extend_i32_u (i32.add (local.get 1) (i32.const 11))))))"#;

/// What a module is compared with.
type Native = Box<dyn Fn(&[u8]) -> Bytes>;

fn main() {
    let bytes: Bytes = wat::parse_str(ECHO).expect("the bench's own text").into();
    let modules = Modules::new(&Options::default()).expect("it starts");
    let begun = Instant::now();
    modules.compile(&bytes).expect("it compiles");
    let compilation = begun.elapsed();
    let input =
        Bytes::from_static(br#"{"sku":"a-1","count":3,"note":"sixty-four bytes of input or so, here"}"#);
    let module = ModuleDigest::of(&bytes);
    let closure: Native = Box::new(|input| [&b"{\"output\":"[..], input, b"}"].concat().into());
    let (mut native, mut wasm, mut empty) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    for _ in 0..ROUNDS {
        native += measured(|| drop(black_box(closure(black_box(&input)))));
        wasm += measured(|| {
            let answer = modules.call(call(&module, "echo", &input), None).expect("it answers");
            assert_eq!(answer.len(), input.len() + 11);
        });
        empty += measured(|| drop(modules.call(call(&module, "nothing", &input), None)));
    }
    let each = |whole: Duration| whole / (ROUNDS * CALLS) as u32;
    let per_second = |whole: Duration| (ROUNDS * CALLS) as f64 / whole.as_secs_f64();
    println!("native closure   {:>10.0} calls/s  {:?} each", per_second(native), each(native));
    println!("wasm call        {:>10.0} calls/s  {:?} each", per_second(wasm), each(wasm));
    println!("instantiation    {:>10.0} calls/s  {:?} each", per_second(empty), each(empty));
    println!("wasm / native    {:>10.1}", wasm.as_secs_f64() / native.as_secs_f64());
    println!("instantiation / native {:>4.1}", empty.as_secs_f64() / native.as_secs_f64());
    println!("compilation      {compilation:?}, once");
}

fn measured(mut work: impl FnMut()) -> Duration {
    let begun = Instant::now();
    for _ in 0..CALLS {
        work();
    }
    begun.elapsed()
}

fn call(module: &ModuleDigest, function: &str, input: &Bytes) -> ModuleCall {
    let checkpoints =
        Checkpoints { earlier: BTreeMap::new(), count_max: 0, bytes_max: 0, value_bytes_max: 0 };
    ModuleCall {
        module: module.clone(),
        function: function.parse().expect("a name"),
        input: input.clone(),
        guest: Guest::new(Encoding::Json, Timestamp::from_millis(0), checkpoints),
        limits: ModuleLimits {
            time: selvedge::time::Duration::from_secs(60),
            fuel: 1_000_000_000,
            memory_bytes_max: 64 << 20,
            output_bytes_max: 1 << 20,
        },
    }
}
