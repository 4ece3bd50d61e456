-- Tasks that stand nowhere and have not ended.
select task.id
from task
left join outcome on outcome.task = task.id
left join (
  select task from scheduled
  union all
  select task from ready
  union all
  select task from lease
) as place on place.task = task.id
where outcome.task is null and place.task is null
limit $1
