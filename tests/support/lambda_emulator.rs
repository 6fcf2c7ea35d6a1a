//! The server as a real function behind AWS Lambda's runtime API, which cargo-lambda emulates.
//!
//! An emulator and its function serve many cases, one at a time: an execution environment runs one invocation at
//! a time.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use selvedge_emulator::Emulator;
use tokio::net::TcpStream;

use crate::host::{Strung, Wire};

/// Those that no case uses at the moment.
static IDLE: Mutex<Vec<Emulator>> = Mutex::new(Vec::new());

/// The way to a function, for one case.
pub struct Emulated {
    /// Taken when this is dropped.
    emulator: Option<Emulator>,
}

/// A new server in the function that this program is: a [`Puppet`](selvedge_puppet::Puppet) behind the adapter.
pub async fn emulated(program: &Path, base_path: &str) -> Strung<Emulated> {
    let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let emulator = idle.unwrap_or_else(|| Emulator::start(program, &[]));
    Strung::new(Emulated { emulator: Some(emulator) }, "", base_path).await
}

/// Ends the emulators and functions that there are.
pub fn stop() {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

impl Drop for Emulated {
    fn drop(&mut self) {
        let emulator = self.emulator.take();
        // After a panic nobody knows what its function is doing.
        if !std::thread::panicking() {
            IDLE.lock().unwrap_or_else(PoisonError::into_inner).extend(emulator);
        }
    }
}

impl Wire for Emulated {
    async fn send(&self, mut request: Request<Bytes>) -> Response<Bytes> {
        let address = self.emulator.as_ref().expect("it is there until the end").address();
        let host = HeaderValue::from_str(&address.to_string()).expect("an address is a header value");
        request.headers_mut().entry(header::HOST).or_insert(host);
        let stream = TcpStream::connect(address).await.expect("the emulator takes connections");
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.expect("the emulator speaks HTTP/1.1");
        tokio::spawn(connection);
        let answer = sender.send_request(request.map(Full::new)).await;
        let (parts, body) = answer.unwrap_or_else(|error| panic!("no answer: {error:?}")).into_parts();
        let body = body.collect().await.expect("the answer is whole").to_bytes();
        Response::from_parts(parts, body)
    }
}
