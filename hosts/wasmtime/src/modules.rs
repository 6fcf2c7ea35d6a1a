//! The engine with what it has compiled: checks modules and calls them.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::Bytes;
use futures_channel::oneshot;
use selvedge::ids::ModuleDigest;
use selvedge::module::{ModuleCall, ModuleFailure};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, Linker, Module, PoolingAllocationConfig};

use crate::cache::{Cache, Loaded};
use crate::call::{self, Deadline, State};
use crate::imports;
use crate::threads::Threads;
use crate::ticker::Ticker;

/// The stack of a module's calls, in bytes.
const STACK_BYTES_MAX: usize = 512 << 10;
/// How many elements a module's tables may have.
pub(crate) const TABLE_ELEMENTS_MAX: usize = 20_000;
/// How much of an instance's memory stays resident between calls, so that it need not be mapped anew.
const KEPT_RESIDENT_BYTES: usize = 256 << 10;

/// How the engine is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many calls may run at once; each has a thread and an instance.
    pub concurrency: usize,
    /// The largest memory that any call may be allowed, in bytes.
    pub memory_bytes_max: usize,
    /// How many compiled modules are kept in memory; those used last stay.
    pub compiled_max: usize,
    /// Where compiled modules are kept between processes. Whoever can write there can make the process run
    /// any code: it must belong to the process alone.
    pub directory: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { concurrency: 4, memory_bytes_max: 64 << 20, compiled_max: 64, directory: None }
    }
}

/// Why the engine could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The engine refuses its settings, or the machine does not give what they ask for.
    #[error("the WebAssembly engine does not start: {0}")]
    Engine(wasmtime::Error),
    /// A thread cannot be started.
    #[error("a thread for WebAssembly tasks does not start: {0}")]
    Thread(#[from] std::io::Error),
}

impl From<wasmtime::Error> for StartError {
    fn from(error: wasmtime::Error) -> Self {
        StartError::Engine(error)
    }
}

/// Modules of WebAssembly, ready to be called.
pub struct Modules {
    inner: Arc<Inner>,
    threads: Threads,
}

struct Inner {
    engine: Engine,
    linker: Linker<State>,
    cache: Cache,
    ticker: Ticker,
}

impl Modules {
    /// Starts the engine and its threads.
    ///
    /// # Errors
    /// If the machine gives neither the address space nor the threads.
    pub fn new(options: &Options) -> Result<Self, StartError> {
        let engine = engine(options)?;
        let linker = imports::linker(&engine)?;
        let cache = Cache::new(options.compiled_max, options.directory.clone());
        let ticker = Ticker::start(&engine)?;
        let inner = Arc::new(Inner { engine, linker, cache, ticker });
        Ok(Self { inner, threads: Threads::start(options.concurrency.max(1))? })
    }

    /// Compiles a module, and keeps it for its first call. The error says why it cannot be.
    pub async fn check(&self, bytes: &Bytes) -> Result<(), String> {
        let (inner, bytes) = (self.inner.clone(), bytes.clone());
        self.on_a_thread(move || inner.compile(&bytes)).await.unwrap_or_else(|| Err(PANICKED.to_owned()))
    }

    /// Calls a function on one of the threads, as soon as one is free. Dropping the future interrupts the call.
    ///
    /// # Errors
    /// Every way in which there is no answer; [`ModuleFailure::NotLoaded`] if the module is not compiled yet
    /// and `bytes` are not given.
    pub async fn run(&self, call: ModuleCall, bytes: Option<Bytes>) -> Result<Bytes, ModuleFailure> {
        if bytes.is_none() && self.inner.cache.get(&call.module).is_none() {
            return Err(ModuleFailure::NotLoaded);
        }
        let abandoned = Abandoned::default();
        let deadline = Deadline {
            at: Instant::now() + std::time::Duration::from_millis(call.limits.time.as_millis()),
            abandoned: abandoned.0.clone(),
        };
        let inner = self.inner.clone();
        let work = move || inner.call(call, bytes, deadline);
        let answer = self.on_a_thread(work).await;
        answer.unwrap_or_else(|| Err(ModuleFailure::Host(PANICKED.to_owned())))
    }

