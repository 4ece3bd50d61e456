-- carry_update (PostgreSQL): all rows of a batch at once. The lateral pins the way: one look into the index for each
-- key, also where the planner takes the table for empty. Fails, and so undoes the batch, unless every row is there: 1 /
-- 0 stands for a conflict.
with changed as (
  update carry
  set run_at = new.run_at, order_key = new.order_key, fence = new.fence, attempts = new.attempts,
    failures = new.failures, losses = new.losses, lost_in_a_row = new.lost_in_a_row, error_code = new.error_code,
    error_message = new.error_message, error_detail = new.error_detail, reported_fence = new.reported_fence,
    reported_digest = new.reported_digest, checkpoint = new.checkpoint, suspect_since = new.suspect_since,
    kept_until = new.kept_until
  from unnest($1::uuid[], $2::smallint[], $3::bigint[], $4::bigint[], $5::int[], $6::int[], $7::int[], $8::int[],
      $9::int[], $10::text[], $11::text[], $12::text[], $13::int[], $14::bytea[], $15::text[], $16::bigint[],
      $17::bigint[])
    as new (task, slot, run_at, order_key, fence, attempts, failures, losses, lost_in_a_row, error_code,
      error_message, error_detail, reported_fence, reported_digest, checkpoint, suspect_since, kept_until)
  cross join lateral (
    select carry.ctid as spot
    from carry
    where carry.task = new.task and carry.slot = new.slot
    offset 0
  ) as found
  where carry.ctid = found.spot
  returning 1
)
select 1 / (count(*) = cardinality($1))::int
from changed
