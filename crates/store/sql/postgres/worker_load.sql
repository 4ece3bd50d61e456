-- worker_load (PostgreSQL): by key, only read. The lateral pins the way: one look into the index for each key, also
-- where the planner takes the table for empty.
select found.name, found.number, found.epoch, found.server, found.kinds, found.queues, found.labels, found.capacity,
  found.registered_at, found.expires_at, found.kept_task, found.kept_slot
from unnest($1::text[]) as wanted (name)
cross join lateral (
  select worker.name, worker.number, worker.epoch, worker.server, worker.kinds, worker.queues, worker.labels,
    worker.capacity, worker.registered_at, worker.expires_at, worker.kept_task, worker.kept_slot
  from worker
  where worker.name = wanted.name
  offset 0
) as found
