-- task_input (PostgreSQL): the inputs of these tasks, found as in `lease_lock`.
select id, input
from task
where id = any ($1::uuid[])
