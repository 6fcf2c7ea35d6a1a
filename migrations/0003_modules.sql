-- Modules of WebAssembly, by the SHA-256 of their bytes.
CREATE TABLE modules (
    tenant     TEXT NOT NULL,
    digest     TEXT NOT NULL,
    bytes      INTEGER NOT NULL,
    encoding   TEXT NOT NULL, -- json or msgpack
    functions  TEXT NOT NULL, -- JSON array
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, digest)
) WITHOUT ROWID;

-- The bytes stand apart, so that what is asked of a module does not read them.
CREATE TABLE module_bodies (
    tenant TEXT NOT NULL,
    digest TEXT NOT NULL,
    body   BLOB NOT NULL,
    PRIMARY KEY (tenant, digest)
);

-- Every module has a name at least; its own digest is one.
CREATE TABLE module_names (
    tenant     TEXT NOT NULL,
    name       TEXT NOT NULL,
    digest     TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) WITHOUT ROWID;

CREATE INDEX module_names_digest ON module_names (tenant, digest);

-- The versions of workflows that were ever pinned to a module.
CREATE TABLE module_uses (
    tenant   TEXT NOT NULL,
    digest   TEXT NOT NULL,
    workflow TEXT NOT NULL,
    version  TEXT NOT NULL,
    PRIMARY KEY (tenant, digest, workflow, version)
) WITHOUT ROWID;

-- What the names of modules in a version mean, for ever.
CREATE TABLE module_pins (
    tenant  TEXT NOT NULL,
    version TEXT NOT NULL,
    modules TEXT NOT NULL, -- JSON {name: {digest, encoding}}
    PRIMARY KEY (tenant, version)
) WITHOUT ROWID;
