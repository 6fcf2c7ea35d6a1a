-- A task under a lease stood in two indexes, by the end of its lease and by its worker, so that every attempt cost two
-- entries more and two less. One index holds both, and nothing but leased tasks: what is asked of a worker looks through
-- it.
DROP INDEX tasks_worker;
DROP INDEX tasks_wake;
CREATE INDEX tasks_wake ON tasks (tenant, wake_at)
    WHERE wake_at IS NOT NULL AND parked = 0 AND status <> 'running';
CREATE INDEX tasks_leased ON tasks (tenant, wake_at, worker_id) WHERE status = 'running';
