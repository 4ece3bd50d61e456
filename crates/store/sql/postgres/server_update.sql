-- server_update (PostgreSQL): all rows of a batch at once. The lateral pins the way: one look into the index for each
-- key, also where the planner takes the table for empty. Fails, and so undoes the batch, unless every row is there:
-- they are counted.
update server
set started_at = new.started_at, expires_at = new.expires_at
from (
  select unnest($1::int[]) as number, unnest($2::bigint[]) as started_at, unnest($3::bigint[]) as expires_at
) as new
cross join lateral (
  select server.ctid as spot
  from server
  where server.number = new.number
  offset 0
) as found
where server.ctid = found.spot
returning 1
