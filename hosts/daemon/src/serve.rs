//! The server as a process: database, address, driver and connections, from start to graceful end.

mod workflows;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::{Request, Response};
use selvedge::http::body::Body;
use selvedge::{App, Settings};
use selvedge_libsql::Libsql;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::config::{Access, Config};
use crate::inprocess::Server;
use crate::listener::{self, Handler, Upload};
use crate::stop::{Phase, Stop};
use selvedge_tokio::TokioPlatform;

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// Others could reach it, and nothing says who they are.
    #[error(
        "{bind} can be reached from other machines ({address}), and this version of selvedge does not ask \
         callers who they are: anybody who reaches it could start runs and read everything. \
         Bind a loopback address (127.0.0.1 or [::1]), or pass --unauthenticated if something else guards it"
    )]
    Exposed { bind: String, address: IpAddr },
    /// The host's name means nothing here.
    #[error("{bind} is no address of this machine: {cause}")]
    Address { bind: String, cause: std::io::Error },
    /// Another program listens there.
    #[error("port {port} is taken by another program ({bind}): pass --bind 127.0.0.1:0 for a free port")]
    Taken { bind: String, port: u16 },
    /// The database cannot be had; the driver names it.
    #[error(transparent)]
    Driver(#[from] selvedge_libsql::OpenError),
    /// The database is there and cannot be used.
    #[error("{place}: {cause}")]
    Database { place: String, cause: selvedge::OpenError },
    /// Documents that are to be saved at start have faults, or cannot be read.
    #[error("{}", .0.join("\n"))]
    Workflows(Vec<String>),
}

/// A server that runs in tasks of its own.
pub(crate) struct Running {
    /// Where it answers, with the base path.
    pub(crate) url: String,
    /// Ends once every connection is closed, after the stop.
    task: JoinHandle<()>,
}

/// Brings the server up. It runs until `stop` says otherwise.
pub(crate) async fn start(config: &Config, stop: Stop) -> Result<Running, StartError> {
    let listener = bind(&config.bind, config.access).await?;
    let server = Arc::new(open(config).await?);
    if let Some(directory) = &config.workflows {
        let saved = workflows::save_all(&server, directory, &config.base_path)
            .await
            .map_err(StartError::Workflows)?;
        tracing::debug!("{saved} workflows of {} are saved", directory.display());
    }
    let address =
        listener.local_addr().map_err(|cause| StartError::Address { bind: config.bind.clone(), cause })?;
    let url = format!("http://{address}{}", config.base_path);
    let task = tokio::spawn(run(server, listener, config.clone(), stop));
    Ok(Running { url, task })
}

impl Running {
    /// Comes back when the server has ended.
    pub(crate) async fn ended(self) {
        if let Err(fault) = self.task.await {
            tracing::error!("the server ended in a defect: {fault}");
        }
    }
}

/// Takes the address, if it may be taken.
async fn bind(bind: &str, access: Access) -> Result<TcpListener, StartError> {
    let address = |cause| StartError::Address { bind: bind.to_owned(), cause };
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host(bind).await.map_err(address)?.collect();
    let exposed = addresses.iter().find(|address| !address.ip().to_canonical().is_loopback());
    if let (Some(exposed), Access::Loopback) = (exposed, access) {
        return Err(StartError::Exposed { bind: bind.to_owned(), address: exposed.ip() });
    }
    TcpListener::bind(&addresses[..]).await.map_err(|cause| match cause.kind() {
        std::io::ErrorKind::AddrInUse => {
            let port = addresses.first().map_or(0, SocketAddr::port);
            StartError::Taken { bind: bind.to_owned(), port }
        }
        _ => address(cause),
    })
}

async fn open(config: &Config) -> Result<Server, StartError> {
    let database = Libsql::open(&config.database, config.database_token.clone()).await?;
    let settings = Settings {
        base_path: config.base_path.clone(),
        host: "daemon",
        durability: database.durability(),
        shared: database.is_shared(),
        http_concurrency: config.http_concurrency,
        wasm_concurrency: config.wasm_concurrency,
        wasm_memory_bytes_max: config.wasm_memory << 20,
        ..Settings::default()
    };
    let opened = App::open(database, host(config), settings).await;
    opened.map_err(|cause| StartError::Database { place: config.database.to_string(), cause })
}

