//! What a case asks of the host that it is played on.
//!
//! Most needs follow from a case's steps. A column of the table that lacks one says so once, with the
//! reason, and every case with that need is left out there.

use std::collections::BTreeSet;

use crate::case::{Act, Ask, Content, Step};

/// Something that not every host has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Need {
    /// Several requests under way at once.
    Waiting,
    /// Clients whose going away reaches the server.
    HangingUp,
    /// Header fields that the Fetch standard keeps scripts from setting.
    ForbiddenHeaders,
    /// A host that compresses; the case says so.
    Compression,
    /// A host that runs modules of WebAssembly; the case says so.
    Modules,
    /// Modules that are stopped when they do too much; the case says so.
    BoundedModules,
    /// Answers beyond some megabytes; the case says so.
    LongAnswers,
    /// Bodies that are said to be JSON and are not even text.
    BrokenText,
}

/// The request header fields of the Fetch standard that scripts cannot set, as far as cases use any.
const FORBIDDEN: &[&str] =
    &["accept-encoding", "connection", "content-length", "cookie", "host", "origin", "te"];

impl Need {
    /// The need of this word, for those that no step shows.
    pub fn of_word(word: &str) -> Option<Need> {
        match word {
            "compression" => Some(Need::Compression),
            "modules" => Some(Need::Modules),
            "bounded_modules" => Some(Need::BoundedModules),
            "long_answers" => Some(Need::LongAnswers),
            _ => None,
        }
    }

    /// What these steps need.
    pub fn of_steps(steps: &[Step]) -> BTreeSet<Need> {
        let mut needs = BTreeSet::new();
        for step in steps {
            match &step.act {
                Act::Background(_, ask) => {
                    needs.insert(Need::Waiting);
                    needs.extend(of_ask(ask));
                }
                Act::Request(ask, _) => needs.extend(of_ask(ask)),
                Act::HangUp(_) => needs.extend([Need::HangingUp]),
                Act::Join(..) | Act::Advance(_) | Act::Database(_) => {}
            }
        }
        needs
    }
}

fn of_ask(ask: &Ask) -> impl Iterator<Item = Need> {
    let forbidden = |(name, _): &(String, String)| FORBIDDEN.contains(&name.to_ascii_lowercase().as_str());
    let forbidden = ask.headers.iter().any(forbidden).then_some(Need::ForbiddenHeaders);
    let json = |(name, value): &(String, String)| name == "content-type" && value.contains("json");
    let broken = matches!(&ask.content, Content::Raw(bytes) if std::str::from_utf8(bytes).is_err())
        && ask.headers.iter().any(json);
    forbidden.into_iter().chain(broken.then_some(Need::BrokenText))
}
