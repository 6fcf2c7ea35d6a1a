//! The results as people read them: ratios first, each with the two numbers that it is made of, and the
//! conditions without which none of them means anything.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use selvedge_load::Conditions;
use serde::Serialize;
use tokio::process::Command;

use crate::compare::{Plan, Results};
use crate::contender::{Contender, Setup};
use crate::fault::{Fault, fault};
use crate::loops::Limit;
use crate::measure::Sample;
use crate::plot;
use crate::ratio::{Ratio, Spread, ratios};

/// The versions of the crates that are compared.
const LOCK: &str = include_str!("../Cargo.lock");
/// Asks git which commit this is built from.
const COMMIT: [&str; 5] = ["-C", env!("CARGO_MANIFEST_DIR"), "rev-parse", "--short", "HEAD"];
const LOCKED: [&str; 4] = ["restate-sdk", "dbos", "hyper", "libsql-rusqlite"];

/// With more of the processors' time gone to programs that have nothing to do with this, rates and latencies say
/// who was luckier.
const FOREIGN_MAX: f64 = 0.1;

/// Everything that is written.
#[derive(Serialize)]
pub struct Report {
    conditions: Conditions,
    ratios: Vec<Ratio>,
    results: Results,
}

impl Report {
    /// Of these results, and of this machine.
    pub async fn new(setup: &Setup, plan: &Plan, results: Results) -> Result<Report, Fault> {
        let took_part =
            |contender: Contender| results.samples.iter().any(|one| one.contender == contender.label());
        let mut settings = vec![
            ("when".to_owned(), said("date".as_ref(), &["-u", "+%Y-%m-%d %H:%M UTC"]).await?),
            ("Selvedge".to_owned(), said(&setup.selvedge.daemon, &["--version"]).await?),
            ("Selvedge's commit".to_owned(), said("git".as_ref(), &COMMIT).await?),
            ("file system of the databases".to_owned(), file_system(&plan.directory)?),
            ("rounds".to_owned(), plan.rounds.to_string()),
            ("each measurement".to_owned(), extent(plan.limit)),
            ("warm-up before it".to_owned(), extent(plan.warm_up)),
            ("measurements discarded for steal".to_owned(), results.discarded.to_string()),
        ];
        if took_part(Contender::Restate) || took_part(Contender::RestateTuned) {
            settings.push(("Restate".to_owned(), said(&setup.restate.server, &["--version"]).await?));
            settings.push(("Restate: partitions, where not said".to_owned(), "24, its default".to_owned()));
            settings.push(("Restate: rocksdb-disable-wal-fsync".to_owned(), "false, its default".to_owned()));
        }
        if took_part(Contender::Dbos) {
            settings.push(("DBOS: connections of its pool".to_owned(), setup.dbos_pool.to_string()));
        }
        settings.extend(LOCKED.iter().map(|name| (format!("crate {name}"), locked(name))));
        settings.extend(results.settings.iter().cloned());
        let ratios = ratios(&results.samples);
        Ok(Report { conditions: Conditions::here(settings), ratios, results })
    }

    /// Writes the page, the plot and all numbers into a directory.
    pub fn write(&self, directory: &Path) -> Result<(), Fault> {
        fs::create_dir_all(directory)?;
        let json = serde_json::to_string_pretty(self)? + "\n";
        let files = [("peers.md", self.markdown()), ("peers.svg", self.plot()), ("peers.json", json)];
        for (name, text) in files {
            let path = directory.join(name);
            fs::write(&path, text).map_err(|cause| fault!("{}: {cause}", path.display()))?;
        }
        Ok(())
    }

    /// The page.
    pub fn markdown(&self) -> String {
        let mut out = String::from(
            "# Beside its peers\n\n\
             What `benches/peers/run` measured and wrote; `benches/peers/README.md` says what was done. A ratio \
             above 1 is in Selvedge's favour. It is the median over the rounds, of which each compares \
             measurements minutes apart; behind it are the least and the greatest. The numbers under a ratio are \
             those that it is made of, Selvedge's first: they hold for this machine and this hour only.\n\n",
        );
        if !self.bars().is_empty() {
            out.push_str("![Ratios of Selvedge to its peers](peers.svg)\n\n");
        }
        if self.results.samples.iter().any(|sample| sample.foreign > FOREIGN_MAX) {
            out.push_str(
                "**Other programs were running, see the conditions: only the ratios of CPU are worth reading.**\n\n",
            );
        }
        let mut shown = "";
        for ratio in &self.ratios {
            if ratio.theirs != shown {
                shown = ratio.theirs;
                heading(&mut out, ratio);
            }
            row(&mut out, ratio);
        }
        self.references(&mut out);
        self.told(&mut out);
        out
    }

