-- The first shape of the database.
--
-- The tenant leads every primary key and index. Times are milliseconds since 1970, payloads JSON text, so
-- that anybody with an SQLite shell can read them. Optional columns that an index is about are NULL where
-- they do not apply, so that the index holds only what it is for.

-- Numbers that grow over the whole database: `cursor` counts events and log chunks.
CREATE TABLE counters (
    name  TEXT NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;

INSERT INTO counters (name, value) VALUES ('cursor', 0);

CREATE TABLE tenants (
    tenant TEXT NOT NULL PRIMARY KEY
) WITHOUT ROWID;

INSERT INTO tenants (tenant) VALUES ('default');

-- Documents by the SHA-256 of their canonical text. Runs keep theirs when the workflow is deleted.
CREATE TABLE documents (
    tenant  TEXT NOT NULL,
    version TEXT NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (tenant, version)
);

CREATE TABLE workflows (
    tenant     TEXT NOT NULL,
    name       TEXT NOT NULL,
    number     INTEGER NOT NULL, -- 1, 2, 3 … : the newest is the highest
    version    TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, name, number)
) WITHOUT ROWID;

CREATE UNIQUE INDEX workflows_version ON workflows (tenant, name, version);

CREATE TABLE runs (
    tenant            TEXT NOT NULL,
    id                TEXT NOT NULL,
    workflow          TEXT NOT NULL,
    version           TEXT NOT NULL,
    revision          INTEGER NOT NULL, -- every commit expects the one it read
    commit_id         INTEGER NOT NULL, -- … and this: a random number of each commit's own
    status            TEXT NOT NULL,
    stopping          TEXT,             -- JSON {end, since} while leases of a stopped run are ending
    input             TEXT NOT NULL,
    output            TEXT,
    failure           TEXT,             -- JSON
    failure_category  TEXT,
    vars              TEXT NOT NULL,
    attributes        TEXT NOT NULL,
    tags              TEXT NOT NULL,    -- JSON array
    session_id        TEXT,
    parent            TEXT,
    rerun_of          TEXT,
    priority          INTEGER NOT NULL,
    seed              INTEGER NOT NULL,
    created_at        INTEGER NOT NULL,
    start_at          INTEGER,
    started_at        INTEGER,
    finished_at       INTEGER,
    updated_at        INTEGER NOT NULL,
    execution_timeout INTEGER,
    deadline          INTEGER,
    counts            TEXT NOT NULL,    -- JSON, task instances by status
    last_seq          INTEGER NOT NULL,
    signals_received  INTEGER NOT NULL,
    signals_buffered  INTEGER NOT NULL,
    fair_order        INTEGER NOT NULL,
    wake_at           INTEGER,          -- when a timer of the run itself is due
    PRIMARY KEY (tenant, id)
) WITHOUT ROWID;

CREATE INDEX runs_created ON runs (tenant, created_at, id);
CREATE INDEX runs_updated ON runs (tenant, updated_at, id);
CREATE INDEX runs_status ON runs (tenant, status, created_at, id);
CREATE INDEX runs_workflow ON runs (tenant, workflow, created_at, id);
CREATE INDEX runs_failure ON runs (tenant, failure_category, created_at, id) WHERE failure_category IS NOT NULL;
CREATE INDEX runs_session ON runs (tenant, session_id, created_at, id) WHERE session_id IS NOT NULL;
CREATE INDEX runs_parent ON runs (tenant, parent, created_at, id) WHERE parent IS NOT NULL;
CREATE INDEX runs_deadline ON runs (tenant, deadline, id) WHERE deadline IS NOT NULL;
CREATE INDEX runs_wake ON runs (tenant, wake_at) WHERE wake_at IS NOT NULL;

CREATE TABLE run_tags (
    tenant     TEXT NOT NULL,
    tag        TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    run_id     TEXT NOT NULL,
    PRIMARY KEY (tenant, tag, created_at, run_id)
) WITHOUT ROWID;

-- One row for each attribute that can be compared; for a list, one for each of its strings.
CREATE TABLE run_attributes (
    tenant TEXT NOT NULL,
    name   TEXT NOT NULL,
    value  NOT NULL, -- INTEGER, REAL or TEXT; booleans as the text true and false
    run_id TEXT NOT NULL,
    PRIMARY KEY (tenant, name, value, run_id)
) WITHOUT ROWID;

CREATE INDEX run_attributes_run ON run_attributes (tenant, run_id);

