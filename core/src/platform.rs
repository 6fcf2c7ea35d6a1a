//! What core asks of its host besides a database: the clock, randomness, waiting, and HTTP outwards.

use std::future::Future;

use bytes::Bytes;

use crate::module::{ModuleCall, ModuleFailure};
use crate::time::{Duration, Timestamp};

/// The host under an [`App`](crate::App). Core itself has no clock, no randomness and no sockets.
pub trait Platform {
    /// The time now. It may step backwards; core never lets a run's own time do so.
    fn now(&self) -> Timestamp;

    /// Fills `bytes` from the host's cryptographic random source.
    fn random(&self, bytes: &mut [u8]);

    /// Comes back after at least this long.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()>;

    /// Sends a request of an `http` task and reads the whole answer, at most `body_bytes_max` of it,
    /// following redirects. The caller bounds the time by dropping the future.
    fn fetch(
        &self,
        request: http::Request<Bytes>,
        body_bytes_max: usize,
    ) -> impl Future<Output = Result<http::Response<Bytes>, FetchError>>;

    /// Whether requests can get out at all. While they cannot, no `http` task is begun, and one that breaks
    /// off goes back to its queue without spending an attempt. A host that comes online again calls
    /// [`App::drive`](crate::App::drive).
    fn is_online(&self) -> bool {
        true
    }

    /// Whether this host runs modules of WebAssembly. Without it, `wasm` tasks wait for a server that does.
    fn runs_modules(&self) -> bool {
        false
    }

    /// Whether the engine of this host takes a module, which has passed [`inspect`](crate::module::inspect);
    /// if not, why.
    fn check_module(&self, bytes: &Bytes) -> impl Future<Output = Result<(), String>> {
        let _ = bytes;
        std::future::ready(Ok(()))
    }

    /// Calls a function of a module and answers with the bytes that it answered. Without `bytes` only a module
    /// that the host has at hand can be called; [`ModuleFailure::NotLoaded`] asks for them.
    ///
    /// The module runs in a memory of its own and reaches nothing but what [`ModuleCall::guest`] answers.
    /// Dropping the future ends the call where the host can interrupt it.
    fn run_module(
        &self,
        call: ModuleCall,
        bytes: Option<Bytes>,
    ) -> impl Future<Output = Result<Bytes, ModuleFailure>> {
        let _ = (call, bytes);
        std::future::ready(Err(ModuleFailure::Host("it has no engine for WebAssembly".to_owned())))
    }

    /// The content codings this host can make, best first. Core offers no compression where this is empty.
    fn encodings(&self) -> &'static [Encoding] {
        &[]
    }

    /// Compresses a whole body with one of the codings in [`Platform::encodings`].
    fn encode(&self, encoding: Encoding, body: &[u8]) -> Bytes {
        let _ = encoding;
        Bytes::copy_from_slice(body)
    }

    /// One line of the host's log. `level` is one of `error`, `warn`, `info`, `debug`.
    fn log(&self, level: &'static str, message: std::fmt::Arguments<'_>) {
        let _ = (level, message);
    }
}

/// A content coding of HTTP (RFC 9110, section 8.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encoding {
    /// `zstd` (RFC 8878).
    Zstd,
    /// `br` (RFC 7932).
    Brotli,
    /// `gzip` (RFC 1952).
    Gzip,
}

impl Encoding {
    /// The coding's name in `Accept-Encoding` and `Content-Encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Zstd => "zstd",
            Encoding::Brotli => "br",
            Encoding::Gzip => "gzip",
        }
    }
}

/// Why an outgoing request got no whole answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Nobody answered: name not found, refused, reset, TLS failed. Worth another try.
    #[error("no answer: {0}")]
    Network(String),
    /// The request itself cannot be sent, whoever tries: a bad URL or scheme.
    #[error("the request cannot be sent: {0}")]
    Request(String),
    /// The answer's body is longer than allowed.
    #[error("the answer's body is longer than {0} bytes")]
    TooLong(usize),
}
