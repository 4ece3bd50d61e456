-- worker_load (PostgreSQL): by key; only read.
select worker.name, worker.number, worker.epoch, worker.server, worker.kinds, worker.queues, worker.labels,
  worker.capacity, worker.registered_at, worker.expires_at, worker.kept_task, worker.kept_slot
from unnest($1::text[]) as wanted (name)
join worker on worker.name = wanted.name
