//! The database of a Service Worker: SQLite in WebAssembly, its pages in memory and in IndexedDB.
//!
//! A write is applied to the pages in memory when it is called, in a transaction of its own. Then it waits
//! for a flush: the pages that changed go into IndexedDB in one transaction of its strictest kind. One flush
//! is under way at a time, and whatever is applied meanwhile shares the next. A read runs at once as well and
//! waits until what it may have seen is durable.
//!
//! When a flush fails, the memory is ahead of the disk for good: this database answers nothing any more, and
//! whoever holds it opens another one, which reads what the disk has.

use std::cell::RefCell;
use std::future::{Future, ready};
use std::rc::Rc;

use event_listener::Event;
use futures_util::future::Either;
use js_sys::{Array, Promise, Reflect, Uint8Array, Uint32Array};
use selvedge::store::database::{Batch, Database, DatabaseError, Outcome, Row, Statement};
use selvedge_sqlite::rusqlite::{self, OpenFlags};
use selvedge_sqlite::{Connection, Failure, transact};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};

use crate::pages::{PAGE_BYTES, Pages};
use crate::vfs::{self, Mounted};

/// Memory that SQLite may use for pages beside those that it finds in memory anyway, in KiB.
const CACHE_KIB: u32 = 2048;

/// The largest database, in pages: a tab has at most 4 GiB, and a database lies in memory as a whole.
const PAGES_MAX: u32 = 262_144;

#[wasm_bindgen]
extern "C" {
    /// Where pages persist; `npm/src/pages.js` is one over IndexedDB.
    pub type PageStore;

    /// Everything there is: `{sequence, chunks}`, the chunks whole pages in order.
    #[wasm_bindgen(method)]
    fn load(this: &PageStore) -> Promise;

    /// Writes pages and the number of all pages if `sequence` is the stored one, and stores the next one;
    /// all of it or nothing. It resolves when a crash would keep it. It rejects when nothing was written, with
    /// an error whose message is for clients when it has a true `storage`.
    #[wasm_bindgen(method)]
    fn flush(
        this: &PageStore,
        sequence: f64,
        count: u32,
        numbers: &Uint32Array,
        bytes: &Uint8Array,
    ) -> Promise;
}

/// An SQLite database over a [`PageStore`]. Clones share it.
#[derive(Clone)]
pub(crate) struct Paged {
    shared: Rc<Shared>,
}

struct Shared {
    /// Declared before `mounted`, so that it is closed first.
    connection: Connection,
    _mounted: Mounted,
    pages: Rc<RefCell<Pages>>,
    store: PageStore,
    state: RefCell<State>,
    /// Rings when a flush has ended.
    flushed: Event,
}

/// How far the disk has come.
#[derive(Default)]
struct State {
    /// The number of the last flush.
    sequence: f64,
    /// Transactions applied in memory.
    applied: u64,
    /// Of those, the ones that are durable.
    durable: u64,
    flushing: bool,
    failed: Option<DatabaseError>,
}

impl Paged {
    /// Reads the database from where it persists; an empty store is an empty database.
    pub(crate) async fn open(store: PageStore) -> Result<Self, DatabaseError> {
        let loaded = JsFuture::from(store.load()).await.map_err(|error| store_error(&error))?;
        let mut pages = Pages::default();
        for chunk in Array::from(&member(&loaded, "chunks")).iter() {
            pages.load(&Uint8Array::new(&chunk).to_vec());
        }
        let sequence = member(&loaded, "sequence").as_f64().unwrap_or_default();
        let pages = Rc::new(RefCell::new(pages));
        let mounted = Mounted::new(pages.clone()).map_err(DatabaseError::Broken)?;
        let connection = connect(mounted.name()).map_err(Failure::into_error)?;
        let state = RefCell::new(State { sequence, ..State::default() });
        let flushed = Event::new();
        let shared = Shared { connection, _mounted: mounted, pages, store, state, flushed };
        Ok(Self { shared: Rc::new(shared) })
    }

    /// Why it answers nothing any more.
    pub(crate) fn failure(&self) -> Option<DatabaseError> {
        self.shared.state.borrow().failed.clone()
    }

    /// Answers nothing any more: its store says so of itself.
    pub(crate) fn fail(&self, words: String) {
        self.shared.state.borrow_mut().failed.get_or_insert(DatabaseError::Storage(words.into()));
        self.shared.flushed.notify(usize::MAX);
    }

