-- One worker, unless it is forgotten, with the number of its leases.
select name, number, epoch, server, kinds, queues, labels, capacity, registered_at, expires_at, kept_task, kept_slot,
  forgotten, draining, killed, completed, failed, killed_before,
  (select count(*) from lease where lease.worker = worker.number)
from worker
where not forgotten and name = $1
