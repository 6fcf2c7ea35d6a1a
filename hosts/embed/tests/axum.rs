//! The service nested in a real axum router, over TCP.

use axum::Router;
use axum::routing::get;
use selvedge_embed::{Options, Server};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One request over a connection of its own: the head of the answer and its body.
async fn send(address: std::net::SocketAddr, line: &str, body: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let request = format!(
        "{line} HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.expect("it listens");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer in UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    (head.to_lowercase(), body.to_owned())
}

#[tokio::test]
async fn a_server_lives_beside_other_routes() {
    let server = Server::open(Options::memory().below("/workflows")).await.expect("memory opens");
    let router = Router::new()
        .route("/health", get(|| async { "the program's own" }))
        .nest_service("/workflows", server.nested_service());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
    let address = listener.local_addr().expect("it is bound");
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });

    assert_eq!(send(address, "GET /health", "").await.1, "the program's own");
    let (head, body) = send(address, "GET /workflows/health", "").await;
    assert!(head.starts_with("http/1.1 200") && body.contains("status"), "{head} {body}");

    let document = json!({ "selvedge": 1, "name": "v", "tasks": { "a": { "value": 1 } } });
    let run = json!({ "id": "r1", "document": document }).to_string();
    let (head, _) = send(address, "POST /workflows/api/v1/runs?wait=0s", &run).await;
    assert!(head.starts_with("http/1.1 201"), "{head}");
    assert!(head.contains("\r\nlocation: /workflows/api/v1/runs/r1\r\n"), "{head}");
    let (_, body) = send(address, "GET /workflows/api/v1/runs/%72%31?", "").await;
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body["id"], "r1");

    let (head, body) = send(address, "GET /workflows/none", "").await;
    assert!(head.starts_with("http/1.1 404") && body.contains("/workflows/problems/unknown-route"), "{body}");
    serving.abort();
}
