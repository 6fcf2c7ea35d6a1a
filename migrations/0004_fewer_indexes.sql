-- Nothing asks history by its cursor, and the leases of a run are named in its history: every commit paid for
-- these.
DROP INDEX history_cursor;
DROP INDEX leases_run;
