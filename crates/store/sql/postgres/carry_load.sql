-- carry_load (PostgreSQL): by key; only read.
select carry.task, carry.slot, carry.run_at, carry.order_key, carry.fence, carry.attempts, carry.failures,
  carry.losses, carry.lost_in_a_row, carry.error_code, carry.error_message, carry.error_detail, carry.reported_fence,
  carry.reported_digest, carry.checkpoint, carry.suspect_since, carry.kept_until
from unnest($1::uuid[], $2::smallint[]) as wanted (task, slot)
join carry on carry.task = wanted.task and carry.slot = wanted.slot
