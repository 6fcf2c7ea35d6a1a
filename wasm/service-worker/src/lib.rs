//! Selvedge in a Service Worker.
//!
//! The module that `wasm/service-worker/build` makes of this crate holds the whole server; the JavaScript in
//! `npm/src` around it owns events, locks and IndexedDB. What passes between them is conversion only: a
//! request becomes an `http::Request`, an answer becomes a status, headers and bytes, and pages of the
//! database become records.
//!
//! The crate is made for `wasm32-unknown-unknown`. Elsewhere only the pages are there, for their tests.

#[cfg(any(test, target_family = "wasm"))]
mod pages;

#[cfg(target_family = "wasm")]
mod database;
#[cfg(target_family = "wasm")]
mod modules;
#[cfg(target_family = "wasm")]
mod platform;
#[cfg(all(feature = "puppet", target_family = "wasm"))]
mod puppet;
#[cfg(target_family = "wasm")]
mod server;
#[cfg(target_family = "wasm")]
mod vfs;

#[cfg(target_family = "wasm")]
pub use modules::Asked;
#[cfg(all(feature = "puppet", target_family = "wasm"))]
pub use puppet::{PuppetServer, driver_cases, run_driver_case};
#[cfg(target_family = "wasm")]
pub use server::{Answer, Server};
