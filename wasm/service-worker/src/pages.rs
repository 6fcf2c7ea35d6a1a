//! The database's file: whole pages in memory, and which of them the disk does not have yet.
//!
//! SQLite reads and writes here. Whoever persists takes the changed pages between two transactions, when the
//! file is whole.

use std::collections::BTreeSet;

/// The size of a page, in SQLite and on the disk. A database is never read with another one.
pub(crate) const PAGE_BYTES: usize = 4096;

/// A file of whole pages, counted from 0.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    pages: Vec<Box<[u8]>>,
    changed: BTreeSet<u32>,
}

/// What has changed since it was last asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Changes {
    /// The pages that were written, in order.
    pub(crate) numbers: Vec<u32>,
    /// Their bytes, one page after the other.
    pub(crate) bytes: Vec<u8>,
    /// How many pages the file has now. There are no pages behind the last.
    pub(crate) count: u32,
}

impl Pages {
    /// Appends pages that are on the disk.
    pub(crate) fn load(&mut self, bytes: &[u8]) {
        self.pages.extend(bytes.chunks_exact(PAGE_BYTES).map(Box::from));
    }

    /// The file's length in bytes.
    pub(crate) fn len(&self) -> u64 {
        (self.pages.len() * PAGE_BYTES) as u64
    }

    /// Fills `out` from `offset` on and returns how many bytes there were.
    pub(crate) fn read(&self, out: &mut [u8], offset: u64) -> usize {
        let mut done = 0;
        while done < out.len() {
            let (page, start) = place(offset + done as u64);
            let Some(page) = self.pages.get(page) else { break };
            let count = (out.len() - done).min(PAGE_BYTES - start);
            out[done..done + count].copy_from_slice(&page[start..start + count]);
            done += count;
        }
        done
    }

    /// Writes `bytes` from `offset` on. A file that ends before gets empty pages up to there.
    pub(crate) fn write(&mut self, bytes: &[u8], offset: u64) {
        let mut done = 0;
        while done < bytes.len() {
            let (number, start) = place(offset + done as u64);
            while self.pages.len() <= number {
                self.changed.insert(self.pages.len() as u32);
                self.pages.push(vec![0; PAGE_BYTES].into());
            }
            let count = (bytes.len() - done).min(PAGE_BYTES - start);
            self.pages[number][start..start + count].copy_from_slice(&bytes[done..done + count]);
            self.changed.insert(number as u32);
            done += count;
        }
    }

    /// Cuts the file to the pages that hold its first `len` bytes.
    pub(crate) fn truncate(&mut self, len: u64) {
        let pages = len.div_ceil(PAGE_BYTES as u64) as usize;
        self.pages.truncate(pages);
        self.changed.split_off(&(pages as u32));
    }

    /// A copy of the pages that changed; from here on they count as on their way.
    pub(crate) fn take_changes(&mut self) -> Changes {
        let numbers: Vec<u32> = std::mem::take(&mut self.changed).into_iter().collect();
        let mut bytes = Vec::with_capacity(numbers.len() * PAGE_BYTES);
        for number in &numbers {
            bytes.extend_from_slice(&self.pages[*number as usize]);
        }
        Changes { numbers, bytes, count: self.pages.len() as u32 }
    }
}

/// The page of an offset, and the place in it.
fn place(offset: u64) -> (usize, usize) {
    let page = PAGE_BYTES as u64;
    ((offset / page) as usize, (offset % page) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: u64 = PAGE_BYTES as u64;

    #[test]
    fn what_was_written_is_read_and_changed() {
        // (offset, length) of a write to a file of two pages; the changed pages, and how many there are then.
        let rows: [(u64, usize, &[u32], u32); 7] = [
            (0, PAGE_BYTES, &[0], 2),
            (PAGE, PAGE_BYTES, &[1], 2),
            (100, 16, &[0], 2),
            (PAGE - 1, 2, &[0, 1], 2),
            (2 * PAGE, PAGE_BYTES, &[2], 3),
            (4 * PAGE + 8, 8, &[2, 3, 4], 5),
            (7, 0, &[], 2),
        ];
        for (offset, length, changed, count) in rows {
            let mut pages = Pages::default();
            pages.load(&[1; 2 * PAGE_BYTES]);
            let written: Vec<u8> = (0..length).map(|index| index as u8 | 2).collect();
            pages.write(&written, offset);
            let mut found = vec![0; length];
            assert_eq!(pages.read(&mut found, offset), length, "at {offset}");
            assert_eq!(found, written, "at {offset}");
            let changes = pages.take_changes();
            assert_eq!((&changes.numbers[..], changes.count), (changed, count), "at {offset}");
            assert_eq!(changes.bytes.len(), changed.len() * PAGE_BYTES, "at {offset}");
            assert_eq!(pages.take_changes().numbers, [], "at {offset}");
        }
    }

    #[test]
    fn nothing_lies_behind_the_end() {
        let mut pages = Pages::default();
        pages.load(&[7; 3 * PAGE_BYTES]);
        let mut found = [0; 10];
        assert_eq!(pages.read(&mut found, 3 * PAGE - 4), 4);
        assert_eq!(pages.read(&mut found, 9 * PAGE), 0);
        pages.write(&[8], 2 * PAGE);
        pages.truncate(PAGE + 1);
        assert_eq!(pages.len(), 2 * PAGE);
        let changes = pages.take_changes();
        assert_eq!((changes.numbers, changes.count), (vec![], 2));
        assert_eq!(pages.read(&mut found, 2 * PAGE), 0);
    }
}
