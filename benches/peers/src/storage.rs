//! What the disk and SQLite allow, without anything of Selvedge: a group commit of SQLite, and an fsync alone.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use rusqlite::Connection;
use selvedge_load::Latencies;

use crate::fault::Fault;
use crate::loops::{Limit, Loops, Order};

/// Rows that a workflow of one step is written as: the run, the task, and what happened to them.
const ROWS: i64 = 4;
/// Bytes of a row.
const ROW_BYTES: usize = 200;
/// Bytes that are appended before an fsync.
const PAGE_BYTES: usize = 4096;

/// Commits of `order.connections` workflows each, in WAL mode with `synchronous=FULL`. An operation is one
/// workflow, a latency that of its commit.
pub fn group_commits(file: &Path, order: &Order) -> Result<Loops, Fault> {
    let mut database = Connection::open(file)?;
    database.pragma_update(None, "journal_mode", "wal")?;
    database.pragma_update(None, "synchronous", "full")?;
    database.execute_batch("CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, body BLOB NOT NULL)")?;
    let body = [7_u8; ROW_BYTES];
    repeat(order, order.connections as u64, || {
        let transaction = database.transaction()?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO rows (body) VALUES (?1)")?;
            for _ in 0..ROWS * order.connections as i64 {
                insert.execute([&body[..]])?;
            }
        }
        Ok(transaction.commit()?)
    })
}

/// Appends and `fdatasync`s, one after the other.
pub fn fsyncs(file: &Path, order: &Order) -> Result<Loops, Fault> {
    let mut file = File::options().create(true).append(true).open(file)?;
    let page = [7_u8; PAGE_BYTES];
    repeat(order, 1, || {
        file.write_all(&page)?;
        Ok(file.sync_data()?)
    })
}

/// Does it again and again; each time counts as so many operations.
fn repeat(order: &Order, each: u64, mut once: impl FnMut() -> Result<(), Fault>) -> Result<Loops, Fault> {
    let (mut latencies, mut operations, start) = (Latencies::default(), 0, Instant::now());
    loop {
        let is_over = match order.limit {
            Limit::Operations(count) => operations >= count,
            Limit::Seconds(seconds) => start.elapsed().as_secs_f64() >= seconds,
        };
        if is_over {
            break;
        }
        let begin = Instant::now();
        once()?;
        latencies.record(begin.elapsed());
        operations += each;
    }
    let ms = |part| latencies.quantile(part).as_secs_f64() * 1e3;
    Ok(Loops {
        operations,
        seconds: start.elapsed().as_secs_f64(),
        p50_ms: ms(0.5),
        p99_ms: ms(0.99),
        p999_ms: ms(0.999),
    })
}
