//! Names and ids, each a type of its own, checked where they enter.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Why a text is not the name or id it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must match {pattern}, found {found:?}")]
pub struct IdError {
    /// What was expected, such as "a task name".
    pub what: &'static str,
    /// The regular expression that it must match.
    pub pattern: &'static str,
    /// The text, cut to its first 64 characters.
    pub found: String,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $pattern:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text, shared.
            pub fn text(&self) -> Arc<str> {
                self.0.clone()
            }

            /// What the database holds, which was checked when it was written.
            #[allow(dead_code, reason = "not every kind of id is read back")]
            pub(crate) fn trusted(text: Arc<str>) -> Self {
                Self(text)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let check: fn(&str) -> bool = $check;
                if check(text) {
                    Ok(Self(text.into()))
                } else {
                    let found = text.chars().take(64).collect();
                    Err(IdError { what: $what, pattern: $pattern, found })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}

id!(
    /// Who owns a row. `default` until there is authentication.
    TenantId, "a tenant", "^[A-Za-z0-9._-]{1,128}$", |t| is_name(t, 128)
);
id!(
    /// A workflow's name.
    WorkflowName, "a workflow name", "^[A-Za-z0-9._-]{1,128}$", |t| is_name(t, 128) && !is_reserved(t)
);
id!(
    /// A queue's name.
    QueueName, "a queue name", "^[A-Za-z0-9._-]{1,128}$", |t| is_name(t, 128)
);
id!(
    /// A task's name in its workflow.
    TaskName, "a task name", "^[A-Za-z_][A-Za-z0-9_]{0,63}$", is_task_name
);
id!(
    /// A signal's name.
    SignalName, "a signal name", "^[A-Za-z0-9._-]{1,128}$", |t| is_name(t, 128)
);
id!(
    /// What a worker carries and a task asks for.
    Label, "a label", "^[A-Za-z0-9._:/=-]{1,128}$",
    |t| in_length(t, 128) && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:/=-".contains(&b))
);
id!(
    /// A run's id: a UUIDv7, or the caller's own choice.
    RunId, "a run id", "^[A-Za-z0-9._~-]{1,128}$", is_caller_id
);
id!(
    /// A worker's own choice of id.
    WorkerId, "a worker id", "^[A-Za-z0-9._~-]{1,128}$", is_caller_id
);
id!(
    /// A session's id: any group of runs submitted together.
    SessionId, "a session id", "^[A-Za-z0-9._~-]{1,128}$", is_caller_id
);
id!(
    /// A lease's id, made by the server: the run, the task and the index of a fan-out's element that it is for, and
    /// random digits.
    LeaseId, "a lease id", "^[A-Za-z0-9._~-]{1,256}$",
    |t| in_length(t, 256) && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"._~-".contains(&b))
);
id!(
    /// An id by which a caller repeats a request without repeating its effect (claims, signals).
    RequestKey, "an id", "^[!-~]{1,128}$", |t| in_length(t, 128) && t.bytes().all(|b| b.is_ascii_graphic())
);
id!(
    /// A checkpoint's name in its task instance.
    CheckpointKey, "a checkpoint key", "^[A-Za-z0-9._~:-]{1,128}$",
    |t| in_length(t, 128)
        && !is_reserved(t)
        && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"._~:-".contains(&b))
);
id!(
    /// What names a module of WebAssembly: a name of the caller's choice, or the SHA-256 of its bytes.
    ModuleName, "a module", "^([A-Za-z0-9._-]{1,128}|sha256:[0-9a-f]{64})$",
    |t| (is_name(t, 128) && !is_reserved(t)) || is_digest(t)
);
id!(
    /// The SHA-256 of a module's bytes.
    ModuleDigest, "a digest", "^sha256:[0-9a-f]{64}$", is_digest
);
id!(
    /// An exported function of a module.
    FunctionName, "a function name", "^[A-Za-z_][A-Za-z0-9_.-]{0,127}$",
    |t| is_name(t, 128) && t.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
);
id!(
    /// A tag of a run.
    Tag, "a tag", "^[A-Za-z0-9._:/=-]{1,128}$",
    |t| in_length(t, 128) && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:/=-".contains(&b))
);
id!(
    /// A workflow's version: SHA-256 of the canonical document in lower-case hexadecimal.
    Version, "a version", "^[0-9a-f]{64}$",
    is_sha256
);

fn in_length(text: &str, bytes_max: usize) -> bool {
    !text.is_empty() && text.len() <= bytes_max
}

fn is_name(text: &str, bytes_max: usize) -> bool {
    in_length(text, bytes_max) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(is_sha256)
}

