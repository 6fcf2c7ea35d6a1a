//! SQLite's file system: files of [`Pages`], named and in memory, one connection each.
//!
//! Journals and temporary files never come here: SQLite keeps them in its own memory as the driver tells it
//! to, and opening one is refused. Syncing does nothing, since what makes a commit durable is the driver's
//! flush after it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use rsqlite_vfs::{
    AccessMode, LockLevel, OpenOptions, OpenRequest, OpenedFile, SQLiteIoMethods, SQLiteVfs, SyncOptions,
    VfsError, VfsErrorCode, VfsFile, VfsResult, VfsStore, register_vfs,
};
use sqlite_wasm_rs::WasmOsCallback;

use crate::pages::Pages;

/// The name by which SQLite knows this file system.
pub(crate) const NAME: &str = "selvedge-pages";

thread_local! {
    /// The files that there are. WebAssembly has one thread.
    static FILES: RefCell<BTreeMap<String, File>> = const { RefCell::new(BTreeMap::new()) };
}

/// A file and, for SQLite, a handle of it.
type File = Rc<RefCell<Pages>>;

/// A file that SQLite can open by name as long as this lives.
pub(crate) struct Mounted {
    name: String,
}

impl Mounted {
    /// Puts a file under a name that nobody else uses.
    pub(crate) fn new(pages: Rc<RefCell<Pages>>) -> Result<Self, String> {
        install()?;
        let name = FILES.with_borrow_mut(|files| {
            let mut number = files.len();
            while files.contains_key(&number.to_string()) {
                number += 1;
            }
            let name = number.to_string();
            files.insert(name.clone(), pages);
            name
        });
        Ok(Self { name })
    }

    /// What SQLite is to open.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        FILES.with_borrow_mut(|files| files.remove(&self.name));
    }
}

/// Registers the file system, once.
fn install() -> Result<(), String> {
    thread_local! {
        static INSTALLED: RefCell<bool> = const { RefCell::new(false) };
    }
    INSTALLED.with_borrow_mut(|installed| {
        if !*installed {
            // SAFETY: versions, methods and layouts are the crate's own defaults; there is one thread, and the
            // registration lives as long as it does.
            let registered = unsafe { register_vfs::<Methods, FileSystem>(NAME, WasmOsCallback, false) };
            registered.map_err(|error| format!("SQLite does not take its file system: {error}"))?.into_raw();
            *installed = true;
        }
        Ok(())
    })
}

struct FileSystem;
struct Methods;
struct Store;

/// What SQLite holds of an open file.
struct Handle(File);

impl SQLiteVfs<Methods> for FileSystem {
    type Os = WasmOsCallback;

    fn os(data: &WasmOsCallback) -> &WasmOsCallback {
        data
    }
}

impl SQLiteIoMethods for Methods {
    type Store = Store;
}

impl VfsStore for Store {
    type File = Handle;
    type AppData = WasmOsCallback;

    fn open_file(_: &WasmOsCallback, request: OpenRequest<'_>) -> VfsResult<OpenedFile<Handle>> {
        let name = request.filename.map(|name| name.path().to_owned()).unwrap_or_default();
        let found = FILES.with_borrow(|files| files.get(&name).cloned());
        let file = found.ok_or_else(|| missing(VfsErrorCode::CantOpen, &name))?;
        Ok(OpenedFile { file: Handle(file), access: request.options.access() })
    }

    fn close_file(_: &WasmOsCallback, _: Option<&str>, _: Handle, _: OpenOptions) -> VfsResult<()> {
        Ok(())
    }

    fn access(_: &WasmOsCallback, name: &str, _: AccessMode) -> VfsResult<bool> {
        Ok(FILES.with_borrow(|files| files.contains_key(name)))
    }

    fn full_pathname(_: &WasmOsCallback, name: &str) -> VfsResult<String> {
        Ok(name.to_owned())
    }

    fn delete_file(_: &WasmOsCallback, name: &str, _: bool) -> VfsResult<()> {
        Err(missing(VfsErrorCode::IoDeleteNoEntry, name))
    }
}

impl VfsFile for Handle {
    fn read(&mut self, buf: &mut [u8], offset: u64) -> VfsResult<usize> {
        Ok(self.0.borrow().read(buf, offset))
    }

    fn write(&mut self, buf: &[u8], offset: u64) -> VfsResult<()> {
        self.0.borrow_mut().write(buf, offset);
        Ok(())
    }

    fn truncate(&mut self, size: u64) -> VfsResult<()> {
        self.0.borrow_mut().truncate(size);
        Ok(())
    }

    fn sync(&mut self, _: SyncOptions) -> VfsResult<()> {
        Ok(())
    }

    fn size(&self) -> VfsResult<u64> {
        Ok(self.0.borrow().len())
    }

    fn lock(&mut self, _: LockLevel) -> VfsResult<()> {
        Ok(())
    }

    fn unlock(&mut self, _: LockLevel) -> VfsResult<()> {
        Ok(())
    }

    fn check_reserved_lock(&self) -> VfsResult<bool> {
        Ok(false)
    }
}

fn missing(code: VfsErrorCode, name: &str) -> VfsError {
    VfsError::new(code, format!("there is no file {name:?}").into())
}
