//! Where a server under measurement keeps its database.

use std::path::PathBuf;

use tempfile::TempDir;

use super::BenchError;
use super::server::Server;
use crate::cli::BenchArgs;

/// A directory with a database, gone when this is dropped.
pub(super) struct Place {
    directory: TempDir,
}

impl Place {
    /// A new one, empty.
    pub(super) fn new(args: &BenchArgs) -> Result<Place, BenchError> {
        let parent = Place::parent(args);
        let directory = tempfile::Builder::new().prefix("selvedge-bench-").tempdir_in(&parent);
        let what = || format!("no directory in {}", parent.display());
        let directory = directory.map_err(|cause| BenchError::Machine { what: what(), cause })?;
        Ok(Place { directory })
    }

    /// Where directories are made.
    pub(super) fn parent(args: &BenchArgs) -> PathBuf {
        args.directory.clone().unwrap_or_else(std::env::temp_dir)
    }

    /// The database's file.
    pub(super) fn database(&self) -> PathBuf {
        self.directory.path().join("bench.db")
    }

    /// A server on it. One at a time.
    pub(super) async fn serve(&self) -> Result<Server, BenchError> {
        Server::start(&self.database()).await
    }
}
