-- The next $2 unique keys in the order of their tasks, behind $1, and whether these have ended: one look for each of them,
-- also where the planner takes the table for empty.
select held.queue, held.key, held.task, (select 1 from outcome where outcome.task = held.task) is not null
from (
  select unique_key.queue, unique_key.key, unique_key.task
  from unique_key
  where unique_key.task > $1
  order by unique_key.task
  limit $2
) as held
order by held.task
