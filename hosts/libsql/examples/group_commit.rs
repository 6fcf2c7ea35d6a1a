//! What a durable commit costs, alone and shared: writes per second by the number of callers at once, on a file
//! and on a libsql server.
//!
//! `cargo run --release -p selvedge-libsql --example group_commit [DIRECTORY] [SERVER]`
//!
//! Each write is what a small step of a run costs: one insert and one upsert. The directory should lie on
//! the disk in question; the system's one for temporary files may be memory. The server is an address such
//! as `http://127.0.0.1:8081`; its database gets two tables that are gone afterwards.

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use selvedge::store::database::{Batch, Database, Outcome, Statement};
use selvedge_libsql::{Libsql, Local, Place};

/// How long each line is measured.
const PERIOD: Duration = Duration::from_secs(2);

/// How many callers write at once, line by line.
const CALLERS: [i64; 3] = [1, 8, 64];

#[allow(clippy::print_stdout, reason = "printing is what it is for")]
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let place = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = tempfile::tempdir_in(place)?;
    let file = Local::open(&directory.path().join("bench.db"), Default::default())?;
    println!("on a file:");
    let on_file = measure(&file.into()).await?;
    if let Some(server) = arguments.next() {
        let server = Libsql::open(&server.parse::<Place>()?, None).await?;
        println!("on a server:");
        let on_server = measure(&server).await?;
        for ((callers, file), server) in CALLERS.iter().zip(on_file).zip(on_server) {
            println!("{callers} callers: {:.2} of a file's writes per second", server / file);
        }
    }
    Ok(())
}

/// Prints a line for each number of callers, and returns their writes per second.
#[allow(clippy::print_stdout, reason = "printing is what it is for")]
async fn measure(database: &Libsql) -> Result<Vec<f64>, Box<dyn Error>> {
    let tables =
        ["event (caller INTEGER, seq INTEGER, data TEXT)", "run (caller INTEGER PRIMARY KEY, version)"];
    let mut schema = Batch::default();
    for table in tables {
        schema.push(Statement::new(format!("CREATE TABLE group_commit_{table}"), vec![]));
    }
    database.write(vec![schema]).await?;
    let mut speeds = Vec::new();
    println!("callers  writes/s  commits/s  commits per write");
    for callers in CALLERS {
        let (before, begun) = (counts(database), Instant::now());
        let tasks: Vec<_> =
            (0..callers).map(|caller| tokio::spawn(write_on(database.clone(), caller, begun))).collect();
        for task in tasks {
            task.await?;
        }
        let seconds = begun.elapsed().as_secs_f64();
        let after = counts(database);
        let (writes, commits) = ((after.0 - before.0) as f64, (after.1 - before.1) as f64);
        let per_write = commits / writes;
        println!("{callers:>7}  {:>8.0}  {:>9.0}  {per_write:>17.3}", writes / seconds, commits / seconds);
        speeds.push(writes / seconds);
    }
    let begun = Instant::now();
    let mut reads = 0;
    while begun.elapsed() < PERIOD {
        let read = "SELECT version FROM group_commit_run WHERE caller = ?1";
        database.read(vec![Statement::new(read, vec![1_i64.into()])]).await?;
        reads += 1;
    }
    println!("a read of one row: {:.1} µs", begun.elapsed().as_secs_f64() * 1e6 / f64::from(reads));
    let mut gone = Batch::default();
    for table in ["event", "run"] {
        gone.push(Statement::new(format!("DROP TABLE group_commit_{table}"), vec![]));
    }
    database.write(vec![gone]).await?;
    Ok(speeds)
}

/// How many batches were kept, in how many transactions.
fn counts(database: &Libsql) -> (u64, u64) {
    match database {
        Libsql::Local(local) => (local.stats().batches, local.stats().commits),
        Libsql::Remote(remote) => (remote.stats().batches, remote.stats().groups),
    }
}

async fn write_on(database: Libsql, caller: i64, begun: Instant) {
    let mut seq = 0_i64;
    while begun.elapsed() < PERIOD {
        let mut batch = Batch::default();
        let event = "INSERT INTO group_commit_event VALUES (?1, ?2, ?3)";
        batch.expect(1, Statement::new(event, vec![caller.into(), seq.into(), "task_completed".into()]));
        let run =
            "INSERT INTO group_commit_run VALUES (?1, 1) ON CONFLICT DO UPDATE SET version = version + 1";
        batch.expect(1, Statement::new(run, vec![caller.into()]));
        let outcomes = database.write(vec![batch]).await;
        assert_eq!(outcomes, Ok(vec![Outcome::Committed]));
        seq += 1;
    }
}