impl LeaseId {
    /// The lease of an attempt at a task instance. It names the run, the task, and the element if there is one, so
    /// that whoever reports on it is understood without a table of leases; `nonce` is what nobody can guess.
    pub(crate) fn of(run: &RunId, task: &str, index: Option<u32>, nonce: u64) -> Self {
        let text = match index {
            Some(index) => format!("{run}.{task}.{index}.{nonce:016x}"),
            None => format!("{run}.{task}.{nonce:016x}"),
        };
        Self(text.into())
    }

    /// The run, the task and the element that the id names, if it is of that form.
    pub(crate) fn names(&self) -> Option<(RunId, &str, Option<u32>)> {
        let (rest, nonce) = self.0.rsplit_once('.')?;
        let (rest, last) = rest.rsplit_once('.')?;
        // A task's name does not begin with a digit, and has no dot; a run's id may have dots.
        let (run, task, index) = match last.parse::<u32>() {
            Ok(index) => {
                let (run, task) = rest.rsplit_once('.')?;
                (run, task, Some(index))
            }
            Err(_) => (rest, last, None),
        };
        let is_nonce = nonce.len() == 16 && nonce.bytes().all(|b| b.is_ascii_hexdigit());
        let run = run.parse().ok().filter(|_| is_nonce && is_task_name(task))?;
        Some((run, task, index))
    }
}

impl ModuleName {
    /// The digest, where the name is one.
    pub fn digest(&self) -> Option<ModuleDigest> {
        is_digest(&self.0).then(|| ModuleDigest(self.0.clone()))
    }
}

impl ModuleDigest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::{Digest, Sha256};
        let hexadecimal = hex(&Sha256::digest(bytes));
        Self(format!("sha256:{hexadecimal}").into())
    }

    /// The name that the digest itself is.
    pub fn name(&self) -> ModuleName {
        ModuleName(self.0.clone())
    }
}

/// Path segments that a URL normaliser would swallow.
fn is_reserved(text: &str) -> bool {
    text == "." || text == ".."
}

fn is_task_name(text: &str) -> bool {
    in_length(text, 64)
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Words that stand where an id would stand, in this and later versions of the API.
const SIBLING_ROUTES: [&str; 4] = ["bulk", "import", "aggregate", "signal-or-start"];

fn is_caller_id(text: &str) -> bool {
    in_length(text, 128)
        && !is_reserved(text)
        && !SIBLING_ROUTES.contains(&text)
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._~-".contains(&b))
}

/// A UUID of version 7 (RFC 9562) from a time in milliseconds and ten random bytes.
pub fn uuid_v7(millis: i64, random: [u8; 10]) -> String {
    let mut bytes = [0u8; 16];
    bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    bytes[6..].copy_from_slice(&random);
    bytes[6] = 0x70 | (bytes[6] & 0x0f);
    bytes[8] = 0x80 | (bytes[8] & 0x3f);
    let mut text = String::with_capacity(36);
    for (index, part) in
        [&bytes[..4], &bytes[4..6], &bytes[6..8], &bytes[8..10], &bytes[10..]].iter().enumerate()
    {
        if index > 0 {
            text.push('-');
        }
        push_hex(&mut text, part);
    }
    text
}

/// Bytes as hexadecimal digits, two for each.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    push_hex(&mut text, bytes);
    text
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_checked() {
        assert!("a.b~c-1".parse::<RunId>().is_ok());
        for bad in ["", ".", "..", "bulk", "import", "a/b", "a b", &"x".repeat(129)] {
            assert!(bad.parse::<RunId>().is_err(), "{bad}");
        }
        assert!("_a9".parse::<TaskName>().is_ok());
        assert!("9a".parse::<TaskName>().is_err());
        assert!("a-b".parse::<TaskName>().is_err());
    }

    #[test]
    fn a_lease_names_what_it_is_of() {
        let rows = [
            ("r", "a", None),
            ("a.b.7", "t_1", Some(7)),
            ("x.9", "t", Some(0)),
            ("0-1~.", "_", Some(u32::MAX)),
        ];
        for (run, task, index) in rows {
            let run: RunId = run.parse().expect("a run's id");
            let lease = LeaseId::of(&run, task, index, 0xfe);
            assert_eq!(lease.as_str().parse(), Ok(lease.clone()));
            assert_eq!(lease.names(), Some((run, task, index)), "{lease}");
        }
        let others = [
            "01234567-89ab-7fff-bfff-ffffffffffff",
            "r.a",
            "r.a.00000000000000f",
            "a.00000000000000fe",
            "r.7.00000000000000fe",
            "r.a-b.00000000000000fe",
        ];
        for text in others {
            let lease: LeaseId = text.parse().expect("a lease's id");
            assert_eq!(lease.names(), None, "{text}");
        }
    }

    #[test]
    fn uuids_have_version_and_variant() {
        let text = uuid_v7(0x0123_4567_89ab, [0xff; 10]);
        assert_eq!(text, "01234567-89ab-7fff-bfff-ffffffffffff");
    }
}
