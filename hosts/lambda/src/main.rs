//! The binary that Lambda starts: `bootstrap`.

use std::process::ExitCode;

fn main() -> ExitCode {
    selvedge_lambda::main()
}
