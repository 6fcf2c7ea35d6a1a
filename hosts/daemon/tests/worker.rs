//! The shell worker and the server as processes: what they do to commands, and what they do when they are
//! asked to stop, cut down, or left alone.

mod common;

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::Instant;

use common::{Server, directory, eventually, is_running, own_address};

/// A run of one shell task.
fn document(command: &str, more: &str) -> String {
    let command = json!(command);
    format!(
        "selvedge: 1\nname: one\ntasks:\n  t: {{ worker: shell, {more} with: {{ command: {command} }} }}\n\
         output: ${{{{ tasks.t.output }}}}\n"
    )
}

/// The ids that a command has written, one to a line, once there are so many.
async fn pids(directory: &Path, count: usize) -> Vec<u32> {
    eventually("the command writes its processes' ids", async || {
        let text = std::fs::read_to_string(directory.join("pids")).unwrap_or_default();
        let whole = text.lines().count() == count && text.ends_with('\n');
        whole.then(|| text.lines().map(|line| line.trim().parse().expect("an id")).collect())
    })
    .await
}

async fn gone(pids: &[u32]) {
    for pid in pids {
        eventually(&format!("process {pid} is gone"), async || (!is_running(*pid)).then_some(())).await;
    }
}

/// A command with a child and a grandchild, all of which would run for ever.
const FAMILY: &str = "echo $$ >> pids; sleep 600 & echo $! >> pids; \
    sh -c 'echo $$ >> pids; sleep 600 & echo $! >> pids; wait' & wait";
const FAMILY_SIZE: usize = 4;

#[tokio::test]
async fn what_a_command_writes_can_be_read_while_it_runs() {
    let directory = directory();
    let server = Server::start(&directory.path().join("s.db")).await;
    let _worker = server.worker(directory.path(), &[]).await;
    let api = server.api();
    let command = "echo to out; echo to err >&2; while [ ! -e go ]; do sleep 0.02; done; echo the end";
    api.start(&document(command, ""), "r").await;

    for (stream, text) in [("stdout", "to out\n"), ("stderr", "to err\n")] {
        eventually(&format!("{text:?} in the logs"), async || {
            (api.written("r", "t", stream).await == text).then_some(())
        })
        .await;
    }
    assert_eq!(api.get("/runs/r/tasks/t").await.expect(200)["status"], "running");
    std::fs::write(directory.path().join("go"), "").expect("writable");
    let run = api.run_is("r", "completed").await;
    let output = json!({"exit_code": 0, "stdout": "to out\nthe end\n", "stderr": "to err\n"});
    assert_eq!(run["output"], output);
    assert_eq!(api.written("r", "t", "stdout").await, "to out\nthe end\n");
}

#[tokio::test]
async fn cancel_stops_the_whole_group() {
    for (command, flags, force) in [
        (FAMILY.to_owned(), &["--lease-ttl", "1s"][..], ""),
        (FAMILY.to_owned(), &["--lease-ttl", "1s"], "?force=true"),
        // Nobody of this group listens to SIGTERM.
        (format!("trap '' TERM; {FAMILY}"), &["--lease-ttl", "1s", "--kill-grace", "300ms"], ""),
    ] {
        let directory = directory();
        let server = Server::start(&directory.path().join("s.db")).await;
        let worker = server.worker(directory.path(), flags).await;
        let api = server.api();
        api.start(&document(&command, ""), "r").await;
        let pids = pids(directory.path(), FAMILY_SIZE).await;
        assert!(pids.iter().all(|pid| is_running(*pid)));
        api.post(&format!("/runs/r/cancel{force}"), None).await.expect(202);
        gone(&pids).await;
        let run = api.run_is("r", "cancelled").await;
        assert_eq!(run["failure"]["category"], "cancelled", "{run}");
        assert!(is_running(worker.id()), "the worker goes on");
    }
}

#[tokio::test]
async fn an_attempt_ends_at_its_timeout() {
    let directory = directory();
    let server = Server::start(&directory.path().join("s.db")).await;
    let _worker = server.worker(directory.path(), &[]).await;
    let api = server.api();
    let more = "timeout: 700ms, retry: { max_attempts: 2, delay: 10ms },";
    api.start(&document(FAMILY, more), "r").await;
    gone(&pids(directory.path(), 2 * FAMILY_SIZE).await).await;
    let run = api.run_is("r", "failed").await;
    assert_eq!((&run["failure"]["category"], &run["failure"]["task"]), (&json!("timeout"), &json!("t")));
    assert_eq!(api.get("/runs/r/tasks/t").await.expect(200)["attempt"], 2);
}

/// Ends as soon as its directory is gone, or at once in the hands of a second worker.
const HELD: &str = "echo $$ >> pids; [ -e second ] && exit 0; while [ -e pids ]; do sleep 0.02; done";

