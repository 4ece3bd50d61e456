-- worker_lock (PostgreSQL): by key, in the order of the keys, held until the commit.
select worker.name, worker.number, worker.epoch, worker.server, worker.kinds, worker.queues, worker.labels,
  worker.capacity, worker.registered_at, worker.expires_at, worker.kept_task, worker.kept_slot
from unnest($1::text[]) as wanted (name)
join worker on worker.name = wanted.name
for update of worker
