-- Tasks that have ended and still stand somewhere.
select distinct outcome.task
from outcome
join (
  select task from scheduled
  union all
  select task from ready
  union all
  select task from lease
) as place on place.task = outcome.task
limit $1