    fn plot(&self) -> String {
        plot::svg("Selvedge beside its peers: how many times better (right is better)", &self.bars())
    }

    /// What is drawn: peers that do the same with the same durability, at the shortest and the longest workflow.
    fn bars(&self) -> Vec<&Ratio> {
        let drawn = [Contender::Restate, Contender::RestateTuned, Contender::Dbos].map(Contender::label);
        let is_drawn =
            |ratio: &&Ratio| drawn.contains(&ratio.theirs) && !["c", "e3"].contains(&ratio.workload);
        self.ratios.iter().filter(is_drawn).collect()
    }

    /// What the disk and SQLite alone allow, and which part of it is left.
    fn references(&self, out: &mut String) {
        let best = |contender: Contender, workload: &str, connections| {
            let mut of: Vec<&Sample> = self.results.samples.iter().collect();
            of.retain(|sample| {
                (sample.contender, sample.workload, sample.connections)
                    == (contender.label(), workload, connections)
            });
            of.into_iter().max_by(|one, other| one.per_second.total_cmp(&other.per_second))
        };
        let mut rows = String::new();
        let commit = best(Contender::Sqlite, "commit", 64);
        let fsync = best(Contender::Fsync, "fsync", 1);
        for (contender, workload) in [(Contender::Selvedge, "a"), (Contender::Embed, "e1")] {
            if let (Some(ours), Some(bare)) = (best(contender, workload, 64), commit) {
                let _ = writeln!(
                    rows,
                    "| {}, 1 step, 64 callers: workflows per second | SQLite alone, 64 workflows of 4 rows in a \
                     commit | {:.2} of it ({} : {}) |",
                    ours.contender,
                    ours.per_second / bare.per_second,
                    digits(ours.per_second),
                    digits(bare.per_second)
                );
            }
            if let (Some(ours), Some(bare)) = (best(contender, workload, 1), fsync) {
                let _ = writeln!(
                    rows,
                    "| {}, 1 step, 1 caller: median latency | `fdatasync` of 4 KiB appended, median | {} of them \
                     ({} ms : {} ms) |",
                    ours.contender,
                    digits(ours.p50_ms / bare.p50_ms),
                    digits(ours.p50_ms),
                    digits(bare.p50_ms)
                );
            }
        }
        if !rows.is_empty() {
            let _ = write!(out, "\n## Bare references\n\n| | beside | ratio |\n| --- | --- | --- |\n{rows}");
        }
    }

    fn told(&self, out: &mut String) {
        let Conditions { processor, processors, memory, kernel, settings, .. } = &self.conditions;
        let samples = &self.results.samples;
        let most = |figure: fn(&Sample) -> f64| samples.iter().map(figure).fold(0.0, f64::max) * 100.0;
        let _ = write!(
            out,
            "\n## Conditions\n\n{processors} × {processor}, {:.0} GiB of memory, Linux {kernel}. Load generators ran \
             on the same machine, and their CPU is counted for nobody. The host took at most {:.1} % of the \
             processors' time during a measurement, programs that have nothing to do with this at most {:.1} %.\n\n| | |\n| --- | --- |\n",
            *memory as f64 / (1u64 << 30) as f64,
            most(|sample| sample.steal),
            most(|sample| sample.foreign),
        );
        for (name, setting) in settings {
            let _ = writeln!(out, "| {name} | {setting} |");
        }
    }
}

