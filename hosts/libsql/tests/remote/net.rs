//! What can stand between a driver and its server, or in its place.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What a proxy does with the server's answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    /// It passes them on.
    Pass,
    /// It cuts the connection when the next one comes, and passes later ones on.
    CutOne,
    /// It cuts the connection whenever one comes.
    Cut,
    /// It keeps them.
    Keep,
}

/// A proxy that loses answers. It ends with the runtime.
pub(crate) struct Proxy {
    address: SocketAddr,
    answers: Arc<watch::Sender<Answers>>,
    server: watch::Sender<Option<SocketAddr>>,
    connections: Arc<AtomicUsize>,
}

impl Proxy {
    pub(crate) async fn of(server: SocketAddr) -> Self {
        let proxy = Self::new().await;
        proxy.lead_to(server);
        proxy
    }

    /// A proxy that lets everybody wait until it has a server.
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
        let address = listener.local_addr().expect("bound");
        let answers = Arc::new(watch::Sender::new(Answers::Pass));
        let (server, mut known) = watch::channel(None::<SocketAddr>);
        let connections = Arc::new(AtomicUsize::new(0));
        let (rule, count) = (answers.clone(), connections.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let Ok(server) = known.wait_for(Option::is_some).await.map(|server| *server) else { return };
                tokio::spawn(pass(client, server.expect("it was waited for"), rule.clone()));
            }
        });
        Self { address, answers, server, connections }
    }

    pub(crate) fn lead_to(&self, server: SocketAddr) {
        self.server.send_replace(Some(server));
    }

    /// How often somebody connected.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn set(&self, answers: Answers) {
        self.answers.send_replace(answers);
    }

    /// Comes back when an answer was cut off, after [`Answers::CutOne`].
    pub(crate) async fn has_cut(&self) {
        let mut rule = self.answers.subscribe();
        rule.wait_for(|answers| *answers == Answers::Pass).await.expect("the sender is here");
    }
}

async fn pass(client: TcpStream, server: SocketAddr, rule: Arc<watch::Sender<Answers>>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let requests = async { tokio::io::copy(&mut from_client, &mut to_server).await };
    let answers = async {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from_server.read(&mut buffer).await {
            let now = *rule.borrow();
            match now {
                Answers::Pass => {}
                Answers::CutOne => {
                    rule.send_replace(Answers::Pass);
                    return;
                }
                Answers::Cut => return,
                Answers::Keep => continue,
            }
            if to_client.write_all(&buffer[..count]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        _ = requests => {}
        () = answers => {}
    }
}

/// A server that gives every request this answer, in which `{authorization}` stands for the header of that
/// name. It returns its address.
pub(crate) async fn always(answer: &str) -> String {
    in_turn(&[answer.to_owned()]).await
}

/// A server that gives these answers in turn, and the last one for ever.
pub(crate) async fn in_turn(answers: &[String]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
    let address = listener.local_addr().expect("bound");
    let answers = answers.to_vec();
    tokio::spawn(async move {
        for turn in 0.. {
            let Ok((mut client, _)) = listener.accept().await else { return };
            let answer = answers[turn.min(answers.len() - 1)].clone();
            tokio::spawn(async move {
                let request = read_request(&mut client).await;
                let line = request.lines().find_map(|line| line.strip_prefix("authorization: "));
                let answer = answer.replace("{authorization}", line.unwrap_or("none"));
                let _ = client.write_all(answer.as_bytes()).await;
            });
        }
    });
    address.to_string()
}

/// An answer in HTTP.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}connection: close\r\n\r\n{body}")
}

/// The head and as much of the body as it says.
async fn read_request(client: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.and_then(|length| length.parse().ok()).unwrap_or(0) {
                return text.into_owned();
            }
        }
        let mut buffer = [0; 4096];
        match client.read(&mut buffer).await {
            Ok(count @ 1..) => bytes.extend_from_slice(&buffer[..count]),
            _ => return text.into_owned(),
        }
    }
}
