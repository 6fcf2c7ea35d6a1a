//! Whatever a module does, its call ends with the right failure, and the engine goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use selvedge::ids::ModuleDigest;
use selvedge::module::{Checkpoints, Encoding, Guest, ModuleCall, ModuleFailure, ModuleLimits, inspect};
use selvedge::time::{Duration, Timestamp};
use selvedge_wasmtime::{Modules, Options};

/// How many hostile calls the engine must survive.
const HOSTILE_CALLS: usize = 10_000;
/// The memory of a call.
const MEMORY_BYTES_MAX: usize = 4 << 20;

/// A module of good and bad functions. `good` answers its input.
const ZOO: &str = r#"(module
  (import "selvedge" "log" (func $log (param i32 i32 i32)))
  (import "selvedge" "checkpoint_put" (func $put (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (table 10 funcref)
  (func (export "selvedge_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "good") (param i32 i32) (result i64)
    (i64.or (i64.shl (i64.extend_i32_u (local.get 0)) (i64.const 32)) (i64.extend_i32_u (local.get 1))))
  (func (export "trap") (param i32 i32) (result i64) (unreachable))
  (func (export "divide") (param i32 i32) (result i64) (i64.div_s (i64.const 1) (i64.const 0)))
  (func (export "reach") (param i32 i32) (result i64) (i64.load (i32.const -8)))
  (func (export "grow") (param i32 i32) (result i64)
    (loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) (unreachable))
  (func (export "widen") (param i32 i32) (result i64)
    (loop $l (br_if $l (i32.ne (table.grow (ref.null func) (i32.const 1000)) (i32.const -1)))) (unreachable))
  (func (export "long") (param i32 i32) (result i64) (i64.const 0xfffffff))
  (func (export "outside") (param i32 i32) (result i64) (i64.const 0xfffffff000000010))
  (func $deep (export "deep") (param i32 i32) (result i64)
    (i64.add (i64.const 1) (call $deep (local.get 0) (local.get 1))))
  (func (export "stray") (param i32 i32) (result i64)
    (drop (call $put (i32.const -1) (i32.const 9) (i32.const 0) (i32.const 0))) (i64.const 0))
  (func (export "print") (param i32 i32) (result i64)
    (loop $l (call $log (i32.const 1) (i32.const 0) (i32.const 16)) (br $l)) (unreachable))
  (func (export "loop") (param i32 i32) (result i64) (loop $l (br $l)) (unreachable)))"#;

fn module(text: &str) -> Bytes {
    wat::parse_str(text).expect("the test's own text").into()
}

fn call(module: &Bytes, function: &str, time: Duration, fuel: u64) -> ModuleCall {
    let checkpoints =
        Checkpoints { earlier: BTreeMap::new(), count_max: 10, bytes_max: 1000, value_bytes_max: 100 };
    ModuleCall {
        module: ModuleDigest::of(module),
        function: function.parse().expect("a name"),
        input: Bytes::from_static(b"[1,2]"),
        guest: Guest::new(Encoding::Json, Timestamp::from_millis(0), checkpoints),
        limits: ModuleLimits { time, fuel, memory_bytes_max: MEMORY_BYTES_MAX, output_bytes_max: 1 << 20 },
    }
}

const LONG: Duration = Duration::from_secs(60);
const FUEL: u64 = 100_000;

/// Whether a call ended as it should.
type Ended = fn(&ModuleFailure) -> bool;

/// Functions that harm, and what becomes of each.
fn harm() -> Vec<(&'static str, Ended)> {
    vec![
        ("trap", |failure| matches!(failure, ModuleFailure::Trap(_))),
        ("divide", |failure| matches!(failure, ModuleFailure::Trap(_))),
        ("reach", |failure| matches!(failure, ModuleFailure::Trap(_))),
        ("grow", |failure| *failure == ModuleFailure::OutOfMemory(MEMORY_BYTES_MAX)),
        ("widen", |failure| *failure == ModuleFailure::OutOfMemory(MEMORY_BYTES_MAX)),
        ("long", |failure| matches!(failure, ModuleFailure::TooLong { found: 0xfff_ffff, .. })),
        ("outside", |failure| matches!(failure, ModuleFailure::Contract(_))),
        ("stray", |failure| matches!(failure, ModuleFailure::Contract(_))),
        ("deep", |failure| matches!(failure, ModuleFailure::OutOfStack | ModuleFailure::OutOfFuel(FUEL))),
        ("print", |failure| *failure == ModuleFailure::OutOfFuel(FUEL)),
        ("loop", |failure| *failure == ModuleFailure::OutOfFuel(FUEL)),
        ("nothing", |failure| matches!(failure, ModuleFailure::Module(_))),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_hostile_calls_leave_it_serving() {
    let options = Options { concurrency: 4, memory_bytes_max: MEMORY_BYTES_MAX, ..Options::default() };
    let modules = Arc::new(Modules::new(&options).expect("it starts"));
    let zoo = module(ZOO);
    inspect(&zoo).expect("it keeps the contract, on the outside");
    modules.check(&zoo).await.expect("it compiles");
    let (harm, done) = (Arc::new(harm()), Arc::new(AtomicUsize::new(0)));
    let mut under_way = Vec::new();
    for offset in 0..8 {
        let (modules, zoo, harm, done) = (modules.clone(), zoo.clone(), harm.clone(), done.clone());
        under_way.push(tokio::spawn(async move {
            for number in (offset..HOSTILE_CALLS).step_by(8) {
                let (function, expected) = harm[number % harm.len()];
                let failure = modules.run(call(&zoo, function, LONG, FUEL), None).await;
                let failure = failure.expect_err("nothing of this answers");
                assert!(expected(&failure), "{function}: {failure:?}");
                done.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    for task in under_way {
        task.await.expect("no assertion failed");
    }
    assert_eq!(done.load(Ordering::Relaxed), HOSTILE_CALLS);
    let answer = modules.run(call(&zoo, "good", LONG, FUEL), None).await;
    assert_eq!(answer.as_deref(), Ok(&b"[1,2]"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_call_ends_at_its_deadline_or_when_nobody_waits() {
    let modules = Modules::new(&Options { concurrency: 1, ..Options::default() }).expect("it starts");
    let zoo = module(ZOO);
    let short = Duration::from_millis(30);
    let endless = || call(&zoo, "loop", short, u64::MAX);
    assert_eq!(modules.run(endless(), Some(zoo.clone())).await, Err(ModuleFailure::TimedOut(short)));
    // With one thread, the next call is answered only if this one ends with its future.
    let abandoned = modules.run(call(&zoo, "loop", Duration::MAX, u64::MAX), None);
    let answer = tokio::select! {
        biased;
        answer = abandoned => answer,
        () = tokio::task::yield_now() => modules.run(call(&zoo, "good", LONG, FUEL), None).await,
    };
    assert_eq!(answer.as_deref(), Ok(&b"[1,2]"[..]));
}

#[tokio::test]
async fn bad_modules_are_refused_and_bytes_are_asked_for() {
    let modules = Modules::new(&Options::default()).expect("it starts");
    let good = module(ZOO);
    assert_eq!(modules.run(call(&good, "good", LONG, FUEL), None).await, Err(ModuleFailure::NotLoaded));
    assert!(modules.run(call(&good, "good", LONG, FUEL), Some(good.clone())).await.is_ok());
    assert!(modules.run(call(&good, "good", LONG, FUEL), None).await.is_ok(), "it is at hand now");
    let other = Bytes::from_static(b"\0asm\x01\0\0\0");
    let swapped = modules.run(call(&other, "good", LONG, FUEL), Some(good.clone())).await;
    assert!(matches!(swapped, Err(ModuleFailure::Module(why)) if why.contains("not those of")));
    let invalid = module("(module (memory (export \"memory\") 1) (func (export \"f\") (result i32)))");
    let why = modules.check(&invalid).await.expect_err("a function without its result");
    assert!(why.contains("type mismatch"), "{why}");
    let mut flipped = good.to_vec();
    for at in 8..flipped.len() {
        flipped[at] ^= 0x55;
        let bytes = Bytes::from(flipped.clone());
        if modules.check(&bytes).await.is_ok() {
            let _ = modules
                .run(call(&bytes, "good", Duration::from_millis(100), FUEL), Some(bytes.clone()))
                .await;
        }
        flipped[at] ^= 0x55;
    }
    assert!(modules.run(call(&good, "good", LONG, FUEL), Some(good.clone())).await.is_ok());
}

#[test]
fn what_is_compiled_is_kept_between_processes() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let options = Options { directory: Some(directory.path().to_owned()), ..Options::default() };
    let zoo = module(ZOO);
    for _ in 0..2 {
        let modules = Modules::new(&options).expect("it starts");
        assert_eq!(modules.call(call(&zoo, "good", LONG, FUEL), None), Err(ModuleFailure::NotLoaded));
        let answer = modules.call(call(&zoo, "good", LONG, FUEL), Some(zoo.clone()));
        assert_eq!(answer.as_deref(), Ok(&b"[1,2]"[..]));
    }
    let kept: Vec<_> = std::fs::read_dir(directory.path()).expect("it is there").collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    // What is broken there is compiled anew.
    std::fs::write(kept[0].as_ref().expect("a file").path(), b"broken").expect("it can be written");
    let modules = Modules::new(&options).expect("it starts");
    assert!(modules.call(call(&zoo, "good", LONG, FUEL), Some(zoo)).is_ok());
}

#[test]
fn the_modules_used_last_are_kept() {
    let modules = Modules::new(&Options { compiled_max: 2, ..Options::default() }).expect("it starts");
    let module = |number: u32| module(&ZOO.replace("i32.const 1024", &format!("i32.const {number}")));
    let [one, two, three] = [2048, 4096, 8192].map(module);
    let is_kept = |bytes: &Bytes| modules.call(call(bytes, "good", LONG, FUEL), None).is_ok();
    for bytes in [&one, &two] {
        modules.compile(bytes).expect("it compiles");
    }
    assert!(is_kept(&one), "and so it is used after two");
    modules.compile(&three).expect("it compiles");
    assert_eq!([&one, &two, &three].map(is_kept), [true, false, true]);
}
