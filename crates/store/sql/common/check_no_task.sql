-- Places and outcomes of tasks that are not there.
select distinct place.task
from (
  select task from scheduled
  union all
  select task from ready
  union all
  select task from lease
  union all
  select task from outcome
) as place
left join task on task.id = place.task
where task.id is null
limit $1
