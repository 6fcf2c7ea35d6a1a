//! Selvedge below `/workflows` of an axum server, beside a route of the program's own, with a closure as worker.
//!
//! ```sh
//! cargo run --package selvedge-embed --example axum
//! curl -sS 'http://127.0.0.1:8088/workflows/api/v1/runs?wait=10s' -H 'Content-Type: application/json' -d '{
//!   "document": { "selvedge": 1, "name": "hello",
//!     "tasks": { "greet": { "worker": "greet", "with": { "name": "you" } } }, "output": "${{ tasks.greet.output }}" } }'
//! ```

use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use selvedge_embed::{Options, Server};
use serde::Deserialize;
use tokio::net::TcpListener;

#[derive(Deserialize)]
struct Greet {
    name: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // The server is told where it is mounted, so that the links in its answers are whole.
    let server = Server::open(Options::memory().below("/workflows")).await?;
    server.worker("greet", |input: Greet, _| async move { Ok(format!("hello, {}", input.name)) })?;

    let app = Router::new()
        .route("/", get(|| async { "a program with workflows" }))
        .nest_service("/workflows", server.nested_service());
    let listener = TcpListener::bind("127.0.0.1:8088").await?;
    let stopping = server.clone();
    let interrupted = async move {
        // Without a signal handler there is only the hard way to stop.
        let _ = tokio::signal::ctrl_c().await;
        // Long polls end and tasks go back before axum waits for open connections.
        stopping.shutdown(Duration::from_secs(10)).await;
    };
    axum::serve(listener, app).with_graceful_shutdown(interrupted).await?;
    Ok(())
}
