//! Signals: send, list.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::engine::{Command, Decided, Repeated};
use crate::http::answer::Answer;
use crate::http::call::Call;
use crate::http::page::{Cursor, FilterHash, Page};
use crate::http::problem::Problem;
use crate::ids::{RequestKey, RunId, SignalName};
use crate::platform::Platform;
use crate::store::database::Database;
use crate::store::signals::{self, SignalRow};
use crate::value::Value;

use super::App;
use super::request::Keep;
use super::runs::{payload, plain_ask};
use super::shapes::{SignalAccepted, SignalShape};
use super::workflows::{ListQuery, cut};

/// What `POST /runs/{id}/signals/{name}` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendSignal {
    /// What it carries; null unless it is given.
    #[serde(default)]
    payload: Value,
    /// The sender's id for it: the same again counts once.
    #[serde(default)]
    signal_id: Option<RequestKey>,
}

impl<D: Database, P: Platform> App<D, P> {
    pub(super) async fn send_signal(&self, call: &Call<'_>, keep: Option<&Keep>) -> Result<Answer, Problem> {
        let (id, name): (RunId, SignalName) = (call.path("id")?, call.path("name")?);
        let body: SendSignal = call.body()?;
        let payload = payload(&body.payload, "/payload")?;
        let command = Command::Signal { name, signal_id: body.signal_id, payload };
        let answer = |decided: &Decided| {
            let duplicate = decided.repeated == Repeated::Yes;
            Answer::json(202, &SignalAccepted { accepted: true, duplicate })
        };
        let decided = self.command(&self.tenant, &id, &command, &plain_ask(keep, answer)).await;
        Ok(answer(&decided.map_err(|fault| self.fault(fault, id.as_str()))?))
    }

    pub(super) async fn list_signals(&self, call: &Call<'_>) -> Result<Answer, Problem> {
        let id: RunId = call.path("id")?;
        let query: ListQuery = call.query()?;
        self.require_run(&id).await?;
        let filters = FilterHash::of(&("signals", id.as_str()));
        let before = match &query.cursor {
            None => u64::MAX,
            Some(cursor) => match Cursor::decode(cursor, filters)?.as_slice() {
                [Value::Int(number)] if *number >= 0 => *number as u64,
                _ => return Err(Cursor::malformed()),
            },
        };
        let limit = query.limit.get();
        let rows = self.read(vec![signals::list(&self.tenant, &id, before, limit + 1)]).await?;
        let rows: Result<Vec<SignalRow>, _> = rows.into_iter().flatten().map(signals::read).collect();
        let rows = rows.map_err(|error| self.problem(&error))?;
        let (rows, next) = cut(rows, limit, |row| Cursor::encode(filters, &[Value::Int(row.number as i64)]));
        Ok(Answer::json(200, &Page::new(rows.into_iter().map(SignalShape::from).collect(), next)))
    }
}
