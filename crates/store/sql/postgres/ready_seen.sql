-- ready_seen (PostgreSQL): of each lane $1 the first $5 rows from the position ($2, $3, $4) on, and where they stand.
-- They are only looked at: the merge decides which of them `ready_hold` holds.
select wanted.lane, first.order_key, first.task, first.slot, first.has_carry, first.spot
from (
  select unnest($1::int[]) as lane, unnest($2::bigint[]) as order_key, unnest($3::uuid[]) as task,
    unnest($4::smallint[]) as slot, unnest($5::bigint[]) as rows
) as wanted
cross join lateral (
  select ready.order_key, ready.task, ready.slot, ready.has_carry, ready.ctid as spot
  from ready
  where ready.lane = wanted.lane
    and (ready.order_key, ready.task, ready.slot) >= (wanted.order_key, wanted.task, wanted.slot)
  order by ready.order_key, ready.task, ready.slot
  limit wanted.rows
) as first
