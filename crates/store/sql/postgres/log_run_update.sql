-- log_run_update (PostgreSQL): all rows of a batch at once. The lateral pins the way: one look into the index for each
-- key, also where the planner takes the table for empty.
update log_run
set claimed_at = new.claimed_at, attempt = new.attempt, next_seq = new.next_seq, bytes = new.bytes,
  is_full = new.is_full
from (
  select unnest($1::uuid[]) as task, unnest($2::smallint[]) as slot, unnest($3::int[]) as fence,
    unnest($4::bigint[]) as claimed_at, unnest($5::int[]) as attempt, unnest($6::int[]) as next_seq,
    unnest($7::bigint[]) as bytes, unnest($8::bool[]) as is_full
) as new
cross join lateral (
  select log_run.ctid as spot
  from log_run
  where log_run.task = new.task and log_run.slot = new.slot and log_run.fence = new.fence
  offset 0
) as found
where log_run.ctid = found.spot
