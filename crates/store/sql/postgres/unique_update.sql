-- unique_update (PostgreSQL): all rows of a batch at once. The lateral pins the way: one look into the index for each
-- key, also where the planner takes the table for empty. Fails, and so undoes the batch, unless every row is there:
-- they are counted.
update unique_key
set task = new.task
from (select unnest($1::text[]) as queue, unnest($2::text[]) as key, unnest($3::uuid[]) as task) as new
cross join lateral (
  select unique_key.ctid as spot
  from unique_key
  where unique_key.queue = new.queue and unique_key.key = new.key
  offset 0
) as found
where unique_key.ctid = found.spot
returning 1
