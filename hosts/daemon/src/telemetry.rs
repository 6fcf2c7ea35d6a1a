//! Where log lines go: standard error, as text or one JSON object per line.

use std::io::{IsTerminal, stderr};
use std::panic;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogFormat;

/// Sets up the process's log. Libraries are heard from `warn` on, whatever the level.
pub(crate) fn start(format: LogFormat, level: tracing::Level) {
    let targets = Targets::new()
        .with_target("selvedge", level)
        .with_default(LevelFilter::from_level(level.min(tracing::Level::WARN)));
    let registry = tracing_subscriber::registry().with(targets);
    let colours = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|text| text.is_empty());
    // Only the first call of a process takes effect, which is what a second one wants.
    let _ = match format {
        LogFormat::Text => {
            registry.with(fmt::layer().with_writer(stderr).with_ansi(colours).with_target(false)).try_init()
        }
        LogFormat::Json => registry
            .with(fmt::layer().json().flatten_event(true).with_target(false).with_writer(stderr))
            .try_init(),
    };
    panic::set_hook(Box::new(|info| tracing::error!("defect: {info}")));
}
