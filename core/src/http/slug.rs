//! The problem types: the last part of a problem's `type`, its status, and what to do about it.
//!
//! One match holds everything that is said about a type; the problem pages, the OpenAPI document and the
//! responses read it.

use serde::{Deserialize, Serialize};

/// A type of problem. Its text form is kebab case: `run-exists`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Slug {
    /// The body cannot be read, or has the wrong shape.
    MalformedRequest,
    /// A path, query or header parameter is wrong.
    InvalidParameter,
    /// The resource does not exist.
    NotFound,
    /// No operation has this path.
    UnknownRoute,
    /// The path exists, but not with this method.
    MethodNotAllowed,
    /// No format of the answer is acceptable.
    NotAcceptable,
    /// The result was not there in time.
    NotFinished,
    /// The state does not allow it, and no narrower type says why.
    Conflict,
    /// A run of this id exists.
    RunExists,
    /// The run has ended.
    RunFinished,
    /// The run has not ended.
    RunNotFinished,
    /// The lease has expired, was displaced or is finished.
    LeaseLost,
    /// The idempotency key was used for another request.
    IdempotencyMismatch,
    /// The first request with this idempotency key is not answered yet.
    IdempotencyInProgress,
    /// Something uses the module.
    ModuleInUse,
    /// The task instance has as many checkpoints as it may.
    TooManyCheckpoints,
    /// Runs that have not ended use the workflow.
    WorkflowInUse,
    /// `If-Match` names another version.
    PreconditionFailed,
    /// The request body is too long.
    BodyTooLarge,
    /// A document is too long.
    DocumentTooLarge,
    /// A module is too long.
    ModuleTooLarge,
    /// An input, output, signal or checkpoint is too long.
    PayloadTooLarge,
    /// The URL is too long.
    UriTooLong,
    /// The body's format or coding is not taken.
    UnsupportedMediaType,
    /// The workflow document has faults.
    InvalidDocument,
    /// The bytes are no module that can be run.
    InvalidModule,
    /// The input does not fit the workflow's schema.
    InvalidInput,
    /// The run ended without completing.
    RunFailed,
    /// The run buffers as many signals as it may.
    TooManySignals,
    /// The header section is too long.
    HeadersTooLarge,
    /// A fault of the server.
    Internal,
    /// The server cannot do it now.
    Unavailable,
}

/// Everything that is said about a problem type.
struct About {
    slug: &'static str,
    status: u16,
    title: &'static str,
    explanation: &'static str,
}

