//! Restate: its server from npm, and a service made with its Rust SDK.

use std::path::{Path, PathBuf};

use rustix::process::Signal;
use selvedge_load::{Connection, Protocol, Target};
use serde_json::json;
use tokio::process::Command;

use crate::fault::Fault;
use crate::process::{Process, free_port};

/// The server and the service, registered.
pub struct Restate {
    pub server: Process,
    pub service: Process,
    /// Where workflows are started: its ingress.
    pub url: String,
}

/// How it is started.
pub struct Options {
    /// The server's program.
    pub server: PathBuf,
    /// Our own program, which is also the service.
    pub own: PathBuf,
}

impl Restate {
    /// Starts both on free ports, with the server's data in `directory`. Its log has so many partitions, or its
    /// default.
    pub async fn start(
        options: &Options,
        partitions: Option<u32>,
        directory: &Path,
    ) -> Result<Restate, Fault> {
        let ports = [free_port()?, free_port()?, free_port()?];
        let mut command = Command::new(&options.server);
        command.arg("--no-logo").current_dir(directory).env("RESTATE_BASE_DIR", directory.join("restate"));
        for (name, value) in environment(partitions, ports) {
            command.env(name, value);
        }
        let mut server = Process::start("restate-server", command, &directory.join("restate.log"))?;
        let mut command = Command::new(&options.own);
        command.arg("restate-service");
        let log = directory.join("restate-service.log");
        let (service, _, address) = Process::announced("the restate service", command, &log).await?;
        let admin = Target::find(&format!("http://127.0.0.1:{}", ports[1])).await?;
        server.ready(async || register(&admin, &address).await).await?;
        let url = format!("http://127.0.0.1:{}", ports[0]);
        Ok(Restate { server, service, url })
    }

    /// Ends both.
    pub async fn stop(self) -> Result<(), Fault> {
        self.server.stop(Signal::TERM).await?;
        self.service.stop(Signal::INT).await.map(drop)
    }
}

/// What differs from its defaults: ports, no telemetry, no log of every invocation. That its log is fsynced
/// before an answer is its default, and is written out so that nobody has to know.
fn environment(partitions: Option<u32>, ports: [u16; 3]) -> Vec<(&'static str, String)> {
    let mut settings = vec![
        ("RESTATE_LISTEN_MODE", "tcp".to_owned()),
        ("RESTATE_BIND_IP", "127.0.0.1".to_owned()),
        ("RESTATE_INGRESS__BIND_PORT", ports[0].to_string()),
        ("RESTATE_ADMIN__BIND_PORT", ports[1].to_string()),
        ("RESTATE_BIND_PORT", ports[2].to_string()),
        ("RESTATE_NODE_NAME", "peers".to_owned()),
        ("RESTATE_DISABLE_TELEMETRY", "true".to_owned()),
        ("RESTATE_LOG_FILTER", "warn".to_owned()),
        ("RESTATE_LOG_SERVER__ROCKSDB_DISABLE_WAL_FSYNC", "false".to_owned()),
    ];
    settings.extend(partitions.map(|count| ("RESTATE_DEFAULT_NUM_PARTITIONS", count.to_string())));
    settings
}

/// Registers the service, once the server answers. Its SDK speaks HTTP/2 without TLS.
async fn register(admin: &Target, service: &str) -> Option<()> {
    let mut connection = Connection::open(admin, Protocol::Http1).await.ok()?;
    let body = json!({ "uri": service, "use_http_11": false }).to_string();
    let answer = connection.post("/deployments", body).await.ok()?;
    answer.status.is_success().then_some(())
}
