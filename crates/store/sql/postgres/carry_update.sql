-- carry_update (PostgreSQL): all rows of a batch at once. The lateral pins the way: one look into the index for each
-- key, also where the planner takes the table for empty. Fails, and so undoes the batch, unless every row is there:
-- they are counted. Without an error it leaves the one that stands there.
update carry
set run_at = new.run_at, order_key = new.order_key, fence = new.fence, attempts = new.attempts,
  failures = new.failures, losses = new.losses, lost_in_a_row = new.lost_in_a_row, error_code = coalesce(new.error_code, carry.error_code),
  error_message = coalesce(new.error_message, carry.error_message),
  error_detail = case when new.error_code is null then carry.error_detail else new.error_detail end,
  reported_fence = new.reported_fence,
  reported_digest = new.reported_digest, checkpoint = new.checkpoint, suspect_since = new.suspect_since,
  kept_until = new.kept_until, priority = new.priority
from (
  select unnest($1::uuid[]) as task, unnest($2::smallint[]) as slot, unnest($3::bigint[]) as run_at,
    unnest($4::bigint[]) as order_key, unnest($5::int[]) as fence, unnest($6::int[]) as attempts,
    unnest($7::int[]) as failures, unnest($8::int[]) as losses, unnest($9::int[]) as lost_in_a_row,
    unnest($10::text[]) as error_code, unnest($11::text[]) as error_message, unnest($12::text[]) as error_detail,
    unnest($13::int[]) as reported_fence, unnest($14::bytea[]) as reported_digest, unnest($15::text[]) as checkpoint,
    unnest($16::bigint[]) as suspect_since, unnest($17::bigint[]) as kept_until,
    unnest($18::smallint[]) as priority
) as new
cross join lateral (
  select carry.ctid as spot
  from carry
  where carry.task = new.task and carry.slot = new.slot
  offset 0
) as found
where carry.ctid = found.spot
returning 1
