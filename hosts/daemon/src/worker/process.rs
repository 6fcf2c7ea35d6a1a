//! One command as a process group: started together, stopped together.
//!
//! The task is over when its command is over: what the command left behind in its group is ended with it.
//! Only a process that made a group or session of its own (`setsid`) gets away.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStderr, ChildStdout};
use tokio::time::{Instant, sleep, timeout_at};

use super::command::{Command, Program};

/// How often a group that was asked to stop is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// A command that runs. Dropping it kills the whole group.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    group: Group,
}

/// What a process writes, to be read while it runs.
#[derive(Debug)]
pub(super) struct Pipes {
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
}

/// Why a command did not even start.
#[derive(Debug, thiserror::Error)]
pub(super) enum SpawnFault {
    /// Trying again does not help.
    #[error("command not found: {0}")]
    NotFound(String),
    /// Trying again does not help.
    #[error("with.cwd: {0} is not a directory of this worker")]
    NoDirectory(PathBuf),
    /// Trying again does not help.
    #[error("{0} may not be run by this worker")]
    NotAllowed(String),
    /// The machine cannot do it now: out of processes, memory, files.
    #[error("cannot start {0}: {1}")]
    System(String, io::Error),
}

/// The group whose leader is the command. Killed when dropped.
#[derive(Debug)]
struct Group(Pid);

impl Process {
    /// Starts the command with these further variables, and feeds it its standard input.
    pub(super) fn spawn(
        command: &Command,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(Self, Pipes), SpawnFault> {
        if let Some(cwd) = command.cwd.as_ref().filter(|cwd| !cwd.is_dir()) {
            return Err(SpawnFault::NoDirectory(cwd.clone()));
        }
        let mut builder = builder(command);
        // The worker's own settings are nobody else's business.
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SELVEDGE_"))
        {
            builder.env_remove(name);
        }
        builder.envs(variables);
        for (name, value) in &command.env {
            match value {
                Some(value) => builder.env(name, value),
                None => builder.env_remove(name),
            };
        }
        let mut child = builder.spawn().map_err(|cause| spawn_fault(&command.program, cause))?;
        let group = Group::of(&child);
        feed(&mut child, command.stdin.clone());
        let stdout = child.stdout.take().expect("standard output is a pipe");
        let stderr = child.stderr.take().expect("standard error is a pipe");
        Ok((Self { child, group }, Pipes { stdout, stderr }))
    }

    /// Comes back when the command has ended by itself; the rest of its group is ended then.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await;
        self.group.kill();
        status
    }

