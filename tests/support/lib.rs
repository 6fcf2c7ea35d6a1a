//! What the tests share: a host whose clock the test turns, and a client.

pub mod world;

pub use world::{VirtualPlatform, World};
