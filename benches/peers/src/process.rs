//! Child processes: started, heard out for their first line, and ended with all that they started.
//!
//! Whatever is measured is a child: what it costs can be read from `/proc`, and nothing of the load generator is
//! in it.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::fault::{Fault, fault};

/// How long a server may take from its start to its first answer.
const START_MAX: Duration = Duration::from_secs(120);
/// How long a server may take to end before it is killed.
const STOP_MAX: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

/// A process of ours, in a group of its own. It is killed when it is dropped.
pub struct Process {
    name: &'static str,
    child: Child,
    id: u32,
}

/// What a process that speaks in lines says, and how it is spoken to.
pub struct Talk {
    answers: Lines<BufReader<ChildStdout>>,
    orders: ChildStdin,
}

impl Process {
    /// Starts a program that writes to a log alone.
    pub fn start(name: &'static str, mut command: Command, log: &Path) -> Result<Process, Fault> {
        command.stdin(Stdio::null()).stdout(log_file(log)?);
        Self::spawn(name, command, log)
    }

    /// Starts a program whose first line on standard output says that it is ready, and waits for that line.
    pub async fn announced(
        name: &'static str,
        mut command: Command,
        log: &Path,
    ) -> Result<(Process, Talk, String), Fault> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Self::spawn(name, command, log)?;
        let orders = process.child.stdin.take().expect("standard input is a pipe");
        let answers = process.child.stdout.take().expect("standard output is a pipe");
        let mut talk = Talk { answers: BufReader::new(answers).lines(), orders };
        let first = timeout(START_MAX, talk.answers.next_line()).await;
        match first
            .map_err(|_| fault!("{name} was not ready within {START_MAX:?}, see {}", log.display()))??
        {
            Some(line) => Ok((process, talk, line)),
            None => Err(fault!("{name} ended before it was ready, see {}", log.display())),
        }
    }

    fn spawn(name: &'static str, mut command: Command, log: &Path) -> Result<Process, Fault> {
        // A signal from the terminal is for the driver, which ends its children by itself.
        command.stderr(log_file(log)?).process_group(0).kill_on_drop(true);
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        let child =
            command.spawn().map_err(|cause| fault!("{name}: {program} cannot be started: {cause}"))?;
        let id = child.id().expect("it has not been waited for");
        Ok(Process { name, child, id })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Asks until there is an answer; a fault when the process ends before, or takes too long.
    pub async fn ready<T>(&mut self, mut ask: impl AsyncFnMut() -> Option<T>) -> Result<T, Fault> {
        let last = Instant::now() + START_MAX;
        loop {
            if let Some(answer) = ask().await {
                return Ok(answer);
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(fault!("{} ended with {status} before it was ready", self.name));
            }
            if Instant::now() > last {
                return Err(fault!("{} was not ready within {START_MAX:?}", self.name));
            }
            sleep(POLL).await;
        }
    }

    /// Ends it by a signal.
    pub async fn stop(mut self, signal: Signal) -> Result<ExitStatus, Fault> {
        self.signal(signal);
        let ended = timeout(STOP_MAX, self.child.wait()).await;
        Ok(ended.map_err(|_| fault!("{} did not end within {STOP_MAX:?}", self.name))??)
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = Pid::from_raw(self.id as i32) {
            // It may have ended by itself.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::KILL);
        }
    }
}

impl Talk {
    /// Says a line and waits for the answer, as long as that takes.
    pub async fn ask(&mut self, order: &str) -> Result<String, Fault> {
        self.orders.write_all(format!("{order}\n").as_bytes()).await?;
        self.orders.flush().await?;
        self.answers.next_line().await?.ok_or_else(|| fault!("it ended before it answered"))
    }
}

/// A port that nobody listens on.
pub fn free_port() -> Result<u16, Fault> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn log_file(path: &Path) -> Result<File, Fault> {
    let file = File::options().create(true).append(true).open(path);
    file.map_err(|cause| fault!("{} cannot be written: {cause}", path.display()))
}
