//! A host as core sees it, on an operating system: the system's clock and randomness, tokio's timers, HTTP by
//! reqwest. One crate, so that the daemon, the function and the embedded server have one and the same.
#![forbid(unsafe_code)]

mod driver;

pub use driver::drive;

use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::io::Write;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
#[cfg(feature = "wasm")]
use selvedge::module::{ModuleCall, ModuleFailure};
use selvedge::platform::{Encoding, FetchError, Platform};
use selvedge::time::{Duration, Timestamp};
#[cfg(feature = "wasm")]
use selvedge_wasmtime::Modules;
#[cfg(feature = "wasm")]
pub use selvedge_wasmtime::Options;

/// What outgoing requests call themselves.
pub const USER_AGENT: &str = concat!("selvedge/", env!("CARGO_PKG_VERSION"));

const REDIRECTS_MAX: usize = 10;
const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);
/// Levels at which a core encodes tens of megabytes a second: a body is encoded while a client waits.
const ZSTD_LEVEL: i32 = 3;
const BROTLI_QUALITY: i32 = 4;
const GZIP_LEVEL: u32 = 4;

/// The host of an `App` in a program with a tokio runtime.
#[derive(Debug, Default)]
pub struct TokioPlatform {
    /// Made at the first `http` task: reading the machine's certificates takes a while.
    http: OnceLock<Result<reqwest::Client, String>>,
    #[cfg(feature = "wasm")]
    modules: Option<Engine>,
}

/// The engine for WebAssembly: started by the first module, since most programs never see one.
#[cfg(feature = "wasm")]
#[derive(Debug)]
struct Engine {
    options: Options,
    started: OnceLock<Result<Modules, String>>,
}

/// Makes *ring* the process's cryptography. To be called before anything speaks TLS.
pub fn install_tls() {
    // An error says that there is one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A client that trusts what this machine trusts. On a machine without certificates it still speaks HTTP.
pub fn http_client(settings: impl Fn() -> reqwest::ClientBuilder) -> Result<reqwest::Client, reqwest::Error> {
    settings().build().or_else(|fault| {
        let client = settings().tls_certs_only([]).build()?;
        tracing::warn!(
            "no https address can be reached: {} (are the machine's CA certificates installed?)",
            chain(&fault)
        );
        Ok(client)
    })
}

/// An error and its causes in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // Many errors repeat their cause in their own text.
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

/// Random bytes of the system that a thread has at hand: one call of it serves many requests.
struct Pool {
    bytes: [u8; POOL_BYTES],
    used: usize,
}

const POOL_BYTES: usize = 1024;

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; POOL_BYTES], used: POOL_BYTES }) };
}

/// Fills `bytes` from the system's random source. No byte is given twice.
pub fn random(bytes: &mut [u8]) {
    let fill = |bytes: &mut [u8]| getrandom::fill(bytes).expect("the system has a random source");
    if bytes.len() > POOL_BYTES {
        return fill(bytes);
    }
    POOL.with_borrow_mut(|pool| {
        if POOL_BYTES - pool.used < bytes.len() {
            fill(&mut pool.bytes);
            pool.used = 0;
        }
        let taken = &mut pool.bytes[pool.used..pool.used + bytes.len()];
        bytes.copy_from_slice(taken);
        taken.fill(0);
        pool.used += bytes.len();
    });
}

/// The system's clock.
pub fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}

impl TokioPlatform {
    /// A host that runs modules of WebAssembly too.
    #[cfg(feature = "wasm")]
    pub fn with_modules(options: Options) -> Self {
        let engine = Engine { options, started: OnceLock::new() };
        Self { modules: Some(engine), ..Self::default() }
    }

    #[cfg(feature = "wasm")]
    fn modules(&self) -> Result<&Modules, String> {
        let engine = self.modules.as_ref().ok_or("this server was told to run no modules")?;
        let started = engine.started.get_or_init(|| Modules::new(&engine.options).map_err(|e| e.to_string()));
        started.as_ref().map_err(Clone::clone)
    }

    fn http(&self) -> Result<&reqwest::Client, FetchError> {
        let client = self.http.get_or_init(|| {
            http_client(|| {
                reqwest::Client::builder()
                    .user_agent(USER_AGENT)
                    .connect_timeout(CONNECT_TIMEOUT)
                    .redirect(reqwest::redirect::Policy::limited(REDIRECTS_MAX))
            })
            .map_err(|fault| chain(&fault))
        });
        client.as_ref().map_err(|fault| FetchError::Network(fault.clone()))
    }
}

impl Platform for TokioPlatform {
    fn now(&self) -> Timestamp {
        now()
    }

