-- Every worker by name, with the number of its leases.
select name, number, epoch, server, kinds, queues, labels, capacity, registered_at, expires_at, kept_task, kept_slot,
  coalesce(holding.leases, 0)
from worker
left join (select lease.worker, count(*) as leases from lease group by lease.worker) as holding
  on holding.worker = worker.number
order by name
