//! What an error of SQLite means for a statement and for the transaction around it.
//!
//! SQLite's result codes say what happened; this says who has to know: the caller whose rows were not as
//! it thought, the programmer who wrote the statement, or everybody whose writes shared the transaction.

use rusqlite::{ErrorCode, ffi};
use selvedge::store::database::DatabaseError;

/// Why a statement did not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// A unique, check, not-null or trigger constraint: the rows are not as the caller thought.
    Constraint,
    /// The statement is wrong, whoever sends it and whenever.
    Statement(String),
    /// The machine cannot do it now and has not begun: busy, disk full, read-only.
    Passing(String),
    /// The machine failed in the middle: I/O error, out of memory. Nothing is committed, unless it was
    /// COMMIT itself that failed.
    Uncertain(String),
    /// The file is not a sound database.
    Damaged(String),
}

/// Constraints that hang on the rows found, as against those that hang on the statement alone (a text in
/// an INTEGER column of a STRICT table).
const CONSTRAINTS_ON_ROWS: [i32; 7] = [
    ffi::SQLITE_CONSTRAINT,
    ffi::SQLITE_CONSTRAINT_UNIQUE,
    ffi::SQLITE_CONSTRAINT_PRIMARYKEY,
    ffi::SQLITE_CONSTRAINT_ROWID,
    ffi::SQLITE_CONSTRAINT_CHECK,
    ffi::SQLITE_CONSTRAINT_NOTNULL,
    ffi::SQLITE_CONSTRAINT_TRIGGER,
];

impl Failure {
    /// The error of a call that this failure ends, when nothing of it was committed.
    pub fn into_error(self) -> DatabaseError {
        match self {
            Failure::Constraint => {
                DatabaseError::Broken("a constraint failed where none was expected".into())
            }
            Failure::Statement(message) | Failure::Damaged(message) => DatabaseError::Broken(message),
            Failure::Passing(message) | Failure::Uncertain(message) => {
                DatabaseError::Unavailable { message, indeterminate: false }
            }
        }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        let message = error.to_string();
        let rusqlite::Error::SqliteFailure(cause, _) = error else {
            return Failure::Statement(message);
        };
        match cause.code {
            ErrorCode::ConstraintViolation if CONSTRAINTS_ON_ROWS.contains(&cause.extended_code) => {
                Failure::Constraint
            }
            // `Unknown` is SQLITE_ERROR: a syntax error, no such table.
            ErrorCode::Unknown
            | ErrorCode::ConstraintViolation
            | ErrorCode::TypeMismatch
            | ErrorCode::TooBig
            | ErrorCode::ParameterOutOfRange
            | ErrorCode::ApiMisuse
            | ErrorCode::AuthorizationForStatementDenied
            | ErrorCode::NotFound => Failure::Statement(message),
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Failure::Damaged(message),
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::CannotOpen => Failure::Passing(message),
            _ => Failure::Uncertain(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: i32) -> Failure {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some("why".into())).into()
    }

    #[test]
    fn codes_fall_into_their_classes() {
        let statement = Failure::Statement("why".into());
        let passing = Failure::Passing("why".into());
        let uncertain = Failure::Uncertain("why".into());
        let damaged = Failure::Damaged("why".into());
        let rows = [
            (ffi::SQLITE_CONSTRAINT_UNIQUE, &Failure::Constraint),
            (ffi::SQLITE_CONSTRAINT_CHECK, &Failure::Constraint),
            (ffi::SQLITE_CONSTRAINT_NOTNULL, &Failure::Constraint),
            (ffi::SQLITE_CONSTRAINT_PRIMARYKEY, &Failure::Constraint),
            (ffi::SQLITE_CONSTRAINT_DATATYPE, &statement),
            (ffi::SQLITE_ERROR, &statement),
            (ffi::SQLITE_TOOBIG, &statement),
            (ffi::SQLITE_MISMATCH, &statement),
            (ffi::SQLITE_BUSY, &passing),
            (ffi::SQLITE_FULL, &passing),
            (ffi::SQLITE_IOERR_FSYNC, &uncertain),
            (ffi::SQLITE_NOMEM, &uncertain),
            (ffi::SQLITE_READONLY_DBMOVED, &passing),
            (ffi::SQLITE_INTERRUPT, &uncertain),
            (ffi::SQLITE_CORRUPT, &damaged),
            (ffi::SQLITE_NOTADB, &damaged),
        ];
        for (code, expected) in rows {
            assert_eq!(&of(code), expected, "code {code}");
        }
    }
}
