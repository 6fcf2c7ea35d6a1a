//! Finding `${{ … }}` in a text.
//!
//! A `}}` inside a string literal or inside the braces of a map does not end an expression, so the text is
//! read by CEL's lexical rules: string literals with their quotes, prefixes and escapes, and comments.

/// A stretch of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece<'t> {
    /// Text, with `$${{` turned into `${{`.
    Text(String),
    /// What stands between `${{` and `}}`, white space at its ends removed.
    Expression(&'t str),
}

const OPEN: &str = "${{";
const ESCAPED: &str = "$${{";
const CLOSE: &str = "}}";

/// Does the text contain `${{` (unescaped)? For fields that take no expressions.
pub fn contains_expression(text: &str) -> bool {
    let mut rest = text;
    while let Some((at, escaped)) = next_mark(rest) {
        match escaped {
            Escaped::No => return true,
            Escaped::Yes => rest = &rest[at + ESCAPED.len()..],
        }
    }
    false
}

/// Cuts a text into its pieces, of which no two in a row are text.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, String> {
    let (mut pieces, mut literal, mut rest) = (Vec::new(), String::new(), text);
    while let Some((at, escaped)) = next_mark(rest) {
        literal.push_str(&rest[..at]);
        match escaped {
            Escaped::Yes => {
                literal.push_str(OPEN);
                rest = &rest[at + ESCAPED.len()..];
            }
            Escaped::No => {
                let inner = &rest[at + OPEN.len()..];
                let Some(end) = end_of_expression(inner) else {
                    return Err("`${{` without its `}}`; write `$${{` for the characters themselves".into());
                };
                if !literal.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut literal)));
                }
                pieces.push(Piece::Expression(inner[..end].trim()));
                rest = &inner[end + CLOSE.len()..];
            }
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Text(literal));
    }
    Ok(pieces)
}

/// How deep brackets nest in an expression, plus the number of its question marks: a bound on how deep any
/// parser of it has to recurse.
pub(super) fn nesting(expression: &str) -> usize {
    let (mut depth, mut deepest, mut questions) = (0_usize, 0_usize, 0_usize);
    for (_, byte) in Code::new(expression) {
        match byte {
            b'(' | b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b'?' => questions += 1,
            _ => {}
        }
    }
    deepest + questions
}

enum Escaped {
    Yes,
    No,
}

/// The next `$${{` or `${{`, whichever comes first.
fn next_mark(text: &str) -> Option<(usize, Escaped)> {
    let at = text.find(OPEN)?;
    match text[..at].ends_with('$') {
        true => Some((at - 1, Escaped::Yes)),
        false => Some((at, Escaped::No)),
    }
}

fn end_of_expression(text: &str) -> Option<usize> {
    let mut braces = 0_usize;
    for (at, byte) in Code::new(text) {
        match byte {
            b'{' => braces += 1,
            b'}' if braces > 0 => braces -= 1,
            b'}' if text[at..].starts_with(CLOSE) => return Some(at),
            _ => {}
        }
    }
    None
}

/// The bytes of an expression that are outside of string literals and comments, with their places.
struct Code<'t> {
    bytes: &'t [u8],
    at: usize,
}

impl<'t> Code<'t> {
    fn new(text: &'t str) -> Self {
        Self { bytes: text.as_bytes(), at: 0 }
    }

    fn looking_at(&self, token: &[u8]) -> bool {
        self.bytes[self.at..].starts_with(token)
    }

    /// Steps over a word, and over the string literal that it is the prefix of.
    fn skip_word(&mut self) {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(|&byte| is_word(byte)) {
            self.at += 1;
        }
        let prefix = self.bytes[start..self.at].to_ascii_lowercase();
        if matches!(self.bytes.get(self.at), Some(b'"' | b'\'')) {
            match prefix.as_slice() {
                b"r" | b"rb" | b"br" => self.skip_literal(Escapes::Raw),
                _ => self.skip_literal(Escapes::Read),
            }
        }
    }

    /// Steps over a literal, from its first quote; to the end of the text where it is not closed.
    fn skip_literal(&mut self, escapes: Escapes) {
        let quote = self.bytes[self.at];
        let triple = [quote; 3];
        let close: &[u8] = if quote != b'`' && self.looking_at(&triple) { &triple } else { &triple[..1] };
        self.at += close.len();
        while self.at < self.bytes.len() && !self.looking_at(close) {
            let escape = self.bytes[self.at] == b'\\' && matches!(escapes, Escapes::Read);
            self.at += if escape { 2 } else { 1 };
        }
        self.at = (self.at + close.len()).min(self.bytes.len());
    }

    /// Steps over a comment: to the end of its line, or of the expression.
    fn skip_comment(&mut self) {
        while self.at < self.bytes.len() && self.bytes[self.at] != b'\n' && !self.looking_at(CLOSE.as_bytes())
        {
            self.at += 1;
        }
    }
}

/// Whether a backslash means something in a literal.
#[derive(Clone, Copy)]
enum Escapes {
    Read,
    Raw,
}

impl Iterator for Code<'_> {
    type Item = (usize, u8);

    fn next(&mut self) -> Option<(usize, u8)> {
        loop {
            match *self.bytes.get(self.at)? {
                b'"' | b'\'' => self.skip_literal(Escapes::Read),
                b'`' => self.skip_literal(Escapes::Raw),
                b'/' if self.looking_at(b"//") => self.skip_comment(),
                byte if is_word(byte) => self.skip_word(),
                byte => {
                    self.at += 1;
                    return Some((self.at - 1, byte));
                }
            }
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
