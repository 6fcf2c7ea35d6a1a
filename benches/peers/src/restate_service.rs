//! Restate's side of the work: a service made with its Rust SDK, in which every step is a `ctx.run`, the durable
//! side effect that its documentation gives for this.

use restate_sdk::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::fault::Fault;

/// What a workflow is started with.
#[derive(Serialize, Deserialize)]
struct Input {
    n: u64,
    steps: u32,
}

/// What it answers: `n`, plus one for each step.
#[derive(Serialize, Deserialize)]
struct Output {
    n: u64,
}

struct Steps;

#[restate_sdk::service]
impl Steps {
    #[handler]
    async fn run(&self, context: Context<'_>, input: Json<Input>) -> Result<Json<Output>, HandlerError> {
        let Input { mut n, steps } = input.into_inner();
        for _ in 0..steps {
            n = context.run(|| async move { Ok(n + 1) }).name("step").await?;
        }
        Ok(Json(Output { n }))
    }
}

/// Serves until it is told to stop. The first line of standard output is the address.
pub async fn serve() -> Result<(), Fault> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    HttpServer::new(Endpoint::builder().bind(Steps).build()).serve(listener).await;
    Ok(())
}
