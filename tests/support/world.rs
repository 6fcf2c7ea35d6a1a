//! A server in this process on a database in memory, with a clock that only the test moves.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use selvedge::time::Duration;
use selvedge::value::Value;
use selvedge::{App, Budget, Settings};
use selvedge_libsql::Local;
use selvedge_puppet::VirtualPlatform;

/// One server and its clock.
pub struct World {
    /// The server.
    pub app: Arc<App<Local, VirtualPlatform>>,
    /// Its platform.
    pub platform: VirtualPlatform,
}

impl World {
    /// A server on an empty database in memory.
    pub async fn new() -> Self {
        let platform = VirtualPlatform::new(1);
        let database = Local::memory().expect("a database in memory opens");
        let app = App::open(database, platform.clone(), Settings::default()).await.expect("it migrates");
        Self { app: Arc::new(app), platform }
    }

    /// Sends a request with a JSON body and reads the JSON answer.
    pub async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = Request::builder().method(method).uri(path);
        let body = body.map(|body| Bytes::from(body.to_json()));
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(Full::new(body.unwrap_or_default())).expect("a valid request");
        let response = self.app.handle(request).await;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.expect("bodies cannot fail").to_bytes();
        let value = if bytes.is_empty() { Value::Null } else { Value::from_json(&bytes).expect("JSON") };
        (status, value)
    }

    /// Moves the clock and does what has become due.
    pub async fn advance(&self, duration: Duration) {
        self.platform.advance(duration);
        self.app.drive(Budget::Idle).await;
    }
}
