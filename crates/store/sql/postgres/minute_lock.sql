-- minute_lock (PostgreSQL): by key, in the order of the keys, held until the commit. The lateral pins the way, as in
-- `idempotency_lock`.
select found.minute, found.lane, found.submitted, found.started, found.completed, found.failed, found.timeout,
  found.cancelled, found.retried, found.waits, found.runs
from (
  select unnest($1::bigint[]) as minute, unnest($2::int[]) as server, unnest($3::int[]) as lane
) as wanted
cross join lateral (
  select minute.*
  from minute
  where minute.minute = wanted.minute and minute.server = wanted.server and minute.lane = wanted.lane
  for update
) as found
