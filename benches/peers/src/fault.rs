//! What goes wrong here is told to a person and ends the comparison: one text is enough.

use std::fmt;

/// Why a measurement could not be taken.
#[derive(Debug)]
pub struct Fault(pub String);

/// A [`Fault`] in the words of a format string.
macro_rules! fault {
    ($($word:tt)*) => { $crate::fault::Fault(format!($($word)*)) };
}
pub(crate) use fault;

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Fault {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            text = format!("{text}: {inner}");
            cause = inner.source();
        }
        Fault(text)
    }
}
