-- ready_hold (PostgreSQL): the rows that stand at $1, held until the commit, those that another server holds or took
-- away left out, with what a claim must know of their tasks. Inputs of at most $2 bytes come along. A spot may have
-- another row by now: whoever asks looks at what came.
select held.lane, held.order_key, held.task, held.slot, held.has_carry, held.spot, brief.timeout,
  brief.exclusive, brief.input_len, brief.input
from (
  select ready.lane, ready.order_key, ready.task, ready.slot, ready.has_carry, ready.ctid as spot
  from ready
  where ready.ctid = any ($1::tid[])
  for update skip locked
) as held
cross join lateral (
  select task.timeout, task.exclusive, task.input_len, case when task.input_len <= $2 then task.input end as input
  from task
  where task.id = held.task
  offset 0
) as brief
