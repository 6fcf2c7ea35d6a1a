//! A function for the emulator: the adapter with a server behind it that takes a test's orders.

use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use selvedge::Settings;
use selvedge::http::body::Body;
use selvedge::store::database::Database;
use selvedge::time::Timestamp;
use selvedge_lambda::{Drive, Function, Server, runtime};
use selvedge_libsql::Local;
use selvedge_puppet::{Puppet, START, VirtualPlatform};
use selvedge_tests::engine::{FUEL, running};
use selvedge_tests::tcp::CODINGS;

/// The puppet is driven by orders alone.
struct OnStrings<D, O>(Rc<Puppet<D, O>>);

impl<D: Database, O: AsyncFn() -> (D, Settings)> Server for OnStrings<D, O> {
    async fn handle(&self, request: Request<Bytes>) -> Response<Body> {
        self.0.handle(request.map(Full::new)).await
    }

    async fn drive(&self, _: Duration) -> Option<Timestamp> {
        None
    }

    async fn woken(&self) {
        std::future::pending().await
    }

    fn now(&self) -> Timestamp {
        START
    }
}

fn main() -> ExitCode {
    let open = async || (Local::memory().expect("a database in memory opens"), settings());
    let puppet = Rc::new(Puppet::new(open, || running(VirtualPlatform::compressing(1, CODINGS))));
    let function = Function::new(async move || Ok(OnStrings(puppet.clone())), String::new(), Drive::Never);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.expect("a runtime of one thread").block_on(runtime::run(function)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => panic!("the function ended: {fault}"),
    }
}

fn settings() -> Settings {
    Settings { wasm_fuel: FUEL, ..Settings::default() }
}
