//! What happened in a world, line by line: a number for each, by which two plays of one seed are compared, and
//! the lines themselves if somebody wants to read them.

use std::fmt::{self, Write};

/// A world's story.
#[derive(Debug, Default)]
pub struct Trace {
    marks: Vec<u64>,
    telling: Telling,
}

/// Whether a story is told while it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Telling {
    /// It is only to be compared.
    #[default]
    Silent,
    /// Each line is printed.
    Aloud,
}

/// FNV-1a.
struct Hash(u64);

impl Write for Hash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}

impl Trace {
    /// A story that is told so.
    pub fn new(telling: Telling) -> Self {
        Self { marks: Vec::new(), telling }
    }

    /// Adds a line.
    pub fn note(&mut self, line: fmt::Arguments<'_>) {
        if self.telling == Telling::Aloud {
            eprintln!("{:>6} {line}", self.marks.len());
        }
        let mut hash = Hash(0xcbf2_9ce4_8422_2325);
        hash.write_fmt(line).expect("a hash takes any text");
        self.marks.push(hash.0);
    }

    /// The number of the first line in which two stories differ.
    pub fn differs_from(&self, other: &Trace) -> Option<usize> {
        let same = self.marks.iter().zip(&other.marks).take_while(|(one, two)| one == two).count();
        (same < self.marks.len().max(other.marks.len())).then_some(same)
    }
}
