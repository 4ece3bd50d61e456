-- log_run_lock (PostgreSQL): by key, in the order of the keys, held until the commit. The lateral pins the way: one look
-- into the index for each key, also where the planner takes the table for empty.
select found.task, found.slot, found.fence, found.id, found.claimed_at, found.attempt, found.next_seq, found.bytes,
  found.is_full
from (select unnest($1::uuid[]) as task, unnest($2::smallint[]) as slot, unnest($3::int[]) as fence) as wanted
cross join lateral (
  select *
  from log_run
  where log_run.task = wanted.task and log_run.slot = wanted.slot and log_run.fence = wanted.fence
  for update
) as found
