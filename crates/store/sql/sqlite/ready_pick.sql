-- ready_pick (SQLite): the first ?5 rows of the lane ?1 behind a key, with what a claim must know of their tasks.
-- Inputs of at most ?6 bytes come along. PostgreSQL differs: it locks the rows, for it has several writers. The cross
-- join pins the order of the tables.
select ready.lane, ready.order_key, ready.task, ready.slot, ready.has_carry, task.timeout, task.exclusive,
  task.input_len, case when task.input_len <= ?6 then task.input end
from ready
cross join task on task.id = ready.task
where ready.lane = ?1 and (ready.order_key, ready.task, ready.slot) > (?2, ?3, ?4)
order by ready.order_key, ready.task, ready.slot
limit ?5
