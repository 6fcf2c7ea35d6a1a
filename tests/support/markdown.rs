//! Fenced blocks and links of the project's Markdown files, for the tests that hold the documents to the code.
//!
//! Only the forms that these documents use are read: blocks fenced by three backticks at the start of a line,
//! and links written `[text](target)`.

use std::ops::Range;
use std::path::{Path, PathBuf};

/// Directories that hold nothing of ours.
const STRANGE: [&str; 4] = ["target", ".git", "node_modules", "json-schema-test-suite"];

/// A file and its text.
pub(crate) struct Document {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// A fenced block.
pub(crate) struct Block {
    /// What stands behind the opening fence: `sh test`.
    pub(crate) info: String,
    pub(crate) text: String,
    /// The lines of the two fences and all between, counted from one.
    pub(crate) lines: Range<usize>,
}

/// Every Markdown file below the root, by path.
pub(crate) fn documents(root: &Path) -> Vec<Document> {
    let mut documents = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        let entries = std::fs::read_dir(&directory).expect("a directory of the repository can be read");
        for path in entries.map(|entry| entry.expect("an entry can be read").path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !STRANGE.contains(&name.as_str()) {
                open.push(path);
            } else if name.ends_with(".md") {
                let text = std::fs::read_to_string(&path).expect("a document can be read");
                documents.push(Document { path, text });
            }
        }
    }
    documents.sort_by(|a, b| a.path.cmp(&b.path));
    documents
}

impl Document {
    /// Its fenced blocks, in order.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        for (index, line) in self.text.lines().enumerate() {
            match (&mut open, line.strip_prefix("```")) {
                (Some(_), Some(_)) => {
                    let mut block = open.take().expect("it was matched as open");
                    block.lines.end = index + 2;
                    blocks.push(block);
                }
                (Some(block), None) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                }
                (None, Some(info)) => {
                    let lines = index + 1..index + 2;
                    open = Some(Block { info: info.trim().to_owned(), text: String::new(), lines });
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a fence is not closed", self.path.display());
        blocks
    }

    /// `path:line`, as messages name a place.
    pub(crate) fn place(&self, block: &Block) -> String {
        format!("{}:{}", self.path.display(), block.lines.start)
    }
}
