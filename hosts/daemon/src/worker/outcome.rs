//! How an attempt ended, as the server is told.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use serde_json::{Value, json};

use super::backoff::Backoff;
use super::command::{Parse, Program};
use super::lease::Held;
use super::output::{CAPTURE_BYTES_MAX, Capture};
use crate::client::{Call, Client, Prospect};

/// The shell's own words for "found, but may not be run" and "not found".
const SHELL_CANNOT_RUN: [i32; 2] = [126, 127];

/// A message may hold what a user wrote, and servers take 4096 bytes of it.
const MESSAGE_CHARS_MAX: usize = 1000;

/// What is reported.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome {
    /// Done, with this output.
    Complete(Value),
    /// Failed.
    Fail(Failure),
    /// Given back: it counts for nothing.
    Release,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Failure {
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) details: Value,
    pub(super) again: Again,
}

/// Whether another attempt may do better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    Worthwhile,
    Futile,
}

/// What a command that ended left behind.
#[derive(Debug)]
pub(super) struct Ended<'a> {
    pub(super) status: ExitStatus,
    pub(super) stdout: &'a Capture,
    pub(super) stderr: &'a Capture,
}

impl Ended<'_> {
    /// What a command that ended by itself means for its task.
    pub(super) fn judge(&self, program: &Program, parse: Parse) -> Outcome {
        if let Some(signal) = self.status.signal() {
            let message = self.message(&format!("killed by signal {signal}"));
            return self.fail("signal", message, Again::Worthwhile);
        }
        match self.status.code() {
            Some(0) => self.complete(parse),
            code => {
                let code = code.unwrap_or(-1);
                let cannot_run = matches!(program, Program::Shell(_)) && SHELL_CANNOT_RUN.contains(&code);
                let again = if cannot_run { Again::Futile } else { Again::Worthwhile };
                self.fail("exit_code", self.message(&format!("exit code {code}")), again)
            }
        }
    }

    /// A failure with everything that is known of the command.
    pub(super) fn fail(&self, code: &'static str, message: String, again: Again) -> Outcome {
        Outcome::Fail(Failure { code, message, details: self.report(), again })
    }

    fn complete(&self, parse: Parse) -> Outcome {
        let mut output = self.report();
        if parse == Parse::Json {
            match self.json() {
                Ok(json) => output["json"] = json,
                Err(message) => return self.fail("output", message, Again::Worthwhile),
            }
        }
        Outcome::Complete(output)
    }

    fn json(&self) -> Result<Value, String> {
        if self.stdout.is_cut() {
            return Err(format!(
                "standard output is longer than {CAPTURE_BYTES_MAX} bytes, too long for parse: json"
            ));
        }
        serde_json::from_str(self.stdout.text())
            .map_err(|fault| format!("standard output is not JSON: {fault}"))
    }

    fn report(&self) -> Value {
        let mut report = json!({ "stdout": self.stdout.text(), "stderr": self.stderr.text() });
        if let Some(code) = self.status.code() {
            report["exit_code"] = code.into();
        }
        if let Some(signal) = self.status.signal() {
            report["signal"] = signal.into();
        }
        if self.stdout.is_cut() || self.stderr.is_cut() {
            report["truncated"] = true.into();
        }
        report
    }

    fn message(&self, what: &str) -> String {
        match self.stderr.last_line() {
            Some(line) => format!("{what}: {line}"),
            None => what.to_owned(),
        }
    }
}

impl Failure {
    /// A failure of something that never ran.
    pub(super) fn unstarted(code: &'static str, message: impl ToString, again: Again) -> Self {
        let message = message.to_string().chars().take(MESSAGE_CHARS_MAX).collect();
        Self { code, message, details: Value::Null, again }
    }
}

impl Outcome {
    /// Tells the server, again and again until it has heard or the lease is lost.
    pub(super) async fn report(&self, client: &Client, held: &Held) {
        tokio::select! {
            () = self.deliver(client, held) => {}
            () = held.lost() => {}
        }
    }

    async fn deliver(&self, client: &Client, held: &Held) {
        let (action, body) = self.call();
        let mut backoff = Backoff::default();
        loop {
            let mut call = Call::post(&["leases", held.lease_id(), action]);
            if let Some(body) = &body {
                call = call.body(body);
            }
            let Err(fault) = client.send(call).await else { return };
            match (fault.prospect(), fault.status(), self) {
                (Prospect::Later, ..) => backoff.pause(fault.retry_after()).await,
                // A result that the server will not have must not leave the task to its time-out.
                (Prospect::Never, Some(400 | 413 | 422), Outcome::Complete(_)) => {
                    let message = format!("the server refused the result: {fault}");
                    let failure = Failure::unstarted("output", message, Again::Futile);
                    return Box::pin(Outcome::Fail(failure).deliver(client, held)).await;
                }
                (Prospect::Never, ..) => return held.lose(&fault),
            }
        }
    }

