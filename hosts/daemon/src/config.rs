//! The server's settings, from four places at once: flags, then the environment, then a file, then defaults.
//!
//! Every place gives texts under the same names, so that there is one table of settings, one reading of
//! each, and one answer to "where does this value come from".

mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use selvedge::http::base_path;
use selvedge::time::Duration;
use selvedge_libsql::{Place, Token};
use toml::de::{DeTable, DeValue};

/// Names the settings' file when `--config` does not.
pub(crate) const FILE_ENV: &str = "SELVEDGE_CONFIG";

/// Every setting and its default; an empty default is "none".
const SETTINGS: [(&str, &str); 13] = [
    ("bind", "127.0.0.1:8080"),
    ("database", "selvedge.db"),
    (TOKEN, ""),
    ("workflows", ""),
    ("base_path", ""),
    ("log", "text"),
    ("log_level", "info"),
    ("unauthenticated", "false"),
    ("max_connections", "4096"),
    ("http_concurrency", "64"),
    ("wasm_concurrency", "4"),
    ("wasm_memory", "64"),
    ("shutdown_grace", "30s"),
];

/// The one setting that nobody is shown.
const TOKEN: &str = "database_token";

const CONNECTIONS_MAX: usize = 1_000_000;
const HTTP_CONCURRENCY_MAX: usize = 100_000;
/// Each has a thread, and four gigabytes of addresses.
const WASM_CONCURRENCY_MAX: usize = 1000;
/// As much as 32 bits can address.
const WASM_MEMORY_MIB_MAX: usize = 4096;

/// What `selvedge serve` runs with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Config {
    pub(crate) bind: String,
    pub(crate) database: Place,
    /// What the database's server asks for.
    pub(crate) database_token: Option<Token>,
    pub(crate) workflows: Option<PathBuf>,
    /// Empty, or a slash and segments without a trailing slash.
    pub(crate) base_path: String,
    pub(crate) log: LogFormat,
    pub(crate) log_level: tracing::Level,
    pub(crate) access: Access,
    pub(crate) connections_max: usize,
    pub(crate) http_concurrency: usize,
    pub(crate) wasm_concurrency: usize,
    /// In MiB.
    pub(crate) wasm_memory: usize,
    pub(crate) shutdown_grace: Duration,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// Who may call when nobody has to say who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Whoever is on this machine.
    Loopback,
    /// Whoever reaches the address: `--unauthenticated`.
    Everybody,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Default,
    File { path: PathBuf, line: usize },
    Env(String),
    Flag(String),
}

/// One setting as text and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) text: String,
    pub(crate) source: Source,
}

/// The settings' file as it was read.
pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// Every setting by its name.
#[derive(Debug)]
pub(crate) struct Settings(BTreeMap<&'static str, Given>);

/// A setting that cannot be used: where it stands and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub(crate) struct Fault {
    /// The flag, the variable, or the file with its line.
    pub(crate) place: String,
    /// Expected and found.
    pub(crate) message: String,
}

