-- worker_load (PostgreSQL): by key, only read; as in `lease_lock`.
select name, number, epoch, server, kinds, queues, labels, capacity, registered_at, expires_at, kept_task, kept_slot,
  forgotten, draining, killed, completed, failed, killed_before
from worker
where name = any ($1::text[])
