//! A server with a file system of its own for its database: one that is small, or read-only.
//!
//! It is mounted in a mount namespace that goes away with the process, so that nothing is left behind.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::command;

const MOUNT: &str = "mount -t tmpfs -o \"$1\" tmpfs \"$2\" && shift 2 && exec \"$@\"";

/// The binary with these arguments, for which `directory` is a file system of its own with these options. None,
/// with a loud remark, where the machine does not let us mount.
pub(crate) fn sandboxed(options: &str, directory: &Path, arguments: &[&str]) -> Option<Command> {
    let mut trial = unshare();
    let trial = trial.args(["sh", "-c", MOUNT, "sh", options]).arg(directory).arg("true").output();
    match trial {
        Ok(trial) if trial.status.success() => {}
        other => {
            eprintln!("SKIPPED: this machine lets nobody mount a file system for a test: {other:?}");
            return None;
        }
    }
    let binary = command(arguments);
    let mut sandboxed = unshare();
    sandboxed.args(["sh", "-c", MOUNT, "sh", options]).arg(directory);
    sandboxed.arg(binary.get_program()).args(binary.get_args());
    Some(sandboxed)
}

/// The directory as the process sees it.
pub(crate) fn seen_by(process: u32, directory: &Path) -> PathBuf {
    PathBuf::from(format!("/proc/{process}/root{}", directory.display()))
}

fn unshare() -> Command {
    let mut unshare = Command::new("unshare");
    unshare.args(["--map-root-user", "--mount", "--"]);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SELVEDGE_")) {
        unshare.env_remove(name);
    }
    unshare
}
