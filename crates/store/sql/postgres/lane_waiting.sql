-- lane_waiting (PostgreSQL): the numbers of the lanes that have something ready or leased. From one ready lane to the
-- next by the index, however much waits in each.
with recursive step (lane) as (
  (select ready.lane from ready order by ready.lane limit 1)
  union all
  select (select ready.lane from ready where ready.lane > step.lane order by ready.lane limit 1)
  from step
  where step.lane is not null
)
select abs(step.lane)
from step
where step.lane is not null
union
select lease.lane
from lease
