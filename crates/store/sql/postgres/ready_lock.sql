-- ready_lock (PostgreSQL): by key, in the order of the keys, held until the commit, with where they stand.
select ready.lane, ready.order_key, ready.task, ready.slot, ready.has_carry, ready.ctid
from unnest($1::int[], $2::bigint[], $3::uuid[], $4::smallint[]) as wanted (lane, order_key, task, slot)
join ready on ready.lane = wanted.lane and ready.order_key = wanted.order_key and ready.task = wanted.task and ready.slot = wanted.slot
for update of ready
