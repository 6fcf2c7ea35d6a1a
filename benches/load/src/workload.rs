//! What is measured, as a load sees it.

use std::error::Error;

/// Why an operation, or a connection, failed. Reports show its text.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Something that can be done many times, by many at once.
pub trait Workload: Send + Sync + 'static {
    /// What one connection needs from operation to operation.
    type Connection: Send;

    /// Makes connection number `index`, also again after one of its operations failed. Not part of any
    /// latency at the start; a later one delays the operation after it.
    fn connect(&self, index: usize) -> impl Future<Output = Result<Self::Connection, Failure>> + Send;

    /// Does operation number `number`, from what the user would begin with to what the user waits for.
    /// Numbers are unique within a load and without gaps.
    fn operate(
        &self,
        connection: &mut Self::Connection,
        number: u64,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}
