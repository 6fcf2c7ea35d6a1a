//! `kill -9` under load, twenty times, on a file and on a libsql server: nothing acknowledged is lost, no result is
//! accepted twice, nothing is stuck.
//!
//! Clients and workers note every fact that the server has acknowledged. The server is killed when a random
//! number of further facts has been noted, so that the moment falls anywhere between the commits of others;
//! then it is started again and must know all of them. `CRASH_SEED` chooses other random numbers, and
//! `CRASH_ROUNDS` how often.

#[path = "../common/mod.rs"]
mod common;
mod facts;
mod load;

use std::path::PathBuf;
use std::sync::Arc;

use selvedge_test_sqld::Sqld;
use tokio::task::JoinSet;
use tokio::time::timeout;

use common::{Api, PATIENCE, Server, directory, eventually, own_address};
use load::{Load, Random};

const SEED_DEFAULT: u64 = 0x5e17_ed6e;
const ROUNDS: usize = 20;
/// How many facts are noted between two kills, at least and at most.
const FACTS: (u64, u64) = (10, 80);
const CLIENTS: u64 = 3;
const WORKERS: u64 = 5;

/// How a server ends.
#[derive(Debug, Clone, Copy)]
enum Blow {
    /// In the middle of whatever it does.
    Kill,
    /// After what it does.
    Terminate,
    /// It is its database server that is killed, and started again.
    Database,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_server_is_killed() {
    blows(&vec![Blow::Kill; rounds()], 1, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_a_server_or_its_database_server_is_killed() {
    let turns = [Blow::Kill, Blow::Database].into_iter().cycle().take(rounds());
    blows(&turns.collect::<Vec<_>>(), 3, Some(Sqld::start())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_server_is_stopped() {
    blows(&vec![Blow::Terminate; rounds() / 5], 2, None).await;
}

fn rounds() -> usize {
    std::env::var("CRASH_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().expect("a number"))
}

/// Puts a server under load, on a file or on this database server, ends it once for each of these, and judges
/// what is left at the end.
async fn blows(blows: &[Blow], place: u8, mut sqld: Option<Sqld>) {
    let seed = std::env::var("CRASH_SEED").map_or(SEED_DEFAULT, |seed| seed.parse().expect("a number"));
    eprintln!("CRASH_SEED={seed}");
    let mut random = Random::new(seed);
    let directory = directory();
    let database = match &sqld {
        Some(sqld) => PathBuf::from(sqld.url()),
        None => directory.path().join("crash.db"),
    };
    let address = own_address(place);

    let mut server = Server::at(&address, &database, &[]).await;
    load::save_workflows(&server.api()).await;
    let load = Arc::new(Load::new(&server.api(), &server.url));
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(load.clone().client(number, random.fork()));
    }
    let mut workers = JoinSet::new();
    for number in 0..WORKERS {
        workers.spawn(load.clone().worker(number, random.fork()));
    }

    for blow in blows {
        let facts = random.between(FACTS.0, FACTS.1);
        tokio::select! {
            noted = timeout(PATIENCE, load.further(facts)) => noted.expect("the load goes on"),
            Some(ended) = clients.join_next() => panic!("a client ended: {ended:?}"),
            Some(ended) = workers.join_next() => panic!("a worker ended: {ended:?}"),
        }
        let known = match blow {
            Blow::Database => {
                let sqld = sqld.as_mut().expect("only a database server can be killed");
                sqld.kill();
                let known = load.facts_since_last_time();
                sqld.restart();
                known
            }
            Blow::Kill | Blow::Terminate => {
                match blow {
                    Blow::Terminate => assert_eq!(server.stop().await.code, Some(0)),
                    Blow::Kill | Blow::Database => server.process.kill(),
                }
                let known = load.facts_since_last_time();
                server = Server::at(&address, &database, &[]).await;
                load.moved_to(&server.url);
                known
            }
        };
        known.hold(&server.api()).await;
    }

    let api = server.api();
    load.start_no_more();
    while let Some(ended) = clients.join_next().await {
        ended.expect("no client panics");
    }
    everything_finishes(&api).await;
    load.end();
    while let Some(ended) = workers.join_next().await {
        ended.expect("no worker panics");
    }
    let facts = load.all_facts();
    eprintln!("{facts}");
    facts.hold(&api).await;
    facts.are_the_history(&api).await;
    assert_eq!(server.stop().await.code, Some(0));
}

async fn everything_finishes(api: &Api) {
    eventually("no run is unfinished", async || {
        let open = "status=pending&status=running&status=paused&status=cancelling";
        let page = api.get(&format!("/runs?{open}&limit=1")).await.expect(200);
        page["items"].as_array().expect("a page").is_empty().then_some(())
    })
    .await;
    let counts = api.get("/tasks/counts").await.expect(200);
    for status in ["pending", "ready", "running", "waiting", "failed", "cancelled", "skipped"] {
        assert_eq!(counts[status], 0, "{counts}");
    }
}
