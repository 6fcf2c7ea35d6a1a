//! This program again, under callgrind.
//!
//! Callgrind counts only while [`counted`](crate::scenario::counted) is on the stack, so that what a scenario
//! prepares is not in its number.

use std::process::Command;

use crate::CARRY_OUT;

/// The function within which instructions count, as callgrind's pattern.
const COUNTED: &str = "--toggle-collect=*instructions*scenario*counted*";

/// Instructions of a scenario, of all its repetitions together.
pub(crate) fn count(scenario: &str) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|fault| format!("this program is gone: {fault}"))?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", COUNTED])
        .arg(program)
        .args([CARRY_OUT, scenario])
        .output()
        .map_err(|fault| {
            format!("valgrind cannot be run ({fault}): install it, as with apt install valgrind")
        })?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{scenario} failed under valgrind:\n{said}"));
    }
    collected(&said).ok_or_else(|| format!("{scenario}: valgrind named no count:\n{said}"))
}

/// From the line `==1234== Collected : 5678`. Zero means that the function was not found.
fn collected(said: &str) -> Option<u64> {
    let line = said.lines().find_map(|line| line.split_once("Collected :"))?;
    line.1.trim().parse().ok().filter(|count| *count > 0)
}
