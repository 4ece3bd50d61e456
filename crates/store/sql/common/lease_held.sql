-- What the worker of this name holds, the longest held first; at most $2. A scan of all that is under way, where one
-- worker is looked at: an index would cost every claim.
select lease.task, lane.queue, lane.kind, coalesce(carry.attempts, 0) + 1, lease.claimed_at, lease.started_at,
  lease.expires_at, lease.progress, lease.progress_message
from lease
join worker on worker.number = lease.worker
join lane on lane.number = lease.lane
left join carry on carry.task = lease.task and carry.slot = lease.slot
where worker.name = $1
order by lease.claimed_at, lease.task, lease.slot
limit $2
