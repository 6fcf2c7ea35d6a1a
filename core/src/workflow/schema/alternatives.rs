//! Which complaints to show when a value fits none of several alternatives.
//!
//! Most alternatives are not what the author meant: null, another type, another tag. If one is clearly the
//! nearest, its complaints are the helpful ones; if not, one complaint names what all of them expect.

use super::complaint::{Complaint, Reason, Step};
use crate::value::Value;

/// How many alternatives are kept to be named in one message.
const KEPT_MAX: usize = 64;

/// The value that fits none of the alternatives.
pub(super) struct Place<'v> {
    /// Down from the whole value.
    pub(super) path: Vec<Step<'v>>,
    /// The value there.
    pub(super) instance: &'v Value,
}

/// The complaints that stay, of those that each alternative has.
pub(super) fn closest<'s, 'v>(
    mut alternatives: Vec<Vec<Complaint<'s, 'v>>>,
    place: Place<'v>,
) -> Vec<Complaint<'s, 'v>> {
    let ranks: Vec<Rank> = alternatives.iter().map(|complaints| Rank::of(complaints, &place)).collect();
    if let Some(best) = ranks.iter().min() {
        let alone = ranks.iter().filter(|rank| *rank == best).count() == 1;
        let meant = alone && best.nearness == Nearness::Meant || ranks.len() == 1;
        if meant && let Some(at) = ranks.iter().position(|rank| rank == best) {
            let chosen = alternatives.swap_remove(at);
            if !chosen.is_empty() {
                return chosen;
            }
        }
    }
    vec![none(alternatives, place)]
}

/// How far an alternative is from what the author seems to have meant; the least is the nearest.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    nearness: Nearness,
    /// Members or elements with another value than the one that is fixed: tags, most likely.
    wrong_tags: usize,
    complaints: usize,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Nearness {
    /// The value itself is of the right kind.
    Meant,
    /// The value itself is of the wrong kind.
    Mismatch,
    /// Nobody kept the complaints.
    Unknown,
}

impl Rank {
    fn of(complaints: &[Complaint<'_, '_>], place: &Place<'_>) -> Self {
        let depth = place.path.len();
        let wrong_tag = |one: &&Complaint<'_, '_>| one.path.len() == depth + 1 && one.is_wrong_value();
        let nearness = if complaints.is_empty() {
            Nearness::Unknown
        } else if complaints.iter().any(|one| one.path.len() == depth && one.is_mismatch()) {
            Nearness::Mismatch
        } else {
            Nearness::Meant
        };
        let wrong_tags = complaints.iter().filter(wrong_tag).count();
        Self { nearness, wrong_tags, complaints: complaints.len() }
    }
}

/// One complaint for all. Alternatives among alternatives are put in the same row if they only name other
/// values, else their details are dropped, so that a message never nests.
fn none<'s, 'v>(alternatives: Vec<Vec<Complaint<'s, 'v>>>, place: Place<'v>) -> Complaint<'s, 'v> {
    let mut firsts = Vec::new();
    let mut all = 0;
    for mut first in alternatives.into_iter().map(|complaints| complaints.into_iter().next()) {
        let flat =
            first.as_ref().is_some_and(|first| first.is_mismatch() && first.path.len() == place.path.len());
        match first.as_mut().map(|first| &mut first.reason) {
            Some(Reason::FitsNone(inner, inner_firsts)) if flat => {
                all += *inner;
                firsts.append(inner_firsts);
                continue;
            }
            Some(Reason::FitsNone(_, inner_firsts)) => inner_firsts.clear(),
            _ => {}
        }
        all += 1;
        firsts.extend(first);
    }
    firsts.truncate(KEPT_MAX);
    Complaint { path: place.path, instance: place.instance, reason: Reason::FitsNone(all, firsts) }
}
