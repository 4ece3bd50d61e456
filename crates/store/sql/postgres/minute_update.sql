-- minute_update (PostgreSQL): all rows of a batch at once, found as in `unique_update`. Fails, and so undoes the batch,
-- unless every row is there: they are counted.
update minute
set submitted = new.submitted, started = new.started, completed = new.completed, failed = new.failed,
  timeout = new.timeout, cancelled = new.cancelled, retried = new.retried, waits = new.waits, runs = new.runs
from (
  select unnest($1::bigint[]) as minute, unnest($2::int[]) as server, unnest($3::int[]) as lane,
    unnest($4::bigint[]) as submitted, unnest($5::bigint[]) as started, unnest($6::bigint[]) as completed,
    unnest($7::bigint[]) as failed, unnest($8::bigint[]) as timeout, unnest($9::bigint[]) as cancelled,
    unnest($10::bigint[]) as retried, unnest($11::bytea[]) as waits, unnest($12::bytea[]) as runs
) as new
cross join lateral (
  select minute.ctid as spot
  from minute
  where minute.minute = new.minute and minute.server = new.server and minute.lane = new.lane
  offset 0
) as found
where minute.ctid = found.spot
returning 1
