//! One process owns a database file.
//!
//! SQLite itself would let a second process in. But this driver answers reads and shares commits as the
//! only writer, and the engine above it keeps runs in memory. So the owner holds an advisory lock on a
//! file of its own beside the database: SQLite's locks on the database are POSIX ones, which vanish when
//! a process closes any handle of the file, so that file is best left to SQLite alone.
//!
//! The system drops the lock when the process ends, however it ends; the lock's file stays and means
//! nothing by itself.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::open::OpenError;

/// The right to a database file, until dropped.
#[derive(Debug)]
pub(super) struct Lock {
    held: File,
}

impl Lock {
    /// Takes the database at `path`, or says who has it.
    pub(super) fn take(path: &Path) -> Result<Lock, OpenError> {
        let beside = lock_path(path);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&beside);
        let mut file = file.map_err(|source| OpenError::NotWritable { path: path.into(), source })?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::InUse { path: path.into(), pid: owner(&beside) });
            }
            Err(TryLockError::Error(source)) => return Err(OpenError::Lock { path: beside, source }),
        }
        // The owner's number only makes a message better, so a full disk does not keep the owner out.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Lock { held: file })
    }
}

impl Drop for Lock {
    /// Closing the file would not do: a child process that another thread has just forked shares the lock
    /// until it executes its program.
    fn drop(&mut self) {
        let _ = self.held.unlock();
    }
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

/// The process that wrote itself into the file; none while it is still about to.
fn owner(beside: &Path) -> Option<u32> {
    fs::read_to_string(beside).ok()?.trim().parse().ok()
}
