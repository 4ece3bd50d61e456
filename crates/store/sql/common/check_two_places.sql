-- Tasks of which a slot stands in more than one place.
select distinct place.task
from (
  select task, slot from scheduled
  union all
  select task, slot from ready
  union all
  select task, slot from lease
) as place
group by place.task, place.slot
having count(*) > 1
limit $1
