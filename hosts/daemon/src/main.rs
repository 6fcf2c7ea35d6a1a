//! Everything is in the library.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    selvedge_daemon::main()
}
