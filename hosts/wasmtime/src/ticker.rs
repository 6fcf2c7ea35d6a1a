//! The clock of deadlines: while a call runs, the engine's epoch moves on every few milliseconds.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use wasmtime::Engine;

/// How often running calls look at their deadlines.
const TICK: Duration = Duration::from_millis(10);

/// A thread that moves an engine's epoch while somebody runs, and sleeps otherwise.
pub(crate) struct Ticker(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    running: usize,
    over: bool,
}

/// A call that runs, until this is dropped.
pub(crate) struct Running(Weak<Shared>);

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let (own, engine) = (shared.clone(), engine.clone());
        thread::Builder::new().name("selvedge-wasm-tick".to_owned()).spawn(move || {
            while own.wait_for_calls() {
                thread::sleep(TICK);
                engine.increment_epoch();
            }
        })?;
        Ok(Self(shared))
    }

    /// Ticks until the answer is dropped.
    pub(crate) fn run(&self) -> Running {
        self.0.state().running += 1;
        self.0.changed.notify_one();
        Running(Arc::downgrade(&self.0))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.state().over = true;
        self.0.changed.notify_one();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.state().running -= 1;
        }
    }
}

impl Shared {
    /// Comes back when a call runs: true; or when there will be none any more: false.
    fn wait_for_calls(&self) -> bool {
        let idle = |state: &mut State| state.running == 0 && !state.over;
        let state = self.changed.wait_while(self.state(), idle).unwrap_or_else(PoisonError::into_inner);
        !state.over
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
