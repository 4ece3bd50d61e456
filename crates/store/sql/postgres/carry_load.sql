-- carry_load (PostgreSQL): by key, only read; as in `lease_lock`, also in finding every wanted task in every wanted
-- slot. The error is left: no rule asks for it.
select task, slot, run_at, order_key, fence, attempts, failures, losses, lost_in_a_row, null, null, null,
  reported_fence, reported_digest, checkpoint, suspect_since, kept_until, priority
from carry
where task = any ($1::uuid[]) and slot = any ($2::smallint[])
