-- History in the order in which it was written. Clustered by run, every commit changed a page of its own run, which
-- went to the log; now the commits of a group share the last pages of the table.
CREATE TABLE history_in_order (
    cursor   INTEGER NOT NULL PRIMARY KEY, -- of the first event; the others follow without a gap
    tenant   TEXT NOT NULL,
    run_id   TEXT NOT NULL,
    seq      INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    events   TEXT NOT NULL
);

INSERT INTO history_in_order (cursor, tenant, run_id, seq, last_seq, events)
SELECT cursor, tenant, run_id, seq, last_seq, events FROM history ORDER BY cursor;

DROP TABLE history;

ALTER TABLE history_in_order RENAME TO history;

CREATE UNIQUE INDEX history_run ON history (tenant, run_id, seq);
