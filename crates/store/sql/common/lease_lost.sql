-- Leases that look lost, in the words of `expire::looks_lost`: overdue at $1 or silent at $2, or whose worker is
-- unknown, was replaced, or is an internal one that registered before $3; with the names of their workers; at most $4.
select lease.task, lease.slot, lease.fence, worker.name
from lease
left join worker on worker.number = lease.worker
where lease.deadline <= $1
  or lease.expires_at <= $2
  or worker.number is null
  or worker.epoch > lease.epoch
  or worker.expires_at <= $2
  or (worker.server is not null and worker.registered_at < $3)
order by lease.task, lease.slot
limit $4
