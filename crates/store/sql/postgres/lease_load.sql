-- lease_load (PostgreSQL): by key; only read.
select lease.task, lease.slot, lease.fence, lease.secret, lease.worker, lease.epoch, lease.seq, lease.lane,
  lease.has_carry, lease.claimed_at, lease.started_at, lease.expires_at, lease.deadline, lease.progress,
  lease.progress_message, lease.checkpoint
from unnest($1::uuid[], $2::smallint[]) as wanted (task, slot)
join lease on lease.task = wanted.task and lease.slot = wanted.slot