impl Slug {
    /// Every type, in the order of their status.
    pub const ALL: &'static [Slug] = &[
        Slug::MalformedRequest,
        Slug::InvalidParameter,
        Slug::NotFound,
        Slug::UnknownRoute,
        Slug::MethodNotAllowed,
        Slug::NotAcceptable,
        Slug::NotFinished,
        Slug::Conflict,
        Slug::RunExists,
        Slug::RunFinished,
        Slug::RunNotFinished,
        Slug::LeaseLost,
        Slug::IdempotencyMismatch,
        Slug::IdempotencyInProgress,
        Slug::ModuleInUse,
        Slug::TooManyCheckpoints,
        Slug::WorkflowInUse,
        Slug::PreconditionFailed,
        Slug::BodyTooLarge,
        Slug::DocumentTooLarge,
        Slug::ModuleTooLarge,
        Slug::PayloadTooLarge,
        Slug::UriTooLong,
        Slug::UnsupportedMediaType,
        Slug::InvalidDocument,
        Slug::InvalidModule,
        Slug::InvalidInput,
        Slug::RunFailed,
        Slug::TooManySignals,
        Slug::HeadersTooLarge,
        Slug::Internal,
        Slug::Unavailable,
    ];

    /// The text form.
    pub fn slug(self) -> &'static str {
        self.about().slug
    }

    /// The HTTP status.
    pub fn status(self) -> u16 {
        self.about().status
    }

    /// A few words, the same for every occurrence.
    pub fn title(self) -> &'static str {
        self.about().title
    }

    /// A paragraph: what it means and what to do.
    pub fn explanation(self) -> &'static str {
        self.about().explanation
    }

    /// The type of this text form.
    pub fn find(slug: &str) -> Option<Slug> {
        Self::ALL.iter().copied().find(|known| known.slug() == slug)
    }

    fn about(self) -> About {
        let (slug, status, title, explanation) = match self {
            Slug::MalformedRequest => (
                "malformed-request",
                400,
                "The request body cannot be read",
                "The body is not well-formed JSON or MessagePack, or it is not of the shape that the operation \
                 takes: a field is missing, unknown, or of the wrong type. `errors` names every fault with a \
                 JSON pointer into the body. Correct the body; the same request will fail again.",
            ),
            Slug::InvalidParameter => (
                "invalid-parameter",
                400,
                "A parameter is wrong",
                "A part of the path, a query parameter or a header has a value that the operation does not \
                 take, or the query names a parameter that it does not know. `errors` names every one, with a \
                 pointer such as `/query/limit`. Nothing unknown is ever ignored, so that a misspelt filter \
                 cannot match everything.",
            ),
            Slug::NotFound => (
                "not-found",
                404,
                "There is no such thing",
                "The path is right, but what it names does not exist: it never did, it was deleted, or it \
                 belongs to somebody else.",
            ),
            Slug::UnknownRoute => (
                "unknown-route",
                404,
                "There is no such path",
                "No operation of this server has this path. Look for a misspelt segment, a missing `/api/v1`, \
                 a slash at the end, or the base path under which the server is mounted. All paths are in \
                 `/openapi.json`.",
            ),
            Slug::MethodNotAllowed => (
                "method-not-allowed",
                405,
                "The path does not take this method",
                "The path exists, but not with this method. The `Allow` header lists those that it takes.",
            ),
            Slug::NotAcceptable => (
                "not-acceptable",
                406,
                "No acceptable format",
                "The `Accept` header admits none of the formats that the operation answers in. `detail` lists \
                 them. Without an `Accept` header, the answer is JSON.",
            ),
            Slug::NotFinished => (
                "not-finished",
                408,
                "The run has not ended yet",
                "The result was asked for, and the run did not end within the time that was given to wait. It \
                 goes on; ask again.",
            ),
            Slug::Conflict => (
                "conflict",
                409,
                "The state does not allow this",
                "The request is right in itself, but not in the present state of what it names. `detail` says \
                 which state that is. Read the resource again before trying anew.",
            ),
            Slug::RunExists => (
                "run-exists",
                409,
                "A run of this id exists",
                "The id was chosen by the caller, and a run of that id exists. If that run is yours, an earlier \
                 try of the same request has succeeded. Otherwise choose another id, or leave it out and let \
                 the server make one.",
            ),
            Slug::RunFinished => (
                "run-finished",
                409,
                "The run has ended",
                "The run has come to its end, so it can no longer be paused, signalled or changed. A run that \
                 did not complete can be continued with `retry`; any run can be started anew with `rerun`.",
            ),
            Slug::RunNotFinished => (
                "run-not-finished",
                409,
                "The run has not ended",
                "The action is for runs that have ended. Wait for the end, or cancel the run first.",
            ),
            Slug::LeaseLost => (
                "lease-lost",
                409,
                "The lease is no longer held",
                "The lease has expired, was taken away when the run was cancelled, or was finished with another \
                 outcome. What the worker reports for it is not accepted; another attempt may be running. Drop \
                 the work and claim again. A worker that meets this often should heartbeat more often or ask \
                 for a longer `lease_ttl`.",
            ),
            Slug::IdempotencyMismatch => (
                "idempotency-mismatch",
                409,
                "The idempotency key belongs to another request",
                "A request with this `Idempotency-Key` has been answered, and its body was another. Use a new \
                 key for a new request; repeat the same body to get the stored answer again.",
            ),
            Slug::IdempotencyInProgress => (
                "idempotency-in-progress",
                409,
                "The first request is still being answered",
                "A request with this `Idempotency-Key` arrived before and has no answer yet. Wait a moment and \
                 repeat it to get that answer.",
            ),
            Slug::ModuleInUse => (
                "module-in-use",
                409,
                "The module is in use",
                "A saved workflow or a run that has not ended was pinned to these bytes, and this is the last name \
                 under which they are stored. Delete the workflow, wait for the run or cancel it, then delete the \
                 module. Uploading other bytes under the name needs none of this.",
            ),
            Slug::TooManyCheckpoints => (
                "too-many-checkpoints",
                409,
                "The task instance has no room for another checkpoint",
                "A task instance keeps a limited number of checkpoints, of a limited size together, since every \
                 claim of it carries them all. `detail` names the limit that was met. Remember fewer and larger \
                 steps, or put the data elsewhere and remember its address.",
            ),
            Slug::WorkflowInUse => (
                "workflow-in-use",
                409,
                "The workflow is in use",
                "Runs of this workflow have not ended. Wait for them or cancel them, then delete it.",
            ),
            Slug::PreconditionFailed => (
                "precondition-failed",
                412,
                "The resource has another version",
                "`If-Match` names a version that the resource does not have: somebody has changed it since it \
                 was read. Read it again, look at what changed, and repeat the request with the new `ETag`.",
            ),
            Slug::BodyTooLarge => (
                "body-too-large",
                413,
                "The request body is too long",
                "The body is longer than this server takes. `detail` names the limit, which is also in \
                 `/api/v1/info`. Put large data elsewhere and send its address.",
            ),
            Slug::DocumentTooLarge => (
                "document-too-large",
                413,
                "The workflow document is too long",
                "A workflow document may have 1 MiB. Split the workflow, or fetch large constants in a task.",
            ),
            Slug::ModuleTooLarge => (
                "module-too-large",
                413,
                "The module is too long",
                "A module of WebAssembly may have 3 MiB. Build it for size, strip its names, and leave out its \
                 debug information.",
            ),
            Slug::PayloadTooLarge => (
                "payload-too-large",
                413,
                "A payload is too long",
                "An input, output, signal, checkpoint or failure is longer than one payload may be. `detail` \
                 names the limit. Put large data elsewhere and pass its address.",
            ),
            Slug::UriTooLong => (
                "uri-too-long",
                414,
                "The URL is too long",
                "Path and query together are longer than this server takes. Use fewer or shorter filters.",
            ),
            Slug::UnsupportedMediaType => (
                "unsupported-media-type",
                415,
                "The body's format is not taken",
                "The `Content-Type` is missing or names a format that the operation does not take, or the body \
                 is compressed. `detail` lists the formats. Send `Content-Type: application/json` with JSON, \
                 and no `Content-Encoding`.",
            ),
            Slug::InvalidDocument => (
                "invalid-document",
                422,
                "The workflow document has faults",
                "The document was read, but it is not a right workflow. `errors` names every fault with a JSON \
                 pointer, and with line and column where the format has them. `/schemas/workflow.json` lets an \
                 editor find most of them while typing.",
            ),
            Slug::InvalidModule => (
                "invalid-module",
                422,
                "The module cannot be run",
                "The bytes are no module of WebAssembly, or not one that keeps the contract with tasks: `errors` \
                 names every breach. A core module is expected, with its memory, an allocator and at least one \
                 function exported, and no imports but those of `selvedge`.",
            ),
            Slug::InvalidInput => (
                "invalid-input",
                422,
                "The input does not fit",
                "The workflow says in its `input` schema what a run needs, and what was given does not fit it. \
                 `errors` names every fault with a JSON pointer into the input.",
            ),
            Slug::RunFailed => (
                "run-failed",
                422,
                "The run did not complete",
                "The result was asked for, and the run has ended as failed, cancelled or timed out. `failure` \
                 says why. `retry` continues it from what did not succeed.",
            ),
            Slug::TooManySignals => (
                "too-many-signals",
                429,
                "The run buffers too many signals",
                "Signals that nobody waits for yet are kept, up to a limit per run. Send this one again when \
                 the run has consumed some.",
            ),
            Slug::HeadersTooLarge => (
                "headers-too-large",
                431,
                "The header section is too long",
                "The request has more or longer headers than this server takes. `detail` names the limit. \
                 Cookies of other applications on the same host are a usual cause.",
            ),
            Slug::Internal => (
                "internal",
                500,
                "The server made a mistake",
                "Something went wrong that is no fault of the request. The server's log has the cause under the \
                 request id in `instance`. Whether the request took effect is unknown; with an \
                 `Idempotency-Key` it is safe to repeat.",
            ),
            Slug::Unavailable => (
                "unavailable",
                503,
                "The server cannot do this now",
                "The database is busy, full or out of reach, or the server is shutting down. Nothing of the \
                 request took effect. Repeat it after the time in `Retry-After`.",
            ),
        };
        About { slug, status, title, explanation }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_listed_once_and_found_by_its_text() {
        for (index, slug) in Slug::ALL.iter().enumerate() {
            assert_eq!(Slug::find(slug.slug()), Some(*slug));
            assert_eq!(*slug as usize, index, "ALL is in the order of the declaration");
            assert_eq!(serde_json::to_string(slug).expect("a string"), format!("\"{}\"", slug.slug()));
            assert!((400..600).contains(&slug.status()));
        }
        assert_eq!(Slug::ALL.len(), Slug::Unavailable as usize + 1);
        assert_eq!(Slug::find("nonsense"), None);
    }
}
