-- Lanes and statuses of which another number is counted than there are rows; at most $1. The numbers of the statuses
-- are those of the migrations' checks.
with each_status(status) as (values (1), (2), (3), (4), (5), (6), (7), (8))
select told.lane, told.status, cast(sum(told.counted) as bigint), cast(sum(told.found) as bigint)
from (
  select
    counter.lane,
    each_status.status,
    case each_status.status
      when 1 then counter.scheduled
      when 2 then counter.pending
      when 3 then counter.assigned
      when 4 then counter.running
      when 5 then counter.completed
      when 6 then counter.failed
      when 7 then counter.timeout
      when 8 then counter.cancelled
    end as counted,
    0 as found
  from counter
  cross join each_status
  union all
  select abs(lane), 1, 0, count(*) from scheduled group by abs(lane)
  union all
  select abs(lane), 2, 0, count(*) from ready group by abs(lane)
  union all
  select abs(lane), case when started_at is null then 3 else 4 end, 0, count(*)
  from lease
  group by abs(lane), case when started_at is null then 3 else 4 end
  union all
  select abs(task.lane), outcome.status, 0, count(*)
  from outcome
  join task on task.id = outcome.task
  group by abs(task.lane), outcome.status
) as told
group by told.lane, told.status
having sum(told.counted) <> sum(told.found)
order by told.lane, told.status
limit $1
