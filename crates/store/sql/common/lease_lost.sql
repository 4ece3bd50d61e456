-- Leases that look lost, in the words of `expire::Lost`: overdue at $1, or $3 before that if they began before $2, and
-- so on with the pairs up to $9; or silent at $10; or ending later than $11; or whose worker is unknown, was replaced, is
-- silent, or is an internal one that registered before $12; with the names of their workers; at most $13. Exclusive ones
-- only if they themselves are silent, or end later.
select lease.task, lease.slot, lease.fence, worker.name
from lease
left join worker on worker.number = lease.worker
where not lease.exclusive and lease.deadline <= cast($1 as bigint)
    - case when lease.started_at < $2 then cast($3 as bigint) else 0 end
    - case when lease.started_at < $4 then cast($5 as bigint) else 0 end
    - case when lease.started_at < $6 then cast($7 as bigint) else 0 end
    - case when lease.started_at < $8 then cast($9 as bigint) else 0 end
  or lease.expires_at <= $10
  or lease.expires_at > $11
  or not lease.exclusive and (
    worker.number is null
    or worker.epoch > lease.epoch
    or worker.expires_at <= $10
    or (worker.server is not null and worker.registered_at < $12)
  )
order by lease.task, lease.slot
limit $13
