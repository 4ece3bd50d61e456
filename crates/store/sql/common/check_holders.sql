-- Tasks for which a unique key is kept that they do not have, in that queue; at most $1. One that has ended
-- may have its key still.
select unique_key.task
from unique_key
left join task on task.id = unique_key.task
left join lane on lane.number = task.lane
where task.unique_key is null or task.unique_key <> unique_key.key
  or lane.queue is null or lane.queue <> unique_key.queue
order by unique_key.task
limit $1
