//! The module as tests drive it: the same driver under a server on strings, and the cases of every driver.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use js_sys::Promise;
use selvedge::Settings;
use selvedge_puppet::{Puppet, VirtualPlatform};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::database::{PageStore, Paged};
use crate::server::{Answer, request, unless};

#[path = "../../../hosts/libsql/tests/suite/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "the suite's other users need more of it")]
mod suite;

#[wasm_bindgen]
extern "C" {
    /// What gives the tests' databases; `tests/browser/puppet/worker.js`.
    pub type Stores;

    /// A promise of a [`PageStore`] that is empty.
    #[wasm_bindgen(method)]
    fn fresh(this: &Stores) -> Promise;
}

thread_local! {
    /// Of the puppet of this instance: what opens its databases is a plain function.
    static STORES: RefCell<Option<Rc<Stores>>> = const { RefCell::new(None) };
}

/// Makes the database and the settings of a new server.
type Open = fn() -> Pin<Box<dyn Future<Output = (Paged, Settings)>>>;

/// A server whose clock and database requests below `/.puppet/` control. An instance has one.
#[wasm_bindgen]
pub struct PuppetServer(Puppet<Paged, Open>);

#[wasm_bindgen]
impl PuppetServer {
    /// A puppet without a server: the first order must be `reset`.
    #[wasm_bindgen(constructor)]
    pub fn new(stores: Stores) -> PuppetServer {
        STORES.set(Some(Rc::new(stores)));
        let open: Open = || {
            Box::pin(async {
                let stores = STORES.with_borrow(Option::clone).expect("the constructor has set it");
                let settings = Settings { host: "service-worker", ..Settings::default() };
                (fresh(&stores).await, settings)
            })
        };
        PuppetServer(Puppet::new(open, || VirtualPlatform::new(1)))
    }

    /// As `Server::handle`.
    pub async fn handle(
        &self,
        method: String,
        target: String,
        headers: Vec<String>,
        body: Vec<u8>,
        hangup: Promise,
    ) -> Result<Option<Answer>, JsError> {
        let request = request(&method, &target, &headers, body)?;
        Ok(unless(hangup, self.0.handle(request)).await)
    }

    /// As `Server::failure`.
    pub fn failure(&self) -> Option<String> {
        None
    }
}

macro_rules! names {
    ($argument:expr; $($case:ident),*) => { vec![$(stringify!($case).to_owned()),*] };
}

macro_rules! run {
    (($name:expr, $database:expr); $($case:ident),*) => {
        match $name {
            $(stringify!($case) => suite::$case($database).await,)*
            other => panic!("there is no case {other}"),
        }
    };
}

/// The names of the cases that every driver passes.
#[wasm_bindgen]
pub fn driver_cases() -> Vec<String> {
    crate::driver_cases!([names]())
}

/// Plays a case on a database over an empty store. A case that fails panics.
#[wasm_bindgen]
pub async fn run_driver_case(name: String, stores: Stores) {
    let database = fresh(&stores).await;
    crate::driver_cases!([run](name.as_str(), &database));
}

async fn fresh(stores: &Stores) -> Paged {
    let store = JsFuture::from(stores.fresh()).await.expect("the tests' store opens");
    Paged::open(store.unchecked_into::<PageStore>()).await.expect("it is empty")
}
