//! `selvedge bench` measures what it says: every operation succeeds, and each figure is there.

mod common;

use serde_json::Value;

use common::{PATIENCE, Process, Server, command, directory};

/// The report of a bench in a directory of its own.
async fn report(arguments: &[&str]) -> Value {
    let directory = directory();
    let mut bench = command(&[&["bench", "--format", "json", "--workers", "2"], arguments].concat());
    bench.env("TMPDIR", directory.path());
    let ended = Process::of(bench).ended_within(4 * PATIENCE).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let left = std::fs::read_dir(directory.path()).expect("it is there").count();
    assert_eq!(left, 0, "databases are removed");
    serde_json::from_str(&ended.stdout).expect("a report")
}

fn figure(measurement: &Value, name: &str) -> Option<f64> {
    let figures = measurement["figures"].as_array().expect("figures");
    figures.iter().find(|figure| figure["name"] == name)?["value"].as_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_its_own_is_metered() {
    let workloads = ["one-task", "ten-tasks", "fan-out", "signals", "claim-full"];
    let more = ["--runs", "4", "--connections", "1,2", "--stored", "2000"];
    let report = report(&[&workloads[..], &more].concat()).await;
    let measurements = report["measurements"].as_array().expect("measurements");
    assert_eq!(measurements.len(), 2 * workloads.len());
    for (pair, workload) in measurements.chunks(2).zip(workloads) {
        for measurement in pair {
            assert_eq!(measurement["workload"], workload);
            assert_eq!((&measurement["operations"], &measurement["failures"]), (&4.into(), &0.into()));
            for name in [
                "operations/s",
                "p50",
                "p99.9",
                "max",
                "fsyncs/op",
                "statements/op",
                "queries/op",
                "written/op",
                "server CPU/op",
                "bench CPU/op",
                "server memory, peak",
            ] {
                assert!(figure(measurement, name).is_some(), "{workload}: {name}");
            }
            // Each of them commits something; a claim may share its commit.
            assert!(figure(measurement, "fsyncs/op") > Some(0.0), "{measurement}");
            assert!(figure(measurement, "statements/op") >= Some(1.0), "{measurement}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_compared_under_every_filter() {
    let report = report(&["flat-pages", "--stored", "3000"]).await;
    let measurements = report["measurements"].as_array().expect("measurements");
    let items = |workload: &str| {
        let measurement = measurements.iter().find(|measurement| measurement["workload"] == workload);
        figure(measurement.expect(workload), "items")
    };
    // Three that are rare, and the one that they were copied from.
    for (workload, count) in [
        ("none", 50.0),
        ("status: all", 50.0),
        ("status: few", 4.0),
        ("two statuses: few", 4.0),
        ("workflow: few", 4.0),
        ("id_prefix: all", 50.0),
        ("id_prefix: none", 0.0),
        ("failure_category: few", 4.0),
        ("two tags: few", 4.0),
        ("session: few", 4.0),
        ("attribute range: few", 4.0),
        ("deadline_before: none", 0.0),
        ("updated_before: half", 50.0),
        ("status and workflow: few", 0.0),
    ] {
        assert_eq!(items(workload), Some(count), "{workload}");
    }
}

#[tokio::test]
async fn a_server_that_runs_is_loaded_and_not_metered() {
    let directory = directory();
    let server = Server::start(&directory.path().join("loaded.db")).await;
    for _ in 0..2 {
        let report = report(&["signals", "one-task", "--server", &server.url, "--runs", "5"]).await;
        for measurement in report["measurements"].as_array().expect("measurements") {
            assert_eq!(measurement["operations"], 5, "{measurement}");
            assert!(figure(measurement, "fsyncs/op").is_some(), "the server tells its counts");
            assert_eq!(figure(measurement, "server CPU/op"), None);
        }
    }
    let ended = common::run(&["bench", "sleepers", "--server", &server.url]).await;
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("sleepers fills a database of its own"), "{}", ended.stderr);
    server.stop().await;
}
