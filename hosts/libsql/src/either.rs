//! A database by its place: a file, memory or a server. What hosts open, so that none of them knows more
//! of drivers than a text and a token.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::str::FromStr;

use futures_util::future::Either;
use selvedge::store::database::{Batch, Counts, Database, DatabaseError, Outcome, Row, Statement};

use crate::remote::AddressError;
use crate::{Address, Local, Remote, Token, local, remote};

/// Where a database is, as users write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// `:memory:`: nowhere, gone when the process is.
    Memory,
    /// A path: a file, made when it is missing, of one process alone.
    File(PathBuf),
    /// `http://`, `https://` or `libsql://`: a server, shared by any number of processes.
    Server(Address),
}

/// Why a text names no database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// The text is empty.
    #[error("expected a path, :memory: or the address of a libsql server, found nothing")]
    Nothing,
    /// It looks like an address and is none.
    #[error(transparent)]
    Address(#[from] AddressError),
}

/// Why a database was not opened. The messages name it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file or memory.
    #[error(transparent)]
    Local(#[from] local::OpenError),
    /// A server.
    #[error(transparent)]
    Remote(#[from] remote::OpenError),
}

/// A database of either kind. Clones share it.
#[derive(Debug, Clone)]
pub enum Libsql {
    /// A file of this process, or memory.
    Local(Local),
    /// A server's.
    Remote(Remote),
}

impl Libsql {
    /// Opens the database. The token is for a server; a file and memory ask for none.
    ///
    /// A server is asked once whether it is there. To be called within a tokio runtime.
    pub async fn open(place: &Place, token: Option<Token>) -> Result<Libsql, OpenError> {
        Self::open_with(place, token, remote::Options::default()).await
    }

    /// The same with options for a server.
    pub async fn open_with(
        place: &Place,
        token: Option<Token>,
        options: remote::Options,
    ) -> Result<Libsql, OpenError> {
        Ok(match place {
            Place::Memory => Libsql::Local(Local::memory()?),
            Place::File(path) => Libsql::Local(Local::open(path, local::Options::default())?),
            Place::Server(address) => {
                Libsql::Remote(Remote::open_with(address.clone(), token, options).await?)
            }
        })
    }

    /// What stands behind an acknowledged write, in a word for people and programs.
    pub fn durability(&self) -> &'static str {
        match self {
            Libsql::Local(_) => "fsync",
            Libsql::Remote(_) => "server",
        }
    }

    /// Whether other processes may write to it.
    pub fn is_shared(&self) -> bool {
        match self {
            Libsql::Local(_) => false,
            Libsql::Remote(_) => true,
        }
    }
}

impl Database for Libsql {
    async fn read(&self, reads: Vec<Statement>) -> Result<Vec<Vec<Row>>, DatabaseError> {
        match self {
            Libsql::Local(local) => local.read(reads).await,
            Libsql::Remote(remote) => remote.read(reads).await,
        }
    }

    fn write(&self, batches: Vec<Batch>) -> impl Future<Output = Result<Vec<Outcome>, DatabaseError>> {
        match self {
            Libsql::Local(local) => Either::Left(local.write(batches)),
            Libsql::Remote(remote) => Either::Right(remote.write(batches)),
        }
    }

    fn counts(&self) -> Counts {
        match self {
            Libsql::Local(local) => local.counts(),
            Libsql::Remote(remote) => remote.counts(),
        }
    }
}

impl From<Local> for Libsql {
    fn from(local: Local) -> Self {
        Libsql::Local(local)
    }
}

impl From<Remote> for Libsql {
    fn from(remote: Remote) -> Self {
        Libsql::Remote(remote)
    }
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        match text {
            "" => Err(PlaceError::Nothing),
            ":memory:" => Ok(Place::Memory),
            address if address.contains("://") => Ok(Place::Server(address.parse()?)),
            path => Ok(Place::File(path.into())),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Memory => f.write_str(":memory:"),
            Place::File(path) => path.display().fmt(f),
            Place::Server(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_from_their_texts() {
        let server = |text: &str| Place::Server(text.parse().expect("an address"));
        for (text, expected) in [
            (":memory:", Place::Memory),
            ("selvedge.db", Place::File("selvedge.db".into())),
            ("/var/lib/a b.db", Place::File("/var/lib/a b.db".into())),
            ("C:\\selvedge.db", Place::File("C:\\selvedge.db".into())),
            ("http://127.0.0.1:8081", server("http://127.0.0.1:8081")),
            ("libsql://db-acme.turso.io", server("libsql://db-acme.turso.io")),
        ] {
            let place: Place = text.parse().expect(text);
            assert_eq!(place, expected);
            assert_eq!(place.to_string(), text);
        }
        for (text, expected) in [
            ("", "expected a path, :memory: or the address of a libsql server, found nothing"),
            (
                "postgres://h",
                "expected the address of a libsql server (http://, https:// or libsql://), found",
            ),
        ] {
            let fault = text.parse::<Place>().expect_err(text).to_string();
            assert!(fault.starts_with(expected), "{fault}");
        }
    }

    #[tokio::test]
    async fn a_file_and_memory_are_of_one_process() {
        let directory = tempfile::tempdir().expect("a directory");
        for place in [Place::Memory, Place::File(directory.path().join("t.db"))] {
            let database = Libsql::open(&place, None).await.expect("it opens");
            assert_eq!((database.durability(), database.is_shared()), ("fsync", false));
            assert_eq!(database.write(vec![Batch::default()]).await, Ok(vec![Outcome::Committed]));
            let rows = database.read(vec![Statement::new("SELECT 7", vec![])]).await.expect("a row");
            assert_eq!(rows[0][0][0].as_i64(), Some(7));
        }
    }
}
