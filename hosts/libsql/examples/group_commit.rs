//! What a durable commit costs, alone and shared: writes per second by the number of callers at once.
//!
//! `cargo run --release -p selvedge-libsql --example group_commit [DIRECTORY]`
//!
//! Each write is what a small step of a run costs: one insert and one upsert. The directory should lie on
//! the disk in question; the system's one for temporary files may be memory.

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use selvedge::store::database::{Batch, Database, Outcome, Statement};
use selvedge_libsql::Local;
use selvedge_libsql::local::Options;

/// How long each line is measured.
const PERIOD: Duration = Duration::from_secs(2);

#[allow(clippy::print_stdout, reason = "printing is what it is for")]
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let place = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = tempfile::tempdir_in(place)?;
    let database = Local::open(&directory.path().join("bench.db"), Options::default())?;
    let mut schema = Batch::default();
    schema.push(Statement::new("CREATE TABLE event (caller INTEGER, seq INTEGER, data TEXT)", vec![]));
    schema.push(Statement::new("CREATE TABLE run (caller INTEGER PRIMARY KEY, version INTEGER)", vec![]));
    database.write(vec![schema]).await?;
    println!("callers  writes/s  commits/s  commits per write");
    for callers in [1, 8, 64] {
        let before = database.stats();
        let begun = Instant::now();
        let tasks: Vec<_> =
            (0..callers).map(|caller| tokio::spawn(write_on(database.clone(), caller, begun))).collect();
        for task in tasks {
            task.await?;
        }
        let seconds = begun.elapsed().as_secs_f64();
        let after = database.stats();
        let (writes, commits) = (after.batches - before.batches, after.commits - before.commits);
        let (writes, commits) = (writes as f64, commits as f64);
        println!(
            "{callers:>7}  {:>8.0}  {:>9.0}  {:>17.3}",
            writes / seconds,
            commits / seconds,
            commits / writes
        );
    }
    let begun = Instant::now();
    let mut reads = 0;
    while begun.elapsed() < PERIOD {
        database
            .read(vec![Statement::new("SELECT version FROM run WHERE caller = ?1", vec![1_i64.into()])])
            .await?;
        reads += 1;
    }
    println!("a read of one row: {:.1} µs", begun.elapsed().as_secs_f64() * 1e6 / f64::from(reads));
    Ok(())
}

async fn write_on(database: Local, caller: i64, begun: Instant) {
    let mut seq = 0_i64;
    while begun.elapsed() < PERIOD {
        let mut batch = Batch::default();
        let event = "INSERT INTO event VALUES (?1, ?2, ?3)";
        batch.expect(1, Statement::new(event, vec![caller.into(), seq.into(), "task_completed".into()]));
        let run = "INSERT INTO run VALUES (?1, 1) ON CONFLICT DO UPDATE SET version = version + 1";
        batch.expect(1, Statement::new(run, vec![caller.into()]));
        let outcomes = database.write(vec![batch]).await;
        assert_eq!(outcomes, Ok(vec![Outcome::Committed]));
        seq += 1;
    }
}
