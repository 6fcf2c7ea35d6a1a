//! The sample modules of `wasm/guest`, built by `scripts/build-modules` when the first test asks for one.
//!
//! The script takes a lock, so that test programs that run at once build them once; after that it finds
//! everything as it should be and takes a moment.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The file of a sample: `price`, `words`, `hostile` or `reverse`.
pub fn path(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(build).join(format!("{name}.wasm"))
}

/// The bytes of a sample.
pub fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).expect("the script has built it")
}

fn build() -> PathBuf {
    let program = std::env::current_exe().expect("a test knows its own program");
    let target = program.ancestors().nth(3).expect("it lies in target/debug/deps").to_owned();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find(|path| path.join("scripts").is_dir());
    let script = root.expect("the crate lies in the repository").join("scripts/build-modules");
    let directory = target.join("modules");
    let output =
        Command::new(script).arg(&directory).env("CARGO_TARGET_DIR", &target).output().expect("bash runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    directory
}
