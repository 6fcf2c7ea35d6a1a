//! Modules of `wasm` tasks: what `npm/src/modules.js` runs with the browser's engine, in core's terms.

use bytes::Bytes;
use js_sys::{BigInt, Object, Promise, Reflect, Uint8Array};
use selvedge::module::{Guest, ModuleCall, ModuleFailure, ModuleLimits};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

/// How many instructions count as a millisecond. The browser's thread cannot be interrupted, so that a limit of
/// time is one of instructions.
const INSTRUCTIONS_PER_MILLI: u64 = 500_000;

#[wasm_bindgen]
extern "C" {
    /// The browser's engine and what it has compiled; `npm/src/modules.js`.
    pub type Modules;

    #[wasm_bindgen(method)]
    fn check(this: &Modules, bytes: &Uint8Array, memory_bytes_max: f64) -> Promise;

    #[wasm_bindgen(method)]
    fn run(this: &Modules, call: &Object, bytes: Option<Uint8Array>) -> Promise;
}

/// Whom a running module asks.
#[wasm_bindgen]
pub struct Asked(Guest);

#[wasm_bindgen]
impl Asked {
    /// The time that the call is told, in milliseconds since the epoch.
    pub fn now(&self) -> i64 {
        self.0.now()
    }

    /// Prints.
    pub fn log(&self, stream: i32, text: &[u8]) {
        self.0.log(stream, text);
    }

    /// The value of a checkpoint.
    pub fn checkpoint(&self, key: &[u8]) -> Option<Uint8Array> {
        self.0.checkpoint(key).map(|value| Uint8Array::from(&value[..]))
    }

    /// Remembers a value, and says what became of that.
    pub fn remember(&self, key: &[u8], value: &[u8]) -> i32 {
        self.0.remember(key, value)
    }
}

/// Whether the browser takes a module.
pub(crate) async fn check(modules: &Modules, bytes: &[u8], memory_bytes_max: usize) -> Result<(), String> {
    let checked = JsFuture::from(modules.check(&Uint8Array::from(bytes), memory_bytes_max as f64)).await;
    checked.map(drop).map_err(|error| text(&error, "message"))
}

/// Calls a function.
pub(crate) async fn run(
    modules: &Modules,
    call: ModuleCall,
    bytes: Option<Bytes>,
) -> Result<Bytes, ModuleFailure> {
    let limits = call.limits;
    let by_time = limits.time.as_millis().saturating_mul(INSTRUCTIONS_PER_MILLI);
    let fuel = limits.fuel.min(by_time);
    let object = Object::new();
    let set = |name: &str, value: JsValue| {
        Reflect::set(&object, &name.into(), &value).expect("a new object takes members");
    };
    set("digest", call.module.as_str().into());
    set("name", call.function.as_str().into());
    set("input", Uint8Array::from(&call.input[..]).into());
    set("guest", Asked(call.guest).into());
    set("fuel", BigInt::from(fuel.min(i64::MAX as u64)).into());
    set("memoryBytesMax", (limits.memory_bytes_max as f64).into());
    set("outputBytesMax", (limits.output_bytes_max as f64).into());
    let bytes = bytes.map(|bytes| Uint8Array::from(&bytes[..]));
    match JsFuture::from(modules.run(&object, bytes)).await {
        Ok(answer) => Ok(Uint8Array::new(&answer).to_vec().into()),
        Err(error) => Err(failure(&error, &limits, by_time)),
    }
}

fn failure(error: &JsValue, limits: &ModuleLimits, by_time: u64) -> ModuleFailure {
    let message = text(error, "message");
    match text(error, "kind").as_str() {
        "not-loaded" => ModuleFailure::NotLoaded,
        "module" => ModuleFailure::Module(message),
        "trap" => ModuleFailure::Trap(message),
        "contract" => ModuleFailure::Contract(message),
        "fuel" if by_time < limits.fuel => ModuleFailure::TimedOut(limits.time),
        "fuel" => ModuleFailure::OutOfFuel(limits.fuel),
        "memory" => ModuleFailure::OutOfMemory(limits.memory_bytes_max),
        "stack" => ModuleFailure::OutOfStack,
        "too-long" => {
            let found = Reflect::get(error, &"found".into()).ok().and_then(|found| found.as_f64());
            ModuleFailure::TooLong { found: found.unwrap_or_default() as usize, max: limits.output_bytes_max }
        }
        _ => ModuleFailure::Host(message),
    }
}

fn text(object: &JsValue, name: &str) -> String {
    let value = Reflect::get(object, &name.into()).unwrap_or_default();
    value.as_string().unwrap_or_else(|| format!("{object:?}"))
}
