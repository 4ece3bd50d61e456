-- Who runs a task, if anybody does, and how it ended, if it did.
select outcome.status, carry.attempts, lease.fence, lease.secret, lease.worker, lease.epoch, lease.claimed_at,
  lease.started_at
from task
left join outcome on outcome.task = task.id
left join lease on lease.task = task.id and lease.slot = 0
left join carry on carry.task = task.id and carry.slot = 0
where task.id = $1
