-- ready_pick (PostgreSQL): the first $3 rows of the lane $1 from the key $2 on, held until the commit, those that
-- another server holds left out, with what a claim must know of their tasks. Inputs of at most $4 bytes come along. The
-- lateral pins the way: from the picked rows to their tasks, also where the planner takes a table for empty.
select picked.lane, picked.order_key, picked.task, picked.slot, picked.has_carry, picked.spot, brief.timeout,
  brief.exclusive, brief.input_len, brief.input
from (
  select ready.lane, ready.order_key, ready.task, ready.slot, ready.has_carry, ready.ctid as spot
  from ready
  where ready.lane = $1 and ready.order_key >= $2
  order by ready.order_key, ready.task, ready.slot
  limit $3
  for update skip locked
) as picked
cross join lateral (
  select task.timeout, task.exclusive, task.input_len, case when task.input_len <= $4 then task.input end as input
  from task
  where task.id = picked.task
  offset 0
) as brief
order by picked.order_key, picked.task, picked.slot
