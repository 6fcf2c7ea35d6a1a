//! Modules of WebAssembly: upload, read, list, delete; and what the names of modules in a document mean.
//!
//! A version of a workflow is pinned to digests when it is first saved or started. From then on it runs the
//! same bytes, whatever is uploaded under the names; what is pinned is not deleted.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::http::answer::Answer;
use crate::http::call::Call;
use crate::http::operations::WASM;
use crate::http::page::{Cursor, FilterHash, Page};
use crate::http::problem::{FieldError, Problem, Slug};
use crate::ids::{FunctionName, ModuleDigest, ModuleName};
use crate::module::{Encoding, MODULE_BYTES_MAX, inspect};
use crate::platform::Platform;
use crate::store::database::{Database, Row, Statement};
use crate::store::modules::{self, ModuleRow, Pins};
use crate::time::Timestamp;
use crate::value::{Locations, Pointer, Value};
use crate::workflow::fault::Fault;
use crate::workflow::model::{Kind, Pin, Task, Workflow};

use super::App;
use super::documents::field_errors;
use super::workflows::{ListQuery, cut};

/// A module of WebAssembly.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Module")]
pub(crate) struct ModuleShape {
    /// Its name, or its digest.
    name: ModuleName,
    /// SHA-256 of its bytes.
    digest: ModuleDigest,
    /// How many bytes it has.
    bytes: i64,
    /// The functions that tasks can call, in order.
    functions: Vec<FunctionName>,
    /// How it writes values.
    encoding: Encoding,
    /// When the name was given to these bytes.
    created_at: Timestamp,
}

impl<D: Database, P: Platform> App<D, P> {
    pub(super) async fn put_module(&self, call: &Call<'_>) -> Result<Answer, Problem> {
        let name: ModuleName = call.path("name")?;
        let body = call.bytes()?;
        if body.len() > MODULE_BYTES_MAX {
            let detail = format!("the module has {} bytes, at most {MODULE_BYTES_MAX} are taken", body.len());
            return Err(Problem::new(Slug::ModuleTooLarge, detail));
        }
        let inspection = inspect(&body).map_err(invalid)?;
        let module = ModuleRow::new(name.clone(), &body, inspection, self.now());
        if let Some(named) = name.digest()
            && named != module.digest
        {
            return Err(invalid(vec![format!("the digest of the bytes is {}, not {name}", module.digest)]));
        }
        let before = self.named_module(&name).await?;
        call.if_match()?.require(before.as_ref().map(|row| version(&row.digest)))?;
        let at = format!("/api/v1/modules/{name}");
        match before {
            Some(row) if row.digest == module.digest => return Ok(module_answer(200, row)),
            _ => {}
        }
        self.platform.check_module(&body).await.map_err(|fault| invalid(vec![fault]))?;
        let status = if before.is_some() { 200 } else { 201 };
        let before = before.map(|row| row.digest);
        if !self.write(modules::save(&self.tenant, &module, &body, before.as_ref())).await? {
            return Err(Problem::unavailable(format!("module {name} was changed by somebody else just now")));
        }
        Ok(module_answer(status, module).at(at))
    }

    pub(super) async fn get_module(&self, call: &Call<'_>) -> Result<Answer, Problem> {
        let name: ModuleName = call.path("name")?;
        let row = self.module(&name).await?;
        if !call.media.is_text() {
            return Ok(module_answer(200, row));
        }
        let body = self.first_row(modules::body(&self.tenant, &row.digest)).await?;
        let body = body.ok_or_else(|| Problem::not_found("module", &name))?;
        let bytes = modules::read_body(body).map_err(|error| self.problem(&error))?;
        Ok(Answer::bytes(200, WASM, bytes).of_version(version(&row.digest)))
    }

    pub(super) async fn list_modules(&self, call: &Call<'_>) -> Result<Answer, Problem> {
        let query: ListQuery = call.query()?;
        let filters = FilterHash::of("modules");
        let after = match &query.cursor {
            None => String::new(),
            Some(cursor) => match Cursor::decode(cursor, filters)?.as_slice() {
                [Value::String(name)] => name.clone(),
                _ => return Err(Cursor::malformed()),
            },
        };
        let limit = query.limit.get();
        let rows = self.module_rows(modules::list(&self.tenant, &after, limit + 1)).await?;
        let next = |row: &ModuleRow| Cursor::encode(filters, &[Value::from(row.name.as_str())]);
        let (rows, next) = cut(rows, limit, next);
        Ok(Answer::json(200, &Page::new(rows.into_iter().map(ModuleShape::from).collect(), next)))
    }

    pub(super) async fn delete_module(&self, call: &Call<'_>) -> Result<Answer, Problem> {
        let name: ModuleName = call.path("name")?;
        let row = self.module(&name).await?;
        call.if_match()?.require(Some(version(&row.digest)))?;
        if self.write(modules::delete(&self.tenant, &name, &row.digest)).await? {
            return Ok(Answer::empty());
        }
        match self.named_module(&name).await? {
            Some(after) if after.digest == row.digest => {
                let detail = format!(
                    "a saved workflow or a run that has not ended is pinned to module {name}, which is {}",
                    row.digest
                );
                Err(Problem::new(Slug::ModuleInUse, detail))
            }
            Some(_) => {
                Err(Problem::unavailable(format!("module {name} was changed by somebody else just now")))
            }
            None if name.digest().is_some() => {
                let detail = format!("module {name} is stored under another name: delete that");
                Err(Problem::new(Slug::ModuleInUse, detail))
            }
            None => Err(Problem::not_found("module", &name)),
        }
    }

