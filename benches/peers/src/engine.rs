//! An engine in a process of its own: it runs the loops itself, when it is told to by a line on standard input,
//! and tells by a line what came out. So what it costs can be read from outside, over exactly that time.

use std::sync::Arc;

use selvedge_load::{Failure, Workload};

use crate::fault::{Fault, fault};
use crate::loops::{Loops, Order};

/// Something that runs workflows in this process.
pub trait Engine: Send + Sync + 'static {
    /// Runs one workflow to its durable end. Each step adds one to `n`; the answer is the sum.
    fn run(&self, steps: u32, n: u64) -> impl Future<Output = Result<u64, Fault>> + Send;
}

/// Obeys orders with an engine.
pub async fn obey(engine: impl Engine) -> Result<(), Fault> {
    let engine = Arc::new(engine);
    obey_with(async |order: Order| {
        order.carry_out(Arc::new(Workflows { engine: engine.clone(), steps: order.steps })).await
    })
    .await
}

/// Obeys orders until standard input ends. The first line of standard output says that it has begun. Waiting for
/// an order blocks this thread alone: whatever runs in the background does so on others.
pub async fn obey_with(carry_out: impl AsyncFn(Order) -> Result<Loops, Fault>) -> Result<(), Fault> {
    println!("open");
    for line in std::io::stdin().lines() {
        let loops = carry_out(serde_json::from_str(&line?)?).await?;
        println!("{}", serde_json::to_string(&loops)?);
    }
    Ok(())
}

struct Workflows<E> {
    engine: Arc<E>,
    steps: u32,
}

impl<E: Engine> Workload for Workflows<E> {
    type Connection = ();

    async fn connect(&self, _: usize) -> Result<(), Failure> {
        Ok(())
    }

    async fn operate(&self, (): &mut (), n: u64) -> Result<(), Failure> {
        let found = self.engine.run(self.steps, n).await.map_err(|Fault(text)| text)?;
        expect_sum(self.steps, n, found).map_err(|Fault(text)| text.into())
    }
}

/// Whether a workflow answered what it had to.
pub fn expect_sum(steps: u32, n: u64, found: u64) -> Result<(), Fault> {
    let expected = n + u64::from(steps);
    match found == expected {
        true => Ok(()),
        false => Err(fault!("a workflow of {steps} steps from {n}: expected {expected}, found {found}")),
    }
}
