//! The database's own clock.

use crate::time::Timestamp;

use super::StoreError;
use super::columns::Columns;
use super::database::{Row, Statement};

/// Asks for the database's time, in milliseconds since 1970. Public so that a wrapper driver can answer it
/// with a time of its own.
pub const NOW: &str = "SELECT CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)";

/// The statement of [`NOW`].
pub(crate) fn now() -> Statement {
    Statement::new(NOW, Vec::new())
}

/// Reads the row of [`now`].
pub(crate) fn read(row: Row) -> Result<Timestamp, StoreError> {
    Columns::of(row, "the database's clock").time()
}
