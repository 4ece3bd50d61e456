-- All leases behind the ids of their tasks, without checkpoints, which are JSON and judged as that.
select task, task, slot, fence, secret, worker, epoch, seq, lane, has_carry, claimed_at, started_at, expires_at, deadline, progress,
  progress_message, null, exclusive
from lease
order by task
