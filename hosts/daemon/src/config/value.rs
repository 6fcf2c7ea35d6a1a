//! Reading each setting's text as what it stands for: expected and found, where it cannot be read.

use std::path::{Path, PathBuf};

use super::{Access, DatabasePlace, LogFormat};

pub(super) fn bind(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(text.to_owned()),
        _ => Err(format!("expected a host and a port such as 127.0.0.1:8080 or [::1]:0, found {text:?}")),
    }
}

pub(super) fn database(text: &str) -> Result<DatabasePlace, String> {
    if let Some((scheme @ ("libsql" | "http" | "https" | "ws" | "wss"), _)) = text.split_once("://") {
        return Err(format!(
            "a database on a server ({scheme}://) is not supported by this version yet: \
             give a path such as selvedge.db, or :memory:"
        ));
    }
    match text {
        "" => Err("expected a path or :memory:, found nothing".to_owned()),
        ":memory:" => Ok(DatabasePlace::Memory),
        path => Ok(DatabasePlace::File(path.into())),
    }
}

pub(super) fn optional_path(text: &str) -> Result<Option<PathBuf>, String> {
    Ok((!text.is_empty()).then(|| Path::new(text).to_owned()))
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("expected text or json, found {text:?}")),
    }
}

pub(super) fn log_level(text: &str) -> Result<tracing::Level, String> {
    match text {
        "error" => Ok(tracing::Level::ERROR),
        "warn" => Ok(tracing::Level::WARN),
        "info" => Ok(tracing::Level::INFO),
        "debug" => Ok(tracing::Level::DEBUG),
        "trace" => Ok(tracing::Level::TRACE),
        _ => Err(format!("expected error, warn, info, debug or trace, found {text:?}")),
    }
}

pub(super) fn access(text: &str) -> Result<Access, String> {
    match text {
        "true" => Ok(Access::Everybody),
        "false" => Ok(Access::Loopback),
        _ => Err(format!("expected true or false, found {text:?}")),
    }
}

pub(super) fn count(text: &str, min: usize, max: usize) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        _ => Err(format!("expected a number from {min} to {max}, found {text:?}")),
    }
}
