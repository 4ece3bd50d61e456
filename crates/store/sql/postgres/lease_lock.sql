-- lease_lock (PostgreSQL): by key, in the order of the keys, held until the commit, with where they stand. The lateral
-- pins the way: one look into the index for each key, also where the planner takes the table for empty.
select found.task, found.slot, found.fence, found.secret, found.worker, found.epoch, found.seq, found.lane,
  found.has_carry, found.claimed_at, found.started_at, found.expires_at, found.deadline, found.progress,
  found.progress_message, found.checkpoint, found.spot
from unnest($1::uuid[], $2::smallint[]) as wanted (task, slot)
cross join lateral (
  select lease.task, lease.slot, lease.fence, lease.secret, lease.worker, lease.epoch, lease.seq, lease.lane,
    lease.has_carry, lease.claimed_at, lease.started_at, lease.expires_at, lease.deadline, lease.progress,
    lease.progress_message, lease.checkpoint, lease.ctid as spot
  from lease
  where lease.task = wanted.task and lease.slot = wanted.slot
  for update
) as found
