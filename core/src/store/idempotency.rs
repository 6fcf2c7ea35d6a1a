//! Answers kept for requests that are repeated with the same `Idempotency-Key`.

use std::sync::Arc;

use crate::ids::TenantId;
use crate::time::Timestamp;

use super::StoreError;
use super::columns::Columns;
use super::database::{Batch, Row, Statement};

/// What is known of a key.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    /// Of the first request.
    pub(crate) digest: Arc<str>,
    /// Its answer, as JSON text.
    pub(crate) answer: Arc<str>,
}

/// The answer kept for a scope since `since`.
pub(crate) fn by_scope(tenant: &TenantId, scope: &str, since: Timestamp) -> Statement {
    const SQL: &str =
        "SELECT digest, answer FROM idempotency WHERE tenant = ?1 AND scope = ?2 AND created_at > ?3";
    Statement::new(SQL, vec![tenant.text().into(), scope.into(), since.into()])
}

/// Reads a row of [`by_scope`].
pub(crate) fn read(row: Row) -> Result<Kept, StoreError> {
    let mut c = Columns::of(row, "idempotency");
    Ok(Kept { digest: c.text()?, answer: c.text()? })
}

/// Keeps an answer, and forgets two of those that are too old: so they never pile up. Refuses the batch when another request has kept one since `since`.
pub(crate) fn keep(
    batch: &mut Batch,
    tenant: &TenantId,
    scope: &str,
    digest: &str,
    answer: &str,
    now: Timestamp,
    since: Timestamp,
) {
    const FORGET: &str = "DELETE FROM idempotency WHERE tenant = ?1 AND scope IN (SELECT scope FROM idempotency \
        WHERE tenant = ?1 AND created_at <= ?2 LIMIT 2)";
    const SQL: &str = "INSERT INTO idempotency (tenant, scope, digest, answer, created_at) VALUES \
        (?1, ?2, ?3, ?4, ?5) ON CONFLICT (tenant, scope) DO UPDATE SET digest = ?3, answer = ?4, \
        created_at = ?5 WHERE created_at <= ?6";
    let params =
        vec![tenant.text().into(), scope.into(), digest.into(), answer.into(), now.into(), since.into()];
    batch.expect(1, Statement::new(SQL, params));
    let params = vec![tenant.text().into(), since.into()];
    batch.push(Statement::new(FORGET, params));
}
