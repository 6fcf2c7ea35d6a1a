//! The shapes the database has had, forward only.
//!
//! Each migration is one batch together with the row that records it, so that a crash leaves it done or not
//! begun, and two programs that start at once do it once.

use crate::time::Timestamp;

use super::StoreError;
use super::columns::Columns;
use super::database::{Batch, Cell, Database, DatabaseError, Outcome, Row, Statement};

/// The text of each migration; its version is its index plus one.
const MIGRATIONS: &[&str] = &[
    include_str!("../../../migrations/0001_initial.sql"),
    include_str!("../../../migrations/0002_checkpoints.sql"),
    include_str!("../../../migrations/0003_modules.sql"),
    include_str!("../../../migrations/0004_fewer_indexes.sql"),
    include_str!("../../../migrations/0005_history_in_order.sql"),
    include_str!("../../../migrations/0006_leased_tasks.sql"),
];

/// The newest version that this program knows.
pub(crate) const NEWEST: i64 = MIGRATIONS.len() as i64;

const CREATE: &str = "CREATE TABLE IF NOT EXISTS migrations (
    version    INTEGER NOT NULL PRIMARY KEY,
    applied_at INTEGER NOT NULL
)";

/// What a migrated database was before and is now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Migrated {
    /// Every migration that this program knows is recorded.
    Current,
    /// It records this version, which is newer.
    Newer(i64),
}

/// Brings the database to [`NEWEST`], unless it is newer: then nothing is written.
pub(crate) async fn migrate<D: Database>(database: &D, now: Timestamp) -> Result<Migrated, StoreError> {
    loop {
        let version = version(database).await?;
        if version > NEWEST {
            return Ok(Migrated::Newer(version));
        }
        let Some(text) = MIGRATIONS.get(version as usize) else { return Ok(Migrated::Current) };
        let outcomes = database.write(vec![batch(version + 1, text, now)]).await?;
        if let Some(Outcome::Refused(index)) = outcomes.first()
            && self::version(database).await? == version
        {
            let message = format!("migration {} was refused at its statement {index}", version + 1);
            return Err(DatabaseError::Broken(message).into());
        }
    }
}

async fn version<D: Database>(database: &D) -> Result<i64, StoreError> {
    let exists = Statement::new("SELECT count(*) FROM sqlite_master WHERE name = 'migrations'", Vec::new());
    if single(database.read(vec![exists]).await?)? == 0 {
        return Ok(0);
    }
    let newest = Statement::new("SELECT coalesce(max(version), 0) FROM migrations", Vec::new());
    single(database.read(vec![newest]).await?)
}

fn single(mut answers: Vec<Vec<Row>>) -> Result<i64, StoreError> {
    let row = answers.pop().and_then(|mut rows| rows.pop()).unwrap_or_default();
    Columns::of(row, "migrations").int()
}

fn batch(version: i64, text: &'static str, now: Timestamp) -> Batch {
    let mut batch = Batch::default();
    batch.push(Statement::new(CREATE, Vec::new()));
    // First the record: its primary key refuses the batch when somebody else was quicker.
    let record = "INSERT INTO migrations (version, applied_at) VALUES (?1, ?2)";
    batch.expect(1, Statement::new(record, vec![Cell::from(version), Cell::from(now)]));
    for statement in statements(text) {
        batch.push(Statement::new(statement, Vec::new()));
    }
    batch
}

/// The statements of a migration: separated by a semicolon at the end of a line, comments left out.
fn statements(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split_once("--").map_or(line, |(code, _)| code));
    let code: String = lines.flat_map(|line| [line.trim_end(), "\n"]).collect();
    code.split(";\n").map(str::trim).filter(|statement| !statement.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_split_and_comments_left_out() {
        let text = "-- what; it is\nCREATE TABLE a (\n  b TEXT -- c\n);\n\nINSERT INTO a VALUES ('x');\n";
        assert_eq!(statements(text), ["CREATE TABLE a (\n  b TEXT\n)", "INSERT INTO a VALUES ('x')"]);
    }
}
