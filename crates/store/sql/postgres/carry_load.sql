-- carry_load (PostgreSQL): by key, only read. The lateral pins the way: one look into the index for each key, also
-- where the planner takes the table for empty.
select found.task, found.slot, found.run_at, found.order_key, found.fence, found.attempts, found.failures,
  found.losses, found.lost_in_a_row, found.error_code, found.error_message, found.error_detail, found.reported_fence,
  found.reported_digest, found.checkpoint, found.suspect_since, found.kept_until
from unnest($1::uuid[], $2::smallint[]) as wanted (task, slot)
cross join lateral (
  select carry.task, carry.slot, carry.run_at, carry.order_key, carry.fence, carry.attempts, carry.failures,
    carry.losses, carry.lost_in_a_row, carry.error_code, carry.error_message, carry.error_detail,
    carry.reported_fence, carry.reported_digest, carry.checkpoint, carry.suspect_since, carry.kept_until
  from carry
  where carry.task = wanted.task and carry.slot = wanted.slot
  offset 0
) as found
