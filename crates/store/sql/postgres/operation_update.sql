-- operation_update (PostgreSQL): all rows of a batch at once. The lateral pins the way: one look into the index for each
-- key, also where the planner takes the table for empty. Fails, and so undoes the batch, unless every row is there:
-- they are counted.
update operation
set act = new.act, filter = new.filter, cursor = new.cursor, done = new.done, skipped = new.skipped,
  created_at = new.created_at, ended_at = new.ended_at, cancelled = new.cancelled
from (
  select unnest($1::uuid[]) as id, unnest($2::smallint[]) as act, unnest($3::text[]) as filter, unnest($4::uuid[]) as cursor,
    unnest($5::bigint[]) as done, unnest($6::bigint[]) as skipped, unnest($7::bigint[]) as created_at,
    unnest($8::bigint[]) as ended_at, unnest($9::boolean[]) as cancelled
) as new
cross join lateral (
  select operation.ctid as spot
  from operation
  where operation.id = new.id
  offset 0
) as found
where operation.ctid = found.spot
returning 1
