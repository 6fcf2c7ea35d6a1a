//! Many runs asleep, some of which fall due at one instant while others read.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use selvedge::time::Timestamp;
use selvedge_load::{Connection, Extent, Pace, Plan, Stop, Unit, run};

use super::place::Place;
use super::reads::Gets;
use super::seed::{Shift, Store};
use super::server::Server;
use super::stretch::Stretch;
use super::{BenchError, Measured, runs};
use crate::cli::BenchArgs;

/// One run that falls due for so many that sleep on.
const SLEEPERS_PER_DUE: u64 = 100;
/// From the last stored run to the instant at which runs fall due: the server starts meanwhile, and reads are
/// measured while all sleep.
const LEAD: Duration = Duration::from_secs(15);
/// How long all sleep before that is measured.
const QUIET: Duration = Duration::from_secs(5);
/// Reads each second, and their connections.
const GETS_PER_SECOND: f64 = 500.0;
const READERS: usize = 8;
/// How often the bench asks whether all that were due have ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A server that has not woken all of them by then never will.
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) async fn measure(args: &BenchArgs) -> Measured {
    let due = (args.stored / SLEEPERS_PER_DUE).max(1);
    let place = Place::new(args)?;
    let asleep = sample(&place).await?;
    let store = Store::open(&place.database())?;
    let template = store.template(&asleep).await?;
    store.copy(&template, (args.stored - due, 0), Shift::Spread).await?;
    // All that fall due were created in one millisecond, as long ago as they sleep.
    let instant = now_millis() + LEAD.as_millis() as i64;
    let created_at = instant - SLEEP_MILLIS;
    store.copy(&template, (due, args.stored), Shift::By(created_at - template.created_at())).await?;
    drop(store);

    let server = place.serve().await?;
    let asleep_path = format!("/api/v1/runs/{asleep}");
    let gets = Arc::new(Gets { target: server.target.clone(), path: move |_| asleep_path.clone() });
    let reading = |extent| Plan {
        connections: READERS,
        pace: Pace::Open { per_second: GETS_PER_SECOND },
        extent,
        first: 0,
    };

    let before = reading(Extent::Time(QUIET));
    let stretch = Stretch::begin(&server).await?;
    let quiet = run(gets.clone(), &before).await?;
    let cost = stretch.end(&server).await?;
    let resident = cost.resident().unwrap_or_default() as f64;
    let asleep = cost.measurement("sleepers: asleep", &before, &quiet);
    let asleep = asleep.with("server memory", resident, Unit::Bytes);
    if now_millis() >= instant {
        return Err(BenchError::Server(format!("took more than {LEAD:?} to start: nothing slept any more")));
    }

    let left = Duration::from_millis((instant - now_millis()).max(0) as u64);
    tokio::time::sleep(left).await;
    let stop = Stop::default();
    let while_waking = reading(Extent::Until(stop.clone()));
    let stretch = Stretch::begin(&server).await?;
    let begun = Instant::now();
    let waking = async {
        let woken = all_awake(&server, created_at).await;
        let took = begun.elapsed();
        stop.raise();
        woken.map(|()| took)
    };
    let (woken, read) = tokio::join!(waking, run(gets, &while_waking));
    let took = woken?;
    let cost = stretch.end(&server).await?;
    let per_second = due as f64 / took.as_secs_f64();
    let waking = selvedge_load::Measurement::new(
        "sleepers: waking",
        &super::subject(),
        &while_waking,
        &read?,
        cost.steal(),
    );
    let waking = cost.onto(waking, "woken", due).with("woken/s", per_second, Unit::PerSecond);
    server.stop().await?;
    Ok(vec![asleep, waking])
}

/// What each run sleeps.
const SLEEP: &str = "30d";
const SLEEP_MILLIS: i64 = 30 * 24 * 60 * 60 * 1000;

async fn sample(place: &Place) -> Result<String, BenchError> {
    let server = place.serve().await?;
    let document = format!(r#"{{"selvedge":1,"name":"sleeper","tasks":{{"nap":{{"sleep":"{SLEEP}"}}}}}}"#);
    server.save("sleeper", document).await?;
    let run = runs::start(&server, r#"{"workflow":"sleeper"}"#).await?;
    server.stop().await?;
    Ok(run)
}

/// Comes back when no run that was created then is running.
async fn all_awake(server: &Server, created_at: i64) -> Result<(), BenchError> {
    let after = Timestamp::from_millis(created_at - 1);
    let before = Timestamp::from_millis(created_at + 1);
    let path = format!("/api/v1/runs?status=running&created_after={after}&created_before={before}&limit=1");
    let mut connection: Connection = server.connect().await?;
    let begun = Instant::now();
    loop {
        let answer = connection.get(&path).await?.of_status(200, &path)?;
        if answer.body.starts_with(br#"{"items":[],"#) {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            return Err(BenchError::Server(format!("has not woken all runs in {PATIENCE:?}")));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn now_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
