-- carry_load (PostgreSQL): by key, only read; as in `lease_lock`, also in finding every wanted task in every wanted
-- slot.
select task, slot, run_at, order_key, fence, attempts, failures, losses, lost_in_a_row, error_code, error_message,
  error_detail, reported_fence, reported_digest, checkpoint, suspect_since, kept_until, priority
from carry
where task = any ($1::uuid[]) and slot = any ($2::smallint[])
