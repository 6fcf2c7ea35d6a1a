//! `selvedge serve`: settings, log, server, and a graceful end.

use std::path::PathBuf;

use super::{CommandError, Exit};
use crate::cli::ServeArgs;
use crate::config::{self, Access, File, Settings};
use crate::{serve, stop, telemetry, terminal};

pub(super) async fn run(args: ServeArgs) -> Result<Exit, CommandError> {
    let file = settings_file(args.config.clone())?;
    let env = |name: &str| std::env::var(name).ok();
    let settings = Settings::gather(&args.given(), env, file.as_ref()).map_err(faults)?;
    let config = settings.read().map_err(faults)?;
    if args.print_config {
        terminal::out_raw(&settings.to_string());
        return Ok(Exit::Done);
    }
    telemetry::start(config.log, config.log_level);
    let stop = stop::on_signals()
        .map_err(|fault| CommandError::Machine(format!("signals cannot be caught: {fault}")))?;
    let running = serve::start(&config, stop).await?;
    let open = match config.access {
        Access::Loopback => "open to everybody on this machine: no authentication",
        Access::Everybody => "open to everybody who reaches it: no authentication",
    };
    tracing::info!("listening on {}, database {}, {open}", running.url, config.database);
    if config.bind.ends_with(":0") {
        terminal::out(&running.url);
    }
    running.ended().await;
    Ok(Exit::Done)
}

fn settings_file(flag: Option<PathBuf>) -> Result<Option<File>, CommandError> {
    let env = || std::env::var_os(config::FILE_ENV).filter(|path| !path.is_empty()).map(PathBuf::from);
    let Some(path) = flag.or_else(env) else { return Ok(None) };
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(File { path, text })),
        Err(fault) => {
            Err(CommandError::Usage(format!("--config: {} cannot be read: {fault}", path.display())))
        }
    }
}

fn faults(faults: Vec<config::Fault>) -> CommandError {
    CommandError::Faults(faults.iter().map(ToString::to_string).collect())
}
