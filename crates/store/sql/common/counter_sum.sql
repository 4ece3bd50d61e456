-- How many tasks there are, by lane and status, over all servers. Each counter and each lane is looked at once, in
-- this order: the join is an outer one for that alone.
select lane.queue, lane.kind, lane.demands, counted.status, counted.n
from (
  select lane, status, cast(sum(n) as bigint) as n
  from counter
  group by lane, status
  having sum(n) <> 0
) as counted
left join lane on lane.number = counted.lane
order by counted.lane, counted.status
