//! The README's first command on the built binary: every example completes, though the server is killed.

use std::process::Command;

#[test]
fn every_example_completes() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/run");
    let output = Command::new("bash")
        .arg(script)
        .arg(place.path())
        .env("SELVEDGE_BIN", env!("CARGO_BIN_EXE_selvedge"))
        .output()
        .expect("bash runs");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    for line in
        ["Hello, Ada!", "kill -9: the server is gone", "attempt 3: it works", "shipped, approved by Ada"]
    {
        assert!(said.contains(line), "{line:?} is missing in:\n{said}");
    }
}
