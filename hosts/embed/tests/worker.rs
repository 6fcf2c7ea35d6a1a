//! Closures as workers on a real server in memory: outputs, failures, checkpoints, cancellation and the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;
use selvedge_embed::{Options, Server, TaskError, WorkerError, WorkerOptions};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// No result takes this long, however busy the machine.
const RESULT: &str = "result?timeout=60s";
const GRACE: Duration = Duration::from_secs(60);

async fn server() -> Server {
    Server::open(Options::memory()).await.expect("memory opens")
}

/// Starts a run of one task for the queue `q`, with these further members.
async fn start(server: &Server, id: &str, input: Value, members: Value) {
    let mut task = json!({ "worker": "q", "with": "${{ input }}" });
    let members = members.as_object().expect("an object").clone();
    task.as_object_mut().expect("an object").extend(members);
    let document =
        json!({ "selvedge": 1, "name": "one", "tasks": { "a": task }, "output": "${{ tasks.a.output }}" });
    let run = json!({ "id": id, "document": document, "input": input });
    server.call(Method::POST, "/api/v1/runs", Some(&run)).await.expect("the run is valid");
}

async fn get(server: &Server, path: &str) -> Value {
    server.call(Method::GET, &format!("/api/v1/runs/{path}"), None).await.expect(path)
}

/// The failure of a run that fails.
async fn failure(server: &Server, id: &str) -> Value {
    let path = format!("/api/v1/runs/{id}/{RESULT}");
    let refused = server.call(Method::GET, &path, None).await.expect_err("the run fails");
    assert_eq!(refused.kind, "run-failed", "{refused}");
    get(server, &format!("{id}/tasks/a")).await["failure"].clone()
}

#[derive(Debug, Deserialize)]
struct Reserve {
    sku: String,
    quantity: u32,
}

#[derive(Debug, Serialize)]
struct Reserved {
    label: String,
    attempt: u32,
}

#[tokio::test]
async fn a_closure_gets_typed_input_and_gives_typed_output() {
    let server = server().await;
    let worked = server.worker("q", |input: Reserve, task| async move {
        task.log("reserving\n").await?;
        let label = format!("{} x {} for {}/{}", input.quantity, input.sku, task.run_id(), task.task());
        Ok(Reserved { label, attempt: task.attempt() })
    });
    worked.expect("q is a queue");
    start(&server, "r1", json!({ "sku": "bolt", "quantity": 2 }), json!({})).await;
    let result = get(&server, &format!("r1/{RESULT}")).await;
    assert_eq!(result["output"], json!({ "label": "2 x bolt for r1/a", "attempt": 1 }));
    let logs = get(&server, "r1/logs").await;
    assert_eq!(logs["items"][0]["text"], "reserving\n");

    start(&server, "r2", json!({ "sku": "bolt" }), json!({ "retry": { "max_attempts": 3 } })).await;
    let failure = failure(&server, "r2").await;
    assert_eq!(
        (&failure["code"], get(&server, "r2/tasks/a").await["attempt"].clone()),
        (&json!("bad_input"), json!(1))
    );
    assert!(failure["message"].as_str().is_some_and(|text| text.contains("quantity")), "{failure}");
}

#[tokio::test]
async fn failures_say_what_the_closure_said() {
    let server = server().await;
    let worked = server.worker("q", |input: Value, task| async move {
        match input.as_str().unwrap_or_default() {
            "fatal" => Err(TaskError::new("no").code("e1").details(json!({ "n": 1 })).fatal()),
            "once" if task.attempt() == 1 => {
                Err(TaskError::new("not yet").retry_after(Duration::from_millis(1)))
            }
            "panic" if task.attempt() == 1 => panic!("as asked"),
            "error" => {
                "x".parse::<u8>()?;
                Ok(0)
            }
            _ => Ok(task.attempt()),
        }
    });
    worked.expect("q is a queue");
    let retry = json!({ "retry": { "max_attempts": 2, "backoff": "fixed", "delay": "1ms" } });
    for (input, code, message, attempt) in
        [("fatal", json!("e1"), "no", 1), ("error", json!(null), "invalid digit found in string", 2)]
    {
        start(&server, input, json!(input), retry.clone()).await;
        let failure = failure(&server, input).await;
        assert_eq!((&failure["code"], &failure["message"]), (&code, &json!(message)), "{failure}");
        assert_eq!(get(&server, &format!("{input}/tasks/a")).await["attempt"], attempt);
    }
    for input in ["once", "panic"] {
        start(&server, input, json!(input), retry.clone()).await;
        assert_eq!(get(&server, &format!("{input}/{RESULT}")).await["output"], 2, "{input}");
    }
    start(&server, "last", json!("panic"), json!({ "retry": { "max_attempts": 1 } })).await;
    let failure = failure(&server, "last").await;
    assert_eq!(
        (&failure["code"], &failure["message"]),
        (&json!("panic"), &json!("the worker panicked: as asked"))
    );
}

