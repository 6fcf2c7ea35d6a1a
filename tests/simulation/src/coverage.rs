//! What has been played: how often each fault, each event, each cell of the transition tables and each answer.

use std::collections::BTreeMap;
use std::fmt;

use selvedge::engine::What;

use crate::plan::Trouble;
use crate::transitions;

/// Counts of what worlds have come through.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    faults: BTreeMap<String, u64>,
    events: BTreeMap<&'static str, u64>,
    cells: BTreeMap<&'static str, u64>,
    answers: BTreeMap<(String, u16), u64>,
    /// How many events were committed: each is a transition of the engine.
    pub transitions: u64,
    /// How many runs there were.
    pub runs: u64,
    /// How many steps the schedulers took.
    pub steps: u64,
    /// How much time has passed in the worlds, in milliseconds.
    pub millis: u64,
}

impl Coverage {
    /// Something went wrong as planned.
    pub fn fault(&mut self, word: String) {
        *self.faults.entry(word).or_default() += 1;
    }

    /// An event was committed.
    pub fn event(&mut self, what: &What) {
        *self.events.entry(what.word()).or_default() += 1;
        self.transitions += 1;
    }

    /// A cell of the transition tables was reached.
    pub fn cell(&mut self, cell: &'static str) {
        *self.cells.entry(cell).or_default() += 1;
    }

    /// A question was answered.
    pub fn answer(&mut self, ask: String, status: u16) {
        *self.answers.entry((ask, status)).or_default() += 1;
    }

    /// Adds the counts of other worlds.
    pub fn add(&mut self, other: Coverage) {
        fn add<K: Ord>(to: &mut BTreeMap<K, u64>, from: BTreeMap<K, u64>) {
            for (key, count) in from {
                *to.entry(key).or_default() += count;
            }
        }
        add(&mut self.faults, other.faults);
        add(&mut self.events, other.events);
        add(&mut self.cells, other.cells);
        add(&mut self.answers, other.answers);
        self.transitions += other.transitions;
        self.runs += other.runs;
        self.steps += other.steps;
        self.millis += other.millis;
    }

    /// What has never been reached, of faults, events and transitions; and what nobody knows of.
    pub fn missing(&self) -> Vec<String> {
        let faults = Trouble::words().into_iter().filter(|word| !self.faults.contains_key(word));
        let events = What::WORDS.into_iter().filter(|word| !self.events.contains_key(word));
        let cells = transitions::cells().filter(|cell| !self.cells.contains_key(cell));
        let unknown = self.cells.keys().filter(|cell| !transitions::cells().any(|known| known == **cell));
        let faults = faults.map(|word| format!("fault {word}"));
        let events = events.map(|word| format!("event {word}"));
        let cells = cells.map(|cell| format!("transition {cell}"));
        let unknown = unknown.map(|cell| format!("{cell} is in no table"));
        faults.chain(events).chain(cells).chain(unknown).collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zero = 0;
        writeln!(f, "faults")?;
        for word in Trouble::words() {
            writeln!(f, "  {:>12}  {word}", self.faults.get(&word).unwrap_or(&zero))?;
        }
        writeln!(f, "events")?;
        for word in What::WORDS {
            writeln!(f, "  {:>12}  {word}", self.events.get(word).unwrap_or(&zero))?;
        }
        writeln!(f, "transitions, by the lines of the engine's tables")?;
        for line in transitions::LINES {
            writeln!(f, "  {}", line.text)?;
            for cell in line.cells {
                writeln!(f, "  {:>12}  {cell}", self.cells.get(cell).unwrap_or(&zero))?;
            }
        }
        writeln!(f, "answers")?;
        for ((ask, status), count) in &self.answers {
            writeln!(f, "  {count:>12}  {ask}: {status}")?;
        }
        Ok(())
    }
}
