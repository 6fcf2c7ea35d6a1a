//! What a server costs that nobody asks anything: the size of its binary, its memory, whether it ever wakes up,
//! and how long it takes from its start to its first answer, beside a server of hyper that only says hello.
//!
//! `scripts/footprint` builds the daemon and calls this with its binary.

#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use selvedge_load::{Connection, Failure, Latencies, Meter, Protocol, Target, Watch};
use tokio::net::TcpListener;

/// Has this program be the server that only says hello.
const HELLO: &str = "--hello";
/// How often each server is started.
const STARTS: u32 = 20;
/// How long an idle server is watched.
const WATCHED: Duration = Duration::from_secs(5);
/// How long a server may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    match &std::env::args().skip(1).collect::<Vec<_>>()[..] {
        [hello] if hello == HELLO => say_hello().await,
        [binary] => measure(Path::new(binary)).await,
        _ => Err("expected the path of the daemon's binary".into()),
    }
}

async fn measure(binary: &Path) -> Result<(), Failure> {
    let directory = std::env::temp_dir().join(format!("selvedge-footprint-{}", std::process::id()));
    std::fs::create_dir(&directory)?;
    let measured = in_directory(binary, &directory).await;
    std::fs::remove_dir_all(&directory)?;
    measured
}

async fn in_directory(binary: &Path, directory: &Path) -> Result<(), Failure> {
    let serve = |database: &str| {
        let mut command = Command::new(binary);
        command.args(["serve", "--bind", "127.0.0.1:0", "--log-level", "warn", "--database"]);
        command.arg(directory.join(database));
        command
    };
    let itself = std::env::current_exe()?;
    let hello = || {
        let mut command = Command::new(&itself);
        command.arg(HELLO);
        command
    };
    let watch = Watch::start();
    let [mut bare, mut new, mut known] = [(); 3].map(|()| Latencies::default());
    for number in 0..STARTS {
        // In turns, so that whatever disturbs the machine disturbs all.
        bare.record(started(hello()).await?);
        new.record(started(serve(&format!("{number}.db"))).await?);
        known.record(started(serve("0.db")).await?);
    }
    println!("{:<44} {:.1} MB", "binary", std::fs::metadata(binary)?.len() as f64 / 1e6);
    let millis = |latencies: &Latencies| latencies.quantile(0.5).as_secs_f64() * 1e3;
    for (name, latencies) in [
        ("bare hyper", &bare),
        ("selvedge, a database of its own", &known),
        ("selvedge, a new database", &new),
    ] {
        let ratio = millis(latencies) / millis(&bare);
        println!(
            "{:<44} {:.1} ms, × {ratio:.2}",
            format!("start to first answer, {name}"),
            millis(latencies)
        );
    }
    idle(serve("0.db")).await?;
    println!("{:<44} {:.1} %", "steal", watch.stolen() * 100.0);
    Ok(())
}

/// From the start of a process to its first answer.
async fn started(command: Command) -> Result<Duration, Failure> {
    let begun = Instant::now();
    let mut server = Server::start(command)?;
    server.answer().await?;
    Ok(begun.elapsed())
}

/// Memory and wake-ups of a server that has answered once.
async fn idle(command: Command) -> Result<(), Failure> {
    let mut server = Server::start(command)?;
    server.answer().await?;
    let meter = Meter::process(server.child.id());
    let mut before = meter.look()?;
    let begun = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = meter.look()?;
        if now.waits == before.waits || begun.elapsed() > PATIENCE {
            break;
        }
        before = now;
    }
    tokio::time::sleep(WATCHED).await;
    let after = meter.look()?;
    let since = after.since(&before);
    let name = format!("threads that woke up in {} s", WATCHED.as_secs());
    println!("{name:<44} {}", since.waits);
    println!("{:<44} {:.0} ms", "processors' time in that", since.cpu().as_secs_f64() * 1e3);
    println!("{:<44} {:.1} MiB", "memory at rest", after.resident as f64 / 1048576.0);
    println!("{:<44} {:.1} MiB", "memory, peak", after.resident_max as f64 / 1048576.0);
    Ok(())
}

/// A process that says where it listens; killed when this is dropped.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(mut command: Command) -> Result<Server, Failure> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut url = String::new();
        let read = BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut url);
        let server = Server { child, url: url.trim().to_owned() };
        if read? == 0 {
            return Err(format!("{command:?} ended before it said where it listens").into());
        }
        Ok(server)
    }

    async fn answer(&mut self) -> Result<(), Failure> {
        let target = Target::find(&self.url).await?;
        let mut connection = Connection::open(&target, Protocol::Http1).await?;
        connection.get("/health").await?.of_status(200, "GET /health")?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn say_hello() -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    let hello =
        |_: Request<Incoming>| async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("hello")))) };
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(hello)));
    }
}
