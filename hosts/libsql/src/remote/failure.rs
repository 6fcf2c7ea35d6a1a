//! What an error means: of a step, in the server's words, and of a request that brought no answer at all.
//!
//! A server gives SQLite's primary code as a name and SQLite's message. It keeps the extended code to
//! itself, so which constraint failed is read from the message.

use std::fmt;

use selvedge::store::database::DatabaseError;

use super::address::Address;
use super::guard;
use super::hrana::Fault;

/// How much of a statement, or of what somebody else said, a message repeats.
const QUOTED_CHARS_MAX: usize = 200;

/// Why a step did not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StepFailure {
    /// A guard found another number of rows than was expected.
    Missed,
    /// A unique, check, not-null or trigger constraint: the rows are not as the caller thought.
    Constraint,
    /// The statement is wrong, whoever sends it and whenever, or the file is not a sound database.
    Broken,
    /// The server cannot do it now and has not begun: busy, disk full, read-only.
    Passing,
    /// The server failed in the middle: I/O error, out of memory. Nothing is committed, unless it was
    /// COMMIT itself that failed.
    Uncertain,
}

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lost {
    /// The request did not leave: no connection, no such host, no agreement on TLS.
    Unsent(String),
    /// The connection broke before the answer was there. The request may have been executed.
    Broken(String),
    /// It may have been executed: the time was up, the server failed, the answer makes no sense.
    Doubtful(String),
    /// Somebody answered with a success, and not in Hrana.
    Garbled(String),
    /// Somebody answered that it was not executed, and may be later.
    Declined(String),
    /// The token is missing or wrong.
    Unauthorized(String),
    /// Whoever answers there is no libsql server.
    Foreign(String),
    /// The server does not take this request, now or later.
    Malformed(String),
}

impl Fault {
    /// What this error means for the statement that ran into it.
    pub(super) fn meaning(&self) -> StepFailure {
        let is_constraint = self.code.starts_with("SQLITE_CONSTRAINT");
        // A replica passes the primary's errors on without their codes.
        let is_passed_on = self.code == "PROXY_ERROR";
        let says = |words: &[&str]| words.iter().any(|word| self.message.contains(word));
        match self.code.as_str() {
            _ if self.message.contains(guard::MISSED) => StepFailure::Missed,
            // These hang on the statement alone, such as a text in an INTEGER column of a STRICT table.
            _ if says(&["cannot store ", "FOREIGN KEY "]) => StepFailure::Broken,
            _ if is_constraint || (is_passed_on && says(&["constraint failed"])) => StepFailure::Constraint,
            _ if is_passed_on && says(&["no such ", "syntax error", "parameter", "too big"]) => {
                StepFailure::Broken
            }
            "SQLITE_BUSY"
            | "SQLITE_LOCKED"
            | "SQLITE_FULL"
            | "SQLITE_READONLY"
            | "SQLITE_PERM"
            | "SQLITE_CANTOPEN"
            | "BLOCKED"
            | "TRANSACTION_BUSY"
            | "TRANSACTION_TIMEOUT" => StepFailure::Passing,
            "SQLITE_IOERR" | "SQLITE_NOMEM" | "SQLITE_INTERRUPT" | "SQLITE_ABORT" | "SQLITE_INTERNAL"
            | "SQLITE_PROTOCOL" | "SQLITE_SCHEMA" | "SQLITE_NOLFS" | "PROXY_ERROR" | "" => {
                StepFailure::Uncertain
            }
            // Above all SQLITE_UNKNOWN, by which sqld means SQLITE_ERROR: no such table.
            _ => StepFailure::Broken,
        }
    }

    /// Whether the server read the program and ran none of it.
    pub(super) fn is_before_all(&self) -> bool {
        matches!(
            self.code.as_str(),
            "SQL_PARSE_ERROR" | "SQL_NO_STATEMENT" | "SQL_MANY_STATEMENTS" | "ARGS_INVALID"
        )
    }

