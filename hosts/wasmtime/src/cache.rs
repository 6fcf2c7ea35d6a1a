//! Compiled modules by the digest of their bytes: in memory, and in a directory if there is one.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use selvedge::ids::ModuleDigest;
use selvedge::module::ModuleFailure;
use wasmtime::{Engine, InstancePre, Module};

use crate::call::State;

/// A module with its imports resolved.
pub(crate) type Loaded = InstancePre<State>;

/// The compiled modules that were used last.
pub(crate) struct Cache {
    kept_max: usize,
    directory: Option<PathBuf>,
    kept: Mutex<Kept>,
    /// Held while something is compiled: one at a time, and nothing twice.
    compiling: Mutex<()>,
}

#[derive(Default)]
struct Kept {
    modules: HashMap<ModuleDigest, (Arc<Loaded>, u64)>,
    /// Counts uses; a module's own number says when it was used last.
    uses: u64,
}

impl Cache {
    pub(crate) fn new(kept_max: usize, directory: Option<PathBuf>) -> Self {
        Self { kept_max: kept_max.max(1), directory, kept: Mutex::default(), compiling: Mutex::default() }
    }

    /// The module, if it is in memory.
    pub(crate) fn get(&self, digest: &ModuleDigest) -> Option<Arc<Loaded>> {
        let kept = &mut *self.kept();
        let (loaded, used) = kept.modules.get_mut(digest)?;
        kept.uses += 1;
        *used = kept.uses;
        Some(loaded.clone())
    }

    /// The module: out of memory, out of the directory, or compiled now.
    pub(crate) fn load(
        &self,
        engine: &Engine,
        digest: &ModuleDigest,
        compile: impl FnOnce() -> Result<Module, ModuleFailure>,
        link: impl FnOnce(Module) -> Result<Loaded, ModuleFailure>,
    ) -> Result<Arc<Loaded>, ModuleFailure> {
        let _compiling = self.compiling.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = self.get(digest) {
            return Ok(loaded);
        }
        let module = match self.stored(engine, digest) {
            Some(module) => module,
            None => {
                let module = compile()?;
                self.store(engine, digest, &module);
                module
            }
        };
        let loaded = Arc::new(link(module)?);
        self.keep(digest, &loaded);
        Ok(loaded)
    }

    fn keep(&self, digest: &ModuleDigest, loaded: &Arc<Loaded>) {
        let kept = &mut *self.kept();
        if kept.modules.len() >= self.kept_max {
            let oldest = kept.modules.iter().min_by_key(|(_, (_, used))| *used);
            if let Some(oldest) = oldest.map(|(digest, _)| digest.clone()) {
                kept.modules.remove(&oldest);
            }
        }
        kept.uses += 1;
        kept.modules.insert(digest.clone(), (loaded.clone(), kept.uses));
    }

    /// The module out of the directory. What cannot be read there is compiled anew.
    fn stored(&self, engine: &Engine, digest: &ModuleDigest) -> Option<Module> {
        let path = self.path(engine, digest).filter(|path| path.exists())?;
        // SAFETY: the file was written by `store` of this or an earlier process: `Options::directory` demands
        // that nobody else can write there. Its name has the engine's compatibility hash, and wasmtime checks
        // its version and settings once more.
        unsafe { Module::deserialize_file(engine, path) }.ok()
    }

    /// Writes the module to the directory, whole or not at all. A directory that takes nothing costs time when
    /// the next process starts, nothing else.
    fn store(&self, engine: &Engine, digest: &ModuleDigest, module: &Module) {
        let Some(path) = self.path(engine, digest) else { return };
        let (Some(directory), Ok(bytes)) = (path.parent(), module.serialize()) else { return };
        let partial = path.with_extension(format!("{}.partial", std::process::id()));
        let written = std::fs::create_dir_all(directory).and_then(|()| std::fs::write(&partial, bytes));
        let _ = written.and_then(|()| std::fs::rename(&partial, &path));
    }

    fn path(&self, engine: &Engine, digest: &ModuleDigest) -> Option<PathBuf> {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let name = digest.as_str().trim_start_matches("sha256:");
        Some(self.directory.as_ref()?.join(format!("{name}-{:016x}.cwasm", hasher.finish())))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
