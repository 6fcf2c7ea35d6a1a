//! What the server says of itself.

use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

use crate::http::answer::Answer;
use crate::http::problem::Problem;
use crate::platform::Platform;
use crate::rpc::openapi;
use crate::store::database::{Database, Statement};
use crate::store::migrations::NEWEST;
use crate::time::Timestamp;
use crate::value::Value;
use crate::workflow::document_schema;

use super::App;
use super::executor::Executor;

const OPENAPI: openapi::Info<'static> = openapi::Info {
    title: "Selvedge",
    version: env!("CARGO_PKG_VERSION"),
    description: "A durable workflow server. Every operation takes and gives JSON or MessagePack; every \
                  refusal is a problem document (RFC 9457).",
};

/// Whether the server is well.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Health {
    /// `ok`.
    status: &'static str,
}

/// What this server is and how much it takes.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Info {
    /// Of the program.
    version: &'static str,
    /// Of the database.
    database_version: i64,
    /// Where it runs: `daemon`, `lambda`, `service-worker` or `embedded`.
    host: &'static str,
    /// What a success promises: `fsync` (it is on disk) or `server` (the database server has it).
    durability: &'static str,
    /// What callers must show: `none` as long as there is no authentication.
    authentication: &'static str,
    /// The path that the server is mounted under.
    base_path: String,
    /// Since when it runs.
    started_at: Timestamp,
    /// Its clock.
    now: Timestamp,
    /// The formats of requests and answers.
    formats: Vec<&'static str>,
    /// The kinds of task that documents may use.
    task_kinds: Vec<&'static str>,
    /// What this server runs itself.
    executors: Vec<&'static str>,
    /// The limits, by name, in the unit that the name says.
    limits: BTreeMap<&'static str, u64>,
}

impl<D: Database, P: Platform> App<D, P> {
    pub(super) fn health(&self) -> Result<Answer, Problem> {
        Ok(Answer::json(200, &Health { status: "ok" }))
    }

    pub(super) async fn ready(&self) -> Result<Answer, Problem> {
        if self.is_closing() {
            return Err(Problem::unavailable("the server is shutting down"));
        }
        self.read(vec![Statement::new("SELECT value FROM counters WHERE name = 'cursor'", Vec::new())])
            .await?;
        Ok(Answer::json(200, &Health { status: "ok" }))
    }

    pub(super) fn info(&self) -> Result<Answer, Problem> {
        let executors = Executor::ALL.into_iter().filter(|executor| self.room(*executor) > 0);
        let info = Info {
            version: env!("CARGO_PKG_VERSION"),
            database_version: NEWEST,
            host: self.settings.host,
            durability: self.settings.durability,
            authentication: "none",
            base_path: self.settings.base_path.clone(),
            started_at: self.started_at,
            now: self.now(),
            formats: vec!["application/json", "application/msgpack"],
            task_kinds: vec!["worker", "http", "wasm", "value", "sleep", "signal"],
            executors: executors.map(Executor::word).collect(),
            limits: self.limits(),
        };
        Ok(Answer::json(200, &info))
    }

    fn limits(&self) -> BTreeMap<&'static str, u64> {
        use crate::http::limits as http;
        BTreeMap::from([
            ("body_bytes_max", self.settings.body_bytes_max as u64),
            ("checkpoint_bytes_max", super::checkpoints::CHECKPOINT_BYTES_MAX as u64),
            ("checkpoints_max", u64::from(super::checkpoints::CHECKPOINTS_MAX)),
            ("claim_tasks_max", u64::from(super::claim::CLAIM_TASKS_MAX)),
            ("document_bytes_max", crate::workflow::model::DOCUMENT_BYTES_MAX as u64),
            ("headers_bytes_max", http::HEADERS_BYTES_MAX as u64),
            ("headers_max", http::HEADERS_MAX as u64),
            ("history_events_max", crate::engine::HISTORY_EVENTS_MAX),
            ("lease_ttl_ms_max", super::claim::LEASE_TTL_MAX.as_millis()),
            ("lease_ttl_ms_min", super::claim::LEASE_TTL_MIN.as_millis()),
            ("log_bytes_max", super::logs::LOG_BYTES_MAX as u64),
            ("module_bytes_max", crate::module::MODULE_BYTES_MAX as u64),
            ("page_items_max", u64::from(http::PAGE_ITEMS_MAX)),
            ("payload_bytes_max", super::runs::PAYLOAD_BYTES_MAX as u64),
            ("reports_max", super::leases::REPORTS_MAX as u64),
            ("signals_buffered_max", u64::from(crate::engine::SIGNALS_BUFFERED_MAX)),
            ("tasks_max", crate::workflow::model::TASKS_MAX as u64),
            ("url_bytes_max", http::URL_BYTES_MAX as u64),
            ("wait_ms_max", super::runs::WAIT_MAX.as_millis()),
        ])
    }

    pub(super) fn workflow_schema(&self) -> Result<Answer, Problem> {
        let schema: Value = document_schema::document_schema();
        let version = super::request::digest(&[&schema.canonical()]);
        Ok(Answer::value(200, &schema).of_version(&version[..16]))
    }

    pub(super) fn openapi(&self) -> Result<Answer, Problem> {
        let document = openapi::document(&OPENAPI, &self.settings.base_path);
        let version = super::request::digest(&[&document.canonical()]);
        Ok(Answer::value(200, &document).of_version(&version[..16]))
    }
}
