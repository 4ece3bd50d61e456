-- Tasks that have not ended and whose unique key is not kept for them; at most $1.
select task.id
from task
join lane on lane.number = task.lane
left join unique_key on unique_key.queue = lane.queue and unique_key.key = task.unique_key
left join outcome on outcome.task = task.id
where task.unique_key is not null and outcome.task is null
  and (unique_key.task is null or unique_key.task <> task.id)
order by task.id
limit $1