#[tokio::test]
async fn a_worker_that_is_asked_to_stop_gives_its_tasks_back() {
    let directory = directory();
    let server = Server::start(&directory.path().join("s.db")).await;
    let first = server.worker(directory.path(), &["--shutdown-grace", "200ms"]).await;
    let api = server.api();
    api.start(&document(HELD, ""), "r").await;
    let pids = pids(directory.path(), 1).await;
    first.signal(Signal::TERM);
    let ended = first.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    gone(&pids).await;
    // At once, not when the lease of 30 s has expired.
    let task = api.get("/runs/r/tasks/t").await.expect(200);
    assert_eq!((&task["status"], &task["worker_id"]), (&json!("ready"), &Value::Null), "{task}");

    std::fs::write(directory.path().join("second"), "").expect("writable");
    let _second = server.worker(directory.path(), &[]).await;
    api.run_is("r", "completed").await;
    let task = api.get("/runs/r/tasks/t").await.expect(200);
    assert_eq!(task["attempt"], 1, "what was given back was no attempt: {task}");
}

#[tokio::test]
async fn a_worker_that_is_asked_to_stop_lets_its_tasks_finish() {
    let directory = directory();
    let server = Server::start(&directory.path().join("s.db")).await;
    let mut worker = server.worker(directory.path(), &[]).await;
    let api = server.api();
    api.start(&document(HELD, ""), "r").await;
    pids(directory.path(), 1).await;
    worker.signal(Signal::TERM);
    worker.shows("1 tasks may take").await;
    std::fs::remove_file(directory.path().join("pids")).expect("it is there");
    assert_eq!(worker.ended().await.code, Some(0));
    assert_eq!(api.get("/runs/r").await.expect(200)["status"], "completed");
}

#[tokio::test]
async fn another_worker_finishes_what_a_killed_one_held() {
    let directory = directory();
    let server = Server::start(&directory.path().join("s.db")).await;
    let mut first = server.worker(directory.path(), &["--lease-ttl", "1s"]).await;
    let api = server.api();
    api.start(&document(HELD, "retry: { max_attempts: 2, delay: 10ms },"), "r").await;
    pids(directory.path(), 1).await;
    first.kill();
    std::fs::write(directory.path().join("second"), "").expect("writable");
    let _second = server.worker(directory.path(), &[]).await;
    api.run_is("r", "completed").await;
    let events = api.all("/runs/r/events?sort=seq").await;
    let failed: Vec<_> = events.iter().filter(|event| event["type"] == "attempt_failed").collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!(failed[0]["data"]["failure"]["code"], "lease_expired", "{failed:?}");
    assert_eq!(api.get("/runs/r/tasks/t").await.expect(200)["attempt"], 2);
}

#[tokio::test]
async fn a_command_goes_on_while_the_server_is_killed_and_started() {
    let directory = directory();
    let database = directory.path().join("s.db");
    let mut server = Server::at(&own_address(3), &database, &[]).await;
    let mut worker = server.worker(directory.path(), &["--lease-ttl", "30s"]).await;
    let api = server.api();
    let command = format!("echo before; {HELD}; echo after");
    api.start(&document(&command, ""), "r").await;
    pids(directory.path(), 1).await;
    server.process.kill();
    // The report of the end finds no server.
    std::fs::remove_file(directory.path().join("pids")).expect("it is there");
    worker.shows("waiting for the server").await;
    let server = Server::at(server.address(), &database, &[]).await;
    let run = server.api().run_is("r", "completed").await;
    assert_eq!(run["output"]["stdout"], "before\nafter\n");
    let task = server.api().get("/runs/r/tasks/t").await.expect(200);
    assert_eq!(task["attempt"], 1, "{task}");
    assert_eq!(server.api().written("r", "t", "stdout").await, "before\nafter\n");
}

/// The longest that a claim may ask for.
const WAIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_server_that_is_asked_to_stop_lets_long_polls_end() {
    let directory = directory();
    let server = Server::start(&directory.path().join("s.db")).await;
    let api = server.api();
    let asked = Instant::now();
    let claims = ["one", "two"].map(|worker| {
        let (api, claim) = (
            api.clone(),
            json!({"worker_id": worker, "queues": ["q"], "wait": format!("{}s", WAIT.as_secs())}),
        );
        tokio::spawn(async move { api.post("/tasks/claim", claim).await.expect(200) })
    });
    // A claimant is written down before its claim waits.
    eventually("both claims have come", async || (api.all("/workers").await.len() == 2).then_some(())).await;
    let ended = server.stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for claim in claims {
        assert_eq!(claim.await.expect("an answer")["tasks"], json!([]));
    }
    assert!(asked.elapsed() < WAIT, "the server waited for the claims' own end");
}
