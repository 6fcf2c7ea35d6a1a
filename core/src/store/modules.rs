//! Modules of WebAssembly: their bytes, their names, and which versions of workflows are pinned to them.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::ids::{FunctionName, ModuleDigest, ModuleName, TenantId, Version};
use crate::module::{Encoding, Inspection};
use crate::time::Timestamp;
use crate::workflow::model::{Pin, Workflow};

use super::StoreError;
use super::columns::{Columns, json_cell};
use super::database::{Batch, Cell, Row, Statement};

/// A module under one of its names.
#[derive(Debug, Clone)]
pub(crate) struct ModuleRow {
    pub(crate) name: ModuleName,
    pub(crate) digest: ModuleDigest,
    pub(crate) bytes: i64,
    pub(crate) encoding: Encoding,
    pub(crate) functions: Vec<FunctionName>,
    pub(crate) created_at: Timestamp,
}

/// What a version's names of modules mean.
pub(crate) type Pins = BTreeMap<ModuleName, Pin>;

macro_rules! select {
    () => {
        "SELECT n.name, m.digest, m.bytes, m.encoding, m.functions, n.created_at FROM module_names n JOIN \
         modules m ON m.tenant = n.tenant AND m.digest = n.digest WHERE n.tenant = ?1 "
    };
}

/// Whether a saved workflow or a run that has not ended is pinned to the digest `?2`.
macro_rules! in_use {
    () => {
        "(EXISTS (SELECT 1 FROM module_uses u JOIN workflows w ON w.tenant = u.tenant AND w.name = u.workflow \
         AND w.version = u.version WHERE u.tenant = ?1 AND u.digest = ?2) OR EXISTS (SELECT 1 FROM module_uses \
         u JOIN runs open INDEXED BY runs_status ON open.tenant = u.tenant AND open.workflow = u.workflow AND \
         open.version = u.version AND open.status IN ('pending', 'running', 'paused', 'cancelling') WHERE \
         u.tenant = ?1 AND u.digest = ?2))"
    };
}

/// The module of this name.
pub(crate) fn by_name(tenant: &TenantId, name: &ModuleName) -> Statement {
    const SQL: &str = concat!(select!(), "AND n.name = ?2");
    Statement::new(SQL, vec![tenant.text().into(), name.text().into()])
}

/// The module of this digest, under whatever name it is stored.
pub(crate) fn by_digest(tenant: &TenantId, digest: &ModuleDigest) -> Statement {
    const SQL: &str = "SELECT digest, digest, bytes, encoding, functions, created_at FROM modules WHERE \
        tenant = ?1 AND digest = ?2";
    Statement::new(SQL, vec![tenant.text().into(), digest.text().into()])
}

/// The modules whose names come after `after`, by name.
pub(crate) fn list(tenant: &TenantId, after: &str, limit: u32) -> Statement {
    const SQL: &str = concat!(select!(), "AND n.name > ?2 ORDER BY n.name LIMIT ?3");
    Statement::new(SQL, vec![tenant.text().into(), after.into(), limit.into()])
}

/// Reads a row of these.
pub(crate) fn read(row: Row) -> Result<ModuleRow, StoreError> {
    let mut c = Columns::of(row, "modules");
    Ok(ModuleRow {
        name: ModuleName::trusted(c.text()?),
        digest: ModuleDigest::trusted(c.text()?),
        bytes: c.int()?,
        encoding: if *c.text()? == *Encoding::Json.word() { Encoding::Json } else { Encoding::MessagePack },
        functions: c.json()?,
        created_at: c.time()?,
    })
}

/// The bytes of a module.
pub(crate) fn body(tenant: &TenantId, digest: &ModuleDigest) -> Statement {
    const SQL: &str = "SELECT body FROM module_bodies WHERE tenant = ?1 AND digest = ?2";
    Statement::new(SQL, vec![tenant.text().into(), digest.text().into()])
}

/// Reads a row of [`body`].
pub(crate) fn read_body(row: Row) -> Result<Bytes, StoreError> {
    match row.into_iter().next() {
        Some(Cell::Blob(bytes)) => Ok(Bytes::copy_from_slice(&bytes)),
        other => Err(StoreError::Corrupt(format!(
            "table module_bodies: expected bytes, found {}",
            if other.is_some() { "another type" } else { "nothing" }
        ))),
    }
}

/// What a version was pinned to when it was first saved or started.
pub(crate) fn pins_of(tenant: &TenantId, version: &Version) -> Statement {
    const SQL: &str = "SELECT modules FROM module_pins WHERE tenant = ?1 AND version = ?2";
    Statement::new(SQL, vec![tenant.text().into(), version.text().into()])
}

/// Reads the rows of [`pins_of`].
pub(crate) fn read_pins(rows: Vec<Row>) -> Result<Pins, StoreError> {
    let row = rows.into_iter().next();
    row.map_or_else(|| Ok(Pins::new()), |row| Columns::of(row, "module_pins").json())
}

/// Forgets these pins of a version, one of whose modules has gone.
pub(crate) fn unpin(tenant: &TenantId, version: &Version, pins: &Pins) -> Batch {
    const SQL: &str = "DELETE FROM module_pins WHERE tenant = ?1 AND version = ?2 AND modules = ?3";
    let mut batch = Batch::default();
    let params = vec![tenant.text().into(), version.text().into(), json_cell(pins)];
    batch.push(Statement::new(SQL, params));
    batch
}

