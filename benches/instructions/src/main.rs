//! How many instructions a decision, a request and a page take: a number that a busy machine does not change.
//!
//! `cargo bench -p selvedge-instructions` runs every scenario under valgrind's callgrind, prints its count
//! beside that of `baseline.toml`, and fails if one is above 1.05 of it. With `--update` it writes the
//! baseline. Words choose scenarios by parts of their names.

#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

mod baseline;
mod callgrind;
mod database;
mod decisions;
mod platform;
mod requests;
mod scenario;

use std::process::ExitCode;

use baseline::Baseline;
use scenario::Scenario;

/// A count may be so many times that of the baseline.
const RATIO_MAX: f64 = 1.05;
/// Has this program carry out a scenario instead of counting it.
const CARRY_OUT: &str = "--carry-out";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [carry_out, name] = &arguments[..]
        && carry_out == CARRY_OUT
    {
        Scenario::named(name).expect("this program names its own scenarios").carry_out();
        return ExitCode::SUCCESS;
    }
    // Cargo itself passes `--bench`.
    let words: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    match count(&words, arguments.iter().any(|argument| argument == "--update")) {
        Ok(worse) if worse.is_empty() => ExitCode::SUCCESS,
        Ok(worse) => {
            println!("more than {RATIO_MAX} of the baseline: {}", worse.join(", "));
            ExitCode::FAILURE
        }
        Err(fault) => {
            println!("error: {fault}");
            ExitCode::FAILURE
        }
    }
}

/// Counts the scenarios, and answers with the names of those that have become dearer.
fn count(words: &[&String], update: bool) -> Result<Vec<String>, String> {
    let mut baseline = Baseline::load()?;
    if let Some(difference) = baseline.other_compiler() {
        println!("{difference}");
    }
    let mut worse = Vec::new();
    println!("{:<24} {:>14} {:>14} {:>7}", "scenario", "instructions", "baseline", "ratio");
    let chosen = Scenario::all().into_iter().filter(|scenario| {
        words.is_empty() || words.iter().any(|word| scenario.name().contains(word.as_str()))
    });
    for scenario in chosen {
        let name = scenario.name();
        let count = callgrind::count(&name)? / scenario::TIMES;
        match baseline.get(&name) {
            Some(before) => {
                let ratio = count as f64 / before as f64;
                println!("{name:<24} {count:>14} {before:>14} {ratio:>7.3}");
                if ratio > RATIO_MAX {
                    worse.push(name.clone());
                }
            }
            None => println!("{name:<24} {count:>14} {:>14} {:>7}", "–", "–"),
        }
        baseline.set(name, count);
    }
    if update {
        baseline.save()?;
        println!("baseline.toml is written");
        worse.clear();
    }
    Ok(worse)
}
