-- task_known (PostgreSQL): which of these tasks there are.
select id
from task
where id = any ($1::uuid[])
