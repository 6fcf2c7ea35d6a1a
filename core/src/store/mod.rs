//! State: the waist to the database, and all SQL there is, one file per noun.
//!
//! Functions here build statements and read rows; none awaits and none decides. `app` puts what a command
//! needs into one batch of reads and what it changes into one batch of writes.

pub(crate) mod checkpoints;
pub(crate) mod claims;
pub mod clock;
pub(crate) mod columns;
pub mod database;
pub(crate) mod history;
pub(crate) mod idempotency;
pub(crate) mod leases;
pub(crate) mod logs;
pub(crate) mod migrations;
pub(crate) mod modules;
pub(crate) mod projection;
pub(crate) mod run_list;
pub(crate) mod runs;
pub(crate) mod signals;
pub(crate) mod task_list;
pub(crate) mod tasks;
pub(crate) mod timers;
pub(crate) mod workers;
pub(crate) mod workflows;

use database::DatabaseError;

/// Why stored state could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database did not do what it was asked.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A row does not say what this program writes.
    #[error("the database holds what this program never writes: {0}")]
    Corrupt(String),
}
