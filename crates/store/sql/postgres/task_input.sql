-- task_input (PostgreSQL): the inputs of these tasks. The lateral pins the way: one look into the index for each key,
-- also where the planner takes the table for empty.
select found.id, found.input
from unnest($1::uuid[]) as wanted (id)
cross join lateral (select task.id, task.input from task where task.id = wanted.id offset 0) as found
