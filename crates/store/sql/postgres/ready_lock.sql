-- ready_lock (PostgreSQL): by key, in the order of the keys, held until the commit, with where they stand. The lateral
-- pins the way: one look into the index for each key, also where the planner takes the table for empty.
select found.lane, found.order_key, found.task, found.slot, found.has_carry, found.spot
from (
  select unnest($1::int[]) as lane, unnest($2::bigint[]) as order_key, unnest($3::uuid[]) as task,
    unnest($4::smallint[]) as slot
) as wanted
cross join lateral (
  select ready.lane, ready.order_key, ready.task, ready.slot, ready.has_carry, ready.ctid as spot
  from ready
  where ready.lane = wanted.lane and ready.order_key = wanted.order_key and ready.task = wanted.task
    and ready.slot = wanted.slot
  for update
) as found
