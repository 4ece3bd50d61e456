-- Leases that look overdue at $1 or lost at $2, or whose worker is an internal one that registered before $3, with the
-- names of their workers; at most $4.
select lease.task, lease.slot, lease.fence, worker.name
from lease
join worker on worker.number = lease.worker
where lease.deadline <= $1
  or lease.expires_at <= $2
  or worker.expires_at <= $2
  or worker.epoch > lease.epoch
  or (worker.server is not null and worker.registered_at < $3)
order by lease.task, lease.slot
limit $4
