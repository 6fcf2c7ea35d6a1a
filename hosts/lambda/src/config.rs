//! The function's settings, all from its environment. Every bad value is named, all at once.

use std::time::Duration;

use selvedge::http::base_path;
use selvedge_libsql::{Place, Token};

use crate::function::Drive;

/// How long `SELVEDGE_DRIVE=before` keeps an answer back unless `SELVEDGE_DRIVE_BUDGET` says otherwise.
const DRIVE_BUDGET_DEFAULT: Duration = Duration::from_secs(1);
const EXPECTED_DATABASE: &str = "expected the address of a libsql server, such as libsql://flows.example";
const HTTP_CONCURRENCY_DEFAULT: usize = 16;
const HTTP_CONCURRENCY_MAX: usize = 1_000;

/// What the function runs with.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// A libsql server, or a file.
    pub database: Place,
    /// What the libsql server asks for.
    pub database_token: Option<Token>,
    /// Empty, or a slash and segments without a trailing slash.
    pub base_path: String,
    /// How many `http` tasks run at once.
    pub http_concurrency: usize,
    /// When timers and inline tasks are driven.
    pub drive: Drive,
    /// How log lines look.
    pub log: LogFormat,
    /// From which level on there are any.
    pub log_level: tracing::Level,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A variable that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {message}")]
pub struct Fault {
    /// Its name.
    pub variable: &'static str,
    /// Expected and found.
    pub message: String,
}

impl Config {
    /// Reads the environment through `env`; an empty value is as good as none.
    ///
    /// # Errors
    /// Every variable that cannot be used.
    pub fn read(env: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut read = Reader { env: &env, faults: &mut faults };
        if env("SELVEDGE_DATABASE").is_none_or(|text| text.is_empty()) {
            read.fault("SELVEDGE_DATABASE", format!("{EXPECTED_DATABASE}, found nothing"));
        }
        let mode = read.get("SELVEDGE_DRIVE", Mode::After, mode);
        let budget = read.get("SELVEDGE_DRIVE_BUDGET", None, |text| duration(text).map(Some));
        if let (Some(_), Mode::After | Mode::Never) = (budget, mode) {
            read.fault("SELVEDGE_DRIVE_BUDGET", "it says nothing unless SELVEDGE_DRIVE is before".to_owned());
        }
        let config = Config {
            database: read.get("SELVEDGE_DATABASE", Place::Memory, database),
            database_token: read.get("SELVEDGE_DATABASE_TOKEN", None, token),
            base_path: read.get("SELVEDGE_BASE_PATH", String::new(), base_path::read),
            http_concurrency: read.get("SELVEDGE_HTTP_CONCURRENCY", HTTP_CONCURRENCY_DEFAULT, concurrency),
            drive: match mode {
                Mode::After => Drive::After,
                Mode::Before => Drive::Before(budget.unwrap_or(DRIVE_BUDGET_DEFAULT)),
                Mode::Never => Drive::Never,
            },
            log: read.get("SELVEDGE_LOG", LogFormat::Text, log_format),
            log_level: read.get("SELVEDGE_LOG_LEVEL", tracing::Level::INFO, log_level),
        };
        if faults.is_empty() { Ok(config) } else { Err(faults) }
    }
}

#[derive(Debug, Clone, Copy)]
enum Mode {
    After,
    Before,
    Never,
}

struct Reader<'a, E> {
    env: &'a E,
    faults: &'a mut Vec<Fault>,
}

impl<E: Fn(&str) -> Option<String>> Reader<'_, E> {
    fn get<T>(
        &mut self,
        variable: &'static str,
        default: T,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        match (self.env)(variable).filter(|text| !text.is_empty()).map(|text| read(&text)) {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(message)) => {
                self.fault(variable, message);
                default
            }
        }
    }

    fn fault(&mut self, variable: &'static str, message: String) {
        self.faults.push(Fault { variable, message });
    }
}

fn database(text: &str) -> Result<Place, String> {
    match text.parse() {
        Ok(Place::Memory) => Err(format!("a function keeps no memory, {EXPECTED_DATABASE}")),
        Ok(place) => Ok(place),
        Err(fault) => Err(fault.to_string()),
    }
}

fn token(text: &str) -> Result<Option<Token>, String> {
    text.parse::<Token>().map(Some).map_err(|fault| fault.to_string())
}

fn mode(text: &str) -> Result<Mode, String> {
    match text {
        "after" => Ok(Mode::After),
        "before" => Ok(Mode::Before),
        "never" => Ok(Mode::Never),
        _ => Err(format!("expected after, before or never, found {text:?}")),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<selvedge::time::Duration>().map(Duration::from).map_err(|fault| fault.to_string())
}

fn concurrency(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number <= HTTP_CONCURRENCY_MAX => Ok(number),
        _ => Err(format!("expected a number from 0 to {HTTP_CONCURRENCY_MAX}, found {text:?}")),
    }
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("expected text or json, found {text:?}")),
    }
}