    /// Asks the whole group to stop, and cuts what is left of it after the grace.
    pub(super) async fn stop(&mut self, grace: Duration) -> io::Result<ExitStatus> {
        let end = Instant::now() + grace;
        self.group.signal(Signal::TERM);
        let _ = timeout_at(end, self.child.wait()).await;
        // The command itself has ended or had its time. Its children may still be cleaning up.
        while self.group.is_alive() && Instant::now() < end {
            sleep(LOOK_INTERVAL).await;
        }
        self.group.kill();
        self.child.wait().await
    }
}

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Self(id.expect("a child that was not waited for has an id"))
    }

    fn signal(&self, signal: Signal) {
        // The only error that can come is that nobody is left.
        let _ = kill_process_group(self.0, signal);
    }

    fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Whether anybody in the group still runs. Those that ended and were not waited for do not count: where
    /// process 1 waits for nobody, as in many containers, they stay for ever.
    fn is_alive(&self) -> bool {
        test_kill_process_group(self.0).is_ok() && has_runners(self.0).unwrap_or(true)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Looks through the processes of this machine; an error where the system does not list them as Linux does.
fn has_runners(group: Pid) -> io::Result<bool> {
    for entry in std::fs::read_dir("/proc")? {
        // A process may end while it is being looked at.
        let Ok(stat) = entry.and_then(|entry| std::fs::read_to_string(entry.path().join("stat"))) else {
            continue;
        };
        // "pid (name) state parent group …", and the name may hold anything.
        let mut fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        let (state, member_of) = (fields.next(), fields.nth(1));
        let runs = !matches!(state, Some("Z" | "X"));
        if runs && member_of.and_then(|id| id.parse().ok()) == Some(group.as_raw_nonzero().get()) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn builder(command: &Command) -> tokio::process::Command {
    let mut builder = match &command.program {
        Program::Shell(script) => {
            let mut builder = tokio::process::Command::new("sh");
            builder.arg("-c").arg(script);
            builder
        }
        Program::Argv { program, arguments } => {
            let mut builder = tokio::process::Command::new(program);
            builder.args(arguments);
            builder
        }
    };
    if let Some(cwd) = &command.cwd {
        builder.current_dir(cwd);
    }
    let stdin = if command.stdin.is_empty() { Stdio::null() } else { Stdio::piped() };
    builder.process_group(0).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    builder
}

fn spawn_fault(program: &Program, cause: io::Error) -> SpawnFault {
    let name = match program {
        Program::Shell(_) => "sh".to_owned(),
        Program::Argv { program, .. } => program.clone(),
    };
    match cause.kind() {
        ErrorKind::NotFound => SpawnFault::NotFound(name),
        ErrorKind::PermissionDenied => SpawnFault::NotAllowed(name),
        _ => SpawnFault::System(name, cause),
    }
}

/// Writes standard input beside everything else: a command may not read it before it has written much.
fn feed(child: &mut Child, input: Vec<u8>) {
    let Some(mut stdin) = child.stdin.take() else { return };
    tokio::spawn(async move {
        // A command may end, or close its input, before it has read all of it.
        let _ = stdin.write_all(&input).await;
    });
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use serde_json::json;
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

    use super::*;

    fn spawn(input: serde_json::Value) -> Result<(Process, Pipes), SpawnFault> {
        Process::spawn(&Command::read(&input).expect("a command"), [("SELVEDGE_TASK".into(), "t".into())])
    }

    /// A shell that starts a grandchild and says when both are there.
    const FAMILY: &str = "sleep 1000 & (sleep 1000; true) & echo ready; wait";

    async fn ready(pipes: &mut Pipes) {
        let mut line = String::new();
        BufReader::new(&mut pipes.stdout).read_line(&mut line).await.expect("readable");
        assert_eq!(line, "ready\n");
    }

    /// Comes back when nobody of the group runs; hangs, and so fails the test, when somebody stays.
    async fn gone(group: Pid) {
        while has_runners(group).expect("a /proc") {
            sleep(LOOK_INTERVAL).await;
        }
    }

    #[tokio::test]
    async fn stopping_leaves_nobody_of_the_group() {
        for (script, signal) in [(FAMILY.to_owned(), 15), (format!("trap '' TERM; {FAMILY}"), 9)] {
            let (mut process, mut pipes) = spawn(json!({ "command": script })).expect("starts");
            ready(&mut pipes).await;
            let group = process.group.0;
            assert!(process.group.is_alive());
            let status = process.stop(Duration::from_millis(300)).await.expect("waited for");
            assert_eq!(status.signal(), Some(signal), "{script}");
            gone(group).await;
        }
    }

    #[tokio::test]
    async fn dropping_leaves_nobody_of_the_group() {
        let (process, mut pipes) = spawn(json!({ "command": FAMILY })).expect("starts");
        ready(&mut pipes).await;
        let group = process.group.0;
        drop(process);
        gone(group).await;
    }

    #[tokio::test]
    async fn children_have_the_grace_to_clean_up() {
        // The shell dies of SIGTERM at once; its child takes a moment and still writes its last word.
        let script =
            "sh -c 'trap \"sleep 0.1; echo clean; exit\" TERM; echo ready; while :; do sleep 0.01; done'; :";
        let (mut process, mut pipes) = spawn(json!({ "command": script })).expect("starts");
        let mut reader = BufReader::new(&mut pipes.stdout);
        let mut line = String::new();
        reader.read_line(&mut line).await.expect("readable");
        process.stop(Duration::from_secs(30)).await.expect("waited for");
        let mut rest = String::new();
        reader.read_to_string(&mut rest).await.expect("readable");
        assert_eq!((line.as_str(), rest.as_str()), ("ready\n", "clean\n"));
    }

    #[tokio::test]
    async fn what_a_command_leaves_behind_ends_with_it() {
        let (mut process, mut pipes) = spawn(json!({"command": "sleep 1000 & echo ready"})).expect("starts");
        ready(&mut pipes).await;
        let group = process.group.0;
        assert!(process.wait().await.expect("waited for").success());
        gone(group).await;
    }

    #[tokio::test]
    async fn commands_get_their_input_variables_and_directory() {
        let input = json!({
            "command": "cat; printf \" $A $SELVEDGE_TASK $HOME \"; pwd",
            "stdin": "in", "env": {"A": 1, "HOME": null}, "cwd": "/",
        });
        let (mut process, mut pipes) = spawn(input).expect("starts");
        let mut text = String::new();
        pipes.stdout.read_to_string(&mut text).await.expect("readable");
        assert_eq!(text, "in 1 t  /\n");
        assert!(process.wait().await.expect("waited for").success());
    }

    #[tokio::test]
    async fn what_cannot_start_says_why() {
        for (input, fault) in [
            (json!({"command": ["no-such-program-here"]}), "command not found: no-such-program-here"),
            (json!({"command": "true", "cwd": "/nowhere"}), "with.cwd: /nowhere is not a directory"),
            (json!({"command": ["/dev/null"]}), "/dev/null may not be run"),
        ] {
            let found = spawn(input).expect_err("does not start").to_string();
            assert!(found.starts_with(fault), "{found}");
        }
    }
}
