-- task_input (PostgreSQL): the inputs of these tasks.
select task.id, task.input
from unnest($1::uuid[]) as wanted (id)
join task on task.id = wanted.id
