-- Leases that look overdue at $1 or lost at $2, with the names of their workers; at most $3.
select lease.task, lease.slot, lease.fence, worker.name
from lease
join worker on worker.number = lease.worker
where lease.deadline <= $1
  or lease.expires_at <= $2
  or worker.expires_at <= $2
  or worker.epoch > lease.epoch
order by lease.task, lease.slot
limit $3