    fn random(&self, bytes: &mut [u8]) {
        random(bytes);
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration.into()).await;
    }

    async fn fetch(
        &self,
        request: http::Request<Bytes>,
        body_bytes_max: usize,
    ) -> Result<http::Response<Bytes>, FetchError> {
        let scheme = request.uri().scheme_str().unwrap_or_default();
        if !matches!(scheme, "http" | "https") {
            return Err(FetchError::Request(format!(
                "expected an http or https URL, found {}",
                request.uri()
            )));
        }
        let request = reqwest::Request::try_from(request).map_err(|fault| fetch_error(&fault))?;
        let mut answer = self.http()?.execute(request).await.map_err(|fault| fetch_error(&fault))?;
        let mut response = http::Response::new(Bytes::new());
        *response.status_mut() = answer.status();
        *response.version_mut() = answer.version();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        *response.body_mut() = read_body(answer, body_bytes_max).await?;
        Ok(response)
    }

    #[cfg(feature = "wasm")]
    fn runs_modules(&self) -> bool {
        self.modules.is_some()
    }

    #[cfg(feature = "wasm")]
    async fn check_module(&self, bytes: &Bytes) -> Result<(), String> {
        match (&self.modules, self.modules()) {
            (None, _) => Ok(()),
            (Some(_), modules) => modules?.check(bytes).await,
        }
    }

    #[cfg(feature = "wasm")]
    async fn run_module(&self, call: ModuleCall, bytes: Option<Bytes>) -> Result<Bytes, ModuleFailure> {
        self.modules().map_err(ModuleFailure::Host)?.run(call, bytes).await
    }

    fn encodings(&self) -> &'static [Encoding] {
        &[Encoding::Zstd, Encoding::Brotli, Encoding::Gzip]
    }

    fn encode(&self, encoding: Encoding, body: &[u8]) -> Bytes {
        encode(encoding, body).expect("writing to memory does not fail").into()
    }

    fn log(&self, level: &'static str, message: fmt::Arguments<'_>) {
        match level {
            "error" => tracing::error!("{message}"),
            "warn" => tracing::warn!("{message}"),
            "debug" => tracing::debug!("{message}"),
            _ => tracing::info!("{message}"),
        }
    }
}

async fn read_body(mut answer: reqwest::Response, body_bytes_max: usize) -> Result<Bytes, FetchError> {
    let promised = answer.content_length().unwrap_or(0);
    if promised > body_bytes_max as u64 {
        return Err(FetchError::TooLong(body_bytes_max));
    }
    let mut body = BytesMut::with_capacity(promised as usize);
    while let Some(chunk) = answer.chunk().await.map_err(|fault| fetch_error(&fault))? {
        if chunk.len() > body_bytes_max - body.len() {
            return Err(FetchError::TooLong(body_bytes_max));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn fetch_error(fault: &reqwest::Error) -> FetchError {
    let text = chain(fault);
    if fault.is_builder() || fault.is_redirect() {
        FetchError::Request(text)
    } else {
        FetchError::Network(text)
    }
}

fn encode(encoding: Encoding, body: &[u8]) -> std::io::Result<Vec<u8>> {
    match encoding {
        Encoding::Zstd => zstd::bulk::compress(body, ZSTD_LEVEL),
        Encoding::Brotli => {
            let params = brotli::enc::BrotliEncoderParams { quality: BROTLI_QUALITY, ..Default::default() };
            let mut out = Vec::with_capacity(body.len() / 4);
            brotli::BrotliCompress(&mut &body[..], &mut out, &params)?;
            Ok(out)
        }
        Encoding::Gzip => {
            let out = Vec::with_capacity(body.len() / 4);
            let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::new(GZIP_LEVEL));
            encoder.write_all(body)?;
            encoder.finish()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_is_encoded_can_be_decoded() {
        let platform = TokioPlatform::default();
        for body in [Vec::new(), b"a".to_vec(), b"selvedge ".repeat(10_000)] {
            for encoding in platform.encodings() {
                let encoded = platform.encode(*encoding, &body);
                let mut decoded = Vec::new();
                match encoding {
                    Encoding::Zstd => decoded = zstd::decode_all(&encoded[..]).expect("zstd"),
                    Encoding::Brotli => {
                        brotli::BrotliDecompress(&mut &encoded[..], &mut decoded).expect("brotli");
                    }
                    Encoding::Gzip => {
                        flate2::read::GzDecoder::new(&encoded[..]).read_to_end(&mut decoded).expect("gzip");
                    }
                }
                assert_eq!(decoded, body, "{encoding:?}");
                assert!(body.len() < 1000 || encoded.len() < body.len() / 10, "{encoding:?}");
            }
        }
    }

    #[tokio::test]
    async fn what_cannot_be_sent_is_told_from_nobody_answering() {
        install_tls();
        let platform = TokioPlatform::default();
        let fetch =
            |url: &str| platform.fetch(http::Request::get(url).body(Bytes::new()).expect("a request"), 10);
        assert!(matches!(fetch("ftp://127.0.0.1/").await, Err(FetchError::Request(_))));
        assert!(matches!(fetch("/nowhere").await, Err(FetchError::Request(_))));
        // Port 1 of loopback: nobody listens there.
        assert!(matches!(fetch("http://127.0.0.1:1/").await, Err(FetchError::Network(_))));
    }
}
