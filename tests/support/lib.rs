//! What the tests share: hosts whose clock the test turns, a client, and conformance cases as data.
#![allow(async_fn_in_trait, reason = "the hosts of the tests are concrete types")]

pub mod axum;
pub mod browser;
pub mod case;
pub mod coverage;
pub mod engine;
pub mod host;
pub mod lambda;
pub mod lambda_emulator;
pub mod meter;
pub mod modules;
pub mod need;
pub mod pattern;
pub mod player;
pub mod recorder;
pub mod tcp;
pub mod world;

pub use selvedge_puppet::VirtualPlatform;
pub use world::World;
