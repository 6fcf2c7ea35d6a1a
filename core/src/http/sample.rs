//! A small catalogue with its handler for the tests of this ring: one of everything that a row can say.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::{Answer, Replayed};
use super::call::Call;
use super::catalogue::{BodyKind, Conditional, Idempotency, Method, Operation, Output, schema};
use super::negotiate::Media;
use super::operations::OperationId;
use super::page::{Limit, Page};
use super::problem::{Problem, Slug};
use super::problems_page;
use crate::ids::RunId;
use crate::time::Duration;
use crate::value::Value;

/// A resource.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Thing {
    pub(crate) id: RunId,
    pub(crate) data: Value,
}

/// What makes one.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MakeThing {
    pub(crate) id: RunId,
    pub(crate) count: i64,
    #[serde(default)]
    pub(crate) data: Value,
}

/// How one is stopped.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StopThing {
    pub(crate) grace: Option<Duration>,
}

/// Which things.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("patternProperties" = {"^attribute\\.": {"type": "string"}}))]
pub(crate) struct ListThings {
    #[serde(default)]
    pub(crate) limit: Limit,
    #[serde(default)]
    pub(crate) tag: Vec<String>,
    pub(crate) cursor: Option<String>,
}

const BASE: Operation = Operation {
    id: OperationId::Info,
    name: "",
    method: Method::Get,
    path: "",
    group: "things",
    scope: "runs:read",
    summary: "A thing",
    description: "About things.",
    query: None,
    body: BodyKind::None,
    success: &[(200, Output::Json(schema::<Thing>))],
    problems: &[],
    idempotency: Idempotency::Exempt,
    conditional: Conditional::None,
    example: None,
};

pub(crate) static OPERATIONS: &[Operation] = &[
    Operation {
        name: "list_things",
        path: "/things",
        query: Some(schema::<ListThings>),
        success: &[(200, Output::Json(schema::<Page<Thing>>))],
        ..BASE
    },
    Operation {
        name: "make_thing",
        method: Method::Post,
        path: "/things",
        body: BodyKind::Typed(schema::<MakeThing>),
        success: &[(201, Output::Json(schema::<Thing>))],
        problems: &[Slug::RunExists],
        idempotency: Idempotency::Keyed,
        example: Some(r#"{"id": "x", "count": 1}"#),
        ..BASE
    },
    Operation {
        name: "get_thing",
        path: "/things/{id}",
        problems: &[Slug::NotFound],
        conditional: Conditional::Read,
        ..BASE
    },
    Operation {
        name: "put_thing",
        method: Method::Put,
        path: "/things/{id}",
        body: BodyKind::Document,
        problems: &[Slug::InvalidDocument],
        conditional: Conditional::Write,
        ..BASE
    },
    Operation {
        name: "delete_thing",
        method: Method::Delete,
        path: "/things/{id}",
        success: &[(204, Output::None)],
        problems: &[Slug::NotFound],
        conditional: Conditional::Write,
        ..BASE
    },
    Operation {
        name: "stop_thing",
        method: Method::Post,
        path: "/things/{id}/stop",
        body: BodyKind::Optional(schema::<StopThing>),
        success: &[(202, Output::Json(schema::<Thing>))],
        problems: &[Slug::NotFound, Slug::RunFinished],
        idempotency: Idempotency::Keyed,
        ..BASE
    },
    Operation {
        name: "draw_thing",
        path: "/things/{id}/picture",
        success: &[
            (200, Output::Json(schema::<Thing>)),
            (200, Output::Text(&["text/vnd.graphviz; charset=utf-8", "text/vnd.mermaid; charset=utf-8"])),
        ],
        ..BASE
    },
    Operation {
        name: "problem_page",
        path: "/problems/{slug}",
        success: &[(200, Output::Html), (200, Output::Json(schema::<super::problems_page::ProblemType>))],
        problems: &[Slug::NotFound],
        ..BASE
    },
];

/// The version of every thing.
pub(crate) const VERSION: &str = "7";

/// A handler of the sample catalogue, as `app` has one.
pub(crate) fn answer(call: &Call<'_>) -> Result<Answer, Problem> {
    match call.operation.name {
        "list_things" => {
            let query: ListThings = call.query()?;
            let free = call.query_with_prefix("attribute.");
            let free = free.iter().map(|(name, value)| format!("{name}-{value}"));
            let names = query.tag.into_iter().chain(free);
            let items =
                names.map(|name| Ok(thing(&name.parse().map_err(|_| Problem::internal())?, Value::Null)));
            let items = items.collect::<Result<Vec<Thing>, Problem>>()?;
            Ok(Answer::json(200, &Page::new(items, Some(query.limit.get().to_string()))))
        }
        "make_thing" => {
            let MakeThing { id, data, .. } = call.body()?;
            let mut answer = Answer::json(201, &thing(&id, data)).at(format!("/things/{id}"));
            if call.idempotency_key()?.is_some() {
                answer.replayed = Replayed::Yes;
            }
            Ok(answer)
        }
        "put_thing" => {
            let id = call.path("id")?;
            let (bytes, format) = call.document()?;
            let text = format!("{format:?} {}", String::from_utf8_lossy(bytes));
            call.if_match()?.require(Some(VERSION))?;
            Ok(Answer::json(200, &thing(&id, text.into())))
        }
        "stop_thing" => {
            call.idempotency_key()?;
            let StopThing { grace } = call.body()?;
            let grace = grace.unwrap_or(Duration::from_secs(30)).to_string();
            Ok(Answer::json(202, &thing(&call.path("id")?, grace.into())))
        }
        "delete_thing" => Ok(Answer::empty()),
        "problem_page" => problems_page::answer(call),
        _ => get(call),
    }
}

fn get(call: &Call<'_>) -> Result<Answer, Problem> {
    let id: RunId = call.path("id")?;
    let data = match id.as_str() {
        "gone" => return Err(Problem::not_found("thing", id)),
        "busy" => {
            return Err(Problem::unavailable("busy").retry_after(Duration::from_millis(1001)));
        }
        "long" => "long ".repeat(1000).into(),
        _ => Value::Null,
    };
    let answer = match call.media {
        Media::Text(media_type) => Answer::text(200, media_type, "digraph {}"),
        Media::Json | Media::MessagePack(_) => Answer::json(200, &thing(&id, data)),
    };
    Ok(answer.of_version(VERSION))
}

fn thing(id: &RunId, data: Value) -> Thing {
    Thing { id: id.clone(), data }
}
