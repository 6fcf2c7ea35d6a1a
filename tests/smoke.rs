//! One run from its document to its result.

use selvedge::value::Value;
use selvedge_tests::World;

fn json(text: &str) -> Value {
    Value::from_json(text.as_bytes()).expect("the test's own JSON")
}

#[tokio::test]
async fn a_run_completes() {
    let world = World::new().await;
    let (status, run) = world
        .call(
            "POST",
            "/api/v1/runs",
            Some(json(
                r#"{"id":"r1","input":{"who":"world"},"document":{"selvedge":1,"name":"hello",
                "tasks":{
                    "greet":{"worker":"shell","with":{"command":"echo ${{ input.who }}"}},
                    "more":{"needs":["greet"],"worker":"shell","with":{"x":"${{ tasks.greet.output.n + 1 }}"}},
                    "sum":{"needs":["more"],"value":"${{ tasks.more.output }}"}},
                "output":"${{ tasks.sum.output }}"}}"#,
            )),
        )
        .await;
    assert_eq!(status, 201, "{}", run.to_json());
    for (task, output) in [("greet", r#"{"n":41}"#), ("more", r#"{"done":true}"#)] {
        let claim = json(r#"{"worker_id":"w1","queues":["shell"]}"#);
        let (status, claimed) = world.call("POST", "/api/v1/tasks/claim", Some(claim)).await;
        assert_eq!(status, 200, "{}", claimed.to_json());
        println!("{}", claimed.to_json());
        let lease = &claimed.get("tasks").unwrap().as_array().unwrap()[0];
        assert_eq!(lease.get("task").unwrap().as_str(), Some(task));
        let id = lease.get("lease_id").unwrap().as_str().unwrap();
        let body = Value::from([("output", json(output))]);
        let (status, answer) = world.call("POST", &format!("/api/v1/leases/{id}/complete"), Some(body)).await;
        assert_eq!(status, 200, "{}", answer.to_json());
    }
    let (status, result) = world.call("GET", "/api/v1/runs/r1/result", None).await;
    assert_eq!((status, result.to_json().as_str()), (200, r#"{"output":{"done":true}}"#));
    let (_, events) = world.call("GET", "/api/v1/runs/r1/events?sort=seq", None).await;
    for event in events.get("items").unwrap().as_array().unwrap() {
        println!("{}", event.to_json());
    }
    let (status, openapi) = world.call("GET", "/openapi.json", None).await;
    assert_eq!(status, 200);
    println!("{}", openapi.to_json().len());
}
