-- queue_update (PostgreSQL): all rows of a batch at once. The lateral pins the way: one look into the index for each
-- key, also where the planner takes the table for empty. Fails, and so undoes the batch, unless every row is there:
-- they are counted.
update queue
set paused = new.paused, max_attempts = new.max_attempts, timeout = new.timeout, backoff = new.backoff,
  backoff_factor = new.backoff_factor, backoff_max = new.backoff_max, backoff_jitter = new.backoff_jitter,
  retains = new.retains, completed_life = new.completed_life, failed_life = new.failed_life,
  timeout_life = new.timeout_life, cancelled_life = new.cancelled_life
from (
  select unnest($1::text[]) as name, unnest($2::boolean[]) as paused, unnest($3::int[]) as max_attempts, unnest($4::bigint[]) as timeout,
    unnest($5::bigint[]) as backoff, unnest($6::float8[]) as backoff_factor, unnest($7::bigint[]) as backoff_max,
    unnest($8::float8[]) as backoff_jitter, unnest($9::boolean[]) as retains, unnest($10::bigint[]) as completed_life,
    unnest($11::bigint[]) as failed_life, unnest($12::bigint[]) as timeout_life,
    unnest($13::bigint[]) as cancelled_life
) as new
cross join lateral (
  select queue.ctid as spot
  from queue
  where queue.name = new.name
  offset 0
) as found
where queue.ctid = found.spot
returning 1
