//! Finding the file, and every reason why it cannot be opened, said before SQLite says it less well.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use selvedge_sqlite::Failure;

use super::lock::Lock;

/// How a file is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How many reads run at once beside the writer. Each keeps a connection open.
    pub readers: NonZeroUsize,
    /// Memory that each connection may use for pages of the file, in bytes.
    pub cache_bytes: u32,
    /// How many pages of 4 KiB the file may have; a write that needs more fails as on a full disk. `None`:
    /// as many as the disk holds.
    pub pages_max: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        let readers = NonZeroUsize::new(4).expect("four is not zero");
        Options { readers, cache_bytes: 16 * 1024 * 1024, pages_max: None }
    }
}

/// Why a database was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The path ends in a directory.
    #[error("the database {path} is a directory, expected a file", path = .0.display())]
    Directory(PathBuf),
    /// The path has no last part, as in `..`.
    #[error("the database path {path} does not name a file", path = .0.display())]
    NoName(PathBuf),
    /// The directory is missing, or is a file.
    #[error("the database {path} cannot be made: the directory {directory}: {source}",
        path = .path.display(), directory = .directory.display())]
    NoDirectory {
        /// The database.
        path: PathBuf,
        /// Where it should lie.
        directory: PathBuf,
        /// What is wrong with that place.
        source: io::Error,
    },
    /// No file can be made beside the database: a read-only directory or file system.
    #[error("the directory of the database {path} is not writable: {source}", path = .path.display())]
    NotWritable {
        /// The database.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is there but cannot be read and written.
    #[error("the database {path} cannot be opened for reading and writing: {source}", path = .path.display())]
    File {
        /// The database.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process owns the file.
    #[error("the database {path} is in use by another process{owner}; one process owns a database file: stop \
        that one, or name another file", path = .path.display(), owner = in_brackets(.pid))]
    InUse {
        /// The database.
        path: PathBuf,
        /// The other process, where it is known.
        pid: Option<u32>,
    },
    /// The file system has no locks.
    #[error("the lock {path} cannot be taken: {source}", path = .path.display())]
    Lock {
        /// The lock's file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{path} is not an SQLite database; it was left as it is", path = .0.display())]
    NotADatabase(PathBuf),
    /// SQLite would not open it.
    #[error("the database {path} cannot be opened: {message}", path = .path.display())]
    Refused {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        message: String,
    },
    /// The thread that writes could not be started.
    #[error("the thread that writes to the database cannot be started: {0}")]
    Thread(#[source] io::Error),
}

/// What the writer's connection stands on, and what to open again when it fails.
pub(super) enum Source {
    /// A file, with the right to it.
    File {
        /// Its resolved path.
        path: PathBuf,
        /// How it was opened.
        options: Options,
        /// Held until the writer ends, after its connection.
        _lock: Lock,
    },
    /// Memory: it lives in the one connection, which is never opened again.
    Memory,
}

/// The real path of a database that is or will be at `path`, so that two names of one file meet at one
/// lock.
pub(super) fn locate(path: &Path) -> Result<PathBuf, OpenError> {
    if path.is_dir() {
        return Err(OpenError::Directory(path.into()));
    }
    let name = path.file_name().ok_or_else(|| OpenError::NoName(path.into()))?;
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let missing = |source| OpenError::NoDirectory { path: path.into(), directory: directory.into(), source };
    if !fs::metadata(directory).map_err(missing)?.is_dir() {
        return Err(missing(ErrorKind::NotADirectory.into()));
    }
    match fs::canonicalize(path) {
        Ok(real) => Ok(real),
        Err(_) => Ok(fs::canonicalize(directory).map_err(missing)?.join(name)),
    }
}

/// Makes the file where there is none, and refuses one that is not a database. The caller holds the lock, so
/// SQLite has no handle of the file in this process whose locks this look would drop.
pub(super) fn inspect(path: &Path) -> Result<(), OpenError> {
    const MAGIC: &[u8; 16] = b"SQLite format 3\0";
    let cannot = |source| OpenError::File { path: path.into(), source };
    let irregular = |found: fs::Metadata| !found.is_file();
    // A pipe or a device is not even opened.
    if fs::metadata(path).is_ok_and(irregular) {
        return Err(OpenError::NotADatabase(path.into()));
    }
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let mut file = file.map_err(cannot)?;
    let mut start = Vec::new();
    (&mut file).take(MAGIC.len() as u64).read_to_end(&mut start).map_err(cannot)?;
    // SQLite takes an empty file for a new database.
    if start.is_empty() || start == MAGIC { Ok(()) } else { Err(OpenError::NotADatabase(path.into())) }
}

impl OpenError {
    pub(super) fn refused(path: &Path, failure: Failure) -> Self {
        match failure {
            Failure::Damaged(_) => OpenError::NotADatabase(path.into()),
            Failure::Statement(message) | Failure::Passing(message) | Failure::Uncertain(message) => {
                OpenError::Refused { path: path.into(), message }
            }
            Failure::Constraint => {
                OpenError::Refused { path: path.into(), message: "a constraint failed".into() }
            }
        }
    }
}

fn in_brackets(pid: &Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (pid {pid})"))
}
