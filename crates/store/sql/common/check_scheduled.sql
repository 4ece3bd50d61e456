-- All rows of tasks that wait for their time, behind their ids.
select task, run_at, task, slot, lane, order_key, why, has_carry
from scheduled
order by task
