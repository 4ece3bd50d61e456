-- Tasks in a place that says that something is carried along where nothing is, or the other way round; at most $1.
select place.task
from (
  select task, slot, has_carry from scheduled
  union all
  select task, slot, has_carry from ready
  union all
  select task, slot, has_carry from lease
) as place
left join carry on carry.task = place.task and carry.slot = place.slot
where place.has_carry <> (carry.task is not null)
order by place.task
limit $1
