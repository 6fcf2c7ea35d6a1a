//! The binary as a process whose output is read while it runs. Dropping it ends it and all it started.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::{PATIENCE, eventually, eventually_within};

/// The binary with these arguments, and without settings of whoever runs the tests.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_selvedge"));
    let settings = std::env::vars_os().map(|(name, _)| name);
    for name in settings.filter(|name| name.to_string_lossy().starts_with("SELVEDGE_")) {
        command.env_remove(name);
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Whether the process exists and has not ended.
pub(crate) fn is_running(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !matches!(state_and_parent(&stat), Some(("Z" | "X", _)) | None))
}

/// A process that was started.
pub(crate) struct Process {
    name: String,
    child: Child,
    stdout: Stream,
    stderr: Stream,
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// None after a signal.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// What a process writes, as far as it has.
struct Stream {
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts the binary.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::of(command(arguments))
    }

    pub(crate) fn of(mut command: Command) -> Self {
        let name = format!("{command:?}");
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let stdout = Stream::read(child.stdout.take().expect("a pipe"));
        let stderr = Stream::read(child.stderr.take().expect("a pipe"));
        Self { name, child, stdout, stderr }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn stdout(&self) -> String {
        self.stdout.now()
    }

    pub(crate) fn stderr(&self) -> String {
        self.stderr.now()
    }

    /// Comes back when the process has written this to standard error or standard output.
    pub(crate) async fn shows(&mut self, text: &str) {
        let Self { name, child, stdout, stderr } = self;
        let what = format!("{name} shows {text:?}");
        eventually(&what, async || {
            let over = child.try_wait().expect("a child of ours").is_some();
            let seen = [stdout.now(), stderr.now()].iter().any(|written| written.contains(text));
            assert!(seen || !over, "{what}, but it ended: {}{}", stdout.now(), stderr.now());
            seen.then_some(())
        })
        .await;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(pid(self.child.id()), signal).expect("the process was not waited for");
    }

    /// `kill -9`, and nothing else: what it started goes on.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("the process was not waited for");
        self.child.wait().expect("a child of ours");
    }

    /// Waits for its end.
    pub(crate) async fn ended(self) -> Ended {
        self.ended_within(PATIENCE).await
    }

    /// Waits for the end of one that has much to do.
    pub(crate) async fn ended_within(mut self, patience: Duration) -> Ended {
        let what = format!("{} ends", self.name);
        let look = async || self.child.try_wait().expect("a child of ours");
        let status = eventually_within(patience, &what, look).await;
        Ended { code: status.code(), stdout: self.stdout.whole(), stderr: self.stderr.whole() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_some()) {
            return;
        }
        let started = descendants(self.child.id());
        let _ = self.child.kill();
        let _ = self.child.wait();
        for id in started {
            // Each command of a worker leads a group; an error says that it is gone already.
            let _ = kill_process_group(pid(id), Signal::KILL);
            let _ = kill_process(pid(id), Signal::KILL);
        }
        if std::thread::panicking() {
            eprintln!("--- {}\n{}{}", self.name, self.stdout.now(), self.stderr.now());
        }
    }
}

impl Stream {
    fn read(mut pipe: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let read = text.clone();
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let mut buffer = [0; 8192];
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                bytes.extend_from_slice(&buffer[..count]);
                *read.lock().expect("no panic while it is held") =
                    String::from_utf8_lossy(&bytes).into_owned();
            }
        });
        Self { text, reader: Some(reader) }
    }

    fn now(&self) -> String {
        self.text.lock().expect("no panic while it is held").clone()
    }

    /// Once the process has ended.
    fn whole(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("reading does not panic");
        }
        self.now()
    }
}

fn pid(id: u32) -> Pid {
    i32::try_from(id).ok().and_then(Pid::from_raw).expect("a process's id is positive")
}

/// State and parent, from "pid (name) state parent group …", where the name may hold anything.
fn state_and_parent(stat: &str) -> Option<(&str, u32)> {
    let mut fields = stat.rsplit(") ").next()?.split(' ');
    Some((fields.next()?, fields.next()?.parse().ok()?))
}

/// The children of a process, and theirs.
fn descendants(of: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let parents: Vec<(u32, u32)> = entries
        .filter_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            Some((id, state_and_parent(&stat)?.1))
        })
        .collect();
    let mut found = vec![of];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(id, _)| id));
        next += 1;
    }
    found.split_off(1)
}