fn log_level(text: &str) -> Result<tracing::Level, String> {
    match text {
        "error" => Ok(tracing::Level::ERROR),
        "warn" => Ok(tracing::Level::WARN),
        "info" => Ok(tracing::Level::INFO),
        "debug" => Ok(tracing::Level::DEBUG),
        "trace" => Ok(tracing::Level::TRACE),
        _ => Err(format!("expected error, warn, info, debug or trace, found {text:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Config, Vec<String>> {
        let env = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        Config::read(env).map_err(|faults| faults.iter().map(Fault::to_string).collect())
    }

    #[test]
    fn one_variable_is_enough() {
        let config = read(&[("SELVEDGE_DATABASE", "libsql://a.example"), ("SELVEDGE_DRIVE", "")]);
        let expected = Config {
            database: "libsql://a.example".parse().expect("a place"),
            database_token: None,
            base_path: String::new(),
            http_concurrency: 16,
            drive: Drive::After,
            log: LogFormat::Text,
            log_level: tracing::Level::INFO,
        };
        assert_eq!(config, Ok(expected));
    }

    #[test]
    fn every_variable_is_read() {
        let config = read(&[
            ("SELVEDGE_DATABASE", "https://a.example"),
            ("SELVEDGE_DATABASE_TOKEN", "t"),
            ("SELVEDGE_BASE_PATH", "/flows/"),
            ("SELVEDGE_HTTP_CONCURRENCY", "0"),
            ("SELVEDGE_DRIVE", "before"),
            ("SELVEDGE_DRIVE_BUDGET", "2s"),
            ("SELVEDGE_LOG", "json"),
            ("SELVEDGE_LOG_LEVEL", "debug"),
        ]);
        let expected = Config {
            database: "https://a.example".parse().expect("a place"),
            database_token: Some("t".parse().expect("a token")),
            base_path: "/flows".to_owned(),
            http_concurrency: 0,
            drive: Drive::Before(Duration::from_secs(2)),
            log: LogFormat::Json,
            log_level: tracing::Level::DEBUG,
        };
        assert_eq!(config, Ok(expected));
    }

    #[test]
    fn every_bad_variable_is_named_at_once() {
        let faults = read(&[
            ("SELVEDGE_DATABASE_TOKEN", "a b"),
            ("SELVEDGE_BASE_PATH", "flows"),
            ("SELVEDGE_HTTP_CONCURRENCY", "1001"),
            ("SELVEDGE_DRIVE", "later"),
            ("SELVEDGE_DRIVE_BUDGET", "soon"),
            ("SELVEDGE_LOG", "xml"),
            ("SELVEDGE_LOG_LEVEL", "loud"),
        ]);
        let faults = faults.expect_err("nothing is right");
        for (fault, (variable, message)) in faults.iter().zip([
            ("SELVEDGE_DATABASE", "expected the address of a libsql server"),
            ("SELVEDGE_DRIVE", "expected after, before or never, found \"later\""),
            ("SELVEDGE_DRIVE_BUDGET", "soon"),
            ("SELVEDGE_DATABASE_TOKEN", "expected a token"),
            ("SELVEDGE_BASE_PATH", "expected a path"),
            ("SELVEDGE_HTTP_CONCURRENCY", "expected a number from 0 to 1000, found \"1001\""),
            ("SELVEDGE_LOG", "expected text or json"),
            ("SELVEDGE_LOG_LEVEL", "expected error"),
        ]) {
            assert!(fault.starts_with(&format!("{variable}: ")) && fault.contains(message), "{fault}");
        }
        assert_eq!(faults.len(), 8, "{faults:?}");
    }

    #[test]
    fn what_would_have_no_effect_is_refused() {
        for (variables, message) in [
            (&[("SELVEDGE_DATABASE", ":memory:")][..], "SELVEDGE_DATABASE: a function keeps no memory"),
            (&[("SELVEDGE_DATABASE", "ftp://a")], "SELVEDGE_DATABASE: "),
            (
                &[("SELVEDGE_DATABASE", "libsql://a"), ("SELVEDGE_DRIVE_BUDGET", "2s")],
                "SELVEDGE_DRIVE_BUDGET: it says nothing unless SELVEDGE_DRIVE is before",
            ),
        ] {
            let faults = read(variables).expect_err(message);
            assert!(faults.len() == 1 && faults[0].contains(message), "{faults:?}");
        }
    }
}