fn heading(out: &mut String, ratio: &Ratio) {
    let note = match ratio.theirs {
        theirs if theirs == Contender::WorkflowGraph.label() => {
            ": in memory, nothing of it is durable, and it answers no results"
        }
        _ => "",
    };
    let _ = write!(
        out,
        "\n## Beside {}{note}\n\n| | callers | per second | median latency | CPU for each | memory |\n\
         | --- | ---: | --- | --- | --- | --- |\n",
        ratio.theirs
    );
}

fn row(out: &mut String, ratio: &Ratio) {
    let mebibytes = |value: f64| format!("{} MiB", digits(value / 1048576.0));
    let ms = |value: f64| format!("{} ms", digits(value));
    let name = if ratio.ours.starts_with("GET") { ratio.ours } else { ratio.title };
    let _ = writeln!(
        out,
        "| {name} | {} | {} | {} | {} | {} |",
        ratio.connections,
        cell(&ratio.rate, digits),
        cell(&ratio.p50, ms),
        cell(&ratio.cpu, ms),
        cell(&ratio.memory, mebibytes),
    );
}

fn cell(spread: &Spread, shown: impl Fn(f64) -> String) -> String {
    if !spread.median.is_finite() {
        return format!("– ({} : {})", shown(spread.ours), shown(spread.theirs));
    }
    format!(
        "**{}** ({:.2}–{:.2})<br>{} : {}",
        plot::times(spread.median),
        spread.min,
        spread.max,
        shown(spread.ours),
        shown(spread.theirs)
    )
}

/// About three digits.
fn digits(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value if value >= 1.0 => format!("{value:.2}"),
        value => format!("{value:.3}"),
    }
}

fn extent(limit: Limit) -> String {
    match limit {
        Limit::Operations(count) => format!("{count} operations"),
        Limit::Seconds(seconds) => format!("{seconds} s"),
    }
}

/// The first line that a program says.
async fn said(program: &Path, arguments: &[&str]) -> Result<String, Fault> {
    let output = Command::new(program).args(arguments).output().await;
    let output = output.map_err(|cause| fault!("{}: {cause}", program.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or("unknown").to_owned())
}

/// The version of a crate in this package's lock file.
fn locked(name: &str) -> String {
    let wanted = format!("name = \"{name}\"");
    let mut lines = LOCK.lines().skip_while(|line| *line != wanted).skip(1);
    lines.next().and_then(|line| line.strip_prefix("version = ")).unwrap_or("?").trim_matches('"').to_owned()
}

/// The type of the file system that a path is on: of the mount whose place is the longest begin of the path.
fn file_system(path: &Path) -> Result<String, Fault> {
    let path = path.canonicalize().map_err(|cause| fault!("{}: {cause}", path.display()))?;
    let mounts = fs::read_to_string("/proc/mounts")?;
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?, words.next()?, words.next()?))
    });
    let of = mounts.filter(|(place, _, _)| path.starts_with(place)).max_by_key(|(place, _, _)| place.len());
    Ok(of.map_or("unknown".to_owned(), |(_, kind, options)| format!("{kind} ({options})")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ratio::tests::sample;

    #[test]
    fn the_page_has_ratios_references_and_conditions() {
        let samples = vec![
            sample("a", "Selvedge", 1, 800.0),
            sample("a", "Restate", 1, 100.0),
            sample("commit", "SQLite", 1, 8000.0),
        ];
        let conditions = Conditions::here(vec![("rounds".into(), "1".into())]);
        let ratios = ratios(&samples);
        let report = Report { conditions, ratios, results: Results { samples, ..Results::default() } };
        let page = report.markdown();
        for expected in [
            "## Beside Restate\n",
            "| 1 step | 64 | **8.0×** (8.00–8.00)<br>800 : 100 |",
            "| 0.10 of it (800 : 8000) |",
            "| rounds | 1 |",
        ] {
            assert!(page.contains(expected), "expected {expected:?} in:\n{page}");
        }
    }

    #[test]
    fn versions_are_those_of_the_lock_file() {
        assert_eq!((locked("dbos").as_str(), locked("no such crate").as_str()), ("0.5.0", "?"));
    }

    #[test]
    fn a_path_has_a_file_system() {
        assert!(file_system(Path::new("/proc/self")).is_ok_and(|kind| kind.starts_with("proc")));
        assert!(file_system(Path::new("/no/such/place")).is_err());
    }
}