    /// Sets down what the names of modules in a document mean: what they meant when this version was first
    /// saved or started, or else what they mean now.
    ///
    /// # Errors
    /// [`Slug::InvalidDocument`] with every module and function that does not exist.
    pub(super) async fn pin(
        &self,
        workflow: &mut Workflow,
        at: &Pointer,
        locations: Option<&Locations>,
    ) -> Result<(), Problem> {
        let names: BTreeSet<&ModuleName> = calls(workflow).map(|(_, module, _)| module).collect();
        if names.is_empty() {
            return Ok(());
        }
        let tenant = &self.tenant;
        let rows = self.read(vec![modules::pins_of(tenant, &workflow.version)]).await?;
        let stored = rows.into_iter().next().unwrap_or_default();
        let stored = modules::read_pins(stored).map_err(|error| self.problem(&error))?;
        let known = self.modules_of(names.iter().map(|name| match stored.get(*name) {
            Some(pin) => ((*name).clone(), pin.digest.name()),
            None => ((*name).clone(), (*name).clone()),
        }));
        let mut known = known.await?;
        if !stored.is_empty() && known.len() < names.len() {
            // Nothing was using this version when its module was deleted: it begins anew.
            self.write(modules::unpin(tenant, &workflow.version, &stored)).await?;
            known = self.modules_of(names.iter().map(|name| ((*name).clone(), (*name).clone()))).await?;
        }
        let faults = faults(workflow, &known);
        if !faults.is_empty() {
            return Err(Problem::with_errors(Slug::InvalidDocument, field_errors(faults, at, locations)));
        }
        let pin = |row: ModuleRow| Pin { digest: row.digest, encoding: row.encoding };
        workflow.modules = known.into_iter().map(|(name, row)| (name, pin(row))).collect::<Pins>();
        Ok(())
    }

    /// The modules that there are of these: each by a name of the document, and by the name to look it up.
    async fn modules_of(
        &self,
        names: impl Iterator<Item = (ModuleName, ModuleName)>,
    ) -> Result<BTreeMap<ModuleName, ModuleRow>, Problem> {
        let names: Vec<(ModuleName, ModuleName)> = names.collect();
        let reads = names.iter().map(|(_, name)| self.lookup(name)).collect();
        let mut found = BTreeMap::new();
        for ((name, _), rows) in names.into_iter().zip(self.read(reads).await?) {
            if let Some(row) = rows.into_iter().next() {
                found.insert(name, modules::read(row).map_err(|error| self.problem(&error))?);
            }
        }
        Ok(found)
    }

    /// The module of a name, or of a digest whatever its names are.
    async fn module(&self, name: &ModuleName) -> Result<ModuleRow, Problem> {
        let row = self.module_rows(self.lookup(name)).await?.pop();
        row.ok_or_else(|| Problem::not_found("module", name))
    }

    fn lookup(&self, name: &ModuleName) -> Statement {
        match name.digest() {
            Some(digest) => modules::by_digest(&self.tenant, &digest),
            None => modules::by_name(&self.tenant, name),
        }
    }

    /// What is stored under exactly this name.
    async fn named_module(&self, name: &ModuleName) -> Result<Option<ModuleRow>, Problem> {
        Ok(self.module_rows(modules::by_name(&self.tenant, name)).await?.pop())
    }

    async fn module_rows(&self, read: Statement) -> Result<Vec<ModuleRow>, Problem> {
        let rows = self.read(vec![read]).await?.into_iter().flatten();
        rows.map(|row: Row| modules::read(row).map_err(|error| self.problem(&error))).collect()
    }
}

/// Every call of a module in a workflow.
fn calls(workflow: &Workflow) -> impl Iterator<Item = (&Task, &ModuleName, &FunctionName)> {
    workflow.tasks.iter().filter_map(|task| match &task.kind {
        Kind::Wasm { module, function, .. } => Some((task, module, function)),
        _ => None,
    })
}

fn faults(workflow: &Workflow, known: &BTreeMap<ModuleName, ModuleRow>) -> Vec<Fault> {
    let fault = |(task, module, function): (&Task, &ModuleName, &FunctionName)| {
        let at = Pointer::root().push("tasks").push(task.name.as_str()).push("wasm");
        match known.get(module) {
            None => {
                let message =
                    format!("there is no module {module}: upload it with PUT /api/v1/modules/{module}");
                Some(Fault { pointer: at.push("module"), message })
            }
            Some(row) if !row.functions.contains(function) => {
                let names = row.functions.iter().map(FunctionName::as_str).collect::<Vec<_>>().join(", ");
                let message = format!("module {module} has no function {function}, it has {names}");
                Some(Fault { pointer: at.push("function"), message })
            }
            Some(_) => None,
        }
    };
    calls(workflow).filter_map(fault).collect()
}

fn invalid(faults: Vec<String>) -> Problem {
    let errors = faults.into_iter().map(|fault| FieldError::new("", fault)).collect();
    Problem::with_errors(Slug::InvalidModule, errors)
}

fn module_answer(status: u16, row: ModuleRow) -> Answer {
    let version = version(&row.digest).to_owned();
    Answer::json(status, &ModuleShape::from(row)).of_version(version)
}

/// What an `ETag` says of a module: its digest without the word before it.
fn version(digest: &ModuleDigest) -> &str {
    digest.as_str().trim_start_matches("sha256:")
}

impl From<ModuleRow> for ModuleShape {
    fn from(row: ModuleRow) -> Self {
        let ModuleRow { name, digest, bytes, encoding, functions, created_at } = row;
        Self { name, digest, bytes, functions, encoding, created_at }
    }
}
