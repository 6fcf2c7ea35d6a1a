//! Selvedge inside another program: the whole server as a value, its API as a [`tower_service::Service`], and
//! closures as workers.
//!
//! ```
//! use selvedge_embed::{Options, Server, TaskError};
//! use serde_json::{Value, json};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::open(Options::memory()).await?;
//!
//! server.worker("inventory.reserve", |input: Value, task| async move {
//!     // What is remembered under a key is computed once, however often the task is tried.
//!     let id: u64 = task.checkpoint("reservation", async || Ok(4711)).await?;
//!     if input["quantity"] == 0 {
//!         return Err(TaskError::new("nothing to reserve").code("empty").fatal());
//!     }
//!     Ok(json!({ "reservation": id }))
//! })?;
//!
//! let document = json!({
//!     "selvedge": 1, "name": "order",
//!     "tasks": { "reserve": { "worker": "inventory.reserve", "with": "${{ input }}" } },
//!     "output": "${{ tasks.reserve.output }}",
//! });
//! let run = json!({ "id": "order-1", "document": document, "input": { "quantity": 2 } });
//! server.call(http::Method::POST, "/api/v1/runs", Some(&run)).await?;
//! let result = server.call(http::Method::GET, "/api/v1/runs/order-1/result", None).await?;
//! assert_eq!(result["output"], json!({ "reservation": 4711 }));
//! server.shutdown(std::time::Duration::from_secs(5)).await;
//! # Ok(())
//! # }
//! ```
//!
//! `docs/embedding.md` tells more; `examples/axum.rs` mounts a server beside other routes.
#![forbid(unsafe_code)]

mod server;

mod service;

mod worker;

mod attempt;

mod context;

mod error;

mod call;

pub use call::CallError;
pub use context::Context;
pub use error::TaskError;
pub use selvedge_libsql::{Place, Token};
pub use server::{Embedded, OpenError, Options, Server};
pub use service::{Handler, Service};
pub use worker::{WorkerError, WorkerOptions};
