//! A real sqld for tests: a process of its own on a free port, over a directory of its own, gone with its test.
//!
//! A process for each test costs some tens of milliseconds, and no test can see what another one writes. The
//! binary is what `scripts/setup sqld` installs, or what `SELVEDGE_SQLD` names. Where there is none, the test
//! fails and says so.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Names the binary, instead of the one in the cache.
pub const BINARY_ENV: &str = "SELVEDGE_SQLD";

/// How long it may take to answer. Long, because other tests run at the same time.
const PATIENCE: Duration = Duration::from_secs(40);

/// The pause between two looks whether it answers.
const LOOK_INTERVAL: Duration = Duration::from_millis(3);

/// A server with an empty database.
#[derive(Debug)]
pub struct Sqld {
    /// `None` while it is stopped.
    child: Option<Child>,
    directory: TempDir,
    address: SocketAddr,
    environment: Vec<(String, String)>,
}

impl Sqld {
    /// Starts one, and comes back when it answers.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// The same with settings of sqld in its environment, such as `SQLD_AUTH_JWT_KEY`.
    pub fn with(environment: &[(&str, &str)]) -> Self {
        let directory =
            tempfile::Builder::new().prefix("selvedge-sqld-").tempdir().expect("a temporary directory");
        let environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let mut sqld = Self { child: None, directory, address: free_address(), environment };
        sqld.restart();
        sqld
    }

    /// Where it answers: `http://` and so on.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The same for a proxy between it and its client.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Asks it to end, and waits until it has. The database stays.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = kill_process(pid(&child), Signal::TERM);
            let _ = child.wait();
        }
    }

    /// `kill -9`, in the middle of whatever it does. The database stays.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Lets its process stand still, as a machine that does not answer, until [`Sqld::resume`].
    pub fn pause(&self) {
        let child = self.child.as_ref().expect("it was started");
        kill_process(pid(child), Signal::STOP).expect("it was not waited for");
    }

    /// Lets a paused one go on.
    pub fn resume(&self) {
        let child = self.child.as_ref().expect("it was started");
        kill_process(pid(child), Signal::CONT).expect("it was not waited for");
    }

    /// Starts it again with the same database at the same address, and comes back when it answers.
    pub fn restart(&mut self) {
        self.kill();
        let log = File::options().create(true).append(true).open(self.directory.path().join("log"));
        let log = log.expect("a writable directory");
        let mut command = Command::new(binary());
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SQLD_")) {
            command.env_remove(name);
        }
        command
            .args(["--no-welcome", "--http-listen-addr", &self.address.to_string(), "--db-path"])
            .arg(self.directory.path().join("data"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log);
        let child = command.spawn().unwrap_or_else(|fault| panic!("sqld does not start: {fault}"));
        self.child = Some(child);
        self.wait_until_it_answers();
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    fn wait_until_it_answers(&mut self) {
        let end = Instant::now() + PATIENCE;
        while answers(self.address).is_none() {
            let child = self.child.as_mut().expect("it was just started");
            if let Some(status) = child.try_wait().expect("a child of ours") {
                panic!("sqld ended with {status}:\n{}", self.log());
            }
            assert!(Instant::now() < end, "sqld does not answer within {PATIENCE:?}:\n{}", self.log());
            std::thread::sleep(LOOK_INTERVAL);
        }
    }
}

impl Drop for Sqld {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- sqld at {}\n{}", self.address, self.log());
        }
        self.kill();
    }
}

/// The binary, or a failed test.
pub fn binary() -> PathBuf {
    let named = std::env::var_os(BINARY_ENV).filter(|path| !path.is_empty()).map(PathBuf::from);
    let binary = named.unwrap_or_else(|| {
        let cache = std::env::var_os("SELVEDGE_CACHE").filter(|path| !path.is_empty()).map(PathBuf::from);
        let home = || std::env::home_dir().expect("HOME or SELVEDGE_CACHE is set");
        cache.unwrap_or_else(|| home().join(".cache/selvedge")).join("tools/bin/sqld")
    });
    assert!(
        binary.is_file(),
        "there is no sqld at {}: run scripts/setup sqld, or name one in {BINARY_ENV}",
        binary.display()
    );
    binary
}

/// Whether a server answers there with 200.
fn answers(address: SocketAddr) -> Option<()> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    write!(stream, "GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.starts_with("HTTP/1.1 200").then_some(())
}

/// A free port of an address that no other test program of this machine uses, so that the port stays free while
/// the server is down.
pub fn free_address() -> SocketAddr {
    static PLACE: AtomicU8 = AtomicU8::new(1);
    let place = PLACE.fetch_add(1, Ordering::Relaxed).clamp(1, 254);
    let [.., high, low] = std::process::id().to_be_bytes();
    // Not 127.0: that is where everybody else is.
    let address = Ipv4Addr::new(127, high | 0x80, low, place);
    TcpListener::bind((address, 0))
        .and_then(|listener| listener.local_addr())
        .expect("loopback has free ports")
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_its_address_and_ends_with_its_test() {
        let mut sqld = Sqld::start();
        let (address, first) = (sqld.address(), sqld.id());
        assert_eq!(answers(address), Some(()));
        sqld.stop();
        assert_eq!((answers(address), sqld.id()), (None, None));
        sqld.restart();
        assert_eq!((answers(address), sqld.address()), (Some(()), address));
        assert_ne!(sqld.id(), first);
        drop(sqld);
        assert_eq!(answers(address), None);
    }
}
