//! Places where files cannot be made or soon fill up, as far as the machine lets a test make them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A directory that is undone when dropped.
pub(crate) enum Place {
    /// A file system of its own, mounted over the directory.
    Mounted(TempDir),
    /// A directory whose mode forbids writing.
    Closed(TempDir),
    /// A directory of the system's.
    Given(PathBuf),
}

impl Place {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Place::Mounted(directory) | Place::Closed(directory) => directory.path(),
            Place::Given(path) => path,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        match self {
            Place::Mounted(directory) => {
                run("umount", &[directory.path().as_os_str()]);
            }
            Place::Closed(directory) => set_mode(directory.path(), 0o755),
            Place::Given(_) => {}
        }
    }
}

/// A directory in which no file can be made. A mode does not stop root, a mount needs root, and where
/// neither works the kernel's own file system takes no files from anybody.
pub(crate) fn read_only() -> Place {
    let directory = tempfile::tempdir().expect("a directory");
    set_mode(directory.path(), 0o555);
    if fs::write(directory.path().join("probe"), "").is_err() {
        return Place::Closed(directory);
    }
    set_mode(directory.path(), 0o755);
    mount("ro").unwrap_or_else(|| Place::Given("/proc".into()))
}

/// A disk of one mebibyte, where the machine allows mounts.
pub(crate) fn small_disk() -> Option<Place> {
    mount("size=1m")
}

fn mount(options: &str) -> Option<Place> {
    let directory = tempfile::tempdir().expect("a directory");
    let words = ["-t", "tmpfs", "-o", options, "tmpfs"].map(std::ffi::OsStr::new);
    run("mount", &[&words[..], &[directory.path().as_os_str()]].concat()).then(|| Place::Mounted(directory))
}

fn run(program: &str, words: &[&std::ffi::OsStr]) -> bool {
    let status = Command::new(program).args(words).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn set_mode(path: &Path, mode: u32) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the directory is ours");
    }
}
