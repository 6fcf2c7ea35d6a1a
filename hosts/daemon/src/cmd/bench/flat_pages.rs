//! Whether a page of runs under a filter costs more than one without, among many: each filter that is
//! documented, once where all runs match and once where one in a thousand does.

use std::time::{Duration, Instant};

use selvedge::time::Timestamp;
use selvedge_load::{Connection, Extent, Latencies, Measurement, Outcome, Pace, Plan, Unit, Watch};

use super::place::Place;
use super::reads::PAGE;
use super::seed::{Shift, Store};
use super::{BenchError, Measured, runs, subject};
use crate::cli::BenchArgs;

/// One run that is rare after so many that are not.
const COMMON_PER_RARE: u64 = 1000;
/// How often each page is read, and the one without a filter beside it, unless the command line says otherwise.
const READS: u64 = 200;
/// A deadline that all runs have.
const TIMEOUT: &str = "365d";

pub(super) async fn measure(args: &BenchArgs) -> Measured {
    let place = Place::new(args)?;
    let middle = fill(args, &place).await?;
    let server = place.serve().await?;
    let mut connection = server.connect().await?;
    let mut measurements = Vec::new();
    for (name, filter) in filters(middle) {
        let path = if filter.is_empty() { PAGE.to_owned() } else { format!("{PAGE}&{filter}") };
        measurements.push(compare(&mut connection, name, &path, args.runs.unwrap_or(READS)).await?);
    }
    server.stop().await?;
    Ok(measurements)
}

/// Filters by what they are: the query, where all or half of the runs match, and where few do.
fn filters(middle: Timestamp) -> Vec<(&'static str, String)> {
    let (past, future) = (Timestamp::from_millis(1), Timestamp::from_millis(i64::from(u32::MAX) * 1000));
    let rows = [
        ("none", String::new()),
        ("status: all", "status=running".to_owned()),
        ("status: few", "status=cancelled".to_owned()),
        ("two statuses: all", "status=running&status=failed".to_owned()),
        ("two statuses: few", "status=cancelled&status=failed".to_owned()),
        ("workflow: all", "workflow=common".to_owned()),
        ("workflow: few", "workflow=rare".to_owned()),
        ("id_prefix: all", "id_prefix=0".to_owned()),
        ("id_prefix: none", "id_prefix=zz".to_owned()),
        ("failure_category: none", "failure_category=timeout".to_owned()),
        ("failure_category: few", "failure_category=cancelled".to_owned()),
        ("tag: all", "tag=common".to_owned()),
        ("tag: few", "tag=rare".to_owned()),
        ("two tags: all", "tag=common&tag=every".to_owned()),
        ("two tags: few", "tag=every&tag=rare".to_owned()),
        ("session: all", "session=common".to_owned()),
        ("session: few", "session=rare".to_owned()),
        ("parent: none", "parent=nobody".to_owned()),
        ("created_after: half", format!("created_after={middle}")),
        ("created_before: half", format!("created_before={middle}")),
        ("updated_after: half", format!("updated_after={middle}")),
        ("updated_before: half", format!("updated_before={middle}")),
        ("updated_before: half, by updated", format!("updated_before={middle}&sort=-updated_at")),
        ("deadline_after: all", format!("deadline_after={past}")),
        ("deadline_before: all", format!("deadline_before={future}")),
        ("deadline_before: none", format!("deadline_before={past}")),
        ("attribute equal: all", "attribute.kind=common".to_owned()),
        ("attribute equal: few", "attribute.kind=rare".to_owned()),
        ("attribute range: all", "attribute.size.gte=1".to_owned()),
        ("attribute range: few", "attribute.size.gt=1".to_owned()),
        ("sort by creation, oldest first", "sort=created_at".to_owned()),
        ("sort by change", "sort=-updated_at".to_owned()),
        ("status and workflow: few", "status=cancelled&workflow=common".to_owned()),
        ("tag and session: few", "tag=common&session=rare".to_owned()),
    ];
    rows.into_iter().collect()
}

/// Stores runs, and answers with a time before which half of them were created.
async fn fill(args: &BenchArgs, place: &Place) -> Result<Timestamp, BenchError> {
    let server = place.serve().await?;
    let mut samples = Vec::new();
    for (name, size) in [("common", 1), ("rare", 2)] {
        let document = format!(r#"{{"selvedge":1,"name":"{name}","tasks":{{"go":{{"signal":"go"}}}}}}"#);
        server.save(name, document).await?;
        let body = format!(
            r#"{{"workflow":"{name}","tags":["{name}","every"],"session_id":"{name}",
                "attributes":{{"kind":"{name}","size":{size}}},"execution_timeout":"{TIMEOUT}"}}"#
        );
        samples.push(runs::start(&server, &body).await?);
    }
    let cancel = format!("/api/v1/runs/{}/cancel", samples[1]);
    let mut connection = server.connect().await?;
    connection.send(http::Method::POST, &cancel, http::HeaderMap::new(), bytes::Bytes::new()).await?;
    server.stop().await?;

    let store = Store::open(&place.database())?;
    let (common, rare) = (store.template(&samples[0]).await?, store.template(&samples[1]).await?);
    let blocks = args.stored.div_ceil(COMMON_PER_RARE);
    let span = (COMMON_PER_RARE + 1) as i64;
    let back = |block: u64| (blocks - block) as i64 * span;
    for block in 0..blocks {
        // Each block is a stretch of time of its own, before the next one.
        let serial = block * (COMMON_PER_RARE + 1);
        store.copy(&common, (COMMON_PER_RARE, serial), Shift::SpreadBefore(back(block))).await?;
        store.copy(&rare, (1, serial + COMMON_PER_RARE), Shift::SpreadBefore(back(block))).await?;
    }
    let first = common.created_at() - back(0);
    let newest = common.created_at();
    Ok(Timestamp::from_millis(first + (newest - first) / 2))
}

/// The page and the one without a filter, in turns.
async fn compare(
    connection: &mut Connection,
    name: &str,
    path: &str,
    reads: u64,
) -> Result<Measurement, BenchError> {
    let watch = Watch::start();
    let (mut plain, mut filtered) = (Latencies::default(), Latencies::default());
    let mut items = 0;
    let begun = Instant::now();
    for _ in 0..reads {
        timed(connection, PAGE, &mut plain).await?;
        items = timed(connection, path, &mut filtered).await?;
    }
    let ratio = |part| millis(filtered.quantile(part)) / millis(plain.quantile(part));
    let plan = Plan { connections: 1, pace: Pace::Closed, extent: Extent::Operations(reads), first: 0 };
    let (ratio, p50) = (ratio(0.5), filtered.quantile(0.5));
    let outcome = Outcome { latencies: filtered, failures: 0, first_failure: None, elapsed: begun.elapsed() };
    let mut measurement = Measurement::new(name, &subject(), &plan, &outcome, watch.stolen());
    // The rate is that of both pages in turns: it says nothing.
    measurement.figures.clear();
    let measurement = measurement.with_time("p50", p50).with("p50, ratio", ratio, Unit::Ratio);
    Ok(measurement.with("items", items as f64, Unit::Count))
}

/// Reads a page and says how many items it has.
async fn timed(
    connection: &mut Connection,
    path: &str,
    latencies: &mut Latencies,
) -> Result<usize, BenchError> {
    const ITEM: &[u8] = br#"{"id":""#;
    let begun = Instant::now();
    let answer = connection.get(path).await?.of_status(200, path)?;
    latencies.record(begun.elapsed());
    Ok(answer.body.windows(ITEM.len()).filter(|window| *window == ITEM).count())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
