//! Reading the binary format of WebAssembly (core specification, chapter 5) byte by byte.

/// A part of a module, read from its start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    /// Where `rest` begins in the module.
    at: usize,
}

/// A fault and where it lies in the module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at byte {at}: {what}")]
pub(super) struct Malformed {
    at: usize,
    what: String,
}

type Read<T> = Result<T, Malformed>;

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, at: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn malformed<T>(&self, what: impl Into<String>) -> Read<T> {
        Err(Malformed { at: self.at, what: what.into() })
    }

    pub(super) fn bytes(&mut self, count: usize) -> Read<&'a [u8]> {
        match self.rest.split_at_checked(count) {
            Some((taken, rest)) => {
                (self.rest, self.at) = (rest, self.at + count);
                Ok(taken)
            }
            None => self.malformed(format!("{count} bytes should follow, found {}", self.rest.len())),
        }
    }

    pub(super) fn byte(&mut self) -> Read<u8> {
        Ok(self.bytes(1)?[0])
    }

    /// An unsigned integer in LEB128, of at most 32 bits.
    pub(super) fn number(&mut self) -> Read<u32> {
        let mut number = 0u64;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return match u32::try_from(number) {
                    Ok(number) => Ok(number),
                    Err(_) => self.malformed("an integer has more than 32 bits"),
                };
            }
        }
        self.malformed("an integer has more than 5 bytes")
    }

    /// The length of a vector whose elements have at least one byte each.
    pub(super) fn count(&mut self) -> Read<usize> {
        let count = self.number()? as usize;
        if count > self.rest.len() {
            return self.malformed(format!("{count} elements should follow in {} bytes", self.rest.len()));
        }
        Ok(count)
    }

    pub(super) fn name(&mut self) -> Read<&'a str> {
        let count = self.count()?;
        let bytes = self.bytes(count)?;
        match std::str::from_utf8(bytes) {
            Ok(name) => Ok(name),
            Err(_) => self.malformed("a name is not UTF-8"),
        }
    }

    /// The next part, of the length that stands before it.
    pub(super) fn part(&mut self) -> Read<Reader<'a>> {
        let count = self.number()? as usize;
        let at = self.at;
        let rest = self.bytes(count)?;
        Ok(Reader { rest, at })
    }

    /// Limits of a table or memory: the minimum, the maximum, and whether it is shared or of 64 bits.
    pub(super) fn limits(&mut self) -> Read<Limits> {
        let flags = self.byte()?;
        if flags > 7 {
            return self.malformed(format!("limits have the flags {flags:#x}"));
        }
        let (shared, wide) = (flags & 2 != 0, flags & 4 != 0);
        self.wide_number()?;
        if flags & 1 != 0 {
            self.wide_number()?;
        }
        Ok(Limits { shared, wide })
    }

    /// An unsigned integer in LEB128 of at most 64 bits, whose value is nobody's business.
    fn wide_number(&mut self) -> Read<()> {
        for _ in 0..10 {
            if self.byte()? & 0x80 == 0 {
                return Ok(());
            }
        }
        self.malformed("an integer has more than 10 bytes")
    }
}

/// What is of interest in limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) shared: bool,
    pub(super) wide: bool,
}
