//! One call: an instance of its own, the input copied in, the answer copied out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::Bytes;
use selvedge::module::{ALLOCATE, Guest, MEMORY, ModuleCall, ModuleFailure, ModuleLimits};
use wasmtime::{
    Engine, Instance, Memory, ResourceLimiter, Store, Trap, UpdateDeadline, WasmParams, WasmResults,
};

use crate::cache::Loaded;
use crate::modules::{TABLE_ELEMENTS_MAX, chain};

/// When a call ends at the latest.
pub(crate) struct Deadline {
    pub(crate) at: Instant,
    /// Set when nobody waits for the answer any more.
    pub(crate) abandoned: Arc<AtomicBool>,
}

/// What belongs to one instance.
pub(crate) struct State {
    pub(crate) guest: Guest,
    memory_bytes_max: usize,
    /// Whether the module was refused memory.
    denied: bool,
}

/// Why the host ends a call.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    #[error("the time is over")]
    TimedOut,
    #[error("nobody waits for the answer")]
    Abandoned,
    #[error("{0}")]
    Contract(String),
}

/// Instantiates the module and calls its function.
pub(crate) fn call(
    engine: &Engine,
    loaded: &Loaded,
    call: ModuleCall,
    deadline: Deadline,
) -> Result<Bytes, ModuleFailure> {
    let limits = call.limits;
    if Instant::now() >= deadline.at {
        return Err(ModuleFailure::TimedOut(limits.time));
    }
    let state = State { guest: call.guest, memory_bytes_max: limits.memory_bytes_max, denied: false };
    let mut store = Store::new(engine, state);
    store.limiter(|state| state);
    let answer = prepare(&mut store, &limits, deadline)
        .and_then(|()| loaded.instantiate(&mut store))
        .map_err(Broken::Engine)
        .and_then(|instance| answer(&mut store, instance, call.function.as_str(), &call.input, &limits));
    answer.map_err(|broken| failure(broken, store.data(), &limits))
}

/// Why there is no answer.
enum Broken {
    Engine(wasmtime::Error),
    Ours(ModuleFailure),
}

impl From<wasmtime::Error> for Broken {
    fn from(error: wasmtime::Error) -> Self {
        Broken::Engine(error)
    }
}

fn prepare(
    store: &mut Store<State>,
    limits: &ModuleLimits,
    deadline: Deadline,
) -> Result<(), wasmtime::Error> {
    store.set_fuel(limits.fuel)?;
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| {
        if deadline.abandoned.load(Ordering::Relaxed) {
            return Err(Stop::Abandoned.into());
        }
        if Instant::now() >= deadline.at {
            return Err(Stop::TimedOut.into());
        }
        Ok(UpdateDeadline::Continue(1))
    });
    Ok(())
}

fn answer(
    store: &mut Store<State>,
    instance: Instance,
    name: &str,
    input: &[u8],
    limits: &ModuleLimits,
) -> Result<Bytes, Broken> {
    let memory = instance.get_memory(&mut *store, MEMORY);
    let memory = memory.ok_or_else(|| missing(MEMORY))?;
    let allocate = function::<i32, i32>(store, instance, ALLOCATE)?;
    let function = function::<(i32, i32), i64>(store, instance, name)?;
    let at = allocate.call(&mut *store, input.len() as i32)?;
    if at == 0 && !input.is_empty() {
        return Err(Broken::Ours(ModuleFailure::OutOfMemory(limits.memory_bytes_max)));
    }
    write(store, memory, at, input)?;
    let packed = function.call(&mut *store, (at, input.len() as i32))? as u64;
    let (start, length) = ((packed >> 32) as usize, packed as u32 as usize);
    if length > limits.output_bytes_max {
        let max = limits.output_bytes_max;
        return Err(Broken::Ours(ModuleFailure::TooLong { found: length, max }));
    }
    match memory.data(&*store).get(start..start + length) {
        Some(answer) => Ok(Bytes::copy_from_slice(answer)),
        None => Err(contract(format!(
            "the function's answer is {length} bytes at {start}, outside of its memory"
        ))),
    }
}

fn write(store: &mut Store<State>, memory: Memory, at: i32, bytes: &[u8]) -> Result<(), Broken> {
    let start = at as u32 as usize;
    match memory.data_mut(store).get_mut(start..start + bytes.len()) {
        Some(room) => {
            room.copy_from_slice(bytes);
            Ok(())
        }
        None => Err(contract(format!(
            "`{ALLOCATE}` gave room for {} bytes at {start}, outside of the memory",
            bytes.len()
        ))),
    }
}

fn function<P: WasmParams, R: WasmResults>(
    store: &mut Store<State>,
    instance: Instance,
    name: &str,
) -> Result<wasmtime::TypedFunc<P, R>, Broken> {
    instance.get_typed_func(store, name).map_err(|_| missing(name))
}

fn missing(name: &str) -> Broken {
    Broken::Ours(ModuleFailure::Module(format!("the module does not export `{name}` as it should")))
}

fn contract(why: String) -> Broken {
    Broken::Ours(ModuleFailure::Contract(why))
}

/// What went wrong, in core's words.
fn failure(broken: Broken, state: &State, limits: &ModuleLimits) -> ModuleFailure {
    let error = match broken {
        Broken::Ours(failure) => return failure,
        Broken::Engine(error) => error,
    };
    match error.downcast_ref::<Stop>() {
        Some(Stop::TimedOut) => return ModuleFailure::TimedOut(limits.time),
        Some(Stop::Abandoned) => return ModuleFailure::Host(Stop::Abandoned.to_string()),
        Some(Stop::Contract(why)) => return ModuleFailure::Contract(why.clone()),
        None => {}
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => ModuleFailure::OutOfFuel(limits.fuel),
        Some(Trap::StackOverflow) => ModuleFailure::OutOfStack,
        Some(Trap::Interrupt) => ModuleFailure::TimedOut(limits.time),
        // Most languages answer a refusal of memory so.
        Some(Trap::UnreachableCodeReached | Trap::MemoryOutOfBounds) if state.denied => {
            ModuleFailure::OutOfMemory(limits.memory_bytes_max)
        }
        Some(trap) => ModuleFailure::Trap(trap.to_string()),
        None if state.denied => ModuleFailure::OutOfMemory(limits.memory_bytes_max),
        None => ModuleFailure::Host(chain(&error)),
    }
}

impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        _: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, wasmtime::Error> {
        let allowed = desired <= self.memory_bytes_max && maximum.is_none_or(|maximum| desired <= maximum);
        self.denied |= !allowed;
        Ok(allowed)
    }

    fn table_growing(
        &mut self,
        _: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, wasmtime::Error> {
        let allowed = desired <= TABLE_ELEMENTS_MAX && maximum.is_none_or(|maximum| desired <= maximum);
        self.denied |= !allowed;
        Ok(allowed)
    }

    fn instances(&self) -> usize {
        1
    }

    fn memories(&self) -> usize {
        1
    }
}
