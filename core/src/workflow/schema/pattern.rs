//! `pattern` and `patternProperties`: ECMA-262 regular expressions (Unicode mode) on `regex-lite`.
//!
//! The two dialects agree on most of their syntax and differ in what a text *means* (`\s`, `.`) or in what
//! they add. So a pattern is read once, rewritten into the common part, and what has no counterpart there
//! (look-around, back-references, `\p{…}`) is refused by name, as is syntax that only Rust knows.
//! Matching is linear; its cost per byte is known, so that a validation can count it.

use std::iter::Peekable;
use std::str::Chars;

use regex_lite::{Regex, RegexBuilder};

/// A pattern may be at most this long, in bytes.
pub(super) const PATTERN_BYTES_MAX: usize = 4_096;
/// The sizes of compiled pattern, in bytes, that are told apart; the last is the limit.
const SIZES: [usize; 4] = [1 << 10, 1 << 12, 1 << 14, 1 << 16];

/// What ECMA-262 calls white space and line terminators, inside brackets.
const SPACE: &str =
    r"\t\n\x0B\x0C\r \u{A0}\u{1680}\u{2000}-\u{200A}\u{2028}\u{2029}\u{202F}\u{205F}\u{3000}\u{FEFF}";
/// Everything else.
const NOT_SPACE: &str = r"\x00-\x08\x0E-\x1F!-\u{9F}\u{A1}-\u{167F}\u{1681}-\u{1FFF}\u{200B}-\u{2027}\u{202A}-\u{202E}\u{2030}-\u{205E}\u{2060}-\u{2FFF}\u{3001}-\u{FEFE}\u{FF00}-\u{10FFFF}";

/// A compiled pattern; it matches anywhere in a text, as JSON Schema has it.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    source: String,
    regex: Regex,
    cost_per_byte: u64,
}

impl Pattern {
    /// Compiles the pattern, or says what in it is not supported.
    pub(super) fn compile(source: &str) -> Result<Self, String> {
        if source.len() > PATTERN_BYTES_MAX {
            return Err(format!("the pattern is longer than {PATTERN_BYTES_MAX} bytes"));
        }
        let translated = Translation::of(source)?;
        let mut refusal = String::new();
        for size in SIZES {
            match RegexBuilder::new(&translated).size_limit(size).build() {
                Ok(regex) => {
                    let cost_per_byte = (size / SIZES[0]) as u64;
                    return Ok(Self { source: source.to_owned(), regex, cost_per_byte });
                }
                Err(error) => refusal = error.to_string(),
            }
        }
        Err(refusal)
    }

    /// The pattern as its author wrote it.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// Whether the pattern is found in the text.
    pub(super) fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// The steps that looking through this text may take.
    pub(super) fn steps(&self, text: &str) -> u64 {
        self.cost_per_byte.saturating_mul(text.len() as u64 + 1)
    }
}

/// A reading of an ECMA-262 pattern that writes the same in Rust's dialect.
struct Translation<'a> {
    rest: Peekable<Chars<'a>>,
    written: String,
}

