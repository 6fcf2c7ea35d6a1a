//! `selvedge completions SHELL`.

use clap::CommandFactory;

use super::{CommandError, Exit};
use crate::cli::{Cli, CompletionsArgs};
use crate::terminal;

pub(super) fn run(args: CompletionsArgs) -> Result<Exit, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "selvedge", &mut script);
    terminal::out_raw(&String::from_utf8_lossy(&script));
    Ok(Exit::Done)
}
