//! A platform whose clock stands still until the test moves it.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use event_listener::Event;
use http::{Request, Response};
use selvedge::module::{ModuleCall, ModuleFailure};
use selvedge::platform::{Encoding, FetchError, Platform};
use selvedge::time::{Duration, Timestamp};

/// The first instant of every test: 2026-01-01T00:00:00Z.
pub const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// A platform whose clock stands still until the test moves it, and whose randomness follows a seed.
#[derive(Clone)]
pub struct VirtualPlatform(Arc<Inner>);

/// The content codings of a host, and who makes them.
#[derive(Debug, Clone, Copy)]
pub struct Codings {
    /// Best first.
    pub offered: &'static [Encoding],
    /// Encodes a whole body.
    pub encode: fn(Encoding, &[u8]) -> Bytes,
}

/// An engine for WebAssembly that a test's host has. Calls hold up the server until they are answered, so that
/// no case depends on how long one takes.
pub trait Engine: Send + Sync {
    /// Whether it takes a module; if not, why.
    fn check(&self, bytes: &Bytes) -> Result<(), String>;

    /// Calls a function, as [`Platform::run_module`] does.
    fn call(&self, call: ModuleCall, bytes: Option<Bytes>) -> Result<Bytes, ModuleFailure>;
}

struct Inner {
    now: AtomicI64,
    /// How much time has passed, whatever the clock says.
    passed: AtomicI64,
    moved: Event,
    random: AtomicU64,
    sleeps_begun: AtomicUsize,
    logged: Mutex<Vec<String>>,
    codings: Option<Codings>,
    engine: Option<Arc<dyn Engine>>,
    network: Mutex<Network>,
}

/// Whether requests get out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// The host believes so, and every request breaks off.
    Broken,
    /// The host knows that they do not.
    Offline,
    /// The host believes so until the next request breaks off; then it knows better.
    GoesOffline,
}

impl fmt::Debug for VirtualPlatform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtualPlatform").field("now", &self.now()).finish_non_exhaustive()
    }
}

impl VirtualPlatform {
    /// A platform at [`START`].
    pub fn new(seed: u64) -> Self {
        Self::with(seed, None, None)
    }

    /// A platform at [`START`] that compresses.
    pub fn compressing(seed: u64, codings: Codings) -> Self {
        Self::with(seed, Some(codings), None)
    }

    /// The same platform, still unused, with an engine for WebAssembly.
    #[must_use]
    pub fn running(self, engine: Arc<dyn Engine>) -> Self {
        Self::with(self.0.random.load(Ordering::SeqCst), self.0.codings, Some(engine))
    }

    /// Changes whether requests get out.
    pub fn set_network(&self, network: Network) {
        *self.network() = network;
    }

    fn network(&self) -> std::sync::MutexGuard<'_, Network> {
        self.0.network.lock().expect("no test panics while it holds this")
    }

    fn with(seed: u64, codings: Option<Codings>, engine: Option<Arc<dyn Engine>>) -> Self {
        Self(Arc::new(Inner {
            now: AtomicI64::new(START.as_millis()),
            passed: AtomicI64::new(0),
            moved: Event::new(),
            random: AtomicU64::new(seed),
            sleeps_begun: AtomicUsize::new(0),
            logged: Mutex::new(Vec::new()),
            codings,
            engine,
            network: Mutex::new(Network::Broken),
        }))
    }

    /// Moves the clock and wakes whoever sleeps.
    pub fn advance(&self, duration: Duration) {
        self.0.now.fetch_add(duration.as_millis() as i64, Ordering::SeqCst);
        self.0.passed.fetch_add(duration.as_millis() as i64, Ordering::SeqCst);
        self.0.moved.notify(usize::MAX);
    }

    /// How often anybody has begun to wait for time to pass.
    pub fn sleeps_begun(&self) -> usize {
        self.0.sleeps_begun.load(Ordering::SeqCst)
    }

    /// Steps the clock back, as hosts do when they learn the right time. Nobody is woken.
    pub fn step_back(&self, duration: Duration) {
        self.0.now.fetch_sub(duration.as_millis() as i64, Ordering::SeqCst);
    }

    /// What was logged with level `error` and does not contain this.
    pub fn errors_beyond(&self, expected: &str) -> Vec<String> {
        self.errors().into_iter().filter(|line| !line.contains(expected)).collect()
    }

    /// What was logged with level `error`.
    pub fn errors(&self) -> Vec<String> {
        self.0.logged.lock().expect("no test panics while it holds this").clone()
    }

    /// The next number of a sequence that looks random (splitmix64).
    fn next(&self) -> u64 {
        let mut z = self.0.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Platform for VirtualPlatform {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.now.load(Ordering::SeqCst))
    }

    fn random(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }

    async fn sleep(&self, duration: Duration) {
        let passed = || self.0.passed.load(Ordering::SeqCst);
        let until = passed() + duration.as_millis() as i64;
        self.0.sleeps_begun.fetch_add(1, Ordering::SeqCst);
        loop {
            let ear = self.0.moved.listen();
            if passed() >= until {
                return;
            }
            ear.await;
        }
    }

    async fn fetch(&self, _: Request<Bytes>, _: usize) -> Result<Response<Bytes>, FetchError> {
        let mut network = self.network();
        if *network == Network::GoesOffline {
            *network = Network::Offline;
        }
        Err(FetchError::Network("this host has no network".to_owned()))
    }

    fn is_online(&self) -> bool {
        *self.network() != Network::Offline
    }

    fn runs_modules(&self) -> bool {
        self.0.engine.is_some()
    }

    async fn check_module(&self, bytes: &Bytes) -> Result<(), String> {
        self.0.engine.as_ref().map_or(Ok(()), |engine| engine.check(bytes))
    }

    async fn run_module(&self, call: ModuleCall, bytes: Option<Bytes>) -> Result<Bytes, ModuleFailure> {
        match &self.0.engine {
            Some(engine) => engine.call(call, bytes),
            None => Err(ModuleFailure::Host("this host has no engine".to_owned())),
        }
    }

    fn encodings(&self) -> &'static [Encoding] {
        self.0.codings.map_or(&[], |codings| codings.offered)
    }

    fn encode(&self, encoding: Encoding, body: &[u8]) -> Bytes {
        match self.0.codings {
            Some(codings) => (codings.encode)(encoding, body),
            None => Bytes::copy_from_slice(body),
        }
    }

    fn log(&self, level: &'static str, message: std::fmt::Arguments<'_>) {
        if level == "error" {
            self.0.logged.lock().expect("no test panics while it holds this").push(message.to_string());
        }
    }
}
