//! `selvedge retry RUN`.

use super::{CommandError, Exit, text};
use crate::cli::RetryArgs;
use crate::client::Call;
use crate::terminal;

pub(super) async fn run(args: RetryArgs) -> Result<Exit, CommandError> {
    let call = Call::post(&["runs", &args.run, "retry"]);
    let run = super::client(&args.server)?.send(call).await?;
    terminal::out(&format!("run {} is {}", args.run, text(&run, "/status")));
    Ok(Exit::Done)
}
