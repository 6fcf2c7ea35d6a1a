//! The parts of an execution environment: its log, and the server on its database.

use std::io::stderr;
use std::panic;

use selvedge::{App, Settings};
use selvedge_libsql::{Libsql, Place};
use selvedge_tokio::TokioPlatform;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Config, LogFormat};
use crate::function::Function;

type Environment = App<Libsql, TokioPlatform>;

/// The function of this process.
pub(crate) fn function(
    config: Config,
) -> Function<Environment, impl AsyncFn() -> Result<Environment, String>> {
    let (base_path, drive) = (config.base_path.clone(), config.drive);
    Function::new(async move || open(&config).await, base_path, drive)
}

/// Writes the log to standard error, which Lambda keeps. Libraries are heard from `warn` on.
pub(crate) fn start_log(format: LogFormat, level: tracing::Level) {
    let targets = Targets::new()
        .with_target("selvedge", level)
        .with_default(LevelFilter::from_level(level.min(tracing::Level::WARN)));
    let registry = tracing_subscriber::registry().with(targets);
    // Only the first call of a process takes effect, which is what a second one wants. Lambda adds the time.
    let _ = match format {
        LogFormat::Text => registry
            .with(fmt::layer().with_writer(stderr).with_ansi(false).with_target(false).without_time())
            .try_init(),
        LogFormat::Json => registry
            .with(fmt::layer().json().flatten_event(true).with_target(false).with_writer(stderr))
            .try_init(),
    };
    panic::set_hook(Box::new(|info| tracing::error!("defect: {info}")));
}

async fn open(config: &Config) -> Result<Environment, String> {
    if let Place::File(path) = &config.database {
        tracing::warn!(
            "{} is a file of this execution environment: no other environment sees it, and it goes with this one",
            path.display()
        );
    }
    let database = Libsql::open(&config.database, config.database_token.clone()).await;
    let database = database.map_err(|fault| fault.to_string())?;
    let settings = Settings {
        base_path: config.base_path.clone(),
        host: "lambda",
        durability: database.durability(),
        shared: database.is_shared(),
        http_concurrency: config.http_concurrency,
        ..Settings::default()
    };
    App::open(database, TokioPlatform::default(), settings).await.map_err(|fault| fault.to_string())
}