impl Settings {
    /// Lays the four places over each other. All faults of the file are told at once.
    pub(crate) fn gather(
        flags: &[(&'static str, &str)],
        env: impl Fn(&str) -> Option<String>,
        file: Option<&File>,
    ) -> Result<Self, Vec<Fault>> {
        let mut settings: BTreeMap<_, _> = SETTINGS
            .iter()
            .map(|(key, text)| (*key, Given { text: (*text).to_owned(), source: Source::Default }))
            .collect();
        if let Some(file) = file {
            settings.extend(read_file(file)?);
        }
        for (key, _) in SETTINGS {
            let variable = variable(key);
            if let Some(text) = env(&variable).filter(|text| !text.is_empty()) {
                settings.insert(key, Given { text, source: Source::Env(variable) });
            }
        }
        for (key, text) in flags {
            let source = Source::Flag(flag(key));
            settings.insert(key, Given { text: (*text).to_owned(), source });
        }
        Ok(Self(settings))
    }

    /// Reads every text as what it stands for. All faults are told at once.
    pub(crate) fn read(&self) -> Result<Config, Vec<Fault>> {
        let mut faults = Vec::new();
        let config = Config {
            bind: self.get("bind", &mut faults, value::bind),
            database: self.get("database", &mut faults, value::database),
            database_token: self.get(TOKEN, &mut faults, value::token),
            workflows: self.get("workflows", &mut faults, value::optional_path),
            base_path: self.get("base_path", &mut faults, base_path::read),
            log: self.get("log", &mut faults, value::log_format),
            log_level: self.get("log_level", &mut faults, value::log_level),
            access: self.get("unauthenticated", &mut faults, value::access),
            connections_max: self
                .get("max_connections", &mut faults, |text| value::count(text, 1, CONNECTIONS_MAX)),
            http_concurrency: self
                .get("http_concurrency", &mut faults, |text| value::count(text, 0, HTTP_CONCURRENCY_MAX)),
            wasm_concurrency: self
                .get("wasm_concurrency", &mut faults, |text| value::count(text, 0, WASM_CONCURRENCY_MAX)),
            wasm_memory: self
                .get("wasm_memory", &mut faults, |text| value::count(text, 1, WASM_MEMORY_MIB_MAX)),
            shutdown_grace: self.get("shutdown_grace", &mut faults, |text| {
                text.parse::<Duration>().map_err(|f| f.to_string())
            }),
        };
        if faults.is_empty() { Ok(config) } else { Err(faults) }
    }

    /// A fault of this setting, said to be where its value comes from.
    pub(crate) fn fault(&self, key: &'static str, message: impl Into<String>) -> Fault {
        let source = &self.0[key].source;
        let place = match source {
            Source::Default => format!("{source} of {key}"),
            Source::File { .. } => format!("{source}: {key}"),
            Source::Env(_) | Source::Flag(_) => source.to_string(),
        };
        Fault { place, message: message.into() }
    }

    fn get<T: Filler>(
        &self,
        key: &'static str,
        faults: &mut Vec<Fault>,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        read(&self.0[key].text).unwrap_or_else(|message| {
            faults.push(self.fault(key, message));
            T::filler()
        })
    }
}

/// What stands in for a value that could not be read, until all faults are gathered. Nothing runs with it.
trait Filler {
    fn filler() -> Self;
}

macro_rules! filler {
    ($($type:ty => $value:expr),* $(,)?) => {
        $(impl Filler for $type { fn filler() -> Self { $value } })*
    };
}

filler! {
    String => String::new(),
    usize => 0,
    Duration => Duration::ZERO,
    Option<PathBuf> => None,
    Place => Place::Memory,
    Option<Token> => None,
    LogFormat => LogFormat::Text,
    Access => Access::Loopback,
    tracing::Level => tracing::Level::INFO,
}

impl fmt::Display for Settings {
    /// A settings' file that says the same, each line with where its value comes from. Of the token it says
    /// only that.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, _) in SETTINGS {
            let Given { text, source } = &self.0[key];
            if key == TOKEN && !text.is_empty() {
                writeln!(f, "{:40} # {source}", format!("# {key} is set and not shown"))?;
                continue;
            }
            // A JSON string is a TOML string.
            let value = serde_json::Value::from(text.as_str());
            writeln!(f, "{:40} # {source}", format!("{key} = {value}"))?;
        }
        Ok(())
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File { path, line } => write!(f, "{}:{line}", path.display()),
            Source::Env(variable) => f.write_str(variable),
            Source::Flag(flag) => f.write_str(flag),
        }
    }
}

fn flag(key: &str) -> String {
    format!("--{}", key.replace('_', "-"))
}

fn variable(key: &str) -> String {
    format!("SELVEDGE_{}", key.to_ascii_uppercase())
}

fn read_file(file: &File) -> Result<Vec<(&'static str, Given)>, Vec<Fault>> {
    let at = |offset: usize| file.text[..offset].matches('\n').count() + 1;
    let place = |line: usize| format!("{}:{line}", file.path.display());
    let table = DeTable::parse(&file.text).map_err(|fault| {
        let line = fault.span().map_or(1, |span| at(span.start));
        vec![Fault { place: place(line), message: fault.message().to_owned() }]
    })?;
    let (mut found, mut faults) = (Vec::new(), Vec::new());
    for (key, value) in table.get_ref() {
        let line = at(key.span().start);
        match read_member(key.get_ref(), value.get_ref()) {
            Ok((key, text)) => {
                let source = Source::File { path: file.path.clone(), line };
                found.push((key, Given { text, source }));
            }
            Err(message) => faults.push(Fault { place: place(line), message }),
        }
    }
    if faults.is_empty() { Ok(found) } else { Err(faults) }
}

