//! What the commands write: results on standard output, everything else on standard error.
//!
//! A reader who goes away (`selvedge logs r | head`) ends the command quietly instead of with a panic.

use std::io::{ErrorKind, IsTerminal, Write, stderr, stdout};

/// Writes one line to standard output.
pub(crate) fn out(line: &str) {
    written(writeln!(stdout().lock(), "{line}"));
}

/// Writes text to standard output as it is.
pub(crate) fn out_raw(text: &str) {
    let mut stdout = stdout().lock();
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()));
}

/// Writes one line to standard error.
pub(crate) fn err(line: &str) {
    // Nobody is left to be told when this fails.
    let _ = writeln!(stderr().lock(), "{line}");
}

/// Writes text to standard error as it is.
pub(crate) fn err_raw(text: &str) {
    let mut stderr = stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

fn written(result: std::io::Result<()>) {
    match result {
        Ok(()) => {}
        Err(fault) if fault.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(fault) => {
            err(&format!("error: cannot write to standard output: {fault}"));
            std::process::exit(1);
        }
    }
}

/// Whether standard error is a terminal that understands cursor movements.
pub(crate) fn is_live() -> bool {
    stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Which colours a stream takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    /// ANSI colours.
    Coloured,
    /// None at all.
    Plain,
}

/// One colour of the few that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    Red,
    Green,
    Yellow,
    Cyan,
    Dim,
    Bold,
}

impl Paint {
    /// Colours on standard output: only on a terminal, never against NO_COLOR.
    pub(crate) fn of_stdout() -> Self {
        Self::of(stdout().is_terminal())
    }

    /// Colours on standard error: only on a terminal, never against NO_COLOR.
    pub(crate) fn of_stderr() -> Self {
        Self::of(is_live())
    }

    fn of(terminal: impl Into<bool>) -> Self {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|text| !text.is_empty());
        if terminal.into() && !no_colour { Paint::Coloured } else { Paint::Plain }
    }

    /// The text in this colour.
    pub(crate) fn paint(self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Red => "31",
            Colour::Green => "32",
            Colour::Yellow => "33",
            Colour::Cyan => "36",
            Colour::Dim => "2",
            Colour::Bold => "1",
        };
        match self {
            Paint::Coloured => format!("\x1b[{code}m{text}\x1b[0m"),
            Paint::Plain => text.to_owned(),
        }
    }
}

/// The terminal's width in columns, or 80.
pub(crate) fn width() -> usize {
    match rustix::termios::tcgetwinsize(stderr()) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
        _ => 80,
    }
}

/// What a stranger wrote, fit for a terminal: control characters other than tab are shown, not obeyed.
pub(crate) fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\t' => c,
            // The control pictures of Unicode stand in the same order as the controls themselves.
            '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
            '\x7f' => '\u{2421}',
            '\u{80}'..='\u{9f}' => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// The first `columns` characters, with an ellipsis where something is left out.
pub(crate) fn fit(text: &str, columns: usize) -> String {
    match text.char_indices().nth(columns) {
        None => text.to_owned(),
        Some(_) if columns == 0 => String::new(),
        Some(_) => text.chars().take(columns - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_to_columns() {
        for (text, columns, cut) in
            [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("äöüß", 2, "ä…"), ("abc", 0, ""), ("", 0, "")]
        {
            assert_eq!(fit(text, columns), cut);
        }
    }

    #[test]
    fn escapes_reach_no_terminal() {
        assert_eq!(harmless("a\x1b[2Jb\tc\r"), "a␛[2Jb\tc␍");
    }

    #[test]
    fn plain_is_plain() {
        assert_eq!(Paint::Plain.paint(Colour::Red, "x"), "x");
        assert_eq!(Paint::Coloured.paint(Colour::Red, "x"), "\x1b[31mx\x1b[0m");
    }
}
