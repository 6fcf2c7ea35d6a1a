//! Counts words page by page. Each page is a step: an attempt that follows another goes on where it ended.

use std::collections::BTreeMap;

use selvedge_guest::{Failure, export, print, step};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Book {
    pages: Vec<String>,
    /// The attempt that meets this page for the first time fails before it: to show what happens then.
    #[serde(default)]
    stumble_at: Option<usize>,
}

#[derive(Serialize)]
struct Count {
    words: usize,
    most: Option<String>,
}

fn count(book: Book) -> Result<Count, Failure> {
    let mut all: BTreeMap<String, usize> = BTreeMap::new();
    for (number, text) in book.pages.iter().enumerate() {
        if book.stumble_at == Some(number) && selvedge_guest::remembered::<bool>("stumbled").is_none() {
            let _ = selvedge_guest::remember("stumbled", &true);
            return Err(Failure::new(format!("stumbled at page {number}")).code("stumbled"));
        }
        let page = step(&format!("page:{number}"), || {
            print(format_args!("counting page {number}"));
            let mut page: BTreeMap<String, usize> = BTreeMap::new();
            for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
                *page.entry(word.to_lowercase()).or_default() += 1;
            }
            Ok(page)
        })?;
        for (word, count) in page {
            *all.entry(word).or_default() += count;
        }
    }
    let most = all.iter().max_by_key(|(word, count)| (**count, std::cmp::Reverse(*word)));
    Ok(Count { words: all.values().sum(), most: most.map(|(word, _)| word.clone()) })
}

export!(count);