-- Task instances that some event has reached; the others are pending, or ended with their run.
CREATE TABLE tasks (
    tenant           TEXT NOT NULL,
    run_id           TEXT NOT NULL,
    task             TEXT NOT NULL,
    idx              INTEGER NOT NULL, -- the element under for_each, else -1
    kind             TEXT NOT NULL,
    queue            TEXT,
    lane             TEXT,             -- the queue and the labels, for what is leased
    status           TEXT NOT NULL,
    parked           INTEGER NOT NULL, -- 1 while the run is paused: neither claimed nor woken
    priority         INTEGER NOT NULL,
    fair_order       INTEGER NOT NULL, -- claims go by priority, then by this
    unmet            INTEGER NOT NULL, -- needs that are not met yet
    attempt          INTEGER NOT NULL,
    attempts_before  INTEGER NOT NULL,
    input            TEXT,
    output           TEXT,
    failure          TEXT,             -- JSON
    detail           TEXT,             -- JSON: what it waits for, or why it was skipped
    lease_id         TEXT,
    worker_id        TEXT,
    lease_ttl        INTEGER,
    granted_at       INTEGER,
    lease_expires_at INTEGER,
    since            INTEGER,          -- when it last became ready
    ready_at         INTEGER,
    started_at       INTEGER,
    finished_at      INTEGER,
    wake_at          INTEGER,          -- no later timer than this; looked at again then
    PRIMARY KEY (tenant, run_id, task, idx)
) WITHOUT ROWID;

CREATE INDEX tasks_ready ON tasks (tenant, lane, priority DESC, fair_order)
    WHERE status = 'ready' AND parked = 0 AND lane IS NOT NULL;
CREATE INDEX tasks_wake ON tasks (tenant, wake_at) WHERE wake_at IS NOT NULL AND parked = 0;
CREATE INDEX tasks_worker ON tasks (tenant, worker_id) WHERE status = 'running';

-- The queues with their sets of labels that tasks have ever been ready in.
CREATE TABLE lanes (
    tenant TEXT NOT NULL,
    queue  TEXT NOT NULL,
    labels TEXT NOT NULL, -- JSON array, in order
    lane   TEXT NOT NULL,
    PRIMARY KEY (tenant, queue, labels)
) WITHOUT ROWID;

-- Every lease ever granted to a run that is kept, so that a late or repeated report is recognised.
CREATE TABLE leases (
    tenant     TEXT NOT NULL,
    lease_id   TEXT NOT NULL,
    run_id     TEXT NOT NULL,
    task       TEXT NOT NULL,
    idx        INTEGER NOT NULL,
    attempt    INTEGER NOT NULL,
    worker_id  TEXT NOT NULL,
    claim_id   TEXT,
    granted_at INTEGER NOT NULL,
    ended      TEXT,    -- completed, failed, released, cancelled; NULL while held
    digest     TEXT,    -- SHA-256 of the report that ended it
    log_bytes  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, lease_id)
) WITHOUT ROWID;

CREATE INDEX leases_run ON leases (tenant, run_id);
CREATE INDEX leases_claim ON leases (tenant, worker_id, claim_id) WHERE claim_id IS NOT NULL;

CREATE TABLE signals (
    tenant      TEXT NOT NULL,
    run_id      TEXT NOT NULL,
    number      INTEGER NOT NULL,
    name        TEXT NOT NULL,
    signal_id   TEXT,
    payload     TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    consumed_by TEXT, -- the task instance that took it
    PRIMARY KEY (tenant, run_id, number)
) WITHOUT ROWID;

CREATE UNIQUE INDEX signals_id ON signals (tenant, run_id, signal_id) WHERE signal_id IS NOT NULL;
CREATE INDEX signals_buffered ON signals (tenant, run_id, name, number) WHERE consumed_by IS NULL;

-- What happened, one row for each commit: `events` is a JSON array, the first of them numbered `seq`.
CREATE TABLE history (
    tenant   TEXT NOT NULL,
    run_id   TEXT NOT NULL,
    seq      INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    cursor   INTEGER NOT NULL, -- of the first event; the others follow without a gap
    events   TEXT NOT NULL,
    PRIMARY KEY (tenant, run_id, seq)
) WITHOUT ROWID;

CREATE INDEX history_cursor ON history (tenant, cursor);

CREATE TABLE logs (
    tenant  TEXT NOT NULL,
    run_id  TEXT NOT NULL,
    cursor  INTEGER NOT NULL,
    task    TEXT NOT NULL,
    idx     INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    lease_id TEXT NOT NULL,
    seq     INTEGER,
    stream  TEXT NOT NULL,
    text    TEXT NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (tenant, run_id, cursor)
) WITHOUT ROWID;

CREATE INDEX logs_task ON logs (tenant, run_id, task, idx, cursor);
CREATE UNIQUE INDEX logs_seq ON logs (tenant, lease_id, seq) WHERE seq IS NOT NULL;

CREATE TABLE workers (
    tenant        TEXT NOT NULL,
    worker_id     TEXT NOT NULL,
    queues        TEXT NOT NULL, -- JSON array
    labels        TEXT NOT NULL, -- JSON array
    capacity      INTEGER NOT NULL,
    draining      INTEGER NOT NULL,
    registered_at INTEGER NOT NULL,
    last_seen_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant, worker_id)
) WITHOUT ROWID;

CREATE INDEX workers_registered ON workers (tenant, registered_at, worker_id);

-- Answers that a repeated request gets again.
CREATE TABLE idempotency (
    tenant     TEXT NOT NULL,
    scope      TEXT NOT NULL, -- SHA-256 of principal, method, path and key
    digest     TEXT NOT NULL, -- SHA-256 of the request
    answer     TEXT NOT NULL, -- JSON {status, location, version, body}
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, scope)
);

CREATE INDEX idempotency_created ON idempotency (tenant, created_at);
