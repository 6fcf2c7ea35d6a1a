//! `selvedge cancel RUN`.

use super::{CommandError, Exit, text};
use crate::cli::CancelArgs;
use crate::client::Call;
use crate::terminal;

pub(super) async fn run(args: CancelArgs) -> Result<Exit, CommandError> {
    let mut call = Call::post(&["runs", &args.run, "cancel"]);
    if args.force {
        call = call.query("force", true);
    }
    let run = super::client(&args.server)?.send(call).await?;
    terminal::out(&format!("run {} is {}", args.run, text(&run, "/status")));
    Ok(Exit::Done)
}
