//! A run's history, as pages.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::http::answer::Answer;
use crate::http::call::Call;
use crate::http::page::{Cursor, FilterHash, Limit, Page};
use crate::http::problem::Problem;
use crate::ids::RunId;
use crate::platform::Platform;
use crate::store::database::Database;
use crate::store::history::{self, Recorded};
use crate::value::Value;

use super::App;
use super::shapes::EventShape;
use super::workflows::cut;

/// The query of `GET /runs/{id}/events`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventsQuery {
    /// In which order: `seq` is oldest first, `-seq` (the default) newest first.
    #[serde(default)]
    sort: EventSort,
    /// Only events with a higher `seq`.
    #[serde(default)]
    after: Option<u64>,
    /// How many items the page may have.
    #[serde(default)]
    limit: Limit,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    cursor: Option<String>,
}

/// The orders of history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
pub(crate) enum EventSort {
    /// Oldest first.
    #[serde(rename = "seq")]
    OldestFirst,
    /// Newest first.
    #[default]
    #[serde(rename = "-seq")]
    NewestFirst,
}

impl<D: Database, P: Platform> App<D, P> {
    pub(super) async fn run_events(&self, call: &Call<'_>) -> Result<Answer, Problem> {
        let id: RunId = call.path("id")?;
        let query: EventsQuery = call.query()?;
        self.require_run(&id).await?;
        let filters = FilterHash::of(&("events", id.as_str(), query.sort, query.after));
        let place = match &query.cursor {
            None => None,
            Some(cursor) => match Cursor::decode(cursor, filters)?.as_slice() {
                [Value::Int(seq)] if *seq >= 0 => Some(*seq as u64),
                _ => return Err(Cursor::malformed()),
            },
        };
        let (after, limit) = (query.after.unwrap_or(0).min(i64::MAX as u64 - 1), query.limit.get());
        let (statement, from, to) = match query.sort {
            EventSort::OldestFirst => {
                let from = place.unwrap_or(after);
                (history::after(&self.tenant, &id, from, limit + 1), from, u64::MAX)
            }
            EventSort::NewestFirst => {
                let to = place.unwrap_or(u64::MAX);
                (history::before(&self.tenant, &id, to, limit + 1), after, to)
            }
        };
        let rows = self.read(vec![statement]).await?;
        let commits: Result<Vec<Vec<Recorded>>, _> = rows.into_iter().flatten().map(history::read).collect();
        let mut events: Vec<Recorded> =
            commits.map_err(|error| self.problem(&error))?.into_iter().flatten().collect();
        events.retain(|event| event.seq > from && event.seq < to);
        events.sort_by_key(|event| event.seq);
        if query.sort == EventSort::NewestFirst {
            events.reverse();
        }
        let (events, next) =
            cut(events, limit, |event| Cursor::encode(filters, &[Value::Int(event.seq as i64)]));
        Ok(Answer::json(
            200,
            &Page::new(events.iter().map(|event| EventShape::new(&id, event)).collect(), next),
        ))
    }
}
