//! AWS Lambda's runtime API for tests: cargo-lambda's emulator, and a function of ours behind it.
//!
//! The emulator makes an event of each HTTP request, as a function URL does, gives it to the function when that
//! asks for the next event, and makes a response of its answer. The function is a process that the test starts,
//! so that nothing is compiled here. The emulator is what `scripts/setup lambda` installs, or what
//! `SELVEDGE_CARGO_LAMBDA` names. Where there is none, the test fails and says so.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Names the emulator's binary, instead of the one in the cache.
pub const BINARY_ENV: &str = "SELVEDGE_CARGO_LAMBDA";

/// How long the emulator may take to answer. Long, because other tests run at the same time.
const PATIENCE: Duration = Duration::from_secs(60);
/// The pause between two looks whether it does.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// How often another port is tried, where another process was quicker.
const PORTS_MAX: usize = 5;

/// The emulator reads the names of functions from a cargo project; the one behind `/` needs none.
const MANIFEST: &str =
    "[package]\nname = \"function\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n";

/// An emulator and its function. Both end with it.
#[derive(Debug)]
pub struct Emulator {
    emulator: Child,
    function: Option<Child>,
    directory: TempDir,
    address: SocketAddr,
}

impl Emulator {
    /// Starts the emulator and, behind it, this program as the function, with these variables in its environment.
    pub fn start(function: impl AsRef<Path>, environment: &[(&str, &str)]) -> Self {
        let mut emulator = Self::without_function();
        let variables = [
            ("AWS_LAMBDA_FUNCTION_NAME", "_"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ];
        let mut command = Command::new(function.as_ref());
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SELVEDGE_"))
        {
            command.env_remove(name);
        }
        let log = emulator.log_file("function.log");
        command
            .envs(variables)
            .env("AWS_LAMBDA_RUNTIME_API", format!("http://{}/.rt", emulator.address))
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log);
        let child = command.spawn();
        emulator.function =
            Some(child.unwrap_or_else(|fault| panic!("the function does not start: {fault}")));
        emulator
    }

    /// Where HTTP requests go: to the function, by way of events.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where events are posted as they are: a path on the same address.
    pub fn invocations(&self) -> &'static str {
        "/2015-03-31/functions/_/invocations"
    }

    /// What the function has written so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("function.log")).unwrap_or_default()
    }

    /// `kill -9` to the function, in the middle of whatever it does.
    pub fn kill_function(&mut self) {
        end(self.function.take());
    }

    fn without_function() -> Self {
        for _ in 0..PORTS_MAX {
            if let Some(emulator) = Self::try_start() {
                return emulator;
            }
        }
        panic!("the emulator found no free port in {PORTS_MAX} tries");
    }

    /// `None` if another process took the port.
    fn try_start() -> Option<Self> {
        let directory = tempfile::Builder::new().prefix("selvedge-lambda-").tempdir();
        let directory = directory.expect("a temporary directory");
        fs::write(directory.path().join("Cargo.toml"), MANIFEST).expect("a writable directory");
        fs::create_dir(directory.path().join("src")).expect("a writable directory");
        fs::write(directory.path().join("src/main.rs"), "fn main() {}\n").expect("a writable directory");
        let address = free_address();
        let log = File::create(directory.path().join("emulator.log")).expect("a writable directory");
        let child = Command::new(binary())
            .args(["lambda", "watch", "--only-lambda-apis", "--disable-cors", "--offline"])
            .args(["--invoke-address", &address.ip().to_string()])
            .args(["--invoke-port", &address.port().to_string()])
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn();
        let emulator = child.unwrap_or_else(|fault| panic!("the emulator does not start: {fault}"));
        let mut emulator = Self { emulator, function: None, directory, address };
        emulator.answers().then_some(emulator)
    }

    /// Waits until the emulator takes connections; false if its process has ended.
    fn answers(&mut self) -> bool {
        let ends = Instant::now() + PATIENCE;
        loop {
            if self.said().contains("starting Runtime server") && TcpStream::connect(self.address).is_ok() {
                return true;
            }
            if self.emulator.try_wait().expect("a child of ours").is_some() {
                let said = self.said();
                assert!(said.contains("in use"), "the emulator has ended:\n{said}");
                return false;
            }
            assert!(Instant::now() < ends, "the emulator does not answer:\n{}", self.said());
            std::thread::sleep(LOOK_INTERVAL);
        }
    }

    fn said(&self) -> String {
        fs::read_to_string(self.directory.path().join("emulator.log")).unwrap_or_default()
    }

    fn log_file(&self, name: &str) -> File {
        let path = self.directory.path().join(name);
        File::options().create(true).append(true).open(path).expect("a writable directory")
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- emulator at {}\n{}--- function\n{}", self.address, self.said(), self.log());
        }
        end(self.function.take());
        let _ = self.emulator.kill();
        let _ = self.emulator.wait();
    }
}

fn end(child: Option<Child>) {
    if let Some(mut child) = child {
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// An address that was free a moment ago.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
    listener.local_addr().expect("it is bound")
}

/// The emulator's binary, or a failed test.
fn binary() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let binary = variable(BINARY_ENV).unwrap_or_else(|| {
        let home = || std::env::home_dir().expect("HOME or SELVEDGE_CACHE is set");
        let cache = variable("SELVEDGE_CACHE").unwrap_or_else(|| home().join(".cache/selvedge"));
        cache.join("tools/lambda/bin/cargo-lambda")
    });
    assert!(
        binary.is_file(),
        "there is no {}: run scripts/setup lambda, or name cargo-lambda's binary in {BINARY_ENV}",
        binary.display()
    );
    binary
}
