//! Modules of WebAssembly on the real binary: found beside documents, run, and survived.
#![cfg(feature = "wasm")]

mod common;
#[path = "../../../tests/support/modules.rs"]
#[allow(dead_code, unreachable_pub, reason = "other users need more of it")]
mod modules;

use std::path::Path;

use common::{Server, command};
use serde_json::{Value, json};

/// How many hostile tasks the server runs.
const HOSTILE_RUNS: usize = 240;
/// The functions of the hostile sample, and the code that each task fails with.
const HARM: [(&str, &str); 8] = [
    ("forever", "wasm_timeout"),
    ("panics", "wasm_trap"),
    ("bomb", "wasm_memory"),
    ("flood", "wasm_memory"),
    ("deep", "wasm_stack"),
    ("chatter", "wasm_timeout"),
    ("astray", "wasm_contract"),
    ("garbage", "wasm_contract"),
];

/// The document of the samples, which names a module beside it.
const ORDER: &str = include_str!("../../../wasm/guest/samples/order.yaml");

fn place(document: &str) -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(place.path().join("order.yaml"), document).expect("it can be written");
    std::fs::copy(modules::path("price"), place.path().join("price.wasm")).expect("it can be copied");
    place
}

fn said(arguments: &[&str], directory: &Path) -> (bool, String) {
    let output = command(arguments).current_dir(directory).output().expect("the binary runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn a_module_beside_the_document_is_run_with_it() {
    let place = place(ORDER);
    let (succeeded, said) = said(&["run", "order.yaml", "--local", "-i", "count=3"], place.path());
    assert!(succeeded && said.contains("14700"), "{said}");
}

#[test]
fn a_module_that_is_not_there_is_named_with_its_place() {
    let place = place(&ORDER.replace("price.wasm", "prize.wasm"));
    for arguments in [&["validate", "order.yaml"][..], &["run", "order.yaml", "--local", "-i", "count=3"]] {
        let (succeeded, said) = said(arguments, place.path());
        assert!(!succeeded, "{said}");
        assert!(said.contains("order.yaml:10:") && said.contains("./prize.wasm: cannot be read"), "{said}");
    }
}

#[tokio::test]
async fn a_directory_of_workflows_brings_its_modules() {
    let place = place(ORDER);
    let workflows = place.path().to_str().expect("ASCII");
    let server = Server::with(&place.path().join("x.db"), &["--workflows", workflows]).await;
    let api = server.api();
    let saved = api.get("/workflows/order").await.expect(200);
    let digest = saved["document"]["tasks"]["price"]["wasm"]["module"].as_str().expect("a digest").to_owned();
    assert!(digest.starts_with("sha256:"), "{saved}");
    let run =
        api.post("/runs?wait=30s", json!({ "workflow": "order", "input": { "count": 3 } })).await.expect(201);
    assert_eq!((&run["status"], &run["output"]), (&json!("completed"), &json!(14700)), "{run}");
    server.stop().await;
}

#[tokio::test]
async fn hostile_runs_leave_the_server_serving() {
    let place = place(ORDER);
    std::fs::copy(modules::path("hostile"), place.path().join("hostile.wasm")).expect("it can be copied");
    let tasks: serde_json::Map<String, Value> = HARM
        .iter()
        .map(|(function, _)| {
            let wasm = json!({ "module": "./hostile.wasm", "function": function });
            let retry = json!({ "max_attempts": 1 });
            let task = json!({ "wasm": wasm, "timeout": "200ms", "retry": retry, "continue_on_error": true });
            ((*function).to_owned(), task)
        })
        .collect();
    let document = json!({ "selvedge": 1, "name": "harm", "tasks": tasks });
    std::fs::write(place.path().join("harm.json"), document.to_string()).expect("it can be written");
    let workflows = place.path().to_str().expect("ASCII");
    let more = ["--workflows", workflows, "--wasm-memory", "8"];
    let server = Server::with(&place.path().join("x.db"), &more).await;
    let api = server.api();
    let mut failed = 0;
    for _ in 0..HOSTILE_RUNS / HARM.len() {
        let run = api.post("/runs?wait=60s", json!({ "workflow": "harm" })).await.expect(201);
        assert_eq!(run["status"], "completed", "{run}");
        for (function, code) in HARM {
            let task = api
                .get(&format!("/runs/{}/tasks/{function}", run["id"].as_str().expect("an id")))
                .await
                .expect(200);
            // On a machine that is busy, anything may be late first.
            let found = task["failure"]["code"].as_str().unwrap_or_default();
            let late = found == "wasm_timeout" || found == "timeout";
            assert!(found == code || late, "{function}: {task}");
            failed += 1;
        }
    }
    assert_eq!(failed, HOSTILE_RUNS);
    let run =
        api.post("/runs?wait=30s", json!({ "workflow": "order", "input": { "count": 3 } })).await.expect(201);
    assert_eq!(run["output"], json!(14700), "{run}");
    server.stop().await;
}
