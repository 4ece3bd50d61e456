-- One worker.
select name, number, epoch, server, kinds, queues, labels, capacity, registered_at, expires_at, kept_task, kept_slot,
  forgotten, draining, killed, completed, failed, killed_before
from worker
where name = $1
