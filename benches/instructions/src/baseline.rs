//! The counts to compare with, in a file beside the sources.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;

/// Counts by scenario, and the compiler that they hold for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Baseline {
    /// As `rustc --version` says it.
    rustc: String,
    instructions: BTreeMap<String, u64>,
}

impl Baseline {
    /// Reads the file; without one everything is new.
    pub(crate) fn load() -> Result<Baseline, String> {
        match std::fs::read_to_string(path()) {
            Ok(text) => toml::from_str(&text).map_err(|fault| format!("{}: {fault}", path().display())),
            Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => Ok(Baseline::default()),
            Err(fault) => Err(format!("{}: {fault}", path().display())),
        }
    }

    /// Writes it, for this compiler.
    pub(crate) fn save(&self) -> Result<(), String> {
        let mut text = format!(
            "# Instructions for each scenario, counted by callgrind in a release build for {}.\n\
             # Written by `cargo bench -p selvedge-instructions -- --update`.\n\
             rustc = \"{}\"\n\n[instructions]\n",
            std::env::consts::ARCH,
            compiler()
        );
        for (name, count) in &self.instructions {
            writeln!(text, "\"{name}\" = {count}").expect("a string takes what is written");
        }
        std::fs::write(path(), text).map_err(|fault| format!("{}: {fault}", path().display()))
    }

    /// What to bear in mind where the counts are another compiler's.
    pub(crate) fn other_compiler(&self) -> Option<String> {
        let here = compiler();
        let differs = !self.rustc.is_empty() && self.rustc != here;
        differs.then(|| format!("the baseline is of {}, this is {here}: ratios say less", self.rustc))
    }

    pub(crate) fn get(&self, name: &str) -> Option<u64> {
        self.instructions.get(name).copied()
    }

    pub(crate) fn set(&mut self, name: String, count: u64) {
        self.instructions.insert(name, count);
    }
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("baseline.toml")
}

fn compiler() -> String {
    let version = Command::new("rustc").arg("--version").output();
    version.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
