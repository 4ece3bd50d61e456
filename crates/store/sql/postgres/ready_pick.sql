-- ready_pick (PostgreSQL): the first $3 rows of the lane $1 from the key $2 on, held until the commit, those that another
-- server holds left out, with what a claim must know of their tasks. Inputs of at most $4 bytes come along.
select ready.lane, ready.order_key, ready.task, ready.slot, ready.has_carry, ready.ctid, task.timeout, task.input_len,
  case when task.input_len <= $4 then task.input end
from ready
join task on task.id = ready.task
where ready.lane = $1 and ready.order_key >= $2
order by ready.order_key, ready.task, ready.slot
limit $3
for update of ready skip locked