/// The host: with an engine for WebAssembly where this binary has one and is to use it.
#[cfg(feature = "wasm")]
fn host(config: &Config) -> TokioPlatform {
    if config.wasm_concurrency == 0 {
        return TokioPlatform::default();
    }
    TokioPlatform::with_modules(selvedge_tokio::Options {
        concurrency: config.wasm_concurrency,
        memory_bytes_max: config.wasm_memory << 20,
        ..selvedge_tokio::Options::default()
    })
}

#[cfg(not(feature = "wasm"))]
fn host(_: &Config) -> TokioPlatform {
    TokioPlatform::default()
}

struct Api(Arc<Server>);

impl Handler for Api {
    type Body = Body;

    fn handle(&self, request: Request<Upload>) -> impl Future<Output = Response<Body>> + Send {
        self.0.handle(request)
    }
}

async fn run(server: Arc<Server>, listener: TcpListener, config: Config, stop: Stop) {
    let driver = tokio::spawn(drive(server.clone(), stop.clone()));
    let api = Arc::new(Api(server.clone()));
    let mut connections = listener::accept(listener, api, config.connections_max, stop.clone()).await;
    if let Err(fault) = driver.await {
        tracing::error!("the driver ended in a defect: {fault}");
    }
    // From here on long polls end with what they have, so that connections can.
    server.close().await;
    let open = connections.len();
    if open > 0 {
        tracing::info!("stopping: {open} connections may take {} to finish", config.shutdown_grace);
    }
    let finished = async { while connections.join_next().await.is_some() {} };
    tokio::select! {
        () = finished => tracing::info!("stopped"),
        () = sleep(config.shutdown_grace.into()) => tracing::warn!("stopped: connections were cut after the grace"),
        () = stop.reached(Phase::Cut) => tracing::warn!("stopped: connections were cut at the second signal"),
    }
}

/// Drives until the stop. What is under way then is dropped at an await, as a crash would; the leases go back
/// when the server is closed.
async fn drive(server: Arc<Server>, stop: Stop) {
    tokio::select! {
        () = stop.reached(Phase::Stopping) => {}
        never = selvedge_tokio::drive(&server) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_loopback_is_taken_without_authentication() {
        for (address, access, taken) in [
            ("127.0.0.1:0", Access::Loopback, true),
            ("localhost:0", Access::Loopback, true),
            ("127.0.0.1:0", Access::Everybody, true),
            ("0.0.0.0:0", Access::Everybody, true),
            ("0.0.0.0:0", Access::Loopback, false),
            ("[::]:0", Access::Loopback, false),
            ("192.0.2.1:0", Access::Loopback, false),
        ] {
            match bind(address, access).await {
                Ok(_) => assert!(taken, "{address}"),
                Err(StartError::Exposed { .. }) => assert!(!taken, "{address}"),
                Err(other) => panic!("{address}: {other}"),
            }
        }
        let refused = bind("0.0.0.0:0", Access::Loopback).await.expect_err("refused").to_string();
        assert!(refused.contains("0.0.0.0:0") && refused.contains("--unauthenticated"), "{refused}");
    }

    #[tokio::test]
    async fn a_taken_port_is_named_with_a_way_out() {
        let first = bind("127.0.0.1:0", Access::Loopback).await.expect("loopback has free ports");
        let address = first.local_addr().expect("bound");
        let refused = bind(&address.to_string(), Access::Loopback).await.expect_err("taken").to_string();
        assert!(refused.contains(&format!("port {}", address.port())), "{refused}");
        assert!(refused.contains("--bind 127.0.0.1:0"), "{refused}");
    }

    #[tokio::test]
    async fn an_address_of_elsewhere_is_named() {
        let refused = bind("192.0.2.1:0", Access::Everybody).await.expect_err("not ours").to_string();
        assert!(refused.starts_with("192.0.2.1:0 is no address of this machine"), "{refused}");
    }
}