impl Translation<'_> {
    fn of(source: &str) -> Result<String, String> {
        let mut this = Translation { rest: source.chars().peekable(), written: String::new() };
        let mut repeatable = false;
        while let Some(next) = this.rest.next() {
            repeatable = match next {
                '\\' => this.escape()?,
                '[' => this.class()?,
                '(' => this.group()?,
                '*' | '+' | '?' | '{' if !repeatable => {
                    return Err(format!(
                        "`{next}` has nothing to repeat (the character itself is `\\{next}`)"
                    ));
                }
                '*' | '+' | '?' => this.repetition(&next.to_string()),
                '{' => this.counted_repetition()?,
                '^' | '$' | '|' => this.copy(next, Repeatable::No),
                ')' => this.copy(next, Repeatable::Yes),
                '.' => this.write(r"[^\n\r\u{2028}\u{2029}]"),
                literal => this.literal(literal),
            } == Repeatable::Yes;
        }
        Ok(this.written)
    }

    fn copy(&mut self, character: char, repeatable: Repeatable) -> Repeatable {
        self.written.push(character);
        repeatable
    }

    fn write(&mut self, text: &str) -> Repeatable {
        self.written.push_str(text);
        Repeatable::Yes
    }

    fn literal(&mut self, character: char) -> Repeatable {
        if character.is_alphanumeric() {
            self.written.push(character);
        } else {
            self.written.push_str(&format!(r"\x{{{:X}}}", u32::from(character)));
        }
        Repeatable::Yes
    }

    fn repetition(&mut self, operator: &str) -> Repeatable {
        self.written.push_str(operator);
        if self.rest.next_if_eq(&'?').is_some() {
            self.written.push('?');
        }
        Repeatable::No
    }

    fn counted_repetition(&mut self) -> Result<Repeatable, String> {
        let mut counts = String::new();
        while let Some(next) = self.rest.next_if(|next| next.is_ascii_digit() || *next == ',') {
            counts.push(next);
        }
        let well_formed = counts.starts_with(|first: char| first.is_ascii_digit())
            && counts.matches(',').count() <= 1
            && self.rest.next_if_eq(&'}').is_some();
        if !well_formed {
            return Err("`{` begins no repetition like `{2,5}` (the character itself is `\\{`)".to_owned());
        }
        Ok(self.repetition(&format!("{{{counts}}}")))
    }

    /// After `(`. No group captures: there are no back-references to use them.
    fn group(&mut self) -> Result<Repeatable, String> {
        self.written.push_str("(?:");
        if self.rest.next_if_eq(&'?').is_none() {
            return Ok(Repeatable::No);
        }
        match self.rest.next() {
            Some(':') => Ok(Repeatable::No),
            Some('<') if !matches!(self.rest.peek(), Some('=' | '!')) => {
                let name: String = self.rest.by_ref().take_while(|next| *next != '>').collect();
                if name.is_empty() { Err("a group has an empty name".to_owned()) } else { Ok(Repeatable::No) }
            }
            Some('=' | '!' | '<') => Err("look-around is not supported".to_owned()),
            _ => Err("`(?` begins no group that ECMA-262 knows".to_owned()),
        }
    }

    /// After `\`, outside brackets.
    fn escape(&mut self) -> Result<Repeatable, String> {
        match self.rest.peek() {
            Some('b') => self.write_next(r"\b", Repeatable::No),
            Some('B') => self.write_next(r"\B", Repeatable::No),
            Some('s') => self.write_next(&format!("[{SPACE}]"), Repeatable::Yes),
            Some('S') => self.write_next(&format!("[{NOT_SPACE}]"), Repeatable::Yes),
            Some('1'..='9' | 'k') => Err("back-references are not supported".to_owned()),
            _ => self.character_escape(),
        }
    }

    /// After `[`.
    fn class(&mut self) -> Result<Repeatable, String> {
        let negated = self.rest.next_if_eq(&'^').is_some();
        if self.rest.next_if_eq(&']').is_some() {
            let all = if negated { r"[\x00-\u{10FFFF}]" } else { r"[^\x00-\u{10FFFF}]" };
            return Ok(self.write(all));
        }
        self.written.push_str(if negated { "[^" } else { "[" });
        loop {
            let leading = self.written.ends_with('[') || self.written.ends_with("[^");
            let _ = match self.rest.next() {
                None => return Err("`[` is never closed".to_owned()),
                Some(']') => return Ok(self.copy(']', Repeatable::Yes)),
                Some('-') if leading || self.rest.peek() == Some(&']') => self.literal('-'),
                Some('-') => self.copy('-', Repeatable::No),
                Some('\\') => match self.rest.peek() {
                    Some('b') => self.write_next(r"\x08", Repeatable::Yes)?,
                    Some('s') => self.write_next(SPACE, Repeatable::Yes)?,
                    Some('S') => self.write_next(NOT_SPACE, Repeatable::Yes)?,
                    _ => self.character_escape()?,
                },
                Some(literal) => self.literal(literal),
            };
        }
    }

    fn write_next(&mut self, text: &str, repeatable: Repeatable) -> Result<Repeatable, String> {
        self.rest.next();
        self.written.push_str(text);
        Ok(repeatable)
    }

    /// After `\`: the escapes that mean the same inside and outside brackets.
    fn character_escape(&mut self) -> Result<Repeatable, String> {
        match self.rest.next() {
            Some(class @ ('d' | 'D' | 'w' | 'W')) => Ok(self.write(&format!("\\{class}"))),
            Some('t') => Ok(self.literal('\t')),
            Some('n') => Ok(self.literal('\n')),
            Some('r') => Ok(self.literal('\r')),
            Some('v') => Ok(self.literal('\x0B')),
            Some('f') => Ok(self.literal('\x0C')),
            Some('0') if !self.rest.peek().is_some_and(char::is_ascii_digit) => Ok(self.literal('\0')),
            Some('c') => match self.rest.next() {
                Some(letter) if letter.is_ascii_alphabetic() => {
                    Ok(self.literal(char::from(letter as u8 % 32)))
                }
                _ => Err("`\\c` must be followed by a letter".to_owned()),
            },
            Some('x') => self.hexadecimal(2).and_then(|code| self.code_point(code)),
            Some('u') => self.unicode_escape(),
            Some('p' | 'P') => Err("Unicode property classes (`\\p{…}`) are not supported".to_owned()),
            Some(literal) if literal.is_ascii_punctuation() || literal == ' ' => Ok(self.literal(literal)),
            Some(unknown) => Err(format!("`\\{unknown}` is no escape that ECMA-262 knows")),
            None => Err("the pattern ends in a lone `\\`".to_owned()),
        }
    }

    /// After `\u`: four digits, two times four for a surrogate pair, or any number in braces.
    fn unicode_escape(&mut self) -> Result<Repeatable, String> {
        if self.rest.next_if_eq(&'{').is_some() {
            let digits: String = self.rest.by_ref().take_while(|next| *next != '}').collect();
            let code = u32::from_str_radix(&digits, 16).map_err(|_| bad_hexadecimal())?;
            return self.code_point(code);
        }
        let code = self.hexadecimal(4)?;
        if !(0xD800..0xDC00).contains(&code) {
            return self.code_point(code);
        }
        if self.rest.next() != Some('\\') || self.rest.next() != Some('u') {
            return Err(bad_hexadecimal());
        }
        let low = self.hexadecimal(4)?;
        if !(0xDC00..0xE000).contains(&low) {
            return Err(bad_hexadecimal());
        }
        self.code_point(0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00))
    }

    fn hexadecimal(&mut self, digits: usize) -> Result<u32, String> {
        let mut code = 0;
        for _ in 0..digits {
            let digit = self.rest.next().and_then(|next| next.to_digit(16)).ok_or_else(bad_hexadecimal)?;
            code = code * 16 + digit;
        }
        Ok(code)
    }

    fn code_point(&mut self, code: u32) -> Result<Repeatable, String> {
        let character = char::from_u32(code).ok_or_else(bad_hexadecimal)?;
        Ok(self.literal(character))
    }
}

