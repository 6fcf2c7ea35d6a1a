//! The engine for WebAssembly that the hosts of these tests have.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use selvedge::module::{ModuleCall, ModuleFailure};
use selvedge_puppet::{Engine, VirtualPlatform};
use selvedge_wasmtime::{Modules, Options};

/// How many instructions a call of a module may carry out: an endless one ends in a moment.
pub const FUEL: u64 = 20_000_000;

struct Wasmtime(Modules);

/// A platform that runs modules, by one engine for all tests of this process.
pub fn running(platform: VirtualPlatform) -> VirtualPlatform {
    static ENGINE: OnceLock<Arc<Wasmtime>> = OnceLock::new();
    let engine = ENGINE.get_or_init(|| {
        let options = Options { concurrency: 8, ..Options::default() };
        Arc::new(Wasmtime(Modules::new(&options).expect("the engine starts")))
    });
    platform.running(engine.clone())
}

impl Engine for Wasmtime {
    fn check(&self, bytes: &Bytes) -> Result<(), String> {
        self.0.compile(bytes)
    }

    fn call(&self, call: ModuleCall, bytes: Option<Bytes>) -> Result<Bytes, ModuleFailure> {
        self.0.call(call, bytes)
    }
}
