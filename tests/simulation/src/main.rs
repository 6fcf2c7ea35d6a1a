//! The long run: `cargo run --release -p selvedge-simulation -- --seeds 100000`.
#![allow(clippy::print_stdout, reason = "it prints what it has played")]

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use selvedge::planted::{Bug, plant};
use selvedge_simulation::many::{Many, Outcome};
use selvedge_simulation::plan::{Parts, Plan};
use selvedge_simulation::play::{self, Failure};
use selvedge_simulation::trace::Telling;

/// Plays worlds in which everything goes wrong, and says what was played.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// How many seeds to play, each twice
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Play this seed alone
    #[arg(long)]
    seed: Option<u64>,
    /// Parts of the world to leave out, such as 3,7-12
    #[arg(long, default_value = "")]
    without: Parts,
    /// Plant a bug in the servers
    #[arg(long, value_parser = bug)]
    plant: Option<Bug>,
    /// Print the story of the seed while it is played
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Do not bring a failure down to what it takes
    #[arg(long)]
    no_shrink: bool,
    /// On how many threads
    #[arg(long, default_value_t = std::thread::available_parallelism().map_or(1, usize::from))]
    jobs: usize,
}

fn bug(word: &str) -> Result<Bug, String> {
    let found = Bug::ALL.into_iter().find(|(_, known)| *known == word).map(|(bug, _)| bug);
    found.ok_or_else(|| format!("expected one of {}", Bug::ALL.map(|(_, word)| word).join(", ")))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    plant(arguments.plant);
    match arguments.seed {
        Some(seed) if arguments.trace => tell(seed, &arguments),
        Some(seed) => many(&Arguments { from: seed, seeds: 1, jobs: 1, ..arguments }),
        None => many(&arguments),
    }
}

/// Plays one seed once and prints its story.
fn tell(seed: u64, arguments: &Arguments) -> ExitCode {
    let plan = Plan::new(seed, &arguments.without);
    eprintln!("{plan:#?}");
    match play::whole(&plan, Telling::Aloud) {
        Ok(_) => ExitCode::SUCCESS,
        Err(violation) => {
            println!(
                "seed {seed} breaks \"{}\" at step {}: {}",
                violation.property, violation.step, violation.what
            );
            ExitCode::FAILURE
        }
    }
}

fn many(arguments: &Arguments) -> ExitCode {
    let begun = Instant::now();
    let Arguments { from, seeds, jobs, plant: planted, .. } = *arguments;
    let many = Many { from, seeds, jobs, planted, without: arguments.without.clone() };
    let every = (seeds / 20).max(1);
    let outcome = many.play(|done| {
        if done % every == 0 && seeds > 1 {
            eprintln!("{done} of {seeds} seeds, {} s", begun.elapsed().as_secs());
        }
    });
    let Outcome { seeds: played, coverage, failure } = outcome;
    println!("{coverage}");
    println!("seeds        {from} to {}: {played} played, each twice", from + seeds.saturating_sub(1));
    println!("transitions  {} in {} runs (of one play of each seed)", coverage.transitions, coverage.runs);
    println!("steps        {}, {} h of the worlds' time", coverage.steps, coverage.millis / 3_600_000);
    println!("took         {} s on {jobs} threads", begun.elapsed().as_secs());
    let missing = if failure.is_none() { coverage.missing() } else { Vec::new() };
    println!("not reached  {}", if missing.is_empty() { "nothing".to_owned() } else { missing.join("; ") });
    match failure {
        None => {
            println!("broken       nothing");
            ExitCode::SUCCESS
        }
        Some(failure) => {
            report(failure, arguments);
            ExitCode::FAILURE
        }
    }
}

fn report(failure: Failure, arguments: &Arguments) {
    let say = |failure: &Failure| {
        println!("broken       {}: {}", failure.violation.property, failure.violation.what);
        println!("again        {}", failure.command(arguments.plant));
    };
    say(&failure);
    if !arguments.no_shrink {
        let shrunk = play::shrink(failure);
        println!("brought down to {} parts that can be left out:", shrunk.left);
        say(&shrunk);
    }
}