/// Stores a module under a name that means `before` until now; refused if it means something else.
///
/// What the name meant before is kept under its digest while something is pinned to it, and is forgotten
/// otherwise, unless it has other names.
pub(crate) fn save(
    tenant: &TenantId,
    module: &ModuleRow,
    body: &Bytes,
    before: Option<&ModuleDigest>,
) -> Batch {
    const MODULE: &str = "INSERT OR IGNORE INTO modules (tenant, digest, bytes, encoding, functions, created_at) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    const BODY: &str = "INSERT OR IGNORE INTO module_bodies (tenant, digest, body) VALUES (?1, ?2, ?3)";
    const NAME: &str = "INSERT INTO module_names (tenant, name, digest, created_at) VALUES (?1, ?2, ?3, ?4)";
    const RENAME: &str = "UPDATE module_names SET digest = ?3, created_at = ?4 WHERE tenant = ?1 AND name = ?2 \
        AND digest = ?5";
    const KEEP: &str = concat!(
        "INSERT OR IGNORE INTO module_names (tenant, name, digest, created_at) SELECT ?1, ?2, ?2, ?3 WHERE NOT \
         EXISTS (SELECT 1 FROM module_names WHERE tenant = ?1 AND digest = ?2) AND ",
        in_use!()
    );
    let (digest, now) = (&module.digest, module.created_at);
    let mut batch = Batch::default();
    let about = vec![
        tenant.text().into(),
        digest.text().into(),
        module.bytes.into(),
        module.encoding.word().into(),
        json_cell(&module.functions),
        now.into(),
    ];
    batch.push(Statement::new(MODULE, about));
    let bytes = Cell::Blob(body.as_ref().into());
    batch.push(Statement::new(BODY, vec![tenant.text().into(), digest.text().into(), bytes]));
    let mut name: Vec<Cell> =
        vec![tenant.text().into(), module.name.text().into(), digest.text().into(), now.into()];
    match before {
        None => batch.expect(1, Statement::new(NAME, name)),
        Some(before) => {
            name.push(before.text().into());
            batch.expect(1, Statement::new(RENAME, name));
            let keep = vec![tenant.text().into(), before.text().into(), now.into()];
            batch.push(Statement::new(KEEP, keep));
            forget_nameless(&mut batch, tenant, before);
        }
    }
    batch
}

/// Takes a name away, and with the last one the module; refused while something is pinned to a module that
/// would go, or if the name means something else by now.
pub(crate) fn delete(tenant: &TenantId, name: &ModuleName, digest: &ModuleDigest) -> Batch {
    const SQL: &str = concat!(
        "DELETE FROM module_names WHERE tenant = ?1 AND name = ?3 AND digest = ?2 AND (EXISTS (SELECT 1 FROM \
         module_names other WHERE other.tenant = ?1 AND other.digest = ?2 AND other.name <> ?3) OR NOT ",
        in_use!(),
        ")"
    );
    let mut batch = Batch::default();
    let params = vec![tenant.text().into(), digest.text().into(), name.text().into()];
    batch.expect(1, Statement::new(SQL, params));
    forget_nameless(&mut batch, tenant, digest);
    batch
}

/// Removes a module that no name means any more.
fn forget_nameless(batch: &mut Batch, tenant: &TenantId, digest: &ModuleDigest) {
    for sql in [
        "DELETE FROM modules WHERE tenant = ?1 AND digest = ?2 AND NOT EXISTS (SELECT 1 FROM module_names \
         WHERE tenant = ?1 AND digest = ?2)",
        "DELETE FROM module_bodies WHERE tenant = ?1 AND digest = ?2 AND NOT EXISTS (SELECT 1 FROM modules \
         WHERE tenant = ?1 AND digest = ?2)",
        "DELETE FROM module_uses WHERE tenant = ?1 AND digest = ?2 AND NOT EXISTS (SELECT 1 FROM modules \
         WHERE tenant = ?1 AND digest = ?2)",
    ] {
        batch.push(Statement::new(sql, vec![tenant.text().into(), digest.text().into()]));
    }
}

/// Pins a version to its modules. Refused if one of them has gone, or if the version has been pinned to others
/// meanwhile.
pub(crate) fn pin(batch: &mut Batch, tenant: &TenantId, workflow: &Workflow) {
    const THERE: &str = "UPDATE modules SET bytes = bytes WHERE tenant = ?1 AND digest = ?2";
    const USE: &str = "INSERT OR IGNORE INTO module_uses (tenant, digest, workflow, version) VALUES (?1, ?2, ?3, \
        ?4)";
    const PIN: &str = "INSERT INTO module_pins (tenant, version, modules) VALUES (?1, ?2, ?3) ON CONFLICT \
        (tenant, version) DO UPDATE SET modules = modules WHERE modules = ?3";
    if workflow.modules.is_empty() {
        return;
    }
    for pin in workflow.modules.values() {
        let digest = || vec![tenant.text().into(), pin.digest.text().into()];
        batch.expect(1, Statement::new(THERE, digest()));
        let mut used = digest();
        used.extend([workflow.name.text().into(), workflow.version.text().into()]);
        batch.push(Statement::new(USE, used));
    }
    let params = vec![tenant.text().into(), workflow.version.text().into(), json_cell(&workflow.modules)];
    batch.expect(1, Statement::new(PIN, params));
}

impl Encoding {
    /// Its word in the database and on the wire.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Encoding::Json => "json",
            Encoding::MessagePack => "msgpack",
        }
    }
}

impl ModuleRow {
    /// A module that is about to be stored.
    pub(crate) fn new(name: ModuleName, body: &Bytes, inspection: Inspection, now: Timestamp) -> Self {
        Self {
            name,
            digest: ModuleDigest::of(body),
            bytes: body.len() as i64,
            encoding: inspection.encoding,
            functions: inspection.functions,
            created_at: now,
        }
    }
}
