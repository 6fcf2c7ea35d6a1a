-- What attempts have remembered for the later attempts of their task instance.
--
-- A checkpoint is written once and never changes: whoever writes its key again is told the first value.
CREATE TABLE checkpoints (
    tenant     TEXT NOT NULL,
    run_id     TEXT NOT NULL,
    task       TEXT NOT NULL,
    idx        INTEGER NOT NULL,
    key        TEXT NOT NULL,
    attempt    INTEGER NOT NULL, -- the one that wrote it
    created_at INTEGER NOT NULL,
    value      TEXT NOT NULL,
    PRIMARY KEY (tenant, run_id, task, idx, key)
) WITHOUT ROWID;

-- How many checkpoints an instance has, and how long their values are together: a claim need not look for
-- what is not there, and a limit costs no count.
ALTER TABLE tasks ADD COLUMN checkpoints INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN checkpoint_bytes INTEGER NOT NULL DEFAULT 0;
