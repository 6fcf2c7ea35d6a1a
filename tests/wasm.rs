//! Tasks of modules that people write: the samples of `wasm/guest`, run as tasks of a server.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use selvedge::time::Duration;
use selvedge::value::Value;
use selvedge::{App, Settings};
use selvedge_libsql::Local;
use selvedge_puppet::{Network, VirtualPlatform};
use selvedge_tests::engine::{FUEL, running};
use selvedge_tests::{World, modules};

/// A server that runs modules, with this sample uploaded under its own name.
async fn world(sample: &str) -> World {
    let platform = running(VirtualPlatform::new(1));
    let settings = Settings { wasm_fuel: 10 * FUEL, wasm_memory_bytes_max: 8 << 20, ..Settings::default() };
    let database = Local::memory().expect("a database in memory opens");
    let app = App::open(database, platform.clone(), settings).await.expect("it migrates");
    let request =
        Request::put(format!("/api/v1/modules/{sample}")).header("content-type", "application/wasm");
    let request = request.body(Full::new(Bytes::from(modules::bytes(sample)))).expect("a valid request");
    assert_eq!(app.handle(request).await.status(), 201);
    World { app: app.into(), platform }
}

/// Runs one task of a sample to its end; the task as it is then.
async fn run(world: &World, sample: &str, function: &str, with: &str, retry: &str) -> Value {
    let document = format!(
        r#"{{"id":"{function}","document":{{"selvedge":1,"name":"x","tasks":{{"a":{{
            "wasm":{{"module":"{sample}","function":"{function}"}},"with":{with},"retry":{retry}}}}}}}}}"#
    );
    let body = Value::from_json(document.as_bytes()).expect("the test's own JSON");
    let (status, answer) = world.call("POST", "/api/v1/runs", Some(body)).await;
    assert_eq!(status, 201, "{}", answer.to_json());
    for _ in 0..5 {
        world.advance(Duration::from_secs(1)).await;
    }
    world.call("GET", &format!("/api/v1/runs/{function}/tasks/a"), None).await.1
}

const ONCE: &str = r#"{"max_attempts":1}"#;
const THRICE: &str = r#"{"max_attempts":3,"backoff":"fixed","delay":"1s","jitter":0}"#;

fn at<'v>(value: &'v Value, path: &[&str]) -> &'v Value {
    path.iter().fold(value, |value, name| value.get(name).unwrap_or(&Value::Null))
}

#[tokio::test]
async fn a_module_in_rust_answers_and_refuses() {
    let world = world("price").await;
    let items = r#"{"items":[{"sku":"a","count":2,"cents":150},{"sku":"b","count":10,"cents":100}]}"#;
    let task = run(&world, "price", "price", items, ONCE).await;
    assert_eq!(
        task.get("output").map(Value::to_json).as_deref(),
        Some(r#"{"cents":1250,"lines":[300,950]}"#)
    );
    let logs = world.call("GET", "/api/v1/runs/price/logs", None).await.1.to_json();
    assert!(logs.contains(r"2 x a: 300\n10 x b: 950\n"), "{logs}");
    for (with, code) in [
        (r#"{"items":[]}"#, "empty"),
        (r#"{"items":1}"#, "input"),
        (r#"{"items":[{"sku":"a","count":2,"cents":18446744073709551615}]}"#, "amount"),
    ] {
        let id = world.call("DELETE", "/api/v1/runs/price", None).await.0;
        assert_eq!(id, 204);
        let task = run(&world, "price", "price", with, THRICE).await;
        assert_eq!(at(&task, &["failure", "code"]).as_str(), Some(code), "{}", task.to_json());
        assert_eq!(at(&task, &["attempt"]).as_i64(), Some(1), "it said never again");
    }
}

#[tokio::test]
async fn a_later_attempt_goes_on_where_the_first_ended() {
    let world = world("words").await;
    let book = r#"{"pages":["a b a","b c","a"],"stumble_at":2}"#;
    let task = run(&world, "words", "count", book, THRICE).await;
    assert_eq!(task.get("output").map(Value::to_json).as_deref(), Some(r#"{"most":"a","words":6}"#));
    assert_eq!(at(&task, &["attempt"]).as_i64(), Some(2));
    let logs = world.call("GET", "/api/v1/runs/count/logs", None).await.1.to_json();
    for page in 0..3 {
        assert_eq!(logs.matches(&format!("counting page {page}")).count(), 1, "{logs}");
    }
}

#[tokio::test]
async fn a_module_in_c_is_a_module_like_any() {
    let world = world("reverse").await;
    let task = run(&world, "reverse", "reverse", r#""stressed""#, ONCE).await;
    assert_eq!(at(&task, &["output"]).as_str(), Some("desserts"), "{}", task.to_json());
    world.call("DELETE", "/api/v1/runs/reverse", None).await;
    let task = run(&world, "reverse", "reverse", "7", ONCE).await;
    assert_eq!(at(&task, &["failure", "code"]).as_str(), Some("input"));
}

#[tokio::test]
async fn hostile_modules_fail_their_tasks_and_nothing_else() {
    let world = world("hostile").await;
    for (function, category, code) in [
        ("forever", "resource", "wasm_fuel"),
        ("panics", "application", "wasm_trap"),
        ("bomb", "resource", "wasm_memory"),
        ("flood", "resource", "wasm_memory"),
        ("deep", "resource", "wasm_stack"),
        ("chatter", "resource", "wasm_fuel"),
        ("astray", "application", "wasm_contract"),
        ("garbage", "application", "wasm_contract"),
    ] {
        let task = run(&world, "hostile", function, "null", ONCE).await;
        assert_eq!(at(&task, &["failure", "code"]).as_str(), Some(code), "{function}: {}", task.to_json());
        assert_eq!(at(&task, &["failure", "category"]).as_str(), Some(category), "{function}");
    }
    assert_eq!(world.platform.errors(), Vec::<String>::new());
}

#[tokio::test]
async fn http_tasks_wait_while_the_host_is_offline() {
    let world = World::new().await;
    let body = r#"{"id":"r","document":{"selvedge":1,"name":"x","tasks":{"a":{
        "http":{"url":"http://x.invalid/"},"retry":{"max_attempts":1}}}}}"#;
    let body = Value::from_json(body.as_bytes()).expect("the test's own JSON");
    let task = async || world.call("GET", "/api/v1/runs/r/tasks/a", None).await.1;
    // It breaks off while the host goes offline: the attempt is not spent.
    world.platform.set_network(Network::GoesOffline);
    assert_eq!(world.call("POST", "/api/v1/runs", Some(body)).await.0, 201);
    world.advance(Duration::from_secs(1)).await;
    let after = task().await;
    assert_eq!(at(&after, &["status"]).as_str(), Some("ready"), "{}", after.to_json());
    let attempts = at(&after, &["attempt"]).as_i64();
    // Nothing is begun while it is offline.
    world.advance(Duration::from_secs(600)).await;
    assert_eq!(at(&task().await, &["attempt"]).as_i64(), attempts);
    assert_eq!(at(&task().await, &["status"]).as_str(), Some("ready"));
    // Online, a request that breaks off is a failed attempt.
    world.platform.set_network(Network::Broken);
    world.advance(Duration::from_secs(1)).await;
    let after = task().await;
    assert_eq!(at(&after, &["status"]).as_str(), Some("failed"), "{}", after.to_json());
    assert_eq!(at(&after, &["failure", "code"]).as_str(), Some("http_network"));
}
