-- lease_load (PostgreSQL): by key, only read; as in `lease_lock`, also in finding every wanted task in every wanted
-- slot.
select task, slot, fence, secret, worker, epoch, seq, lane, has_carry, claimed_at, started_at, expires_at, deadline,
  progress, progress_message, checkpoint, exclusive
from lease
where task = any ($1::uuid[]) and slot = any ($2::smallint[])
