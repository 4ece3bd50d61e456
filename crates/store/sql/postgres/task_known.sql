-- task_known (PostgreSQL): which of these tasks there are. The lateral pins the way: one look into the index for each
-- key, also where the planner takes the table for empty.
select found.id
from (select unnest($1::uuid[]) as id) as wanted
cross join lateral (select task.id from task where task.id = wanted.id offset 0) as found