fn read_member(key: &str, value: &DeValue<'_>) -> Result<(&'static str, String), String> {
    let Some((known, _)) = SETTINGS.iter().find(|(known, _)| *known == key) else {
        return Err(format!("unknown setting {key:?}{}", nearest(key)));
    };
    let text = match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.as_str().replace('_', ""),
        DeValue::Boolean(truth) => truth.to_string(),
        other => {
            return Err(format!(
                "{key}: expected a text, a number or true or false, found {}",
                other.type_str()
            ));
        }
    };
    Ok((known, text))
}

fn nearest(key: &str) -> String {
    SETTINGS
        .iter()
        .map(|(known, _)| (strsim::jaro_winkler(known, key), known))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map_or_else(
            || format!("; known are {}", SETTINGS.map(|(known, _)| known).join(", ")),
            |(_, known)| format!("; did you mean {known}?"),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gather(
        flags: &[(&'static str, &str)],
        env: &[(&str, &str)],
        file: Option<&str>,
    ) -> Result<Settings, Vec<Fault>> {
        let env: BTreeMap<_, _> = env.iter().copied().collect();
        let file = file.map(|text| File { path: "s.toml".into(), text: text.to_owned() });
        Settings::gather(flags, |name| env.get(name).map(|text| (*text).to_owned()), file.as_ref())
    }

    fn first_fault(result: Result<Config, Vec<Fault>>) -> String {
        result.expect_err("a fault").first().expect("one at least").to_string()
    }

    #[test]
    fn flags_before_environment_before_file_before_default() {
        let file = Some("# mine\nbind = \"127.0.0.1:3\"\n");
        let env: &[_] = &[("SELVEDGE_BIND", "127.0.0.1:2")];
        let flag: &[_] = &[("bind", "127.0.0.1:1")];
        for (flags, env, file, text, source) in [
            (flag, env, file, "127.0.0.1:1", "--bind"),
            (&[], env, file, "127.0.0.1:2", "SELVEDGE_BIND"),
            (&[], &[], file, "127.0.0.1:3", "s.toml:2"),
            (&[], &[("SELVEDGE_BIND", "")], file, "127.0.0.1:3", "s.toml:2"),
            (&[], &[], None, "127.0.0.1:8080", "default"),
        ] {
            let settings = gather(flags, env, file).expect("no fault");
            assert_eq!(settings.read().expect("no fault").bind, text);
            assert_eq!(settings.0["bind"].source.to_string(), source);
        }
    }

    #[test]
    fn every_setting_has_a_flag_and_is_read() {
        let args = crate::cli::ServeArgs {
            bind: Some("localhost:0".into()),
            database: Some("http://127.0.0.1:8081".into()),
            database_token: Some("a.b-c".into()),
            workflows: Some("w".into()),
            base_path: Some("/a/b/".into()),
            log: Some("json".into()),
            log_level: Some("warn".into()),
            unauthenticated: Some("true".into()),
            max_connections: Some("7".into()),
            http_concurrency: Some("0".into()),
            wasm_concurrency: Some("2".into()),
            wasm_memory: Some("16".into()),
            shutdown_grace: Some("5s".into()),
            ..Default::default()
        };
        let settings = gather(&args.given(), &[], None).expect("no fault");
        assert!(settings.0.values().all(|given| matches!(given.source, Source::Flag(_))));
        let expected = Config {
            bind: "localhost:0".into(),
            database: "http://127.0.0.1:8081".parse().expect("a place"),
            database_token: Some("a.b-c".parse().expect("a token")),
            workflows: Some("w".into()),
            base_path: "/a/b".into(),
            log: LogFormat::Json,
            log_level: tracing::Level::WARN,
            access: Access::Everybody,
            connections_max: 7,
            http_concurrency: 0,
            wasm_concurrency: 2,
            wasm_memory: 16,
            shutdown_grace: Duration::from_secs(5),
        };
        assert_eq!(settings.read().expect("no fault"), expected);
    }

    #[test]
    fn bad_values_are_named_with_their_place() {
        for (key, text, fault) in [
            ("bind", "8080", "--bind: expected a host and a port"),
            ("bind", ":8080", "--bind: expected a host and a port"),
            ("bind", "h:70000", "--bind: expected a host and a port"),
            ("database", "ws://h", "--database: expected the address of a libsql server (http://, https://"),
            ("database", "libsql://h?authToken=x", "--database: the address of a database does not hold its"),
            ("database", "", "--database: expected a path"),
            ("database_token", "two words", "--database-token: expected a token of visible ASCII"),
            ("base_path", "x", "--base-path: expected a path"),
            ("base_path", "/a//b", "--base-path: expected a path"),
            ("base_path", "/a/../b", "--base-path: expected a path"),
            ("base_path", "/{x}", "--base-path: expected a path"),
            ("log", "xml", "--log: expected text or json"),
            ("log_level", "loud", "--log-level: expected error, warn"),
            ("unauthenticated", "yes", "--unauthenticated: expected true or false"),
            ("max_connections", "0", "--max-connections: expected a number from 1"),
            ("http_concurrency", "-1", "--http-concurrency: expected a number from 0"),
            ("wasm_concurrency", "many", "--wasm-concurrency: expected a number from 0"),
            ("wasm_memory", "0", "--wasm-memory: expected a number from 1"),
            ("shutdown_grace", "soon", "--shutdown-grace: expected a duration"),
        ] {
            let settings = gather(&[(key, text)], &[], None).expect("no fault yet");
            let found = first_fault(settings.read());
            assert!(found.starts_with(fault), "{found}");
        }
        let file = gather(&[], &[], Some("\nlog = \"xml\"")).expect("no fault yet");
        assert!(first_fault(file.read()).starts_with("s.toml:2: log: expected text or json"));
    }

    #[test]
    fn a_faulty_file_says_every_line_and_the_nearest_name() {
        for (text, expected) in [
            ("bnd = \"x\"", &["s.toml:1: unknown setting \"bnd\"; did you mean bind?"][..]),
            ("\nbase-path = \"/x\"", &["s.toml:2: unknown setting \"base-path\"; did you mean base_path?"]),
            ("bind = 1.5\nlog = []", &["s.toml:1: bind: expected a text", "s.toml:2: log: expected a text"]),
            ("zzz = 1", &["s.toml:1: unknown setting \"zzz\"; known are bind,"]),
            ("[server]\nbind = 1", &["s.toml:1: unknown setting \"server\""]),
            ("bind = \"a\"\nbind = \"b\"", &["s.toml:2: "]),
            ("bind = ", &["s.toml:1: "]),
        ] {
            let faults = gather(&[], &[], Some(text)).expect_err(text);
            assert_eq!(faults.len(), expected.len(), "{faults:?}");
            for (fault, expected) in faults.iter().zip(expected) {
                assert!(fault.to_string().starts_with(expected), "{fault}");
            }
        }
    }

    #[test]
    fn numbers_and_truths_in_the_file_need_no_quotes() {
        let text = "max_connections = 1_000\nunauthenticated = true\n";
        let config = gather(&[], &[], Some(text)).expect("no fault").read().expect("no fault");
        assert_eq!((config.connections_max, config.access), (1000, Access::Everybody));
    }

    #[test]
    fn what_is_printed_can_be_read_again() {
        let printed = gather(&[("base_path", "/x")], &[], None).expect("no fault").to_string();
        assert!(printed.contains("# --base-path\n") && printed.contains("# default\n"), "{printed}");
        let config = gather(&[], &[], Some(&printed)).expect("no fault").read().expect("no fault");
        assert_eq!(config.base_path, "/x");
    }

    #[test]
    fn the_token_is_not_printed() {
        let env: &[_] = &[("SELVEDGE_DATABASE_TOKEN", "s3cret")];
        let settings = gather(&[], env, None).expect("no fault");
        let printed = settings.to_string();
        assert!(!printed.contains("s3cret") && !format!("{:?}", settings.read()).contains("s3cret"));
        assert!(
            printed.contains("# database_token is set and not shown    # SELVEDGE_DATABASE_TOKEN\n"),
            "{printed}"
        );
        assert!(gather(&[], &[], Some(&printed)).is_ok());
        for settings in [
            gather(&[(TOKEN, "s3cret s3cret")], &[], None),
            gather(&[], &[], Some("database_token = \"s3cret s3cret\"")),
        ] {
            let fault = first_fault(settings.expect("no fault yet").read());
            assert!(!fault.contains("s3cret"), "{fault}");
        }
    }
}