    /// Compiles a module on this thread, as [`Modules::check`] does on another.
    ///
    /// # Errors
    /// Why it cannot be compiled.
    pub fn compile(&self, bytes: &Bytes) -> Result<(), String> {
        self.inner.compile(bytes)
    }

    /// Calls a function on this thread, as [`Modules::run`] does on another.
    ///
    /// # Errors
    /// As [`Modules::run`].
    pub fn call(&self, call: ModuleCall, bytes: Option<Bytes>) -> Result<Bytes, ModuleFailure> {
        let at = Instant::now() + std::time::Duration::from_millis(call.limits.time.as_millis());
        self.inner.call(call, bytes, Deadline { at, abandoned: Arc::default() })
    }

    /// What a function makes on one of the threads; nothing if it panicked there.
    async fn on_a_thread<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (sender, answer) = oneshot::channel();
        self.threads.run(Box::new(move || drop(sender.send(work()))));
        answer.await.ok()
    }
}

impl fmt::Debug for Modules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Modules").finish_non_exhaustive()
    }
}

const PANICKED: &str = "the call ended without an outcome";

impl Inner {
    fn compile(&self, bytes: &[u8]) -> Result<(), String> {
        match self.load(&ModuleDigest::of(bytes), bytes) {
            Ok(_) => Ok(()),
            Err(ModuleFailure::Module(why)) => Err(why),
            Err(failure) => Err(failure.to_string()),
        }
    }

    fn call(
        &self,
        call: ModuleCall,
        bytes: Option<Bytes>,
        deadline: Deadline,
    ) -> Result<Bytes, ModuleFailure> {
        let loaded = match (self.cache.get(&call.module), bytes) {
            (Some(loaded), _) => loaded,
            (None, Some(bytes)) => self.load(&call.module, &bytes)?,
            (None, None) => return Err(ModuleFailure::NotLoaded),
        };
        let _ticking = self.ticker.run();
        call::call(&self.engine, &loaded, call, deadline)
    }

    /// A compiled module, out of the cache or made from its bytes.
    fn load(&self, digest: &ModuleDigest, bytes: &[u8]) -> Result<Arc<Loaded>, ModuleFailure> {
        self.cache.load(
            &self.engine,
            digest,
            || {
                if ModuleDigest::of(bytes) != *digest {
                    return Err(ModuleFailure::Module(format!("the bytes are not those of {digest}")));
                }
                Module::new(&self.engine, bytes).map_err(|error| {
                    ModuleFailure::Module(format!("the module does not compile: {}", chain(&error)))
                })
            },
            |module| {
                let linked = self.linker.instantiate_pre(&module);
                linked.map_err(|error| {
                    ModuleFailure::Module(format!("the module does not link: {}", chain(&error)))
                })
            },
        )
    }
}

/// An error with its causes in one line.
pub(crate) fn chain(error: &wasmtime::Error) -> String {
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    causes.join(": ").replace('\n', " ")
}

/// Tells a call that nobody waits for its answer any more, when this is dropped.
#[derive(Default)]
struct Abandoned(Arc<AtomicBool>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// An engine with a pool of instances; without one where the machine does not give the address space.
fn engine(options: &Options) -> Result<Engine, wasmtime::Error> {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .consume_fuel(true)
        .max_wasm_stack(STACK_BYTES_MAX)
        // A trap is reported by its kind; frames of a stripped module tell nobody anything.
        .wasm_backtrace_max_frames(None)
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .wasm_memory64(false)
        .wasm_multi_memory(false);
    let count = u32::try_from(options.concurrency.max(1)).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(count)
        .total_memories(count)
        .total_tables(count.saturating_mul(4))
        .max_tables_per_module(4)
        .table_elements(TABLE_ELEMENTS_MAX)
        .max_memory_size(options.memory_bytes_max)
        .linear_memory_keep_resident(KEPT_RESIDENT_BYTES)
        .table_keep_resident(KEPT_RESIDENT_BYTES);
    let mut pooling = config.clone();
    pooling.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&pooling).or_else(|_| Engine::new(&config))
}
