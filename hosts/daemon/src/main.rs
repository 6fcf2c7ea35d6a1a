//! Everything is in the library.
#![forbid(unsafe_code)]

/// What one thread allocates here another one frees: requests are decided by tokio's threads, and what they write is
/// freed by the database's. glibc takes a lock of the first thread for that; jemalloc gives such memory back in lots.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    selvedge_daemon::main()
}
