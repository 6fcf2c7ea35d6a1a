//! `selvedge logs RUN [TASK] [-f]`: what tasks wrote, as they wrote it.

use std::time::Duration;

use tokio::time::sleep;

use super::{CommandError, Exit};
use crate::cli::LogsArgs;
use crate::follow::{Chunk, Follower, is_over};
use crate::terminal;

const POLL_INTERVAL: Duration = Duration::from_millis(250);

pub(super) async fn run(args: LogsArgs) -> Result<Exit, CommandError> {
    let client = super::client(&args.server)?;
    let mut follower = Follower::new(&client, &args.run, args.task.as_deref());
    loop {
        // Read before the logs, so that nothing written before the end is missed.
        let over = is_over(&follower.run().await?);
        loop {
            let chunks = follower.logs().await?;
            if chunks.is_empty() {
                break;
            }
            chunks.iter().for_each(print);
        }
        if over || !args.follow {
            return Ok(Exit::Done);
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// Standard error stays apart from standard output, as it was for the command.
fn print(chunk: &Chunk) {
    match chunk.stream.as_str() {
        "stderr" => terminal::err_raw(&chunk.text),
        _ => terminal::out_raw(&chunk.text),
    }
}
