//! Whether a statement reads, writes, or meddles with transactions, by its words.
//!
//! The server puts all steps of a request into one transaction that this driver opens and ends. A COMMIT
//! among them would break it, and a DELETE would run as well where a read was asked for. SQLite knows such
//! things of a statement that it has prepared; here nothing is prepared before the request is under way.

/// What a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// There is none: white space, comments, nothing that begins with a word.
    Nothing,
    /// It returns rows and changes none.
    Reads,
    /// It changes rows.
    Writes,
    /// It changes the schema.
    Defines,
    /// It is about transactions, files or connections.
    Controls,
    /// It begins with no word of SQL: the server says what is wrong with it.
    Unknown,
}

/// The kind of one statement.
pub(super) fn kind(sql: &str) -> Kind {
    let mut words = Words { rest: sql.as_bytes(), depth: 0 };
    match words.next() {
        None => Kind::Nothing,
        // What follows the tables of a WITH is outside of brackets, and their names are no verbs.
        Some(first) if first.eq_ignore_ascii_case(b"with") => words.find_map(verb).unwrap_or(Kind::Unknown),
        Some(first) => leading(first),
    }
}

fn leading(word: &[u8]) -> Kind {
    const READS: [&str; 3] = ["values", "explain", "pragma"];
    const DEFINES: [&str; 5] = ["create", "drop", "alter", "analyze", "reindex"];
    const CONTROLS: [&str; 9] =
        ["begin", "commit", "end", "rollback", "savepoint", "release", "attach", "detach", "vacuum"];
    let is_one_of = |words: &[&str]| words.iter().any(|known| word.eq_ignore_ascii_case(known.as_bytes()));
    verb(word).unwrap_or_else(|| match () {
        () if is_one_of(&READS) => Kind::Reads,
        () if is_one_of(&DEFINES) => Kind::Defines,
        () if is_one_of(&CONTROLS) => Kind::Controls,
        () => Kind::Unknown,
    })
}

fn verb(word: &[u8]) -> Option<Kind> {
    let is = |known: &str| word.eq_ignore_ascii_case(known.as_bytes());
    if is("select") {
        return Some(Kind::Reads);
    }
    let writes = ["insert", "update", "delete", "replace"].into_iter().any(is);
    writes.then_some(Kind::Writes)
}

/// The bare words outside of brackets, quotes and comments.
struct Words<'a> {
    rest: &'a [u8],
    depth: usize,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let (first, after) = self.rest.split_first()?;
            let skipped = match first {
                b'-' if after.first() == Some(&b'-') => up_to(self.rest, b"\n"),
                b'/' if after.first() == Some(&b'*') => 2 + up_to(&self.rest[2..], b"*/"),
                b'\'' | b'"' | b'`' => 1 + up_to(after, &[*first]),
                b'[' => 1 + up_to(after, b"]"),
                b'(' => {
                    self.depth += 1;
                    1
                }
                b')' => {
                    self.depth = self.depth.saturating_sub(1);
                    1
                }
                byte if is_of_word(*byte) => {
                    let length = self.rest.iter().take_while(|byte| is_of_word(**byte)).count();
                    let (word, rest) = self.rest.split_at(length);
                    self.rest = rest;
                    if self.depth == 0 {
                        return Some(word);
                    }
                    0
                }
                _ => 1,
            };
            self.rest = &self.rest[skipped..];
        }
    }
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// How many bytes there are up to the end of `end`, or of the text.
fn up_to(text: &[u8], end: &[u8]) -> usize {
    text.windows(end.len()).position(|window| window == end).map_or(text.len(), |at| at + end.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_follow_from_the_words() {
        for (sql, expected) in [
            ("", Kind::Nothing),
            (" \n-- SELECT\n/* DELETE */ ;", Kind::Nothing),
            ("SELECT 1", Kind::Reads),
            ("select(1)", Kind::Reads),
            ("VALUES (1)", Kind::Reads),
            ("-- first\nSELECT 1", Kind::Reads),
            ("/* COMMIT */SELECT 1", Kind::Reads),
            ("EXPLAIN DELETE FROM t", Kind::Reads),
            ("PRAGMA table_list", Kind::Reads),
            ("INSERT INTO t VALUES (1)", Kind::Writes),
            ("REPLACE INTO t VALUES (1)", Kind::Writes),
            ("Update t SET n = 1", Kind::Writes),
            ("DELETE FROM t", Kind::Writes),
            ("CREATE TABLE t (id)", Kind::Defines),
            ("DROP TABLE t", Kind::Defines),
            ("ALTER TABLE t ADD COLUMN n", Kind::Defines),
            ("WITH x AS (SELECT 1) SELECT * FROM x", Kind::Reads),
            (
                "WITH RECURSIVE x(n) AS (SELECT 1 UNION SELECT n FROM x) INSERT INTO t SELECT n FROM x",
                Kind::Writes,
            ),
            ("WITH x AS (SELECT ')' AS \"(\" FROM [(]) DELETE FROM t", Kind::Writes),
            ("WITH x AS (SELECT 1 -- )\n), y AS (SELECT 2) UPDATE t SET n = 1", Kind::Writes),
            ("WITH x AS (DELETE FROM t) y", Kind::Unknown),
            ("BEGIN", Kind::Controls),
            ("; commit", Kind::Controls),
            ("END", Kind::Controls),
            ("ROLLBACK TO batch", Kind::Controls),
            ("SAVEPOINT mine", Kind::Controls),
            ("RELEASE batch", Kind::Controls),
            ("ATTACH 'x' AS y", Kind::Controls),
            ("VACUUM", Kind::Controls),
            ("INSRT INTO t VALUES (1)", Kind::Unknown),
            ("'SELECT'", Kind::Nothing),
            ("(SELECT 1)", Kind::Nothing),
            ("SELECT 'unclosed", Kind::Reads),
            ("/* unclosed", Kind::Nothing),
        ] {
            assert_eq!(kind(sql), expected, "{sql}");
        }
    }
}