    fn call(&self) -> (&'static str, Option<Value>) {
        match self {
            Outcome::Complete(output) => ("complete", Some(json!({ "output": output }))),
            Outcome::Fail(Failure { code, message, details, again }) => {
                let mut error = json!({ "message": message, "code": code });
                if !details.is_null() {
                    error["details"] = details.clone();
                }
                let retryable = *again == Again::Worthwhile;
                ("fail", Some(json!({ "error": error, "retryable": retryable })))
            }
            Outcome::Release => ("release", None),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::{mpsc, watch};

    use super::*;
    use crate::worker::logs::Stream;
    use crate::worker::output::pump;

    async fn capture(text: &str) -> Capture {
        let (sender, _receiver) = mpsc::channel(100);
        let mut capture = Capture::default();
        let (_running, ended) = watch::channel(None);
        pump(text.as_bytes(), Stream::Stdout, sender, &mut capture, ended).await;
        capture
    }

    async fn judged(wait_status: i32, stdout: &str, stderr: &str, program: &Program, parse: Parse) -> Value {
        let (stdout, stderr) = (capture(stdout).await, capture(stderr).await);
        let status = ExitStatus::from_raw(wait_status);
        Ended { status, stdout: &stdout, stderr: &stderr }.judge(program, parse).call().1.expect("a body")
    }

    #[tokio::test]
    async fn ends_are_judged() {
        let shell = Program::Shell("x".into());
        let argv = Program::Argv { program: "x".into(), arguments: Vec::new() };
        // A wait status carries the exit code in its second byte and a signal in its first.
        for (status, stdout, stderr, program, parse, body) in [
            (
                0,
                "out\n",
                "",
                &shell,
                Parse::Text,
                json!({"output": {"exit_code": 0, "stdout": "out\n", "stderr": ""}}),
            ),
            (
                0,
                "{\"a\":1}\n",
                "",
                &shell,
                Parse::Json,
                json!({"output": {"exit_code": 0, "stdout": "{\"a\":1}\n", "stderr": "", "json": {"a": 1}}}),
            ),
            (
                3 << 8,
                "",
                "first\nno disk\n",
                &shell,
                Parse::Text,
                json!({"retryable": true, "error": {"code": "exit_code", "message": "exit code 3: no disk",
                    "details": {"exit_code": 3, "stdout": "", "stderr": "first\nno disk\n"}}}),
            ),
            (
                127 << 8,
                "",
                "sh: 1: mkae: not found",
                &shell,
                Parse::Text,
                json!({"retryable": false, "error": {"code": "exit_code", "message": "exit code 127: sh: 1: mkae: not found",
                    "details": {"exit_code": 127, "stdout": "", "stderr": "sh: 1: mkae: not found"}}}),
            ),
            (
                127 << 8,
                "",
                "",
                &argv,
                Parse::Text,
                json!({"retryable": true, "error": {"code": "exit_code", "message": "exit code 127",
                    "details": {"exit_code": 127, "stdout": "", "stderr": ""}}}),
            ),
            (
                9,
                "",
                "",
                &shell,
                Parse::Text,
                json!({"retryable": true, "error": {"code": "signal", "message": "killed by signal 9",
                    "details": {"signal": 9, "stdout": "", "stderr": ""}}}),
            ),
        ] {
            assert_eq!(judged(status, stdout, stderr, program, parse).await, body);
        }
    }

    #[tokio::test]
    async fn output_that_should_be_json_and_is_not_fails() {
        let shell = Program::Shell("x".into());
        let long = format!("\"{}\"", "x".repeat(CAPTURE_BYTES_MAX));
        for (stdout, message) in [
            ("nope", "standard output is not JSON: expected ident at line 1 column 2"),
            ("", "standard output is not JSON: EOF while parsing"),
            (long.as_str(), "standard output is longer than 65536 bytes"),
        ] {
            let body = judged(0, stdout, "", &shell, Parse::Json).await;
            assert_eq!(body["error"]["code"], "output");
            let found = body["error"]["message"].as_str().expect("a message");
            assert!(found.starts_with(message), "{found}");
        }
    }

    #[tokio::test]
    async fn output_that_was_cut_says_so() {
        let shell = Program::Shell("x".into());
        let body = judged(0, &"x".repeat(CAPTURE_BYTES_MAX + 1), "", &shell, Parse::Text).await;
        assert_eq!(body["output"]["truncated"], true);
        assert_eq!(body["output"]["stdout"].as_str().map(str::len), Some(CAPTURE_BYTES_MAX));
    }
}
