-- All rows of tasks that wait for a worker, behind their ids.
select task, lane, order_key, task, slot, has_carry
from ready
order by task
