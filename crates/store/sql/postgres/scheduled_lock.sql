-- scheduled_lock (PostgreSQL): by key, in the order of the keys, held until the commit, with where they stand. The
-- lateral pins the way: one look into the index for each key, also where the planner takes the table for empty.
select found.run_at, found.task, found.slot, found.lane, found.order_key, found.why, found.has_carry, found.spot
from (select unnest($1::bigint[]) as run_at, unnest($2::uuid[]) as task, unnest($3::smallint[]) as slot) as wanted
cross join lateral (
  select scheduled.run_at, scheduled.task, scheduled.slot, scheduled.lane, scheduled.order_key, scheduled.why,
    scheduled.has_carry, scheduled.ctid as spot
  from scheduled
  where scheduled.run_at = wanted.run_at and scheduled.task = wanted.task and scheduled.slot = wanted.slot
  for update
) as found
