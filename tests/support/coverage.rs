//! What the cases have seen: operations answered with success, problem types met.

use std::collections::BTreeSet;

use http::Method;
use selvedge::http::operations::{OPERATIONS, OperationId};
use selvedge::http::problem::Slug;
use selvedge::http::route::{Route, Routes};
use selvedge::value::Value;

/// What has been seen so far.
#[derive(Debug, Default)]
pub struct Coverage {
    operations: BTreeSet<OperationId>,
    slugs: BTreeSet<Slug>,
}

/// The catalogue's own router.
pub struct Catalogue(Routes);

impl Default for Catalogue {
    fn default() -> Self {
        Self(Routes::new(OPERATIONS))
    }
}

impl Coverage {
    /// Notes an answer.
    pub fn note(&mut self, catalogue: &Catalogue, method: &Method, path: &str, status: u16, body: &Value) {
        if let Route::Operation(row, _) = catalogue.0.find(method, path)
            && (200..300).contains(&status)
            && method != Method::HEAD
        {
            self.operations.insert(row.operation.id);
        }
        let slug = body.get("type").and_then(Value::as_str).and_then(|kind| kind.rsplit('/').next());
        if status >= 400
            && let Some(slug) = slug.and_then(Slug::find)
        {
            self.slugs.insert(slug);
        }
    }

    /// Adds what another has seen.
    pub fn join(&mut self, other: Coverage) {
        self.operations.extend(other.operations);
        self.slugs.extend(other.slugs);
    }

    /// What nobody has seen, in words.
    pub fn gaps(&self) -> Vec<String> {
        let operations = OPERATIONS.iter().filter(|operation| !self.operations.contains(&operation.id));
        let operations = operations.map(|operation| format!("operation {} never succeeded", operation.name));
        let slugs = Slug::ALL.iter().filter(|slug| !self.slugs.contains(slug));
        operations.chain(slugs.map(|slug| format!("problem {} was never met", slug.slug()))).collect()
    }

    /// How much was seen, in words.
    pub fn summary(&self) -> String {
        format!(
            "{} of {} operations, {} of {} problem types",
            self.operations.len(),
            OPERATIONS.len(),
            self.slugs.len(),
            Slug::ALL.len()
        )
    }
}
