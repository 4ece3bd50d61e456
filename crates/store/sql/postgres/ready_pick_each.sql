-- ready_pick_each (PostgreSQL): the first $6 rows of each of the lanes $1 from its position ($2, $3, $4) on that no
-- other server holds, held until the commit; the first $6 of them all are answered. Holds more than it answers, so it
-- is asked only where `ready_hold` met another server.
with head as materialized (
  select first.lane, first.order_key, first.task, first.slot, first.has_carry, first.spot
  from (
    select unnest($1::int[]) as lane, unnest($2::bigint[]) as order_key, unnest($3::uuid[]) as task,
      unnest($4::smallint[]) as slot
  ) as wanted
  cross join lateral (
    select ready.lane, ready.order_key, ready.task, ready.slot, ready.has_carry, ready.ctid as spot
    from ready
    where ready.lane = wanted.lane
      and (ready.order_key, ready.task, ready.slot) >= (wanted.order_key, wanted.task, wanted.slot)
    order by ready.order_key, ready.task, ready.slot
    limit $6
    for update skip locked
  ) as first
  order by first.order_key, first.task, first.slot
  limit $6
)
select head.lane, head.order_key, head.task, head.slot, head.has_carry, head.spot, brief.timeout,
  brief.exclusive, brief.input_len, brief.input
from head
cross join lateral (
  select task.timeout, task.exclusive, task.input_len, case when task.input_len <= $5 then task.input end as input
  from task
  where task.id = head.task
  offset 0
) as brief
order by head.order_key, head.task, head.slot
