-- Where the counters do not say what the rows say: lane, status, and by how many they are too high. The statuses'
-- numbers stand in the core; a twin (a lane below zero) counts with its lane.
select counted.lane, counted.status, cast(sum(counted.n) as bigint)
from (
  select lane, status, n from counter
  union all
  select abs(lane), 1, -1 from scheduled
  union all
  select abs(lane), 2, -1 from ready
  union all
  select lane, case when started_at is null then 3 else 4 end, -1 from lease
  union all
  select lane, status, -1 from outcome
) as counted
group by counted.lane, counted.status
having sum(counted.n) <> 0
order by counted.lane, counted.status
limit $1
