-- scheduled_lock (PostgreSQL): by key, in the order of the keys, held until the commit, with where they stand.
select scheduled.run_at, scheduled.task, scheduled.slot, scheduled.lane, scheduled.order_key, scheduled.why,
  scheduled.has_carry, scheduled.ctid
from unnest($1::bigint[], $2::uuid[], $3::smallint[]) as wanted (run_at, task, slot)
join scheduled on scheduled.run_at = wanted.run_at and scheduled.task = wanted.task and scheduled.slot = wanted.slot
for update of scheduled