    /// Applies a call's batches to the pages in memory.
    fn apply(&self, batches: &[Batch]) -> Result<Vec<Outcome>, DatabaseError> {
        self.check()?;
        let connection = &self.shared.connection;
        let applied = transact(connection, &mut vec![batches], &mut |_| {}, &|| {});
        if applied.is_err() {
            connection.abandon();
        }
        let (mut answers, kept) = applied?;
        if kept > 0 {
            self.shared.state.borrow_mut().applied += 1;
            self.flush();
        }
        answers.pop().unwrap_or(Ok(Vec::new()))
    }

    fn check(&self) -> Result<(), DatabaseError> {
        self.failure().map_or(Ok(()), Err)
    }

    /// Sees to it that a flush is under way.
    fn flush(&self) {
        let idle = !std::mem::replace(&mut self.shared.state.borrow_mut().flushing, true);
        if idle {
            let shared = self.shared.clone();
            spawn_local(async move { shared.flush_all().await });
        }
    }

    /// Waits until everything that is applied now is durable.
    fn settled(&self) -> impl Future<Output = Result<(), DatabaseError>> + use<> {
        let shared = self.shared.clone();
        let target = shared.state.borrow().applied;
        async move {
            loop {
                let ear = shared.flushed.listen();
                {
                    let state = shared.state.borrow();
                    if state.durable >= target {
                        return Ok(());
                    }
                    if let Some(error) = &state.failed {
                        return Err(error.clone());
                    }
                }
                ear.await;
            }
        }
    }
}

impl Database for Paged {
    async fn read(&self, reads: Vec<Statement>) -> Result<Vec<Vec<Row>>, DatabaseError> {
        self.check()?;
        let rows = self.shared.connection.view(&reads).map_err(Failure::into_error);
        let settled = self.settled();
        settled.await?;
        rows
    }

    fn write(&self, batches: Vec<Batch>) -> impl Future<Output = Result<Vec<Outcome>, DatabaseError>> {
        let settled = match self.apply(&batches) {
            // What was refused was refused on the ground of writes that are perhaps not durable yet.
            Ok(outcomes) => Ok((outcomes, self.settled())),
            Err(error) => Err(error),
        };
        match settled {
            Ok((outcomes, settled)) => Either::Left(async move { settled.await.map(|()| outcomes) }),
            Err(error) => Either::Right(ready(Err(error))),
        }
    }
}

impl Shared {
    /// Flushes until the disk has everything.
    async fn flush_all(&self) {
        while let Some((target, sequence)) = self.next_flush() {
            // No transaction is open here: each runs within one call, and this is none.
            let changes = self.pages.borrow_mut().take_changes();
            let numbers = Uint32Array::from(&changes.numbers[..]);
            let bytes = Uint8Array::from(&changes.bytes[..]);
            debug_assert_eq!(changes.bytes.len(), changes.numbers.len() * PAGE_BYTES);
            let ended = JsFuture::from(self.store.flush(sequence, changes.count, &numbers, &bytes)).await;
            let mut state = self.state.borrow_mut();
            match ended {
                Ok(_) => (state.durable, state.sequence) = (target, sequence + 1.0),
                Err(error) => drop(state.failed.get_or_insert_with(|| store_error(&error))),
            }
            drop(state);
            self.flushed.notify(usize::MAX);
        }
    }

    /// What the next flush brings to the disk, and the number that it expects there.
    fn next_flush(&self) -> Option<(u64, f64)> {
        let mut state = self.state.borrow_mut();
        state.flushing = state.failed.is_none() && state.durable < state.applied;
        state.flushing.then_some((state.applied, state.sequence))
    }
}

fn connect(name: &str) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let raw = rusqlite::Connection::open_with_flags_and_vfs(name, flags, vfs::NAME)?;
    let connection = Connection::new(raw)?;
    // The journal in memory undoes a refused batch. It need not survive a crash: the disk sees whole
    // transactions only.
    connection.raw().execute_batch(&format!(
        "PRAGMA page_size = {PAGE_BYTES}; PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY;
         PRAGMA synchronous = OFF; PRAGMA cache_size = -{CACHE_KIB}; PRAGMA max_page_count = {PAGES_MAX};"
    ))?;
    Ok(connection)
}

/// What a rejected promise of the store's says.
fn store_error(error: &JsValue) -> DatabaseError {
    let message = member(error, "message").as_string().unwrap_or_else(|| format!("{error:?}"));
    if member(error, "storage").is_truthy() {
        DatabaseError::Storage(message.into())
    } else {
        DatabaseError::Unavailable { message, indeterminate: false }
    }
}

/// A member of an object; undefined where there is none.
fn member(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap_or_default()
}
