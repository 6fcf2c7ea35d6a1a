//! A server whose clock and database a test controls.
//!
//! [`Ground`] is the server in the test's own process. [`Puppet`] is one that takes the test's orders by
//! requests, for a server that runs in another process, a function or a browser.
//! It knows no runtime and no operating system, so that every host can build it.
#![forbid(unsafe_code)]

mod ground;
mod platform;
mod puppet;

pub mod faulty;

pub use ground::Ground;
pub use platform::{Codings, Engine, Network, START, VirtualPlatform};
pub use puppet::{ORDERS, Puppet};