fn bad_hexadecimal() -> String {
    "a `\\x` or `\\u` escape is no code point".to_owned()
}

/// Whether a repetition may follow what has just been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeatable {
    Yes,
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_ecma_262_says() {
        let rows: &[(&str, &str, bool)] = &[
            ("", "", true),
            ("^abc$", "abc\n", false),
            ("es", "expression", true),
            (r"^\cC$", "\u{3}", true),
            (r"^\s$", "\u{feff}", true),
            (r"^\s$", "\u{1}", false),
            (r"^\S$", "\u{a0}", false),
            (r"^[\S]$", "x", true),
            (r"^[^\s,]+$", "a b", false),
            (r"^\d$", "߀", false),
            (r"^\w+$", "é", false),
            (r"^.$", "\u{2028}", false),
            (r"^[^]$", "\n", true),
            (r"[]", "a", false),
            (r"^\u{1F432}*$", "🐲🐲", true),
            (r"^\ud83d\udc32$", "🐲", true),
            (r"^\u0041\x42$", "AB", true),
            (r"^[[&&\]~-]+$", "[&&]~-", true),
            (r"^[-a]+$", "-a", true),
            (r"^[a-c]$", "b", true),
            (r"^[+--]$", ",", true),
            (r"^[\]-_]$", "^", true),
            (r"^(?<year>\d{4})-(\d{2,})(?:x{1,3}?)$", "2024-10x", true),
            (r"^a b#$", "a b#", true),
            (r"^\/\-\@\{\}\.$", "/-@{}.", true),
            (r"^\0$", "\0", true),
            (r"\bfoo\b", "a foo b", true),
            (r"a]}", "a]}", true),
        ];
        for (pattern, text, expected) in rows {
            let compiled = Pattern::compile(pattern).unwrap_or_else(|fault| panic!("{pattern}: {fault}"));
            assert_eq!(compiled.matches(text), *expected, "{pattern} on {text:?}");
        }
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        let rows = [
            ("(?=a)", "look-around is not supported"),
            ("(?!a)", "look-around is not supported"),
            ("(?<=a)", "look-around is not supported"),
            ("(?<!a)", "look-around is not supported"),
            (r"(a)\1", "back-references are not supported"),
            (r"(?<a>a)\k<a>", "back-references are not supported"),
            (r"\p{Letter}", r"Unicode property classes (`\p{…}`) are not supported"),
            ("(?i)a", "`(?` begins no group that ECMA-262 knows"),
            ("(?P<a>a)", "`(?` begins no group that ECMA-262 knows"),
            (r"\Aa", r"`\A` is no escape that ECMA-262 knows"),
            (r"a\z", r"`\z` is no escape that ECMA-262 knows"),
            (r"\b{start}", r"`{` has nothing to repeat (the character itself is `\{`)"),
            ("a**", r"`*` has nothing to repeat (the character itself is `\*`)"),
            ("+a", r"`+` has nothing to repeat (the character itself is `\+`)"),
            ("a{,3}", r"`{` begins no repetition like `{2,5}` (the character itself is `\{`)"),
            ("a{b}", r"`{` begins no repetition like `{2,5}` (the character itself is `\{`)"),
            ("[a", "`[` is never closed"),
            (r"a\", r"the pattern ends in a lone `\`"),
            (r"\ud83d", r"a `\x` or `\u` escape is no code point"),
            (r"\xg", r"a `\x` or `\u` escape is no code point"),
            (r"\c1", r"`\c` must be followed by a letter"),
            ("(a", "found open group without closing ')'"),
            ("a)", "found closing ')' without matching '('"),
            ("[z-a]", "invalid range in character class"),
            ("(?:a{1000}){1000}", "compiled regex exceeded size limit"),
        ];
        for (pattern, expected) in rows {
            assert_eq!(Pattern::compile(pattern).expect_err(pattern), expected, "{pattern}");
        }
        assert!(Pattern::compile(&"a".repeat(PATTERN_BYTES_MAX + 1)).is_err());
        assert!(Pattern::compile(&"(".repeat(PATTERN_BYTES_MAX)).is_err());
    }

    #[test]
    fn larger_patterns_cost_more_steps() {
        let small = Pattern::compile("^a$").expect("compiles");
        let large = Pattern::compile("^[a-z]{200}$").expect("compiles");
        assert_eq!(small.steps("aaa"), 4);
        assert!(large.steps("aaa") > small.steps("aaa"));
    }
}
