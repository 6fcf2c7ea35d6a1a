//! Why a handler could not answer, and the problem that a client sees of it.

use crate::engine::Refusal;
use crate::http::problem::{Problem, Slug};
use crate::store::StoreError;
use crate::store::database::DatabaseError;

/// Why a command on a run did not become a commit.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum Fault {
    /// There is no such run.
    #[error("there is no such run")]
    NoRun,
    /// The engine refused it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Somebody else's commits came first too often.
    #[error("other changes of the run kept coming first")]
    Contended,
    /// Another request with the same idempotency key has been answered meanwhile.
    #[error("the same request has been answered meanwhile")]
    Repeated,
    /// The request's own condition does not hold.
    #[error("a condition of the request does not hold")]
    Condition(Box<Problem>),
    /// The database did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<DatabaseError> for Fault {
    fn from(error: DatabaseError) -> Self {
        Fault::Store(error.into())
    }
}

impl Fault {
    /// The problem, said of a run.
    pub(super) fn of_run(self, run: &str) -> Problem {
        match self {
            Fault::NoRun => Problem::not_found("run", run),
            Fault::Refused(refusal) => refused(&refusal),
            Fault::Contended => Problem::unavailable("other changes of the run kept coming first; try again"),
            Fault::Repeated => Problem::new(
                Slug::IdempotencyInProgress,
                "the same request has just been answered; repeat it to get that answer",
            ),
            Fault::Condition(problem) => *problem,
            Fault::Store(error) => stored(&error),
        }
    }
}

fn refused(refusal: &Refusal) -> Problem {
    let slug = match refusal {
        Refusal::RunFinished(_) => Slug::RunFinished,
        Refusal::NotRetryable(_) => Slug::RunNotFinished,
        Refusal::NotUnderWay { .. } => Slug::Conflict,
        Refusal::LeaseLost { .. } => Slug::LeaseLost,
        Refusal::NotClaimable => Slug::Conflict,
        Refusal::TooManySignals(_) => {
            return Problem::new(Slug::TooManySignals, refusal.to_string())
                .retry_after(crate::http::limits::RETRY_AFTER_DEFAULT);
        }
    };
    Problem::new(slug, refusal.to_string())
}

/// The problem of state that could not be read or written. Its cause is for the log alone.
pub(super) fn stored(error: &StoreError) -> Problem {
    match error {
        StoreError::Database(DatabaseError::Unavailable { .. }) => Problem::unavailable(
            "the database cannot take this now; nothing of the request was done, try again",
        ),
        StoreError::Database(DatabaseError::Storage(words)) => {
            Problem::unavailable(format!("{words}; nothing of the request was done"))
        }
        StoreError::Database(DatabaseError::Broken(_)) | StoreError::Corrupt(_) => Problem::internal(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_see_the_cause_only_where_it_is_meant_for_them() {
        let secret = || "disk /dev/sda1".to_owned();
        let rows = [
            (DatabaseError::Unavailable { message: secret(), indeterminate: false }, 503, "try again"),
            (
                DatabaseError::Storage("the site's storage is full".into()),
                503,
                "the site's storage is full; ",
            ),
            (DatabaseError::Broken(secret()), 500, "mistake"),
        ];
        for (error, status, words) in rows {
            let problem = stored(&error.clone().into());
            assert_eq!(problem.status(), status, "{error:?}");
            assert!(problem.detail.contains(words), "{}", problem.detail);
            assert!(!problem.detail.contains("sda1"), "{}", problem.detail);
        }
    }
}