    /// The error of a statement that is not part of a COMMIT: nothing of it is kept.
    pub(super) fn into_error(self, sql: Option<&str>) -> DatabaseError {
        let meaning = self.meaning();
        let Fault { message, code } = self;
        let code = if code.is_empty() { String::new() } else { format!(" ({code})") };
        let place = sql.map_or_else(String::new, |sql| format!(", in {}", Quoted(sql)));
        let message = format!("{message}{code}{place}");
        match meaning {
            StepFailure::Missed | StepFailure::Constraint | StepFailure::Broken => {
                DatabaseError::Broken(message)
            }
            StepFailure::Passing | StepFailure::Uncertain => {
                DatabaseError::Unavailable { message, indeterminate: false }
            }
        }
    }
}

impl Lost {
    /// Whether it is the stream that the server does not know, or not any more, so that nothing was run.
    pub(super) fn is_about_stream(&self) -> bool {
        let (Lost::Malformed(said) | Lost::Foreign(said)) = self else { return false };
        let said = said.to_ascii_lowercase();
        said.contains("baton") || said.contains("stream")
    }

    /// The error of a read: nothing is in doubt, since it changes nothing.
    pub(super) fn of_read(self, address: &Address) -> DatabaseError {
        // The only text that SQLite gives and JSON cannot carry.
        if let Lost::Doubtful(message) = &self
            && message.to_ascii_lowercase().contains("utf-8")
        {
            return DatabaseError::Broken(format!("a text in the rows is not UTF-8: {message}"));
        }
        match self.of_write(address) {
            DatabaseError::Unavailable { message, .. } => {
                DatabaseError::Unavailable { message, indeterminate: false }
            }
            broken => broken,
        }
    }

    /// The error of a write.
    pub(super) fn of_write(self, address: &Address) -> DatabaseError {
        let indeterminate = matches!(self, Lost::Broken(_) | Lost::Doubtful(_) | Lost::Garbled(_));
        let message = self.describe(address);
        match self {
            Lost::Malformed(_) => DatabaseError::Broken(message),
            _ => DatabaseError::Unavailable { message, indeterminate },
        }
    }

    /// The whole message, with the address.
    pub(super) fn describe(&self, address: &Address) -> String {
        match self {
            Lost::Unsent(cause) => format!("the database {address} cannot be reached: {cause}"),
            Lost::Broken(cause) => format!("the database {address} broke the connection: {cause}"),
            Lost::Doubtful(cause) => format!("the database {address} gave no usable answer: {cause}"),
            Lost::Garbled(cause) => {
                format!("{address} does not answer as a libsql server does: no result of Hrana: {cause}")
            }
            Lost::Declined(cause) => format!("the database {address} takes no requests now: {cause}"),
            Lost::Unauthorized(cause) => format!(
                "the database {address} {cause}: give a valid token with --database-token or \
                 SELVEDGE_DATABASE_TOKEN"
            ),
            Lost::Foreign(cause) => {
                format!("{address} is not the address of a libsql server: it answered {cause}")
            }
            Lost::Malformed(cause) => format!("the database {address} refused a request: {cause}"),
        }
    }
}

