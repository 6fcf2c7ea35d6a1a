//! Three daemons on one sqld. Daemons are killed and started again under load, and so is sqld: each task is
//! completed once, and nothing that was acknowledged is lost.

#[path = "../common/mod.rs"]
mod common;
#[path = "../crash/facts.rs"]
#[allow(dead_code, reason = "the tests of crashes use more of it")]
mod facts;
mod fleet;
mod start;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use common::PATIENCE;
use fleet::{Fleet, Load, TASKS_PER_RUN};
use selvedge_test_sqld::Sqld;

const DAEMONS: usize = 3;
const WORKERS: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_tasks_over_three_daemons_complete_once_each() {
    let sqld = Sqld::start();
    let mut fleet = Fleet::start(&sqld.url(), DAEMONS).await;
    let load = Arc::new(Load::new(&fleet, 10_000 / TASKS_PER_RUN));
    let mut workers = JoinSet::new();
    load.start_runs().await;
    for number in 0..WORKERS {
        workers.spawn(load.clone().work(number));
    }
    progress(&load, &mut workers, 2_000).await;
    fleet.kill(0);
    progress(&load, &mut workers, 4_000).await;
    fleet.kill(1);
    progress(&load, &mut workers, 5_000).await;
    fleet.restart(1).await;
    progress(&load, &mut workers, 10_000).await;
    load.is_all_there(&fleet).await;
    drop(workers);
    drop(fleet);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_sqld_that_is_killed_loses_nothing() {
    let mut sqld = Sqld::start();
    let fleet = Fleet::start(&sqld.url(), DAEMONS).await;
    let load = Arc::new(Load::new(&fleet, 10));
    let mut workers = JoinSet::new();
    load.start_runs().await;
    for number in 0..WORKERS {
        workers.spawn(load.clone().work(number));
    }
    for tasks in [200, 500, 800] {
        progress(&load, &mut workers, tasks).await;
        sqld.kill();
        sqld.restart();
    }
    progress(&load, &mut workers, 1_000).await;
    load.is_all_there(&fleet).await;
    drop(workers);
    drop(fleet);
}

/// Comes back when so many tasks were acknowledged as completed, as long as they become more.
async fn progress(load: &Load, workers: &mut JoinSet<()>, tasks: usize) {
    let mut count = load.completed();
    let mut seen = *count.borrow_and_update();
    while seen < tasks {
        tokio::select! {
            more = timeout(PATIENCE, count.wait_for(|count| *count > seen)) => {
                seen = *more.unwrap_or_else(|_| panic!("{seen} tasks, and no more")).expect("the load is there");
            }
            Some(ended) = workers.join_next() => panic!("a worker ended: {ended:?}"),
        }
    }
}

/// How long a worker waits before it asks the next daemon.
const NEXT_DAEMON_PAUSE: Duration = Duration::from_millis(20);
