-- ready_pick_merged (PostgreSQL): the first $3 rows of the lanes $1, each from its key $2 on, in one order. They are
-- found first and locked then, so that no row is held that is not dealt. The first column says how many were found:
-- where another server holds some of them, fewer are answered, and `ready_pick_each` goes on behind those.
with head as materialized (
  select first.spot, first.order_key, first.task, first.slot
  from unnest($1::int[], $2::bigint[]) as wanted (lane, order_key)
  cross join lateral (
    select ready.ctid as spot, ready.order_key, ready.task, ready.slot
    from ready
    where ready.lane = wanted.lane and ready.order_key >= wanted.order_key
    order by ready.order_key, ready.task, ready.slot
    limit $3
  ) as first
  order by first.order_key, first.task, first.slot
  limit $3
),
held as materialized (
  select ready.lane, ready.order_key, ready.task, ready.slot, ready.has_carry, ready.ctid as spot
  from ready
  where ready.ctid = any (array(select head.spot from head))
  for update skip locked
)
select (select count(*) from head), held.lane, held.order_key, held.task, held.slot, held.has_carry, held.spot,
  brief.timeout, brief.input_len, brief.input
from (values (1)) as always
left join held on true
left join lateral (
  select task.timeout, task.input_len, case when task.input_len <= $4 then task.input end as input
  from task
  where task.id = held.task
  offset 0
) as brief on true
order by held.order_key, held.task, held.slot