/// A text of somebody else within a message: on one line, and not too long.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = self.0.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some((end, _)) = words.char_indices().nth(QUOTED_CHARS_MAX) {
            words.truncate(end);
            words.push('…');
        }
        f.write_str(&words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(message: &str, code: &str) -> Fault {
        Fault { message: message.into(), code: code.into() }
    }

    #[test]
    fn errors_of_steps_fall_into_their_classes() {
        for (message, code, expected) in [
            ("SQLite error: integer overflow", "SQLITE_UNKNOWN", StepFailure::Missed),
            ("integer overflow", "PROXY_ERROR", StepFailure::Missed),
            ("SQLite error: UNIQUE constraint failed: t.id", "SQLITE_CONSTRAINT", StepFailure::Constraint),
            ("CHECK constraint failed: n > 0", "SQLITE_CONSTRAINT_CHECK", StepFailure::Constraint),
            ("UNIQUE constraint failed: t.id", "PROXY_ERROR", StepFailure::Constraint),
            ("no such table: t", "PROXY_ERROR", StepFailure::Broken),
            ("cannot store TEXT value in INTEGER column t.n", "PROXY_ERROR", StepFailure::Broken),
            ("disk I/O error", "PROXY_ERROR", StepFailure::Uncertain),
            ("raised by a trigger", "SQLITE_CONSTRAINT", StepFailure::Constraint),
            ("cannot store TEXT value in INTEGER column t.n", "SQLITE_CONSTRAINT", StepFailure::Broken),
            ("FOREIGN KEY constraint failed", "SQLITE_CONSTRAINT", StepFailure::Broken),
            ("SQLite error: no such table: t", "SQLITE_UNKNOWN", StepFailure::Broken),
            ("parameters", "ARGS_INVALID", StepFailure::Broken),
            ("string or blob too big", "SQLITE_TOOBIG", StepFailure::Broken),
            ("Response is too large", "RESPONSE_TOO_LARGE", StepFailure::Broken),
            ("malformed", "SQLITE_CORRUPT", StepFailure::Broken),
            ("database is locked", "SQLITE_BUSY", StepFailure::Passing),
            ("Transaction timed out", "TRANSACTION_TIMEOUT", StepFailure::Passing),
            ("full", "SQLITE_FULL", StepFailure::Passing),
            ("disk", "SQLITE_IOERR", StepFailure::Uncertain),
            ("?", "", StepFailure::Uncertain),
        ] {
            assert_eq!(fault(message, code).meaning(), expected, "{message} ({code})");
        }
    }

    #[test]
    fn only_what_may_have_been_executed_leaves_doubt() {
        let address: Address = "http://h".parse().expect("an address");
        let why = || "why".to_owned();
        for (lost, doubt, broken) in [
            (Lost::Unsent(why()), false, false),
            (Lost::Broken(why()), true, false),
            (Lost::Doubtful(why()), true, false),
            (Lost::Garbled(why()), true, false),
            (Lost::Declined(why()), false, false),
            (Lost::Unauthorized(why()), false, false),
            (Lost::Foreign(why()), false, false),
            (Lost::Malformed(why()), false, true),
        ] {
            let (read, write) = (lost.clone().of_read(&address), lost.clone().of_write(&address));
            for (error, doubt) in [(read, false), (write, doubt)] {
                match error {
                    DatabaseError::Unavailable { indeterminate, message } => {
                        assert_eq!((indeterminate, broken), (doubt, false), "{lost:?}");
                        assert!(message.contains("http://h") && message.contains("why"), "{message}");
                    }
                    DatabaseError::Broken(_) => assert!(broken, "{lost:?}"),
                    DatabaseError::Storage(what) => panic!("{lost:?}: {what}"),
                }
            }
        }
    }

    #[test]
    fn a_stream_that_is_gone_is_told_from_other_complaints() {
        for (lost, expected) in [
            (Lost::Malformed("status 400: The stream has expired due to inactivity".into()), true),
            (Lost::Malformed("status 400: Received an invalid baton".into()), true),
            (Lost::Foreign("with status 404: Stream not found".into()), true),
            (Lost::Malformed("status 413: too large".into()), false),
            (Lost::Broken("stream closed".into()), false),
            (Lost::Doubtful("status 502: upstream".into()), false),
        ] {
            assert_eq!(lost.is_about_stream(), expected, "{lost:?}");
        }
    }

    #[test]
    fn quotations_are_short_and_on_one_line() {
        let long = "word \n".repeat(100);
        let quoted = Quoted(&long).to_string();
        assert_eq!(quoted.chars().count(), QUOTED_CHARS_MAX + 1);
        assert!(quoted.starts_with("word word") && quoted.ends_with('…'), "{quoted}");
        assert_eq!(Quoted(" SELECT\n  1 ").to_string(), "SELECT 1");
    }
}
