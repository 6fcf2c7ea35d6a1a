//! Modules of WebAssembly: what is asked of them, what they may ask, and how a host is told to run one.
//!
//! The contract with modules is in `docs/wasm-tasks.md`: core WebAssembly, bytes in, bytes out. Everything of
//! it that is a rule is here, so that every host obeys the same one: [`inspect`] says whether bytes are a
//! module of ours, [`Guest`] answers what a running module asks. A host holds the engine alone: it
//! compiles, instantiates, copies bytes in and out, and bounds what a call may use.

mod guest;
mod inspect;
mod reader;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{FunctionName, ModuleDigest};
use crate::time::Duration;

pub use guest::{Checkpoints, Guest, LogChunk};
pub use inspect::{Inspection, inspect};

/// The module that imports come from.
pub const IMPORTS: &str = "selvedge";
/// The memory that a module exports.
pub const MEMORY: &str = "memory";
/// The function by which room is made in a module's memory: `(length) -> address`.
pub const ALLOCATE: &str = "selvedge_alloc";
/// A module that exports anything of this name takes and gives MessagePack instead of JSON.
pub const SPEAKS_MSGPACK: &str = "selvedge_msgpack";
/// A module may have at most this many bytes.
pub const MODULE_BYTES_MAX: usize = 3 << 20;
/// A module may offer at most this many functions.
pub const FUNCTIONS_MAX: usize = 1000;
/// What a function answers may have at most this many bytes, its envelope included.
pub const OUTPUT_BYTES_MAX: usize = (1 << 20) + (64 << 10);

/// How a module writes values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ModuleEncoding")]
pub enum Encoding {
    /// As JSON, binary as `{"$binary": "<base64>"}`.
    #[serde(rename = "json")]
    Json,
    /// As MessagePack.
    #[serde(rename = "msgpack")]
    MessagePack,
}

/// One call of a function of a module.
#[derive(Debug, Clone)]
pub struct ModuleCall {
    /// Which module; hosts keep what they have compiled by it.
    pub module: ModuleDigest,
    /// The exported function.
    pub function: FunctionName,
    /// What it is given, in the module's own encoding.
    pub input: Bytes,
    /// Who answers what the module asks while it runs.
    pub guest: Guest,
    /// What the call may use.
    pub limits: ModuleLimits,
}

/// What a call of a module may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModuleLimits {
    /// How long it may take, instantiation included. A host that cannot interrupt a call leaves this out.
    pub time: Duration,
    /// How many instructions it may carry out, roughly. A host whose engine does not count leaves this out.
    pub fuel: u64,
    /// How large its memory may become, in bytes.
    pub memory_bytes_max: usize,
    /// How long its answer may be, in bytes.
    pub output_bytes_max: usize,
}

/// Why a call of a module gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModuleFailure {
    /// The host does not have the module at hand: it is to be called again with the bytes.
    #[error("the module's bytes are needed")]
    NotLoaded,
    /// The module cannot be run here at all: the engine refuses it, or it lacks the function.
    #[error("{0}")]
    Module(String),
    /// It trapped: an unreachable instruction, a division by zero, an access outside its memory.
    #[error("the function trapped: {0}")]
    Trap(String),
    /// It broke the contract: a pointer outside its memory, say.
    #[error("{0}")]
    Contract(String),
    /// It ran for too long.
    #[error("the function did not answer within {0}")]
    TimedOut(Duration),
    /// It carried out too many instructions.
    #[error("the function carried out more than {0} instructions")]
    OutOfFuel(u64),
    /// It asked for more memory than it may have.
    #[error("the function needs more than {0} bytes of memory")]
    OutOfMemory(usize),
    /// It nested its calls too deep.
    #[error("the function nested its calls too deep")]
    OutOfStack,
    /// Its answer is too long.
    #[error("the function's answer has {found} bytes, at most {max} are taken")]
    TooLong {
        /// How long it is.
        found: usize,
        /// How long it may be.
        max: usize,
    },
    /// Nothing is known to be wrong with the module: the host could not run it now.
    #[error("the host could not run the module: {0}")]
    Host(String),
}
