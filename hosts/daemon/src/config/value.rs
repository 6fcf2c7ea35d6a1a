//! Reading each setting's text as what it stands for: expected and found, where it cannot be read.

use std::path::{Path, PathBuf};

use selvedge_libsql::{Place, Token};

use super::{Access, LogFormat};

pub(super) fn bind(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(text.to_owned()),
        _ => Err(format!("expected a host and a port such as 127.0.0.1:8080 or [::1]:0, found {text:?}")),
    }
}

pub(super) fn database(text: &str) -> Result<Place, String> {
    text.parse().map_err(|fault: selvedge_libsql::PlaceError| fault.to_string())
}

pub(super) fn token(text: &str) -> Result<Option<Token>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|fault: selvedge_libsql::remote::TokenError| fault.to_string())
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
