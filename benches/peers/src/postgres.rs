//! A PostgreSQL cluster of its own, with the settings that it is delivered with.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use rustix::process::{Signal, getuid};
use tokio::process::Command;

use crate::fault::{Fault, fault};
use crate::process::{Process, free_port};

/// Settings that decide how fast and how safe it is; they are told beside the results.
const SETTINGS: [&str; 6] =
    ["server_version", "fsync", "synchronous_commit", "wal_sync_method", "shared_buffers", "max_connections"];
/// The account that PostgreSQL runs under where we are root, which it refuses.
const ACCOUNT: &str = "postgres";

/// Where Debian's packages put the programs.
pub const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";

/// A running cluster.
pub struct Postgres {
    pub process: Process,
    /// Where clients connect.
    pub url: String,
    /// What it says about itself.
    pub settings: Vec<(String, String)>,
}

impl Postgres {
    /// Makes a cluster in `directory` and starts it, with the programs of `bin`.
    pub async fn start(bin: &Path, directory: &Path) -> Result<Postgres, Fault> {
        let (data, log) = (directory.join("pg"), directory.join("postgres.log"));
        fs::create_dir(&data)?;
        let account = account().await?;
        if let Some((user, group)) = account {
            fs::set_permissions(directory, fs::Permissions::from_mode(0o755))?;
            chown(&data, Some(user), Some(group))?;
        }
        let program = |name: &str| {
            let mut command = Command::new(bin.join(name));
            command.current_dir(&data);
            if let Some((user, group)) = account {
                command.uid(user).gid(group);
            }
            command
        };
        let mut initdb = program("initdb");
        initdb
            .args(["--auth=trust", "--username=peers", "--encoding=UTF8", "--locale=C", "--pgdata"])
            .arg(&data);
        let made = initdb.output().await.map_err(|cause| fault!("{}/initdb: {cause}", bin.display()))?;
        if !made.status.success() {
            return Err(fault!("initdb: {}", String::from_utf8_lossy(&made.stderr).trim()));
        }
        let port = free_port()?;
        let mut server = program("postgres");
        server.arg("-D").arg(&data).args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        server.args(["-c", "unix_socket_directories="]);
        let mut process = Process::start("postgres", server, &log)?;
        let url = format!("postgres://peers@127.0.0.1:{port}/peers");
        let psql = bin.join("psql");
        let settings = process.ready(async || settings(&psql, port).await).await?;
        Ok(Postgres { process, url, settings })
    }

    /// Ends it, without waiting for clients.
    pub async fn stop(self) -> Result<(), Fault> {
        self.process.stop(Signal::INT).await.map(drop)
    }
}

/// User and group of [`ACCOUNT`], if we are root.
async fn account() -> Result<Option<(u32, u32)>, Fault> {
    if !getuid().is_root() {
        return Ok(None);
    }
    let mut ids = [0; 2];
    for (id, flag) in ids.iter_mut().zip(["-u", "-g"]) {
        let output = Command::new("id").args([flag, ACCOUNT]).output().await?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        *id =
            text.parse().map_err(|_| fault!("there is no account {ACCOUNT}, and root runs no PostgreSQL"))?;
    }
    Ok(Some((ids[0], ids[1])))
}

/// The settings, once it answers.
async fn settings(psql: &Path, port: u16) -> Option<Vec<(String, String)>> {
    let questions = SETTINGS.map(|name| format!("SHOW {name};")).concat();
    let port = port.to_string();
    let arguments =
        ["-h", "127.0.0.1", "-p", &port, "-U", "peers", "-d", "postgres", "-At", "-c", &questions];
    let output = Command::new(psql).args(arguments).output().await.ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let values: Vec<&str> = text.lines().collect();
    let named = SETTINGS.iter().zip(&values).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    (values.len() == SETTINGS.len()).then(|| named.collect())
}
