//! The names of a document's fields, of this version and of later ones, which deserve a better answer than
//! "unknown field".

/// The fields of a document.
pub(in crate::workflow) const DOCUMENT: &[&str] =
    &["selvedge", "name", "description", "input", "vars", "tasks", "output", "execution_timeout"];
/// Those of later versions.
pub(super) const DOCUMENT_LATER: &[&str] =
    &["updates", "queries", "secrets", "concurrency", "retention", "on_end"];

/// The kinds of task: each is the field that makes a task one of its kind.
pub(super) const KINDS: [&str; 6] = ["worker", "http", "wasm", "value", "sleep", "signal"];
/// Those of later versions.
pub(super) const KINDS_LATER: [&str; 1] = ["workflow"];

/// The fields of a task, the kinds among them.
pub(in crate::workflow) const TASK: &[&str] = &[
    "worker",
    "http",
    "wasm",
    "value",
    "sleep",
    "signal",
    "needs",
    "if",
    "with",
    "labels",
    "priority",
    "timeout",
    "on_timeout",
    "queue_timeout",
    "total_timeout",
    "grace",
    "retry",
    "continue_on_error",
];
/// Those of later versions.
pub(super) const TASK_LATER: &[&str] = &["for_each", "max_parallel", "workflow", "compensates"];

/// The members of `http`.
pub(in crate::workflow) const HTTP: &[&str] = &["method", "url", "headers", "body"];
/// The members of `wasm`.
pub(in crate::workflow) const WASM: &[&str] = &["module", "function"];
/// The members of `retry`.
pub(in crate::workflow) const RETRY: &[&str] = &["max_attempts", "backoff", "delay", "max_delay", "jitter"];