#[tokio::test]
async fn checkpoints_are_computed_once_for_all_attempts() {
    let server = server().await;
    let computed = Arc::new(AtomicUsize::new(0));
    let count = computed.clone();
    let worked = server.worker("q", move |_: Value, task| {
        let count = count.clone();
        async move {
            let mut charges = Vec::new();
            for key in ["charge:1", "charge:2", "charge:1"] {
                let charge = async || Ok(count.fetch_add(1, Ordering::SeqCst));
                charges.push(task.checkpoint(key, charge).await?);
            }
            if task.attempt() < 3 {
                return Err(TaskError::new("try again"));
            }
            // A key that is none is the closure's mistake.
            let bad = task.checkpoint("a b", async || Ok(0)).await.expect_err("no key");
            Ok((charges, format!("{bad:?}").contains("is_fatal: true")))
        }
    });
    worked.expect("q is a queue");
    let retry = json!({ "retry": { "max_attempts": 3, "backoff": "none" } });
    start(&server, "r1", json!(null), retry).await;
    assert_eq!(get(&server, &format!("r1/{RESULT}")).await["output"], json!([[0, 1, 0], true]));
    assert_eq!(computed.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_cancelled_run_reaches_the_closure() {
    let server = server().await;
    let (begun, ended) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let (begins, ends) = (begun.clone(), ended.clone());
    let options = WorkerOptions { lease_ttl: Duration::from_secs(1), ..WorkerOptions::default() };
    let worked = server.worker_with("q", options, move |stubborn: bool, task| {
        let (begins, ends) = (begins.clone(), ends.clone());
        async move {
            begins.notify_one();
            task.cancelled().await;
            assert!(task.is_cancelled());
            if stubborn {
                std::future::pending::<()>().await;
            }
            ends.fetch_add(1, Ordering::SeqCst);
            Ok("cleaned up")
        }
    });
    worked.expect("q is a queue");
    // The polite one hears of it by its heartbeat, long before its grace ends.
    for (id, stubborn, grace) in [("polite", false, "50s"), ("stubborn", true, "100ms")] {
        start(&server, id, json!(stubborn), json!({ "grace": grace })).await;
        begun.notified().await;
        server.call(Method::POST, &format!("/api/v1/runs/{id}/cancel"), None).await.expect("it is running");
        let path = format!("/api/v1/runs/{id}/{RESULT}");
        let refused = server.call(Method::GET, &path, None).await.expect_err("it was cancelled");
        assert_eq!(get(&server, id).await["status"], "cancelled", "{refused}");
        assert_eq!(ended.load(Ordering::SeqCst), 1, "{id}");
    }
}

#[tokio::test]
async fn a_shutdown_gives_back_what_does_not_end_in_time() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("selvedge.db");
    let server = Server::open(Options::file(&file)).await.expect("a new file opens");
    let begun = Arc::new(Notify::new());
    let begins = begun.clone();
    let worked = server.worker("q", move |_: Value, _| {
        let begins = begins.clone();
        async move {
            begins.notify_one();
            std::future::pending::<()>().await;
            Ok(())
        }
    });
    worked.expect("q is a queue");
    start(&server, "r1", json!(null), json!({})).await;
    begun.notified().await;
    server.shutdown(Duration::ZERO).await;
    let task = get(&server, "r1/tasks/a").await;
    assert_eq!((&task["status"], &task["attempt"]), (&json!("ready"), &json!(0)), "{task}");
    drop(server);

    let server = Server::open(Options::file(&file)).await.expect("nobody else has the file");
    server.worker("q", |_: Value, task| async move { Ok(task.attempt()) }).expect("q is a queue");
    assert_eq!(get(&server, &format!("r1/{RESULT}")).await["output"], 1);
    server.shutdown(GRACE).await;
}

#[tokio::test]
async fn a_worker_does_as_much_at_once_as_it_may() {
    let server = server().await;
    let (at_once, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (at_once.clone(), most.clone());
    let options = WorkerOptions { concurrency: 3, ..WorkerOptions::default() };
    let worked = server.worker_with("q", options, move |_: Value, _| {
        let (at_once, most) = counts.clone();
        async move {
            most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            at_once.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        }
    });
    worked.expect("q is a queue");
    for n in 0..20 {
        start(&server, &format!("r{n}"), json!(n), json!({})).await;
    }
    for n in 0..20 {
        get(&server, &format!("r{n}/{RESULT}")).await;
    }
    let most = most.load(Ordering::SeqCst);
    assert!((1..=3).contains(&most), "{most} at once");
}

#[tokio::test]
async fn wrong_options_are_named() {
    let server = server().await;
    let work = |_: Value, _| async move { Ok(()) };
    let fault = server.worker("no queue", work).expect_err("a space");
    assert!(matches!(&fault, WorkerError::Queue(text) if text.contains("no queue")), "{fault}");
    for (options, message) in [
        (WorkerOptions { concurrency: 0, ..Default::default() }, "concurrency: expected 1 to 1000, found 0"),
        (
            WorkerOptions { lease_ttl: Duration::from_millis(999), ..Default::default() },
            "lease_ttl: expected 1 s to 1 h, found 999ms",
        ),
        (WorkerOptions { labels: vec!["a b".into()], ..Default::default() }, "labels: "),
    ] {
        let fault = server.worker_with("q", options, work).expect_err(message).to_string();
        assert!(fault.starts_with(message), "{fault}");
    }
    let fault =
        Server::open(Options::memory().below("flows")).await.map(drop).expect_err("no slash").to_string();
    assert!(fault.starts_with("base_path: expected a path"), "{fault}");
}
