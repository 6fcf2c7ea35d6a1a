//! Runs modules of WebAssembly for Selvedge's `wasm` tasks, by wasmtime.
//!
//! [`Modules`] is the engine, the modules that it has compiled, and the threads that calls run on. What a
//! module may do is core's business ([`selvedge::module`]); here is what bounds it: a deadline by epochs, fuel,
//! a limit on memory, and a length that no answer exceeds. Whatever a module does, the call ends with an
//! answer or with a [`ModuleFailure`](selvedge::module::ModuleFailure), and the process goes on.
//!
//! Calls run on threads of this crate's own, so that it needs no particular runtime and no module keeps one
//! from its work. Instances come out of a pool that is reserved at start.

mod cache;
mod call;
mod imports;
mod modules;
mod threads;
mod ticker;

pub use modules::{Modules, Options, StartError};
