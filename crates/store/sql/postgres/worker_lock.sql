-- worker_lock (PostgreSQL): by key, in the order of the keys, as the index has them; held until the commit. As in
-- `lease_lock`.
select name, number, epoch, server, kinds, queues, labels, capacity, registered_at, expires_at, kept_task, kept_slot,
  forgotten, draining, killed, completed, failed, killed_before
from worker
where name = any ($1::text[])
for update
